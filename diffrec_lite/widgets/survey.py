"""The survey's figures, redrawn by the models themselves.

Figure 1 is the workflow of both systems, Figure 2 the trajectories under one condition and under two, Figure 4 the four
phases. What the survey's Figure 3 shows we do not know; ours is a block of the DCDT. Every number and name in them is
read off the models that come with the course, at work on the bookshop.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.figure import Figure
from torch import Tensor

from diffrec_lite import models
from diffrec_lite.data import SequenceDataset, load
from diffrec_lite.diffusion import State
from diffrec_lite.metrics import hit_rate, ranks
from diffrec_lite.models import DCRec
from diffrec_lite.noise import Noise
from diffrec_lite.widgets import style, workflow
from diffrec_lite.widgets.trajectories import projection

STEPS = 16  # of a chain that is to be seen
READERS = 300  # validation readers over whom a figure takes a mean
TITLE = 34  # letters of a title that is shown


@dataclass(frozen=True)
class Drawing:
    """A figure with its file name, its title, and its description for those who cannot see it."""

    name: str
    title: str
    alt: str
    figure: Figure

    def __post_init__(self) -> None:
        """Lay the figure out once: a second layout starts from the first one, and moves it by a hair."""
        with style.use():
            self.figure.draw_without_rendering()
            self.figure.set_layout_engine("none")

    def svg(self) -> bytes:
        """The same bytes every time: no date, no version, and ids that follow from the drawing."""
        buffer = io.BytesIO()
        about = {"Date": None, "Creator": None, "Title": self.title, "Description": self.alt}
        with style.use(), rc_context({"svg.hashsalt": self.name}):
            self.figure.savefig(buffer, format="svg", metadata=about)
        return buffer.getvalue()

    def png(self) -> bytes:
        return style.png(self.figure)


def all_figures() -> Iterator[Drawing]:
    """The four figures, in order."""
    shop = load("bookshop")
    systems = {name: models.load_checkpoint(name.lower()) for name in ("DiffuRecSys", "DCRec")}
    dcrec = systems["DCRec"]
    columns = [workflow.stages(model, shop) for model in systems.values()]
    yield Drawing(
        "figure_1",
        "Figure 1. The workflow of both systems",
        workflow.alt_of_workflow(columns, list(systems)),
        workflow.workflow(columns, list(systems)),
    )
    chains = {"both conditions": walk(dcrec, shop), "the clean history taken away": walk(without_history(dcrec), shop)}
    yield Drawing(
        "figure_2",
        "Figure 2. Trajectories under one condition and under two",
        alt_of_trajectories(chains),
        trajectories(chains, dcrec),
    )
    added = workflow.updates(dcrec, shop)
    yield Drawing(
        "figure_3",
        "Figure 3. A block of the DCDT",
        workflow.alt_of_block(added),
        workflow.dcdt_block(dcrec, added),
    )
    chain = chains["both conditions"]
    yield Drawing(
        "figure_4",
        "Figure 4. Four phases: noising, conditioning, denoising, rounding",
        alt_of_phases(chain, shop),
        phases(chain, dcrec, shop),
    )


# ---------------------------------------------------------------- 2: one condition and two


@dataclass(frozen=True)
class Chain:
    """The states of a walk for B validation readers, their histories and targets, and the rank at each state `(S, B)`.

    At t = T, where there is no prediction yet, the rank is that of the noise itself.
    """

    states: list[State]
    history: Tensor
    target: Tensor
    users: Tensor
    ranks: Tensor

    @property
    def shown(self) -> int:
        """The reader who is drawn: the first whose true next book ends among the five best."""
        return int((self.ranks[-1] <= 5).nonzero()[0])


def without_history(model: DCRec) -> DCRec:
    """The same weights without the explicit condition: no cross-attention, and CondLN is told the step alone.

    No network was trained so: it shows what the clean history does for this one. Trained networks with one condition
    are compared in Table III.
    """
    settings = {**model.settings.as_dict(), "explicit": False}
    single = models.build("dcrec", model.num_items, **settings)
    single.load_state_dict({name: model.state_dict()[name] for name in single.state_dict()})
    return single.eval()


@torch.inference_mode()
def walk(model: DCRec, dataset: SequenceDataset) -> Chain:
    """The walk of `model` from noise to a book, for the first validation readers; same seed, same noise."""
    batch = dataset.val.batch(torch.arange(READERS), model.max_len)
    states = list(model.trajectory(batch.history, min(STEPS, model.diffusion.T), users=batch.users))
    predicted = [state.xt if state.x0_hat is None else state.x0_hat for state in states]
    found = torch.stack([ranks(model.rounding(x, batch.history), batch.target) for x in predicted])
    return Chain(states, batch.history, batch.target, batch.users, found)


def spread(model: DCRec, t: int) -> float:
    """The standard deviation of x_t, where that of x_0 is the model's signal: a state is divided by it to be drawn."""
    abar = float(model.diffusion.abar[t])
    return (abar * model.settings.signal**2 + 1 - abar) ** 0.5


