"""The figures of notebook 10, and what they measure: where a stream begins, what a layer norm hears, what is missed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

from diffrec_lite.data import Batch
from diffrec_lite.metrics import compare
from diffrec_lite.models import DCRec, DiffuRec
from diffrec_lite.noise import Noise
from diffrec_lite.widgets import style

# ---------------------------------------------------------------- where the stream begins


def stream(model: DCRec, batch: Batch) -> Tensor:
    """S_0 `(B, L, d)`, the clean stream of a batch: [i_2 … i_n, target]."""
    return model.settings.signal * model.embed(torch.cat([batch.history[:, 1:], batch.target[:, None]], dim=1))


@torch.inference_mode()
def entering(model: DCRec, batch: Batch, t: int) -> Tensor:
    """How much of each book is in what enters the first block at step t: cosines `(B, L, L + 1)`.

    A row is a place of the stream, a column a book: i_1 … i_n, then the target.
    """
    steps, S0, H0 = torch.full((len(batch.history),), t), stream(model, batch), model.clean(batch.history)
    z = model.fuse(model.enter(model.noised(S0, steps, Noise(0, batch.users)(S0)), steps), H0)
    books = model.embed(torch.cat([batch.history, batch.target[:, None]], dim=1))
    return F.normalize(z, dim=-1) @ F.normalize(books, dim=-1).transpose(1, 2)


def meetings(maps: Mapping[str, Tensor]) -> Figure:
    """Maps of cosines `(n, n + 1)` as from `entering`, side by side, a panel for each name."""
    fig, axes = style.axes(1, len(maps), size=(2.5 * len(maps), 3.2), sharey=True, squeeze=False)
    for ax, (name, cosines) in zip(axes[0], maps.items(), strict=True):
        image = ax.imshow(cosines, cmap=style.DIVERGING, vmin=-1, vmax=1)
        n = len(cosines)
        ax.set_xticks([0, n - 1, n], ["first", "last", "true next"], rotation=90)
        ax.set_yticks([0, n - 1], ["first", "last"])
        ax.set(title=name, xlabel="book")
        ax.grid(False)
    axes[0][0].set_ylabel("place of the stream")
    fig.colorbar(image, ax=axes[0].tolist(), label="cosine", shrink=0.8)
    return fig


def beginnings(begun: pd.DataFrame) -> Figure:
    """HR@5 against training batches: `begun` has a row for each look and the columns (model, seed)."""
    fig, ax = style.axes(size="wide")
    for name in begun.columns.get_level_values(0).unique():
        for n, seed in enumerate(begun[name]):
            ax.plot(begun.index, begun[name][seed], label=name if n == 0 else None, **style.look(name))
    ax.set(xlabel="training batches", ylabel="HR@5, 500 validation readers", xlim=(0, None), ylim=(0, None))
    ax.legend(title="a line for each of two seeds")
    return fig


# ---------------------------------------------------------------- what a layer norm hears


def heard(change: Tensor) -> Tensor:
    """The share of the squared length of each vector of `change (…, d)` that a layer norm hears, `(…)`.

    Layer norm takes the mean over the features out, and hears what is left of the change without its own mean.
    """
    return (change - change.mean(-1, keepdim=True)).square().sum(-1) / change.square().sum(-1)


@torch.inference_mode()
def scores_at(
    model: DCRec | DiffuRec, batch: Batch, t: int, change: Callable[[Tensor], Tensor] = lambda eps: eps
) -> Tensor:
    """Scores `(B, V)` at step t, asked as in training: x_t holds the true book and the noise `change(eps)`."""
    noise, history, valid = Noise(0, batch.users), batch.history, batch.history != 0
    steps = torch.full((len(history),), t)
    if isinstance(model, DCRec):
        S0 = stream(model, batch)
        St = model.noised(S0, steps, change(noise(S0)))
        x0_hat = model.denoise(St, steps, model.clean(history), valid, last=True)[:, -1]
    else:
        x0 = model.item_embedding(batch.target)
        xt = model.diffusion.q_sample(x0, steps, change(noise(x0)))
        x0_hat = model.approximate(model.fuse(model.embed(history), xt, steps, valid, noise), valid)
    return model.rounding(x0_hat, history)


def up_and_down(eps: Tensor) -> Tensor:
    """+1 for every second feature and -1 for the others, `(d,)`: as long as a vector of ones, with mean 0."""
    return 1 - 2.0 * (torch.arange(eps.shape[-1]) % 2)


def pushed(models: Mapping[str, Any], batch: Batch, t: int, strengths: Sequence[float]) -> pd.DataFrame:
    """What a shift of the noise does to each model: rows of model, shift, strength, score and loss.

    "all alike" adds the strength to every feature; "up and down" adds it to one half of them and takes it from the
    other. `score` is the mean absolute change over books and readers, `loss` that of the mean cross-entropy.
    """
    rows = []
    for name, model in models.items():
        before = scores_at(model, batch, t)
        for strength in strengths:
            changes = {
                "all alike": lambda eps, by=strength: eps + by,
                "up and down": lambda eps, by=strength: eps + by * up_and_down(eps),
            }
            for shift, change in changes.items():
                after = scores_at(model, batch, t, change)
                moved = (after[:, 1:] - before[:, 1:]).abs().mean()
                loss = (F.cross_entropy(after, batch.target) - F.cross_entropy(before, batch.target)).abs()
                rows.append((name, shift, strength, float(moved), float(loss)))
    return pd.DataFrame(rows, columns=["model", "shift", "strength", "score", "loss"])


def pushes(table: pd.DataFrame) -> Figure:
    """How far the scores move against the strength of a shift, a panel for each model: a table as from `pushed`.

    Each panel has a scale of its own, and its title says how far it goes.
    """
    names = list(dict.fromkeys(table.model))
    fig, axes = style.axes(1, len(names), size="pair" if len(names) == 2 else (9.0, 3.0), squeeze=False)
    for ax, name in zip(axes[0], names, strict=True):
        for shift, look, colour in (("all alike", "o-", style.NOISE), ("up and down", "s--", style.INK)):
            rows = table[(table.model == name) & (table["shift"] == shift)]
            ax.plot(rows.strength, rows.score, look, color=colour, label=shift)
        most = float(table[table.model == name].score.max())
        top = max(1.1 * most, 1e-3)
        ax.set(title=f"{name}, up to {most:.2g}", xlabel="strength of the shift", ylim=(-0.03 * top, top))
    axes[0][0].set_ylabel("mean change of a score")
    fig.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig


# ---------------------------------------------------------------- what is missed


def changes(record: pd.DataFrame, steps: int, base: str, metric: str = "HR@5") -> pd.DataFrame:
    """The paired changes against `base` at so many steps: a row for each variant, a column for each seed."""
    by_seed = record[record.steps == steps].pivot(index="variant", columns="seed", values=metric)
    order = [name for name in dict.fromkeys(record.variant) if name != base]
    return by_seed.sub(by_seed.loc[base], axis=1).loc[order]


def intervals(change: pd.DataFrame, student: float) -> pd.DataFrame:
    """Mean and 95 % interval of each row of `changes`: `student` standard errors to both sides."""
    half = student * change.std(axis=1) / change.shape[1] ** 0.5
    mean = change.mean(axis=1)
    return pd.DataFrame({"mean": mean, "low": mean - half, "high": mean + half})


def student_p(change: pd.DataFrame) -> pd.Series:
    """The two-sided p of each row of three seeds' changes, by Student's t with two degrees of freedom."""
    t = change.mean(axis=1) / (change.std(axis=1) / 3**0.5)
    return 1 - t.abs() / (2 + t**2) ** 0.5


def holm(p: pd.Series, level: float = 0.05) -> int:
    """How many of the differences with these p remain when so many are tested, by Holm's correction (Holm 1979)."""
    tests_left = len(p) + 1 - p.rank(method="first")
    return int((p * tests_left <= level)[p.sort_values().index].cumprod().sum())


