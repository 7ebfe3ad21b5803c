"""The figures of notebook 08, and what they measure: how far books stand apart, which loss pulls, what is leaked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

from diffrec_lite.data import Batch
from diffrec_lite.metrics import ranks
from diffrec_lite.models import DCRec
from diffrec_lite.noise import Noise, NormalNoise
from diffrec_lite.widgets import style

OF_LOSS = {"L_T": style.NOISE, "L_t": style.SKY, "L_z": style.HIGHLIGHT}

# ---------------------------------------------------------------- what is measured


def apart(vectors: Tensor) -> tuple[float, float]:
    """Of item vectors `(N, d)`: the share of their squared length that tells them apart, and where it lies.

    First number: 1 - |mean vector|² / mean |vector|², 1 when they point everywhere, 0 when all are the same vector.
    Second: the share of what is left along its first principal direction, 1 / d when they differ in all alike.
    """
    x = vectors.detach().double()
    directions = torch.linalg.svdvals(x - x.mean(0)).square()
    return float(directions.sum() / x.square().sum()), float(directions[0] / directions.sum())


def pulls(model: DCRec, batch: Batch, noise: NormalNoise, epoch: float = 0.0) -> dict[tuple[str, str], float]:
    """How long the gradient of each weighted loss is, on the item vectors ("items") and on the rest ("network")."""
    s, lambda_ = model.settings, model.lambda_at(epoch)
    found = model.loss(batch, noise, epoch)
    weighted = {
        "L_T": s.prior * found["prior"],
        "L_t": s.denoising * (1 - lambda_) * found["denoising"],
        "L_z": s.ranking * lambda_ * found["ranking"],
    }
    items = model.item_embedding.weight
    others = [weight for weight in model.parameters() if weight is not items]
    lengths = {}
    for name, loss in weighted.items():
        gradient = torch.autograd.grad(loss, [items, *others], retain_graph=True, materialize_grads=True)
        lengths[name, "items"] = float(gradient[0].norm())
        lengths[name, "network"] = float(torch.stack([g.norm() for g in gradient[1:]]).norm())
    return lengths


@torch.inference_mode()
def leak(model: DCRec, batch: Batch, steps: Sequence[int], shuffle: bool = False, erase: bool = False) -> Tensor:
    """The rank of the true book `(steps, B)` at each of `steps`, asked as in training: x_t is made from the true book.

    With `shuffle` every reader gets the history of the one before, in the stream and as the condition; the true book
    and the noise stay. With `erase` there is no book in x_t, only the noise of step t.
    """
    history = batch.history.roll(1, 0) if shuffle else batch.history
    noise, following = Noise(0, batch.users), torch.cat([history[:, 1:], batch.target[:, None]], dim=1)
    S0, H0 = model.settings.signal * model.embed(following), model.clean(history)
    if erase:
        S0 = torch.cat([S0[:, :-1], torch.zeros_like(S0[:, -1:])], dim=1)
    found = []
    for step in steps:
        t = torch.full((len(S0),), step)
        S0_hat = model.denoise(model.noised(S0, t, noise(S0, step)), t, H0, history != 0, last=True)
        found.append(ranks(model.rounding(S0_hat[:, -1], history), batch.target))
    return torch.stack(found)


def touched(model: DCRec, batch: Batch, t: int, cases: Mapping[str, tuple[Batch, int]]) -> pd.DataFrame:
    """In how many places of the first reader's stream each tensor changes, a row for each case.

    A case is another batch and step, compared with `batch` at step `t` on the same noise.
    """
    before = tensors(model, batch, t)
    rows = {
        name: {key: int(((x - before[key]).abs() > 1e-6).any(-1).sum()) for key, x in tensors(model, *case).items()}
        for name, case in cases.items()
    }
    return pd.DataFrame(rows).T


@torch.inference_mode()
def tensors(model: DCRec, batch: Batch, t: int) -> dict[str, Tensor]:
    """What DCRec makes of a batch's first reader at step t, `(L, d)` each: S_0, H_0, S_t, the condition, S_0_hat."""
    history, step = batch.history[:1], torch.tensor([t])
    S0 = model.settings.signal * model.embed(torch.cat([history[:, 1:], batch.target[:1, None]], dim=1))
    H0, St = model.clean(history), model.noised(S0, step, Noise(0, batch.users[:1])(S0))
    S0_hat = model.denoise(St, step, H0, history != 0)
    found = {"S_0": S0, "H_0": H0, "S_t": St, "condition": model.condition(step, H0), "S_0_hat": S0_hat}
    return {name: x[0] for name, x in found.items()}