def drawn(x: Tensor, decimals: int = 2) -> np.ndarray:
    """What is drawn of `x`: so many decimals, which are the same on every processor, unlike the digits after them."""
    return x.double().numpy().round(decimals)


def trajectories(chains: dict[str, Chain], model: DCRec) -> Figure:
    """Above, one reader's x_t in the plane of the item vectors; below, HR@5 of all readers by x0_hat, against t."""
    fig, axes = style.axes(2, 2, size=(9.2, 6.6), height_ratios=[1.7, 1])
    vectors = model.item_vectors().detach().double() / spread(model, 0)
    mean, plane = projection(vectors)
    places = drawn(((vectors - mean) @ plane)[1:])
    reader = next(iter(chains.values())).shown
    for ax, (name, chain) in zip(axes[0], chains.items(), strict=True):
        path = torch.stack([state.xt[reader].double() / spread(model, state.t) for state in chain.states])
        path = drawn((path - mean) @ plane)
        ax.scatter(*places.T, s=8, color=style.NEUTRAL, alpha=0.5, label="books")
        ax.plot(*path.T, "o-", color=style.NOISE, lw=1)
        ax.plot(*path[0], "D", color=style.NOISE, markersize=9, label=f"x_T, t = {chain.states[0].t}")
        ax.plot(*path[-1], "s", color=style.PREDICTION, markersize=9, label="x0_hat, t = 0")
        ax.plot(*places[chain.target[reader] - 1], "*", color=style.TARGET, markersize=14, label="the true next book")
        ax.set(title=f"{name}: rank {int(chain.ranks[-1, reader])}", xlabel="first axis")
    limits = [axes[0, i].axis() for i in range(2)]
    low_x, low_y = min(box[0] for box in limits), min(box[2] for box in limits)
    high_x, high_y = max(box[1] for box in limits), max(box[3] for box in limits)
    for ax in axes[0]:
        ax.set(xlim=(low_x, high_x), ylim=(low_y, high_y))
    axes[0, 0].set_ylabel("second axis")
    axes[0, 0].legend(fontsize=7.5)
    top = 1.1 * max(max(hits(chain)) for chain in chains.values())
    for ax, chain in zip(axes[1], chains.values(), strict=True):
        ax.plot([s.t for s in chain.states], hits(chain), "o-", color=style.PREDICTION, markersize=4)
        ax.set(xlabel="step t (noise on the left)", ylim=(0, top))
        ax.invert_xaxis()
    axes[1, 0].set_ylabel(f"HR@5, {READERS} readers")
    return fig


def hits(chain: Chain) -> list[float]:
    """HR@5 over all readers at each state."""
    return [hit_rate(at, 5) for at in chain.ranks]


def alt_of_trajectories(chains: dict[str, Chain]) -> str:
    """The figure in words, with its numbers."""
    reader = next(iter(chains.values())).shown
    told = (
        f"with {name} the true next book ends at rank {int(chain.ranks[-1, reader])}, and HR@5 over {READERS} "
        f"validation readers is {hits(chain)[-1]:.3f}"
        for name, chain in chains.items()
    )
    return (
        "Above, the path of one reader's x_t from noise to a prediction, in the plane of the two main axes of the book "
        "vectors, each state divided by its own spread. Below, HR@5 at each step. Same weights, same noise: "
        + "; ".join(told)
        + "."
    )