def parts(change: pd.DataFrame, summary: pd.DataFrame) -> Figure:
    """The changes of every variant, a small dot a seed, and their mean with its interval."""
    fig, ax = style.axes(size=(7.6, 0.42 * len(change) + 1.2))
    rows = range(len(change))
    ax.axvline(0, color=style.NEUTRAL, linestyle="--", linewidth=1.2)
    error = [summary["mean"] - summary["low"], summary["high"] - summary["mean"]]
    ax.errorbar(summary["mean"], rows, xerr=error, fmt="D", color=style.INK, capsize=3, label="mean, 95 % interval")
    for k, seed in enumerate(change.columns):
        ax.plot(change[seed], rows, ".", color=style.NEUTRAL, markersize=8, label="one seed" if k == 0 else None)
    ax.set_yticks(rows, change.index)
    ax.invert_yaxis()
    ax.set(xlabel="change of HR@5 against the whole hybrid")
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig


# ---------------------------------------------------------------- how fast, and how good


def curves(panels: Mapping[str, Mapping[str, pd.DataFrame]], metric: str = "val NDCG@10") -> Figure:
    """A metric on validation readers against the epoch: a panel for each data set, a line for each model."""
    fig, axes = style.axes(1, len(panels), size=(4.4 * len(panels) + 1.0, 3.4), squeeze=False)
    for ax, (title, lines) in zip(axes[0], panels.items(), strict=True):
        for name, history in lines.items():
            ax.plot(history.epoch, history[metric], label=name, markersize=4, **style.look(name))
        ax.set(title=title, xlabel="epoch", ylim=(0, None), xlim=(0, None))
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.legend(fontsize=8)
    axes[0][0].set_ylabel(f"{metric.removeprefix('val ')}, validation readers")
    return fig


def duels(found: Mapping[str, Tensor], metric: str = "HR@5") -> pd.DataFrame:
    """Every pair of models on the same readers: a row for each, with the columns of `metrics.compare` for a metric."""
    names = list(found)
    rows = {f"{a} - {b}": compare(found[a], found[b]).loc[metric] for i, a in enumerate(names) for b in names[i + 1 :]}
    return pd.DataFrame(rows).T.rename_axis("pair")


def differences(table: pd.DataFrame, metric: str = "HR@5") -> Figure:
    """Paired differences with their intervals, a row for each pair: a table as from `duels`."""
    fig, ax = style.axes(size=(7.6, 0.36 * len(table) + 1.0))
    error = [table.difference - table.low, table.high - table.difference]
    ax.axvline(0, color=style.NEUTRAL, linestyle="--", linewidth=1.2)
    ax.errorbar(table.difference, range(len(table)), xerr=error, fmt="D", color=style.INK, capsize=3)
    ax.set_yticks(range(len(table)), table.index)
    ax.invert_yaxis()
    ax.set(xlabel=f"difference of {metric}, paired, 95 % interval")
    return fig
