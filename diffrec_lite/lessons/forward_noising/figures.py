"""The figures of notebook 01: schedules, variance along the chain, the dissolving cloud, and rounding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from diffrec_lite.diffusion import GaussianDiffusion
from diffrec_lite.widgets import style


def schedules(diffusions: Mapping[str, GaussianDiffusion]) -> Figure:
    """Left: abar_t, the share of the variance that is signal. Right: the signal-to-noise ratio, on a log scale."""
    fig, (left, right) = style.axes(1, 2, size="pair")
    for i, (name, diffusion) in enumerate(diffusions.items()):
        t = np.arange(diffusion.T + 1)
        options = {"color": style.CYCLE[i], "marker": style.MARKERS[i], "markevery": 4, "label": name}
        left.plot(t, diffusion.abar, **options)
        right.plot(t[1:], diffusion.snr(torch.arange(1, diffusion.T + 1)), **options)
    line = right.axhline(1, color=style.NEUTRAL, linestyle="--", linewidth=1)
    right.legend([line], ["as much noise as signal"], fontsize=8, frameon=False, loc="lower left")
    left.set(xlabel="step t", ylabel="abar_t", ylim=(-0.03, 1.03))
    right.set(xlabel="step t", ylabel="signal-to-noise ratio", yscale="log")
    left.legend(fontsize=8, frameon=False)
    return fig


def variances(curves: Mapping[str, Sequence[float]]) -> Figure:
    """The variance of x_t at every step t = 0 … T, one curve for each way of noising."""
    fig, ax = style.axes(size="wide")
    for i, (name, values) in enumerate(curves.items()):
        ax.plot(range(len(values)), values, color=style.CYCLE[i], marker=style.MARKERS[i], markevery=4, label=name)
    ax.set(xlabel="step t", ylabel="variance of x_t", ylim=(0, None))
    ax.legend(frameon=False)
    return fig


def recovered(curves: Mapping[str, Tensor], ylabel: str = "share of books recovered") -> Figure:
    """At every step, the share of noised books that still round to themselves: one curve `(T + 1,)` a name."""
    fig, ax = style.axes(size="wide")
    for i, (name, share) in enumerate(curves.items()):
        ax.plot(range(len(share)), share, color=style.CYCLE[i], marker=style.MARKERS[i], markevery=4, label=name)
    ax.set(xlabel="step t", ylabel=ylabel, ylim=(-0.03, 1.03))
    ax.legend(fontsize=8, frameon=False)
    return fig


def dissolve(
    data: Mapping[str, Any], schedule: int = 0, book: int = 0, steps: Sequence[int] = (0, 4, 10, 32)
) -> Figure:
    """The explorer's picture at four steps, side by side: the cloud, one book followed, and what it rounds to."""
    fig, panels = style.axes(1, len(steps), size=(8.6, 3.3), sharex=True, sharey=True)
    for ax, t in zip(panels, steps, strict=True):
        _cloud(ax, data, schedule, book, t)
    panels[0].set_ylabel("second axis")
    fig.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=8, frameon=False)
    return fig


def state(data: Mapping[str, Any], schedule: int = 0, book: int = 0, t: int = 0) -> Figure:
    """One state of the explorer as a still picture: for a page where nothing can be clicked."""
    fig, ax = style.axes(size=(5.2, 5.2))
    _cloud(ax, data, schedule, book, t)
    for (genre, centre), tint in zip(data["centres"].items(), style.GENRES, strict=False):
        box = {"boxstyle": "round,pad=0.2", "facecolor": tint, "edgecolor": "none"}
        ax.text(*beside(centre), genre, ha="center", va="center", fontsize=8.5, bbox=box)
    ax.set_ylabel("second axis")
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return fig


def beside(centre: Sequence[float], away: float = 1.4) -> np.ndarray:
    """Where a genre's name stands: `away` further out than its `centre (2,)`, beside its dots and not on them."""
    centre = np.array(centre)
    return centre * (1 + away / max(float(np.hypot(*centre)), 1e-9))


def _cloud(ax, data: Mapping[str, Any], schedule: int, book: int, t: int) -> None:
    chosen = data["schedules"][schedule]
    clean, noise, abar = np.array(data["clean"]), np.array(data["noise"]), chosen["abar"][t]
    item, found = data["items"][book], chosen["nearest"][t][book][0]
    xt = np.sqrt(abar) * clean + np.sqrt(1 - abar) * noise
    reach = 1.05 * max(3.0, np.abs(clean).max())
    genres = np.array(data["genres"])
    another = next((genre for genre in data["centres"] if genre != genres[item]), None)
    for genre, tint in zip(data["centres"], style.GENRES, strict=False):
        own = genre == genres[item]
        label = {genres[item]: "noised, its genre", another: "noised, tinted by genre"}.get(genre)
        edge = {"edgecolors": style.INK if own else "#777777", "linewidths": 0.7 if own else 0.25}
        ax.scatter(*xt[genres == genre].T, s=18 if own else 10, color=tint, label=label, zorder=2 + own, **edge)
    ax.plot(*np.stack([xt[item], clean[found]]).T, "--", color=style.PREDICTION, linewidth=1.2, zorder=4)
    ax.scatter(*clean[found], s=34, marker="s", color=style.PREDICTION, label="the book it rounds to", zorder=4)
    ring = {"facecolors": "none", "edgecolors": style.TARGET, "linewidths": 1.4}
    ax.scatter(*clean[item], s=60, label="where it came from", zorder=4, **ring)
    dot = {"color": style.TARGET, "edgecolors": "white", "linewidths": 0.7}
    ax.scatter(*xt[item], s=34, label="the noised book", zorder=5, **dot)
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), xlabel="first axis", aspect="equal")
    ax.set_title(f"t = {t}, rank {chosen['rank'][t][book]}", fontsize=9)