# ---------------------------------------------------------------- 4: the four phases


@torch.inference_mode()
def attended(model: DCRec, history: Tensor) -> Tensor:
    """How much the target's place looks at each item of one history `(1, L)`: `(L,)`; last block, mean of the heads."""
    seen: dict[str, Tensor] = {}
    block = model.blocks[-1]
    parts = {"asks": block.norm2, "answers": block.norm_history}

    def keep(name: str):
        return lambda part, given, returned: seen.update({name: returned})

    hooks = [part.register_forward_hook(keep(name)) for name, part in parts.items()]
    try:
        model.score(history, steps=1)
    finally:
        for one in hooks:
            one.remove()
    mask = model.masks(history != 0, history.shape[1])[1]
    return block.cross_attention.weights(seen["asks"][:, -1:], seen["answers"], mask[..., -1:, :])[0, :, -1].mean(0)


@torch.inference_mode()
def phases(chain: Chain, model: DCRec, dataset: SequenceDataset) -> Figure:
    """One reader: the target's vector noised, the history looked at, the vector predicted, and its nearest books."""
    reader = chain.shown
    history, target = chain.history[reader : reader + 1], chain.target[reader]
    history = history[:, history[0] != 0]
    x0 = model.item_vectors()[target]
    order = x0.argsort()
    noise = Noise(0, chain.users[reader : reader + 1])(x0[None])[0]
    times = [state.t for state in chain.states][::-1]
    forward = torch.stack([model.diffusion.q_sample(x0, t, noise) / spread(model, t) for t in times])
    backward = torch.stack([state.xt[reader] / spread(model, state.t) for state in chain.states])
    fig, axes = style.axes(2, 2, size=(10.4, 6.8))
    pictures = (
        (axes[0, 0], forward, times, "1. Forward noising: x_t of the true next book"),
        (axes[1, 0], backward, times[::-1], "3. Denoising: x_t of the model's walk"),
    )
    for ax, values, steps, title in pictures:
        image = ax.imshow(drawn(values[:, order]), aspect="auto", cmap=style.DIVERGING, vmin=-3, vmax=3)
        ax.set_yticks(range(0, len(steps), 4), labels=[str(steps[i]) for i in range(0, len(steps), 4)])
        ax.set(title=title, ylabel="step t", xlabel="feature, sorted by the true book's vector")
        ax.grid(False)
    fig.colorbar(image, ax=[axes[0, 0], axes[1, 0]], label="x_t in units of its spread", shrink=0.7)
    look = attended(model, history)
    _bars(axes[0, 1], look, [dataset.title(i) for i in history[0].tolist()], style.HISTORY)
    axes[0, 1].set(title="2. Conditioning: whom the slot looks at", xlabel="attention, last block, mean of the heads")
    scores = model.rounding(chain.states[-1].xt[reader : reader + 1], history)[0]
    best = scores.topk(5).indices.tolist()
    names = [("true: " if i == int(target) else "") + dataset.title(i) for i in best]
    colours = [style.TARGET if i == int(target) else style.PREDICTION for i in best]
    _bars(axes[1, 1], scores[best], names, colours)
    axes[1, 1].set(title="4. Rounding: the best five books", xlabel="score")
    return fig


def _bars(ax, values: Tensor, names: Sequence[str], colour: str | Sequence[str], most: int = 10) -> None:
    """The last `most` values as bars with their names, the first on top."""
    values, names = values[-most:], [name if len(name) <= TITLE else name[: TITLE - 1] + "…" for name in names[-most:]]
    ax.barh(range(len(values)), drawn(values, 3), color=colour)
    ax.set_yticks(range(len(values)), labels=names, fontsize=7.5)
    ax.invert_yaxis()


def alt_of_phases(chain: Chain, dataset: SequenceDataset) -> str:
    """The figure in words."""
    title = dataset.title(int(chain.target[chain.shown]))
    return (
        f'One reader whose next book is "{title}". First, its vector fades into noise as t grows. Second, how much the '
        "slot to fill looks at each book of the history. Third, the walk from noise back to a vector. Fourth, the five "
        f"books with the highest scores; the true one is at rank {int(chain.ranks[-1, chain.shown])}."
    )
