"""The figures and measurements of notebook 05: what a step back keeps, where a grid goes, and whether steps matter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from diffrec_lite.data import SequenceDataset, pad
from diffrec_lite.diffusion import GaussianDiffusion
from diffrec_lite.evaluation import evaluate
from diffrec_lite.metrics import ranks
from diffrec_lite.models import DiffusionRecommender
from diffrec_lite.widgets import style


def weights(diffusion: GaussianDiffusion, skip: int) -> tuple[Tensor, Tensor]:
    """How much of x_0 and of x_t the posterior mean of q(x_{t - skip} | x_t, x_0) holds, for t = skip … T."""
    one, none = torch.ones((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    steps = range(skip, diffusion.T + 1)
    of_x0 = torch.stack([diffusion.posterior(one, none, t, t - skip)[0] for t in steps])
    of_xt = torch.stack([diffusion.posterior(none, one, t, t - skip)[0] for t in steps])
    return of_x0, of_xt


def posterior_weights(diffusion: GaussianDiffusion, skip: int) -> Figure:
    """The two weights of the posterior mean over t, for single steps and for a skip."""
    fig, axes = style.axes(1, 2, "pair", sharey=True)
    for ax, k in zip(axes, (1, skip), strict=True):
        of_x0, of_xt = weights(diffusion, k)
        t = range(k, diffusion.T + 1)
        ax.plot(t, of_x0, "o-", color=style.PREDICTION, markersize=3.5, label="weight of x_0")
        ax.plot(t, of_xt, "D--", color=style.NOISE, markersize=3.5, label="weight of x_t")
        ax.set(xlabel="step t", title=f"from t to t - {k}", xlim=(0, diffusion.T + 0.5))
        ax.set_xticks(range(0, diffusion.T + 1, max(1, diffusion.T // 8)))
    axes[0].set_ylabel("weight in the posterior mean")
    axes[0].legend()
    return fig


def grids(diffusion: GaussianDiffusion, counts: Sequence[int]) -> Figure:
    """The steps that grids of so many moves visit, one row for each."""
    fig, ax = style.axes(size="wide")
    for row, n in enumerate(counts):
        ax.plot(diffusion.steps(n), [row] * (n + 1), "o-", color=style.HISTORY, markersize=5)
    ax.set(xlabel="step t (noise on the left, a book on the right)", ylabel="moves n", yticks=range(len(counts)))
    ax.set_yticklabels(counts)
    ax.invert_xaxis()
    return fig


def arrivals(diffusion: GaussianDiffusion, t: int, s: int, draws: int = 400, seed: int = 0) -> dict[str, Tensor]:
    """Where a move from one x_t to step s can land in a plane: `(draws, 2)` for each of the three transitions.

    One fixed x_t and one fixed x0_hat, and the same noise for all three. "x_t" and "x0_hat" are returned too, `(2,)`.
    """
    generator = torch.Generator().manual_seed(seed)
    x0, xt = torch.tensor([2.0, 1.0], dtype=torch.float64), torch.tensor([-1.5, 1.5], dtype=torch.float64)
    noise = torch.randn(draws, 2, generator=generator, dtype=torch.float64)
    mean, variance = diffusion.posterior(x0, xt, t, s)
    ddim = diffusion.q_sample(x0, s, diffusion.implied_noise(x0, xt, t))
    return {
        "posterior": mean + variance.sqrt() * noise,
        "renoise": diffusion.q_sample(x0.expand_as(noise), s, noise),
        "ddim": ddim.expand_as(noise),
        "x_t": xt,
        "x0_hat": x0,
    }


def transitions(diffusion: GaussianDiffusion, t: int, s: int) -> Figure:
    """The three transitions side by side: the places where x_s can land, from the same x_t and x0_hat."""
    found = arrivals(diffusion, t, s)
    fig, axes = style.axes(1, 3, size=(9.0, 3.7), sharex=True, sharey=True)
    for ax, name in zip(axes, ("posterior", "renoise", "ddim"), strict=True):
        ax.scatter(*found[name].T, s=7, color=style.NEUTRAL, alpha=0.5, label=f"x_s, s = {s}")
        ax.plot(*found[name].mean(0), "o", color=style.INK, markersize=6, label="mean of x_s")
        ax.plot(*found["x_t"], "D", color=style.NOISE, markersize=8, label=f"x_t, t = {t}")
        ax.plot(*found["x0_hat"], "s", color=style.PREDICTION, markersize=8, label="x0_hat")
        ax.set(title=name, xlabel="first coordinate", aspect="equal")
    axes[0].set_ylabel("second coordinate")
    handles, labels = axes[0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=4)
    return fig


def accuracy(
    models: Mapping[str, tuple[DiffusionRecommender, str]],
    dataset: SequenceDataset,
    counts: Sequence[int],
    users: int | None = None,
) -> pd.DataFrame:
    """HR@5 of each (model, transition) for each number of steps: chain, steps, hr, low, high (95 %), and the ranks.

    The same validation readers (all, or the first `users`) and the same noise each time; `models` maps the name of a
    chain to its model and transition.
    """
    rows = []
    for name, (model, transition) in models.items():
        own = model.settings
        model.settings = replace(own, transition=transition)
        try:
            for n in counts:
                result = evaluate(model, dataset, "val", steps=n, users=users)
                rows.append((name, n, result.metrics["HR@5"], *result.intervals["HR@5"], result.ranks))
        finally:
            model.settings = own
    return pd.DataFrame(rows, columns=["chain", "steps", "hr", "low", "high", "ranks"])


def chain_ranks(table: pd.DataFrame, chain: str, steps: int) -> Tensor:
    """Where each reader's next book stands, `(N,)` int64, from 1: one row of `accuracy`."""
    return table[(table.chain == chain) & (table.steps == steps)].ranks.item()


