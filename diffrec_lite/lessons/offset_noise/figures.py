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
        ax.axhspan(-size, size, color=style.NEUTRAL, alpha=shade, linewidth=0)
    ax.axhline(0, color=style.INK, linewidth=0.8)
    ax.set_xticks(places, difference.index)
    ax.set(ylabel="V2 - V1", ylim=(-0.006, 0.006))
    ax.legend(fontsize=8, ncols=3, loc="upper right")
    return fig


def recorded(runs: pd.DataFrame, metric: str) -> Figure:
    """What each arm reached: a marker a seed, and a line through the runs that share a seed."""
    table = runs.pivot(index="arm", columns="seed", values=metric).loc[list(dict.fromkeys(runs.arm))]
    fig, ax = style.axes(size="wide")
    for i, seed in enumerate(table):
        ax.plot(table.index, table[seed], color=style.CYCLE[i], marker=style.MARKERS[i], label=f"seed {seed}")
    ax.set(ylabel=metric, ylim=(0, 1.25 * float(table.max().max())))
    ax.legend(fontsize=8, ncols=3, loc="lower right")
    return fig


def state(data: Mapping[str, Any]) -> Figure:
    """One state of the explorer: the numbers of the noise, the means of its vectors, the ranks of the true books."""
    fig, (left, middle, right) = style.axes(1, 3, size=(7.6, 2.7))
    left.hist(data["noise"].flatten().numpy(), bins=np.linspace(-9, 9, 61), color=style.NOISE, density=True)
    middle.hist(data["means"].numpy(), bins=np.linspace(-9, 9, 91), color=style.NOISE, density=True)
    bins = np.geomspace(1, max(int(data["rounding"].max()), int(data["model"].max())) + 1, 16)
    right.hist(data["rounding"].numpy(), bins=bins, color=style.NEUTRAL, histtype="step", linestyle="--", linewidth=1.8)
    right.hist(data["model"].numpy(), bins=bins, color=style.PREDICTION, alpha=0.6)
    left.set(xlabel="one number of the noise", ylabel="density", ylim=(0, 0.45))
    middle.set(xlabel="mean of one vector", ylabel="density")
    right.set(xlabel="rank of the true book", ylabel="readers", xscale="log")
    right.set_title("filled: model, dashed: x_t alone", fontsize=8.5)
    return fig
