"""The figures of notebook 02: what an offset does to noise, what a schedule leaves, and what the papers measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from torch import Tensor

from diffrec_lite.widgets import style


def forms(noises: Mapping[str, Tensor]) -> Figure:
    """Left: all numbers of each noise `(B, d)`. Right: the mean of each vector."""
    fig, (left, right) = style.axes(1, 2, size="pair")
    for i, (name, noise) in enumerate(noises.items()):
        options = {"histtype": "step", "density": True, "color": style.CYCLE[i], "label": name, "linewidth": 1.8}
        options["linestyle"] = ("-", "--", ":")[i % 3]
        left.hist(noise.flatten().numpy(), bins=np.linspace(-5, 5, 61), **options)
        right.hist(noise.mean(1).numpy(), bins=np.linspace(-3, 3, 61), **options)
    left.set(xlabel="one number of the noise", ylabel="density")
    right.set(xlabel="mean of one vector's noise", ylabel="density")
    left.legend(fontsize=8, loc="upper left")
    return fig


def survival(curves: Mapping[str, Sequence[float]]) -> Figure:
    """sqrt(abar_t) against the share of the chain done, on a log scale: one curve for each schedule."""
    fig, ax = style.axes(size="wide")
    for i, (name, values) in enumerate(curves.items()):
        share = np.linspace(0, 1, len(values))
        every = max(1, len(values) // 8)
        ax.plot(share, values, color=style.CYCLE[i], marker=style.MARKERS[i], markevery=every, label=name)
    ax.set(xlabel="share of the chain done, t / T", ylabel="sqrt(abar_t)", yscale="log", ylim=(3e-4, 1.5))
    ax.legend(fontsize=8, loc="lower left")
    return fig


def published(difference: pd.DataFrame, spread: tuple[float, float]) -> Figure:
    """V2 - V1 for each data set (columns) and metric (rows), beside the run-to-run standard deviation."""
    fig, ax = style.axes(size="wide")
    places = np.arange(len(difference))
    for i, name in enumerate(difference):
        ax.plot(places + 0.15 * (i - 1), difference[name], style.MARKERS[i], color=style.CYCLE[i], label=name)
    for size, shade in zip(spread, (0.35, 0.15), strict=True):
        label = f"within {size:g}"
        ax.axhspan(-size, size, color=style.NEUTRAL, alpha=shade, linewidth=0, label=label)
    ax.axhline(0, color=style.INK, linewidth=0.8)
    ax.set_xticks(places, difference.index)
    ax.set(ylabel="V2 - V1", ylim=(-0.0045, 0.0065))
    ax.legend(fontsize=8, ncols=5, loc="upper center")
    return fig


def recorded(change: pd.DataFrame, summary: pd.DataFrame, metric: str) -> Figure:
    """How far each arm (columns) moved a metric from "no offset": a marker a seed, and the mean with its interval.

    `change` holds one row a seed; `summary` has a row for each arm, with the columns "mean", "low" and "high".
    """
    fig, ax = style.axes(size="wide")
    for i, (seed, row) in enumerate(change.iterrows()):
        places = np.arange(len(row)) - 0.3 + 0.08 * i
        ax.plot(places, row, style.MARKERS[i], color=style.NEUTRAL, markersize=4.5, label=f"seed {seed}")
    places = np.arange(len(summary)) + 0.25
    reach = [summary["mean"] - summary["low"], summary["high"] - summary["mean"]]
    ax.errorbar(
        places, summary["mean"], yerr=reach, fmt="D", color=style.PREDICTION, capsize=4, label="mean, 95 % interval"
    )
    ax.axhline(0, color=style.INK, linewidth=0.8)
    ax.set_xticks(range(len(summary)), summary.index)
    ax.set(ylabel=f"change of {metric}")
    ax.legend(fontsize=8, ncols=3, loc="best")
    return fig


RANK_EDGES = (1, 2, 3, 5, 9, 17, 33, 65, 129)  # the first rank of each group of the explorer's right panel
NOISE_BINS, MEAN_BINS = np.linspace(-9, 9, 61), np.linspace(-9, 9, 91)  # the same in every state of the explorer


def state(data: Mapping[str, Any]) -> Figure:
    """One state of the explorer: the numbers of the noise, the means of its vectors, the ranks of the true books.

    Every axis is the same in all states, so that what looks taller is more.
    """
    fig, (left, middle, right) = style.axes(1, 3, size=(8.6, 2.9), width_ratios=(1, 1, 1.5))
    left.stairs(densities(data["noise"], NOISE_BINS), NOISE_BINS, color=style.NOISE, fill=True)
    middle.stairs(densities(data["means"], MEAN_BINS), MEAN_BINS, color=style.NOISE, fill=True)
    left.set(xlabel="one number of the noise", ylabel="density", ylim=(0, 0.45))
    middle.set(xlabel="mean of one vector", ylabel="density", ylim=(0, 3.5))
    places = np.arange(len(RANK_EDGES))
    rounding, model = (rank_counts(data[who]) for who in ("rounding", "model"))
    right.bar(places - 0.2, rounding, 0.38, facecolor="white", edgecolor=style.INK, hatch="///", label="x_t alone")
    right.bar(places + 0.2, model, 0.38, color=style.PREDICTION, label="the model")
    right.set_xticks(places, rank_groups(), rotation=40, fontsize=8)
    right.set(xlabel="rank of the true book", ylabel="readers", ylim=(0, len(data["model"])))
    right.legend(fontsize=8, loc="upper right")
    return fig


def densities(values: Tensor, bins: np.ndarray) -> list[float]:
    """The height of each bar of a histogram whose area is 1."""
    return np.histogram(values.flatten().numpy(), bins, density=True)[0].round(3).tolist()


def rank_groups() -> list[str]:
    """The names of the groups of RANK_EDGES: 1, 2, 3–4, 5–8, and so on."""
    last = [low - 1 for low in RANK_EDGES[1:]]
    groups = [str(a) if a == b else f"{a}–{b}" for a, b in zip(RANK_EDGES, last, strict=False)]
    return [*groups, f"{RANK_EDGES[-1]}+"]


def rank_counts(ranks: Tensor) -> list[int]:
    """How many ranks fall to each group of RANK_EDGES."""
    group = np.searchsorted(RANK_EDGES, ranks.numpy(), side="right") - 1
    return np.bincount(group, minlength=len(RANK_EDGES)).tolist()