def accuracy_by_steps(table: pd.DataFrame) -> Figure:
    """HR@5 against the number of steps, a line with intervals for each chain."""
    fig, ax = style.axes(size="wide")
    for k, (name, rows) in enumerate(table.groupby("chain", sort=False)):
        error = [rows.hr - rows.low, rows.high - rows.hr]
        colour = (style.PREDICTION, style.HIGHLIGHT, style.INK)[k % 3]
        where = rows.steps * (1 + 0.04 * k)
        ax.errorbar(where, rows.hr, error, fmt=f"{style.MARKERS[k]}-", color=colour, capsize=3, label=name)
    ax.set_xscale("log", base=2)
    ax.set_xticks(sorted(table.steps.unique()), sorted(table.steps.unique()))
    ax.set(xlabel="denoising steps n (log scale)", ylabel="HR@5, 95 % interval", ylim=(0, None))
    ax.legend(loc="lower left")
    return fig


@torch.inference_mode()
def first_and_last(
    model: DiffusionRecommender, dataset: SequenceDataset, users: Sequence[int], counts: Sequence[int]
) -> pd.DataFrame:
    """What a walk makes of its first prediction, one row for each number of steps.

    "titles kept": how many of the first prediction's five best books are among the last one's, on average. "moved":
    the distance between both predictions, as a share of the mean distance between two readers' first predictions.
    "rank better" and "rank worse" count the readers whose true next book stands higher or lower in the last list.
    """
    history = pad([dataset.history(user)[:-1].tolist() for user in users], model.max_len)
    target = torch.stack([dataset.history(user)[-1] for user in users])
    rows = {}
    for n in counts:
        walk = list(model.trajectory(history, n, users=users))
        first, last = walk[1].x0_hat, walk[-1].x0_hat
        before, after = (model.rounding(x, history) for x in (first, last))
        same = before.topk(5).indices[:, :, None] == after.topk(5).indices[:, None, :]
        rise = ranks(before, target) - ranks(after, target)
        rows[n] = {
            "titles kept": float(same.any(2).double().sum(1).mean()),
            "moved": float((last - first).norm(dim=1).mean() / torch.pdist(first).mean()),
            "rank better": int((rise > 0).sum()),
            "rank worse": int((rise < 0).sum()),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("steps")


@torch.no_grad()
def predictions(
    model: DiffusionRecommender, dataset: SequenceDataset, users: Sequence[int], seeds: int, steps: int
) -> Tensor:
    """The last x0_hat of a walk of `steps` moves, `(seeds, B, d)`: each seed fresh noise for each of the B readers."""
    history = pad([dataset.history(user)[:-1].tolist() for user in users], model.max_len)
    return torch.stack([list(model.trajectory(history, steps, seed, users))[-1].x0_hat for seed in range(seeds)])


def share_of_noise(predictions: Tensor) -> float:
    """The share of the variance of `predictions (seeds, B, d)` due to the seeds; the rest is due to the readers."""
    noise = (predictions - predictions.mean(0)).square().mean()
    return float(noise / (predictions - predictions.mean((0, 1))).square().mean())
