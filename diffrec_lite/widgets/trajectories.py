"""Trajectories: what there is to see of a reverse process, as plain numbers that need no model any more.

`trajectory_data` walks the reverse process for some readers, numbers of steps and seeds. Of every state it keeps where
x_t and x0_hat lie in one fixed plane, the rank of the true next book, the distance to it, and the five best titles.
The player and its still picture are drawn from that.

    data = trajectory_data(load_checkpoint("dcrec"), load("bookshop"), readers=[3, 8], steps=[50, 5], seeds=[0, 1])
    data.states(reader=0, steps=5, seed=1)[-1]["rank"]

The plane goes through the centres of the genres, since a plane through all books mixes the genres up: in the bookshop,
`same_group_neighbours` finds more of a book's neighbours in its own genre in the first than in the second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from diffrec_lite.data import SequenceDataset, pad
from diffrec_lite.evaluation import evaluating
from diffrec_lite.metrics import ranks
from diffrec_lite.models import DiffusionRecommender

NEAREST = 5
DIGITS = 3
SMALLEST = 10**-DIGITS  # a distance that has a logarithm


@dataclass(frozen=True)
class Trajectories:
    """What the player shows of one model: plain numbers and texts, vectors rounded to three decimals.

    - `items`: index = item id, entry 0 unused; `x`, `y` (place in the plane), `genre` (index into `genres`), `title`.
    - `centres`: the place of the middle of each genre. `share`: the part of the items' variance that the plane holds.
    - `apart`: the mean distance between two items. Every distance is given in this unit, so that 1 is as far as two
      books lie from each other on average, whatever the scale of a model's vectors; places are not divided by it.
    - `readers`: `user` (its token), `history` (item ids, oldest first) and `target`, the true next book.
    - `runs[r][s][k]`: the states for reader r, `steps[s]` and `seeds[k]`, from t = T down to 0. Each has `t`; `xt` and
      `x0` (places, x0 None at t = T); `rank` and `distance` of the true book by x0_hat, or by x_t at t = T, where there
      is no prediction yet; `noisy_rank` and `noisy_distance`, the same by x_t; and `nearest`, the five best item ids.
    """

    name: str
    T: int
    num_items: int
    genres: list[str]
    centres: list[list[float]]
    share: float
    apart: float
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


def projection(vectors: Tensor, groups: Sequence[str] = ()) -> tuple[Tensor, Tensor]:
    """A fixed plane for the item vectors `(V, d)`: their mean `(d,)` and two orthonormal axes `(d, 2)`.

    With three `groups` or more (the group of every item, index = item id) these are the two main axes of the groups'
    centres, else of all items. Entry 0, the padding, does not count. Each axis points to where its largest entry is
    positive, so that the picture cannot be mirrored from one machine to the next.
    """
    names = sorted(set(groups[1:]))
    points = vectors[1:]
    if len(names) >= 3:
        of = torch.tensor([names.index(group) for group in groups[1:]])
        points = torch.stack([points[of == g].mean(0) for g in range(len(names))])
    axes = torch.linalg.svd(points - points.mean(0), full_matrices=False).Vh[:2].T
    largest = axes.abs().argmax(0)
    return vectors[1:].mean(0), axes * axes[largest, [0, 1]].sign()


def same_group_neighbours(places: Tensor, groups: Sequence[str], k: int = NEAREST) -> float:
    """Which share of an item's k nearest neighbours is of its own group, over all items; `places (V, any)`."""
    names = sorted(set(groups[1:]))
    of = torch.tensor([names.index(group) for group in groups[1:]])
    distance = torch.cdist(places[1:], places[1:]).fill_diagonal_(torch.inf)
    nearest = distance.topk(k, largest=False).indices
    return float((of[nearest] == of[:, None]).double().mean())


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
    """Play the reverse process of `model` for the test example of each reader, and keep what there is to see.

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

    with evaluating(model):
        vectors = model.item_vectors()
        groups = genres_of(dataset)
        mean, axes = projection(vectors, groups)
        truth, apart = vectors[target], float(torch.pdist(vectors[1:]).mean())

        def view(x: Tensor) -> dict[str, list]:
            scores = model.rounding(x, history)
            return {
                "place": _rounded((x - mean) @ axes),
                "rank": ranks(scores, target).tolist(),
                "distance": _rounded((x - truth).norm(dim=1) / apart),
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

    genres = sorted(set(groups[1:]))
    genre = [0, *(genres.index(one) for one in groups[1:])]
    centred = vectors[1:] - mean
    places = centred @ axes
    centres = [places[torch.tensor(genre[1:]) == g].mean(0) for g in range(len(genres))]
    return Trajectories(
        name=name or type(model).__name__,
        T=T,
        num_items=model.num_items,
        genres=genres,
        centres=_rounded(torch.stack(centres)),
        share=round(float(places.square().sum() / centred.square().sum()), 2),
        apart=round(apart, DIGITS),
        items={
            "x": [0.0, *_rounded(places[:, 0])],
            "y": [0.0, *_rounded(places[:, 1])],
            "genre": genre,
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


def genres_of(dataset: SequenceDataset) -> list[str]:
    """The genre of every item, index = item id; one genre without a name where the data set has none."""
    features = dataset.item_features
    if features is None or "genre" not in features:
        return [""] * (dataset.num_items + 1)
    known = features.genre.dropna()
    return ["", *(str(known.get(item, "")) for item in range(1, dataset.num_items + 1))]


def typical(*trajectories: Trajectories) -> int:
    """The place of the reader whose curves of rank and distance lie nearest the median curves of all readers.

    Nearest by the mean absolute difference of log2 rank plus that of log2 distance, over all predictions of the first
    chain (`steps[0]`, `seeds[0]`) of each of the `trajectories`, which hold the same readers.
    """
    away = 0
    for data in trajectories:
        chains = [data.states(r) for r in range(len(data.readers))]
        curves = [[(s["rank"], max(s["distance"], SMALLEST)) for s in chain if s["x0"] is not None] for chain in chains]
        logs = torch.tensor(curves).log2()
        away = away + (logs - logs.median(0).values).abs().mean(1).sum(1)
    return int(away.argmin())


def state_at(states: Sequence[dict[str, Any]], t: int) -> int:
    """Where a chain stands when the clock shows `t`: the place of the last of its states whose step is >= t."""
    return sum(state["t"] >= t for state in states) - 1


def clock(chains: Sequence[Sequence[dict[str, Any]]]) -> list[int]:
    """Every step at which at least one of the chains has a state, from T down to 0: the ticks of the player."""
    return sorted({state["t"] for states in chains for state in states}, reverse=True)


def predictions(data: Trajectories) -> list[dict[str, Any]]:
    """All states that hold a prediction, of every reader, number of steps and seed."""
    return [s for run in data.runs for chains in run for states in chains for s in states if s["x0"] is not None]


def frame(data: Trajectories) -> tuple[float, float, float, float]:
    """The part of the plane that is shown: left, right, low, high, around all books and the predictions near them.

    It reaches beyond the books by half their width at most. Where a model's noise is louder than its books, or its
    predictions longer, these may lie outside, and wait at the edge.
    """
    sides = []
    for i, axis in enumerate("xy"):
        books, places = data.items[axis][1:], [state["x0"][i] for state in predictions(data)]
        sides.append((min(books), max(books), min([*books, *places]), max([*books, *places])))
    size = max(high - low for low, high, _, _ in sides)
    ends = [(max(first, low - size / 2), min(last, high + size / 2)) for low, high, first, last in sides]
    margin = 0.06 * max(last - first for first, last in ends)
    return tuple(end + sign * margin for pair in ends for end, sign in zip(pair, (-1, 1), strict=True))


def within(place: Sequence[float], shown: tuple[float, float, float, float]) -> tuple[float, float]:
    """A place moved to the nearest one that `frame` shows."""
    left, right, low, high = shown
    return min(max(place[0], left), right), min(max(place[1], low), high)


def span(trajectories: Sequence[Trajectories]) -> tuple[float, float]:
    """The ends of the axis on which all distances are drawn: it holds every prediction, and 1."""
    distances = [max(state["distance"], SMALLEST) for data in trajectories for state in predictions(data)]
    return min(*distances, 1.0), max(*distances, 1.0)
