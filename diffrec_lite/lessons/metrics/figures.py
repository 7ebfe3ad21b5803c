"""The figures of notebook 06: what a rank is worth, and what an average of ranks does and does not say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from diffrec_lite import metrics
from diffrec_lite.widgets import style


def gain_curves(k: int = 10, last: int = 20) -> Figure:
    """What one reader adds to HR@k, NDCG@k and MRR, for a target at rank 1 … last."""
    r = torch.arange(1, last + 1)
    hr, ndcg, mrr = metrics.per_rank(r, (k,)).T.numpy()
    fig, ax = style.axes(size="wide")
    lines = [
        (hr, f"HR@{k}", style.HISTORY, "o"),
        (ndcg, f"NDCG@{k}", style.PREDICTION, "s"),
        (mrr, "MRR", style.NOISE, "^"),
    ]
    for gain, name, colour, marker in lines:
        ax.plot(r, gain, marker, color=colour, label=name, linestyle="-", linewidth=1)
    ax.axvline(k + 0.5, color=style.NEUTRAL, linestyle=":")
    ax.set(xlabel="rank of the true next book", ylabel="gain of one reader", xticks=[1, *range(5, last + 1, 5)])
    ax.legend()
    return fig


def one_ranking(view: Mapping[str, Any], k: int) -> Figure:
    """One state of the explorer (`explorer.view`): the first books, and what the target gains."""
    fig, (left, right) = style.axes(1, 2, size=(7.6, 3.6), width_ratios=[1.5, 1])
    for row in view["rows"]:
        y = row["rank"]
        if row["inside"]:
            left.axhspan(y - 0.5, y + 0.5, color="#EAF3F9", linewidth=0)
        colour, weight = (
            ("#B34E00", "bold") if row["target"] else (style.INK, "normal")
        )  # vermilion, dark enough to read
        left.text(0.02, y, f"{y:>2}  {row['title']}", va="center", fontsize=7.5, color=colour, weight=weight)
    left.set(xlim=(0, 1), ylim=(len(view["rows"]) + 0.5, 0.5), title=f"the ranking; blue: the first {k}")
    left.axis("off")
    names = [f"HR@{k}", f"NDCG@{k}", "MRR"]
    values = [view["HR"], view["NDCG"], view["MRR"]]
    right.barh(names, values, color=style.PREDICTION)
    for place, value in enumerate(values):
        right.text(value + 0.02, place, f"{value:.3f}", va="center")
    right.invert_yaxis()
    right.set(xlim=(0, 1.25), xticks=[0, 0.5, 1], title="what this reader adds")
    return fig


def hit_curves(ranks: Mapping[str, Tensor], marks: Mapping[int, str], last: int) -> Figure:
    """HR@k of each model for k = 1 … last; `marks` names the values of k to point at."""
    fig, ax = style.axes(size=(7.6, 3.4))
    k = np.arange(1, last + 1)
    marked = [at - 1 for at in (1, 5, 10, 20, 50, 100) if at <= last]
    for name, r in ranks.items():
        hits = np.searchsorted(np.sort(r.numpy()), k, side="right") / len(r)
        ax.plot(k, hits, markevery=marked, label=name, **style.look(name))
    for at, text in marks.items():
        ax.axvline(at, color=style.NEUTRAL, linestyle=":", linewidth=1.2)
        ax.text(at, 1.01, text, transform=ax.get_xaxis_transform(), ha="center", va="bottom", fontsize=8.5)
    ax.set(xscale="log", xlabel="k, the length of the list (log scale)", ylabel="HR@k, full ranking")
    ax.set_xticks([1, 2, 5, 10, 20, 50, 100], labels=["1", "2", "5", "10", "20", "50", "100"])
    ax.legend()
    return fig


def batch_sizes(table: pd.DataFrame, name: str = "HR@10") -> Figure:
    """One metric computed in three ways (the columns) for each batch size (the index)."""
    fig, ax = style.axes(size="wide")
    x = np.arange(len(table))
    for column, colour, marker in zip(
        table.columns, (style.PREDICTION, style.HIGHLIGHT, style.TARGET), ("o", "s", "^"), strict=True
    ):
        ax.plot(x, table[column], marker, color=colour, linestyle="-", linewidth=1, label=column)
    ax.set_xticks(x, labels=[str(size) for size in table.index])
    ax.set(xlabel="batch size of the evaluation", ylabel=name)
    ax.legend()
    return fig


def intervals(
    found: Mapping[str, tuple[float, float, float]], difference: Mapping[str, tuple[float, float, float]], name: str
) -> Figure:
    """Left: a metric of each model with its interval (value, low, high). Right: paired differences, and zero."""
    fig, (left, right) = style.axes(1, 2, size="wide")
    looks = ([style.look(model) for model in found], [{"color": style.INK, "marker": "D"}] * len(difference))
    for ax, entries, shown in zip((left, right), (found, difference), looks, strict=True):
        for y, ((value, low, high), look) in enumerate(zip(entries.values(), shown, strict=True)):
            ax.plot([low, high], [y, y], color=look["color"])
            ax.plot(value, y, **look)
        ax.set_yticks(range(len(entries)), labels=list(entries))
        ax.set_ylim(-0.6, len(entries) - 0.4)
        ax.invert_yaxis()
    right.axvline(0, color=style.NEUTRAL, linestyle=":")
    left.set(xlabel=name, title="each model alone")
    right.set(xlabel=f"difference in {name}", title="the same readers, paired")
    return fig


def best_epoch(reported: Mapping[str, np.ndarray], truth: float, name: str) -> Figure:
    """What each rule reports over many simulated runs (one array a rule), and the one true value."""
    fig, ax = style.axes(size="wide")
    low, high = min(v.min() for v in reported.values()), max(v.max() for v in reported.values())
    bins = np.linspace(low, high, 45)
    for (rule, values), colour in zip(reported.items(), (style.NEUTRAL, style.HISTORY, style.HIGHLIGHT), strict=False):
        ax.hist(values, bins=bins, color=colour, alpha=0.35)
        ax.hist(values, bins=bins, color=colour, histtype="step", linewidth=1.6, label=rule)
    ax.axvline(truth, color=style.INK, linestyle="--", label="the true value of every epoch")
    ax.set(xlabel=f"reported {name}", ylabel="simulated runs")
    ax.legend(fontsize=8)
    return fig


def slices(tables: Mapping[str, pd.DataFrame], name: str) -> Figure:
    """One metric by group: a panel for each table, a dot for each model (column), the readers under each group.

    A table has the groups as its index, the column `readers`, and one column for each model.
    """
    fig, panels = style.axes(1, len(tables), size="pair", sharey=True, squeeze=False)
    for ax, (title, table) in zip(panels[0], tables.items(), strict=True):
        models = [column for column in table.columns if column != "readers"]
        x = np.arange(len(table))
        for model in models:
            ax.plot(x, table[model], label=model, linewidth=1, **style.look(model))
        labels = [
            f"{group.split(': ')[-1]}\n{n:.0f} readers" for group, n in zip(table.index, table.readers, strict=True)
        ]
        ax.set_xticks(x, labels=labels, fontsize=7.5)
        ax.set(title=title, xlim=(-0.4, len(table) - 0.6))
    panels[0][0].set_ylabel(name)
    panels[0][0].set_ylim(bottom=0)
    panels[0][-1].legend(fontsize=8)
    return fig


def readers_needed(difference: Sequence[float], spread: Mapping[str, float], power: float = 0.8) -> pd.DataFrame:
    """How many readers make a 95 % interval exclude zero with probability `power`, for a true difference.

    n = ((1.96 + z) spread / difference)², z the normal quantile of `power`: 0 at 50 %, 0.84 at 80 %. `spread` holds
    the standard deviation of one reader's gain, or of one reader's paired difference, by name.
    """
    z = NormalDist().inv_cdf(0.975) + NormalDist().inv_cdf(power)
    table = {n: [int(np.ceil((z * s / d) ** 2)) for d in difference] for n, s in spread.items()}
    return pd.DataFrame(table, index=pd.Index(difference, name="difference"))


def protocols(
    found: Mapping[str, Sequence[tuple[float, float, float]]], lines: Mapping[str, float], name: str
) -> Figure:
    """A metric of each model under two protocols, as (value, low, high): unfiltered filled, seen-filtered hollow.

    `lines` are guides across the figure: a simple model, the ceiling.
    """
    fig, ax = style.axes(size="wide")
    for y, (model, both) in enumerate(found.items()):
        look = style.look(model)
        for (value, low, high), shift, face in zip(both, (-0.13, 0.13), (look["color"], "white"), strict=True):
            ax.plot([low, high], [y + shift] * 2, color=look["color"])
            ax.plot(value, y + shift, **{**look, "markerfacecolor": face})
    for label, face in (("unfiltered", style.INK), ("seen-filtered", "white")):
        ax.plot([], [], "o", color=style.INK, markerfacecolor=face, label=label)
    for text, value in lines.items():
        ax.axvline(value, color=style.NEUTRAL, linestyle=":")
        ax.text(value, 1.01, text, transform=ax.get_xaxis_transform(), ha="center", va="bottom", fontsize=8.5)
    ax.set_yticks(range(len(found)), labels=list(found))
    ax.set(xlabel=name, ylim=(len(found) - 0.5, -0.5))
    ax.legend(loc="upper right")
    return fig