# ---------------------------------------------------------------- what is drawn


def lambdas(schedules: Mapping[str, Sequence[float]]) -> Figure:
    """lambda, the weight of L_z, against the epoch: a line for each schedule."""
    fig, ax = style.axes(size="wide")
    for k, (name, values) in enumerate(schedules.items()):
        ax.plot(values, ("-", "--", ":")[k], color=style.CYCLE[k], label=name)
    ax.set(xlabel="epoch", ylabel="lambda, the weight of L_z", ylim=(0, 0.22), xlim=(0, None))
    ax.legend()
    return fig


def drift(curves: Mapping[str, pd.DataFrame]) -> Figure:
    """Over the batches: how far the item vectors are apart (left) and HR@5 (right), a line for each model.

    Each table has the index batch and the columns apart and HR@5.
    """
    fig, (left, right) = style.axes(1, 2, size="pair")
    for k, (name, table) in enumerate(curves.items()):
        look = {"color": style.CYCLE[k], "marker": style.MARKERS[k], "linestyle": ("-", "--", ":", "-.")[k]}
        left.plot(table.index, table["apart"], label=name, **look)
        right.plot(table.index, table["HR@5"], **look)
    left.set(xlabel="training batches", title="share of squared length that tells books apart", ylim=(0, 1.03))
    right.set(xlabel="training batches", title="HR@5, validation readers", ylim=(0, None))
    fig.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=len(curves))
    return fig


def clouds(snapshots: Mapping[str, Mapping[int, Tensor]]) -> Figure:
    """All item vectors `(N, d)` at a few batches, a row for each model, drawn with length 1 in a plane of its own.

    The plane is fixed in a row: across lies the direction of the last mean vector, upwards that in which the books
    differ most at the start. Where all vectors are the same, there is one dot, at (1, 0).
    """
    first = next(iter(snapshots.values()))
    fig, grid = style.axes(len(snapshots), len(first), size=(8.4, 4.4), sharex=True, sharey=True, squeeze=False)
    for row, (name, moments) in zip(grid, snapshots.items(), strict=True):
        unit = {batch: F.normalize(x.double(), dim=-1) for batch, x in moments.items()}
        begin, *_, end = unit.values()
        across = F.normalize(end.mean(0), dim=0)
        flat = begin - begin @ across[:, None] * across
        upwards = torch.linalg.svd(flat - flat.mean(0), full_matrices=False).Vh[0]
        for ax, (batch, x) in zip(row, unit.items(), strict=True):
            ax.add_patch(_circle())
            ax.scatter(x @ across, x @ upwards, s=7, color=style.HISTORY, alpha=0.6, linewidths=0)
            ax.set(xlim=(-1.05, 1.05), ylim=(-1.05, 1.05), aspect="equal", xticks=[-1, 0, 1], yticks=[-1, 0, 1])
            ax.set_title(f"batch {batch}", fontsize=9)
        row[0].set_ylabel(name)
    return fig


def _circle() -> Any:
    from matplotlib.patches import Circle

    return Circle((0, 0), 1, fill=False, color=style.NEUTRAL, linewidth=0.8)


def leaks(found: Mapping[str, Mapping[str, Tensor]], steps: Sequence[int]) -> Figure:
    """HR@5 against t, a panel for each model, a line for each history that it is given: ranks as from `leak`."""
    fig, panels = style.axes(1, len(found), size="pair", sharey=True)
    for ax, (name, lines) in zip(panels, found.items(), strict=True):
        for (label, each), look in zip(lines.items(), ("o-", "s--"), strict=True):
            colour = style.HISTORY if look == "o-" else style.TARGET
            ax.plot(steps, (each <= 5).float().mean(1), look, color=colour, label=label)
        ax.set(title=name, xlabel="step t (T is pure noise)", ylim=(0, 1.03), xlim=(0, None))
    panels[0].set_ylabel("HR@5, x_t made from the truth")
    fig.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig


def guess_weights(weights: Mapping[str, Sequence[float]]) -> Figure:
    """The factor of the best linear guess against t = 0 … T, divided by the length of a book: one line a signal."""
    fig, ax = style.axes(size="wide")
    for k, (name, values) in enumerate(weights.items()):
        ax.plot(range(len(values)), values, ("-", "--", ":")[k], color=style.CYCLE[k], label=name)
    ax.set(xlabel="step t", ylabel="share of x_0 in the guess", ylim=(0, 1.03), xlim=(0, None))
    ax.legend()
    return fig


def repairs(table: pd.DataFrame, names: Sequence[str], guides: Mapping[str, float], title: str, ax: Axes) -> None:
    """HR@5 of the variants `names`, a row each, a dot a seed (or an interval for a single one), guides as lines.

    `table` has the columns name, HR@5, HR@5 low and HR@5 high.
    """
    for row, name in enumerate(names):
        seeds = table[table.name == name]
        if len(seeds) == 1:
            error = [seeds["HR@5"] - seeds["HR@5 low"], seeds["HR@5 high"] - seeds["HR@5"]]
            ax.errorbar(seeds["HR@5"], [row], xerr=error, fmt="o", color=style.PREDICTION, capsize=3)
        else:
            ax.plot(seeds["HR@5"], [row] * len(seeds), "o", color=style.PREDICTION, alpha=0.8)
    for k, (label, value) in enumerate(guides.items()):
        ax.axvline(value, color=style.NEUTRAL, linestyle=("--", ":")[k], linewidth=1.2, label=label)
    ax.set_yticks(range(len(names)), names)
    ax.invert_yaxis()
    ax.set(title=title, xlabel="HR@5", xlim=(0, None))


def three_tables(record: pd.DataFrame, groups: Sequence[str]) -> Figure:
    """The repairs of data/runs/dcrec_repairs.csv at one step: given alone and taken back (bookshop), and Beauty."""
    one = record[record.steps == 1]
    fig, panels = style.axes(1, 3, size=(9.4, 3.6), sharey=True)
    for ax, (dataset, stem, title) in zip(
        panels,
        (
            ("bookshop", "as printed with", "bookshop: given alone"),
            ("bookshop", "repaired without", "bookshop: taken back"),
            ("beauty", "repaired without", "Beauty: taken back"),
        ),
        strict=True,
    ):
        rows = one[one.dataset == dataset]
        guides = {name: rows[rows.variant == name]["HR@5"].mean() for name in ("as printed", "repaired")}
        named = rows[rows.variant.str.startswith(stem)]
        named = named.assign(name=named.variant.str.removeprefix(f"{stem} "))
        repairs(named, groups, guides, title, ax)
    fig.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig


def balance(data: Mapping[str, Any], shown: Mapping[str, Any], at: int) -> Figure:
    """The loss balance explorer as a picture: the shares of the pull, and the two curves up to look number `at`."""
    fig, axes = style.axes(2, 2, size=(8.0, 4.6), height_ratios=(1, 2.4))
    for ax, on, name in zip(axes[0], ("items", "network"), ("the book vectors", "the network"), strict=True):
        start = 0.0
        for (loss, colour), share in zip(OF_LOSS.items(), shown[on][at], strict=True):
            ax.barh([0], [share], left=start, color=colour)
            if share > 0.12:
                ax.text(start + share / 2, 0, f"{loss}\n{100 * share:.0f} %", ha="center", va="center")
            start += share
        ax.set(title=f"pull on {name}", xlim=(0, 1), yticks=[])
        ax.grid(False)
    printed, batches = data["states"][data["reference"]], data["batches"]
    for ax, key, title, top in (
        (axes[1, 0], "apart", "share of squared length that tells books apart", 1.0),
        (axes[1, 1], "hr", "HR@5, validation readers", data["top"]),
    ):
        mean, low, high = np.array(shown[key]).T
        ax.fill_between(batches, low, high, color=style.HISTORY, alpha=0.18, linewidth=0)
        ax.plot(batches, np.array(printed[key])[:, 0], "--", color=style.NEUTRAL, label="as printed")
        ax.plot(batches, mean, "o-", color=style.HISTORY, markersize=4, label=f"this balance, {data['seeds']}")
        ax.axvline(batches[at], color=style.INK, linewidth=1)
        ax.set(title=title, xlabel="training batches", ylim=(0, top))
    axes[1, 1].axhline(data["popularity"], color=style.NEUTRAL, linestyle=":", linewidth=1, label="popularity")
    axes[1, 1].legend(fontsize=8, loc="upper left")
    return fig
