"""The explorer of notebook 01: the cloud of item vectors dissolves step by step, and rounding starts to fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import traitlets
from torch import Tensor

from diffrec_lite.diffusion import GaussianDiffusion
from diffrec_lite.lessons.forward_noising import figures
from diffrec_lite.widgets import style
from diffrec_lite.widgets.explorer import Board, question, script


def plane(vectors: Tensor, genres: Sequence[str]) -> Tensor:
    """The `(d, 2)` projection on which the centres of the genres lie furthest apart; row 0, padding, is left out.

    It is made once from the clean vectors `(V, d)` and used for every step, so that a dot moves only when its vector
    does. The sign of each axis is fixed: its largest entry is positive.
    """
    found = torch.stack(list(centres(vectors, genres).values()))
    axes = torch.linalg.svd(found - found.mean(0), full_matrices=False).Vh[:2].T
    return axes * axes.gather(0, axes.abs().argmax(0, keepdim=True)).sign()


def centres(vectors: Tensor, genres: Sequence[str]) -> dict[str, Tensor]:
    """The mean clean vector of each genre, by name: `(d,)`."""
    return {
        genre: vectors[[i for i in range(1, len(vectors)) if genres[i] == genre]].double().mean(0)
        for genre in sorted(set(genres[1:]))
    }


def share_shown(vectors: Tensor, axes: Tensor) -> float:
    """The share of the variance of the clean vectors that a projection `(d, k)` keeps."""
    away = vectors[1:].double() - vectors[1:].double().mean(0)
    return float((away @ axes).square().sum() / away.square().sum())


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
    chosen, axes = torch.as_tensor(items), plane(vectors, genres)
    schedules = [
        {
            "name": name,
            "abar": _rounded(diffusion.abar, 6),
            "nearest": nearest(diffusion, vectors, noise[chosen], chosen).tolist(),
            "rank": true_ranks(diffusion, vectors, noise[chosen], chosen).tolist(),
        }
        for name, diffusion in diffusions.items()
    ]
    return {
        "clean": _rounded(vectors.double() @ axes),
        "noise": _rounded(noise.double() @ axes),
        "first": {"x0": _rounded(vectors[chosen, 0]), "noise": _rounded(noise[chosen, 0])},
        "centres": {name: _rounded(centre @ axes) for name, centre in centres(vectors, genres).items()},
        "share": round(share_shown(vectors, axes), 3),
        "titles": list(titles),
        "genres": list(genres),
        "items": list(items),
        "schedules": schedules,
    }


def asked(vectors: Tensor, genres: Sequence[str], noise: Tensor, diffusion: GaussianDiffusion) -> dict[str, Any]:
    """The question before the explorer: how many books two numbers would hold, where noise takes over."""
    t = next((t for t in range(1, diffusion.T + 1) if float(diffusion.snr(t)) < 1), diffusion.T)
    books, axes = torch.arange(1, len(vectors)), plane(vectors, genres)
    whole, shown = (
        float((true_ranks(diffusion, table, draw[1:], books)[t] == 1).double().mean())
        for table, draw in ((vectors, noise), (vectors.double() @ axes, noise.double() @ axes))
    )
    guesses = {"about as many": whole, "about half of those": whole / 2, "hardly any": 0.0}
    distances = [abs(shown - guess) for guess in guesses.values()]
    return question(
        f"At t = {t} there is as much noise as signal, and {100 * whole:.0f} % of the books still round to themselves. "
        f"How many would by two numbers alone, the two that the plane below shows of each vector?",
        list(guesses),
        distances.index(min(distances)),
        f"By two numbers {100 * shown:.0f} % of the books round to themselves, by all {vectors.shape[1]} of them "
        f"{100 * whole:.0f} %. The plane shows {100 * share_shown(vectors, axes):.0f} % of the variance, so a dot "
        "looks lost long before it is.",
    )


class Cloud(Board):
    """The dissolving cloud: pickers for the book and the schedule, a slider for the step, the equation in numbers.

    `data` comes from `cloud`. The page does the noising itself, from 2-D projections, so it needs no kernel.
    """

    _esm = script(Path(__file__).with_suffix(".js"))

    alt = traitlets.Unicode(
        "The vectors of all books on a plane at one step of the forward process, tinted by genre; one noised book is "
        "joined by a line to the book that it rounds to."
    ).tag(sync=True)
    colours = traitlets.Dict(
        {
            "target": style.TARGET,
            "prediction": style.PREDICTION,
            "noise": style.NOISE,
            "ink": style.INK,
            "genres": style.GENRES,
        }
    ).tag(sync=True)
    schedule = traitlets.Int(0).tag(sync=True)
    book = traitlets.Int(0).tag(sync=True)
    t = traitlets.Int(0).tag(sync=True)

    def picture(self) -> bytes:
        return style.png(figures.state(self.data, self.schedule, self.book, self.t))

    def shows(self) -> str:
        return f"{self.data['schedules'][self.schedule]['name']}, t = {self.t}"


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
    return Cloud(
        data=cloud(vectors, titles, genres, noise, diffusions, items),
        ask=asked(vectors, genres, noise, list(diffusions.values())[schedule]),
        schedule=schedule,
        t=3,
    )


def _rounded(values: Tensor, digits: int = 3) -> list:
    return (values * 10**digits).round().div(10**digits).tolist()
