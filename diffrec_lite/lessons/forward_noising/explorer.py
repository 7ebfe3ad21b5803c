"""The explorer of notebook 01: the cloud of item vectors dissolves step by step, and rounding starts to fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import anywidget
import torch
import traitlets
from torch import Tensor

from diffrec_lite.diffusion import GaussianDiffusion
from diffrec_lite.lessons.forward_noising import figures
from diffrec_lite.widgets import style
from diffrec_lite.widgets.explorer import CSS, StandIn


def plane(vectors: Tensor) -> Tensor:
    """The `(d, 2)` projection that keeps most variance of the item vectors `(V, d)`; row 0, padding, is left out.

    It is made once from the clean vectors and used for every step, so that a dot moves only when its vector does.
    The sign of each axis is fixed: its largest entry is positive.
    """
    centred = vectors[1:].double() - vectors[1:].double().mean(0)
    axes = torch.linalg.svd(centred, full_matrices=False).Vh[:2].T
    return axes * axes.gather(0, axes.abs().argmax(0, keepdim=True)).sign()


def true_ranks(diffusion: GaussianDiffusion, vectors: Tensor, noise: Tensor, items: Tensor) -> Tensor:
    """At each step, the rank of each book when its noised vector is rounded: `(T + 1, N)`, from 1.

    `vectors (V, d)`, `noise (N, d)`, one draw for each of the `items (N,)`, kept for all steps. Rounding takes the
    book whose vector is nearest to x_t / sqrt(abar_t), x_t with the shrinking undone.
    """
    return torch.stack(
        [
            1 + (scores > scores.gather(1, items[:, None] - 1)).sum(1)
            for scores in _rounding(diffusion, vectors, noise, items)
        ]
    )


def nearest(diffusion: GaussianDiffusion, vectors: Tensor, noise: Tensor, items: Tensor, k: int = 5) -> Tensor:
    """At each step, the ids of the k books nearest to each noised book, nearest first: `(T + 1, N, k)`."""
    return torch.stack([scores.topk(k).indices + 1 for scores in _rounding(diffusion, vectors, noise, items)])


def _rounding(diffusion: GaussianDiffusion, vectors: Tensor, noise: Tensor, items: Tensor) -> list[Tensor]:
    """For each step t the closeness `(N, V - 1)` of each noised book to every real book, larger is nearer."""
    books, steps = vectors[1:].double(), range(diffusion.T + 1)
    x0, eps = vectors[items].double(), noise.double()
    xt = [diffusion.q_sample(x0, t, eps) / diffusion.abar[t].sqrt() for t in steps]
    return [x @ books.T - (books**2).sum(1) / 2 for x in xt]


def cloud(
    vectors: Tensor,
    titles: Sequence[str],
    genres: Sequence[str],
    noise: Tensor,
    diffusions: Mapping[str, GaussianDiffusion],
    items: Sequence[int],
) -> dict[str, Any]:
    """All that the explorer needs for every step, schedule and book, computed once, rounded, plain data.

    `vectors (V, d)`, `noise (V, d)`: one draw for each book, the same at every step and in every schedule. `titles`
    and `genres` have V entries. `items` are the books that can be followed.
    """
    chosen = torch.as_tensor(items)
    axes = plane(vectors)
    schedules = []
    for name, diffusion in diffusions.items():
        schedules.append(
            {
                "name": name,
                "abar": _rounded(diffusion.abar, 6),
                "nearest": nearest(diffusion, vectors, noise[chosen], chosen).tolist(),
                "rank": true_ranks(diffusion, vectors, noise[chosen], chosen).tolist(),
            }
        )
    return {
        "clean": _rounded(vectors.double() @ axes),
        "noise": _rounded(noise.double() @ axes),
        "titles": list(titles),
        "genres": list(genres),
        "items": list(items),
        "schedules": schedules,
    }


def readout(data: Mapping[str, Any], schedule: int, book: int, t: int) -> str:
    """One state of the explorer in a sentence."""
    chosen = data["schedules"][schedule]
    found = data["titles"][chosen["nearest"][t][book][0]]
    title, rank = data["titles"][data["items"][book]], chosen["rank"][t][book]
    return f"{title} rounds to {found}. Its own rank is {rank}."


class Cloud(StandIn, anywidget.AnyWidget):
    """The dissolving cloud: pickers for the book and the schedule, and a slider for the step.

    `data` comes from `cloud`. The page does the noising itself, from 2-D projections, so it needs no kernel.
    """

    _esm = (Path(__file__).parent / "explorer.js").read_text(encoding="utf-8")
    _css = CSS

    alt = traitlets.Unicode(
        "The vectors of all books in two dimensions at one step of the forward process; one noised book is joined by a "
        "line to the book that it rounds to."
    ).tag(sync=True)
    colours = traitlets.Dict(
        {
            "target": style.TARGET,
            "prediction": style.PREDICTION,
            "noise": style.NOISE,
            "genre": style.SKY,
            "neutral": "#CFCFCF",
        }
    ).tag(sync=True)
    data = traitlets.Dict().tag(sync=True)
    schedule = traitlets.Int(0).tag(sync=True)
    book = traitlets.Int(0).tag(sync=True)
    t = traitlets.Int(0).tag(sync=True)

    def __repr__(self) -> str:
        return f"Explorer: {self.alt}"

    def picture(self) -> bytes:
        return style.small_png(figures.state(self.data, self.schedule, self.book, self.t))


def cloud_explorer(
    vectors: Tensor,
    titles: Sequence[str],
    genres: Sequence[str],
    noise: Tensor,
    diffusions: Mapping[str, GaussianDiffusion],
    items: Sequence[int],
    start: str = "trunc_lin",
) -> Cloud:
    """The explorer over `cloud(...)`; it starts at the schedule `start` (or the first), the first book and t = 3."""
    schedule = list(diffusions).index(start) if start in diffusions else 0
    return Cloud(data=cloud(vectors, titles, genres, noise, diffusions, items), schedule=schedule, t=3)


def _rounded(values: Tensor, digits: int = 3) -> list:
    return (values * 10**digits).round().div(10**digits).tolist()
