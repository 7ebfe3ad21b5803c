"""The trajectory player: the reverse process of a diffusion recommender, played step by step for one reader.

`trajectory_data` is the pure part. It walks the reverse process for some readers, numbers of steps and seeds, and
keeps what there is to see: where x_t and x0_hat lie in one fixed projection of the item vectors, the rank of the true
next book, the distance to it, and the five best titles. `Player` shows two or more such chains side by side, on the
same noise. Everything is computed before it is shown, so the player needs no kernel and no network.

    data = trajectory_data(load_checkpoint("dcrec"), load("bookshop"), readers=[3, 8], steps=[50, 5], seeds=[0, 1])
    player(data, panels=[(data.name, 50), (data.name, 5)])
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import anywidget
import torch
import traitlets
from matplotlib.figure import Figure
from torch import Tensor

from diffrec_lite.data import SequenceDataset, pad
from diffrec_lite.metrics import ranks
from diffrec_lite.models import DiffusionRecommender
from diffrec_lite.widgets import style
from diffrec_lite.widgets.explorer import CSS, StandIn

NEAREST = 5
DIGITS = 3
GENRES = (*style.CYCLE, style.NEUTRAL)


@dataclass(frozen=True)
class Trajectories:
    """What the player shows of one model: plain numbers and texts, coordinates rounded to three decimals.

    - `items`: index = item id, entry 0 unused; `x`, `y` (the projection), `genre` (index into `genres`), `title`.
    - `readers`: `user` (its token), `history` (item ids, oldest first) and `target`, the true next book.
    - `runs[r][s][k]`: the states for reader r, `steps[s]` and `seeds[k]`, from t = T down to 0. Each has `t`; `xt` and
      `x0` (places, x0 None at t = T); `rank` and `distance` of the true book by x0_hat, or by x_t at t = T, where there
      is no prediction yet; `noisy_rank` and `noisy_distance`, the same by x_t; and `nearest`, the five best item ids.
    """

    name: str
    T: int
    num_items: int
    genres: list[str]
    items: dict[str, list]
    readers: list[dict[str, Any]]
    steps: list[int]
    seeds: list[int]
    runs: list[list[list[list[dict[str, Any]]]]]

    def states(self, reader: int = 0, steps: int | None = None, seed: int | None = None) -> list[dict[str, Any]]:
        """The states of the chain with so many `steps` and this `seed`, for the reader at this place in `readers`."""
        s = 0 if steps is None else self.steps.index(steps)
        k = 0 if seed is None else self.seeds.index(seed)
        return self.runs[reader][s][k]


def projection(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """The two main axes of the item vectors `(V, d)`: their mean `(d,)` and the axes `(d, 2)`.

    Principal components of all items but the padding, made once and used for every step. Each axis points to where
    its largest entry is positive, so that the picture cannot be mirrored from one machine to the next.
    """
    mean = vectors[1:].mean(0)
    axes = torch.linalg.svd(vectors[1:] - mean, full_matrices=False).Vh[:2].T
    largest = axes.abs().argmax(0)
    return mean, axes * axes[largest, [0, 1]].sign()


@torch.inference_mode()
def trajectory_data(
    model: DiffusionRecommender,
    dataset: SequenceDataset,
    readers: Sequence[int],
    steps: Sequence[int] | None = None,
    seeds: Sequence[int] = (0,),
    transition: str | None = None,
    name: str | None = None,
) -> Trajectories:
    """Play the reverse process of `model` for the test example of each reader, and keep what the player shows.

    `readers` are user indices, `steps` numbers of denoising steps (default: the full chain and a tenth of it),
    `transition` the model's own unless given. One seed gives the same noise at the same step t whatever the number
    of steps. Raises ValueError for a reader with no history to predict from.
    """
    T = model.diffusion.T
    steps = sorted({T, max(1, T // 10)} if steps is None else set(steps), reverse=True)
    sequences = [dataset.history(user).tolist() for user in readers]
    for user, sequence in zip(readers, sequences, strict=True):
        if len(sequence) < 2:
            raise ValueError(f"reader {user} has {len(sequence)} books: the player needs a history and a next book")
    history = pad([sequence[:-1] for sequence in sequences], model.max_len)
    target = torch.tensor([sequence[-1] for sequence in sequences])

    training = model.training
    model.eval()
    vectors = model.item_vectors()
    mean, axes = projection(vectors)
    truth = vectors[target]

    def view(x: Tensor) -> dict[str, list]:
        scores = model.rounding(x, history)
        return {
            "place": _rounded((x - mean) @ axes),
            "rank": ranks(scores, target).tolist(),
            "distance": _rounded((x - truth).norm(dim=1)),
            "nearest": scores.topk(min(NEAREST, model.num_items)).indices.tolist(),
        }

    runs: list = [[[[] for _ in seeds] for _ in steps] for _ in readers]
    for s, count in enumerate(steps):
        for k, seed in enumerate(seeds):
            for t, xt, x0_hat in model.trajectory(history, count, seed, users=readers, transition=transition):
                noisy = view(xt)
                clean = noisy if x0_hat is None else view(x0_hat)
                for r in range(len(readers)):
                    runs[r][s][k].append(
                        {
                            "t": t,
                            "xt": noisy["place"][r],
                            "x0": None if x0_hat is None else clean["place"][r],
                            "rank": clean["rank"][r],
                            "distance": clean["distance"][r],
                            "noisy_rank": noisy["rank"][r],
                            "noisy_distance": noisy["distance"][r],
                            "nearest": clean["nearest"][r],
                        }
                    )
    model.train(training)

    genre = _genres(dataset)
    genres = sorted(set(genre[1:]))
    places = (vectors - mean) @ axes
    return Trajectories(
        name=name or type(model).__name__,
        T=T,
        num_items=model.num_items,
        genres=genres,
        items={
            "x": [0.0, *_rounded(places[1:, 0])],
            "y": [0.0, *_rounded(places[1:, 1])],
            "genre": [0, *(genres.index(one) for one in genre[1:])],
            "title": ["", *(dataset.title(item) for item in range(1, model.num_items + 1))],
        },
        readers=[
            {"user": dataset.user_tokens[user], "history": sequence[:-1], "target": sequence[-1]}
            for user, sequence in zip(readers, sequences, strict=True)
        ],
        steps=steps,
        seeds=list(seeds),
        runs=runs,
    )


def _rounded(values: Tensor) -> list:
    return [[round(v, DIGITS) for v in row] if isinstance(row, list) else round(row, DIGITS) for row in values.tolist()]


def _genres(dataset: SequenceDataset) -> list[str]:
    """The genre of every item, index = item id; one genre without a name where the data set has none."""
    features = dataset.item_features
    if features is None or "genre" not in features:
        return [""] * (dataset.num_items + 1)
    return ["", *(str(features.genre.get(item, "")) for item in range(1, dataset.num_items + 1))]


def state_at(states: Sequence[dict[str, Any]], t: int) -> int:
    """Where a chain stands when the clock shows `t`: the place of the last of its states whose step is >= t."""
    return sum(state["t"] >= t for state in states) - 1


def clock(chains: Sequence[Sequence[dict[str, Any]]]) -> list[int]:
    """Every step at which at least one of the chains has a state, from T down to 0: the ticks of the player."""
    return sorted({state["t"] for states in chains for state in states}, reverse=True)


def frame(data: Trajectories) -> tuple[float, float, float, float]:
    """The part of the plane that is shown: left, right, low, high, around all books and all predictions.

    Noised vectors may lie far outside, where a model's noise is louder than its books; they wait at the edge.
    """
    places = [
        state["x0"] for run in data.runs for chains in run for states in chains for state in states if state["x0"]
    ]
    xs, ys = ([*data.items[axis][1:], *(place[i] for place in places)] for i, axis in enumerate("xy"))
    margin = 0.06 * max(max(xs) - min(xs), max(ys) - min(ys))
    return min(xs) - margin, max(xs) + margin, min(ys) - margin, max(ys) + margin


def within(place: Sequence[float], shown: tuple[float, float, float, float]) -> tuple[float, float]:
    """A place moved to the nearest one that `frame` shows."""
    left, right, low, high = shown
    return min(max(place[0], left), right), min(max(place[1], low), high)


def draw(chains: Sequence[tuple[Trajectories, int]], reader: int = 0, seed: int | None = None, t: int = 0) -> Figure:
    """The player as a still figure, one panel for each (trajectories, number of steps), when the clock shows `t`."""
    same = all(data.items == chains[0][0].items for data, _ in chains)
    fig, axes = style.axes(1, len(chains), size=(3.9 * len(chains), 4.2), squeeze=False, sharex=same, sharey=same)
    for ax, (data, steps) in zip(axes[0], chains, strict=True):
        states = data.states(reader, steps, seed)
        states = states[: state_at(states, t) + 1]
        items, person, shown = data.items, data.readers[reader], frame(data)
        ax.scatter(items["x"][1:], items["y"][1:], s=10, color="#cccccc", label="all books")
        read = person["history"]
        x, y = ([items[axis][i] for i in read] for axis in "xy")
        ax.scatter(x, y, s=26, color=style.HISTORY, label="books read")
        noised = [within(s["xt"], shown) for s in states]
        entered = max((i for i, s in enumerate(states) if noised[i] != tuple(s["xt"])), default=-1) + 1
        ax.plot(*zip(*noised, strict=True), "D", color=style.NOISE, markersize=4, label="x_t")
        ax.plot(*zip(*noised[entered:] or [(None, None)], strict=True), color=style.NOISE)
        if predictions := [s["x0"] for s in states if s["x0"] is not None]:
            look = {"color": style.PREDICTION, "marker": "s", "markersize": 4, "label": "x0_hat, the prediction"}
            ax.plot(*zip(*predictions, strict=True), **look)
        truth, look = person["target"], {"markersize": 15, "markeredgecolor": "white", "label": "true next book"}
        ax.plot(items["x"][truth], items["y"][truth], "*", color=style.TARGET, **look)
        ax.set_title(f"{data.name}, {steps} step{'s' * (steps != 1)}: t = {states[-1]['t']}, rank {states[-1]['rank']}")
        ax.set(xlabel="first principal axis", ylabel="second principal axis", xlim=shown[:2], ylim=shown[2:])
    handles, labels = axes[0][0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=5, fontsize=8)
    return fig


class Player(StandIn, anywidget.AnyWidget):
    """The player as a widget. Made by `player`.

    `state` holds what the controls show: `reader` and `seed` (places in the lists), `t` (the clock) and, for each
    panel, `source` (place in `sources`) and `steps` (place in its list). Setting it moves the page.
    """

    _esm = (Path(__file__).parent / "player.js").read_text(encoding="utf-8")
    _css = CSS + (Path(__file__).parent / "player.css").read_text(encoding="utf-8")

    alt = traitlets.Unicode().tag(sync=True)
    sources = traitlets.List().tag(sync=True)
    frames = traitlets.List().tag(sync=True)
    colours = traitlets.Dict().tag(sync=True)
    state = traitlets.Dict().tag(sync=True)

    def __init__(self, trajectories: Sequence[Trajectories], **traits: Any) -> None:
        self.trajectories = list(trajectories)
        frames = [list(frame(data)) for data in trajectories]
        super().__init__(sources=[asdict(data) for data in trajectories], frames=frames, **traits)

    def picture(self) -> bytes:
        chains = [
            (self.trajectories[panel["source"]], self.trajectories[panel["source"]].steps[panel["steps"]])
            for panel in self.state["panels"]
        ]
        return style.png(draw(chains, self.state["reader"], self.trajectories[0].seeds[self.state["seed"]]))


def player(*trajectories: Trajectories, panels: Sequence[tuple[str, int]] | None = None) -> Player:
    """A player over one or more `Trajectories` of the same readers and seeds.

    `panels` lists, from left to right, (name, number of steps); the default is the full and the shortest chain of the
    first. Raises ValueError when the trajectories differ in readers or seeds, or a panel names what is not there.
    """
    first = trajectories[0]
    for other in trajectories[1:]:
        if other.readers != first.readers or other.seeds != first.seeds:
            raise ValueError(f"{first.name} and {other.name} cannot share a player: their readers or seeds differ")
    names = [data.name for data in trajectories]
    if len(set(names)) != len(names):
        raise ValueError(f"trajectories need names of their own, got {', '.join(names)}")
    if panels is None:
        panels = [(first.name, first.steps[0]), (first.name, first.steps[-1])]
    shown = []
    for name, steps in panels:
        if name not in names or steps not in trajectories[names.index(name)].steps:
            raise ValueError(f"there is no chain {name!r} with {steps} steps to put in a panel")
        source = names.index(name)
        shown.append({"source": source, "steps": trajectories[source].steps.index(steps)})
    alt = (
        "Trajectory player: "
        + " beside ".join(f"{name} with {steps} step{'s' * (steps != 1)}" for name, steps in panels)
        + ", for one reader, on the same noise. Dots are books, a star is the true next book; one line follows the "
        "noised vector x_t and another the prediction x0_hat as t falls to 0."
    )
    return Player(
        trajectories,
        alt=alt,
        colours={
            "history": style.HISTORY,
            "target": style.TARGET,
            "prediction": style.PREDICTION,
            "noise": style.NOISE,
            "genres": [GENRES[i % len(GENRES)] for i in range(len(first.genres))],
        },
        state={"reader": 0, "seed": 0, "t": first.T, "panels": shown},
    )
