"""The figures of notebook 04: what a layer norm forgets, what a condition sets, and what two conditions bring."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from torch import Tensor

from diffrec_lite.widgets import style

# The colours of a gain or a shift, from far below a plain layer norm's to far above it. Few of them, so that pictures
# stay small.
COLOURS = colormaps[style.DIVERGING].resampled(15)
PALETTE = [to_hex(COLOURS(k)) for k in range(COLOURS.N)]


def lengths(curves: Mapping[str, Sequence[float]]) -> Figure:
    """The rms length of a vector at every step t = 0 … T, one curve for each of at most three ways of looking at it."""
    fig, ax = style.axes(size="wide")
    for i, (name, values) in enumerate(curves.items()):
        look = {
            "color": style.CYCLE[i],
            "marker": style.MARKERS[i],
            "markevery": (i, 3),
            "linestyle": ("-", "--", ":")[i],
        }
        ax.plot(range(len(values)), values, label=name, **look)
    ax.set(xlabel="step t", ylabel="rms of the features", ylim=(0, 1.3))
    ax.legend(loc="lower right")
    return fig


def gains(at_start: Mapping[str, Tensor]) -> Figure:
    """Histograms of 1 + scale in new layers: every feature is multiplied by one of these numbers.

    What lies beyond -2 and 4 stands in the two end bars.
    """
    fig, panels = style.axes(1, len(at_start), size="pair", sharex=True)
    for i, (ax, (name, values)) in enumerate(zip(panels, at_start.items(), strict=True)):
        ax.hist(values.flatten().clamp(-2, 4).numpy(), bins=np.linspace(-2.05, 4.05, 62), color=style.CYCLE[i])
        ax.axvline(0, color=style.INK, linewidth=1)
        ax.set(title=name, xlabel="1 + scale (end bars: beyond)")
    panels[0].set_ylabel("features")
    return fig


def losses(curves: Mapping[str, Sequence[float]], guide: tuple[str, float] | None = None, smooth: int = 5) -> Figure:
    """Training losses, batch by batch, each point the mean of `smooth` batches. `guide` names a horizontal line."""
    fig, ax = style.axes(size="wide")
    for i, (name, values) in enumerate(curves.items()):
        values = np.convolve(values, np.ones(smooth) / smooth, mode="valid")
        batches = np.arange(smooth, smooth + len(values))
        ax.plot(batches, values, color=style.CYCLE[i], marker=style.MARKERS[i], markevery=10, label=name)
    if guide:
        ax.axhline(guide[1], color=style.NEUTRAL, linestyle="--", linewidth=1, label=guide[0])
    ax.set(xlabel="training batches", ylabel=f"ranking loss, mean of {smooth} batches", ylim=(0, None))
    ax.legend()
    return fig


def pairs(stream: Sequence[str], condition: Sequence[str], target: str) -> Figure:
    """Two rows of books: the noised stream above, the clean condition below; each column is one position."""
    fig, ax = style.axes(size=(7.6, 2.5))
    for column, (noised, clean) in enumerate(zip(stream, condition, strict=True)):
        _book(ax, column, 1, noised, style.TARGET if noised == target else style.NOISE)
        _book(ax, column, 0, clean, style.TARGET if clean == target else style.HISTORY)
        ax.annotate(
            "", (column, 0.73), (column, 0.27), arrowprops={"arrowstyle": "->", "color": style.INK, "linewidth": 1.2}
        )
    ax.set(xlim=(-1.15, len(stream) - 0.5), ylim=(-0.35, 1.35))
    ax.text(-0.58, 1, "stream\n(noised)", ha="right", va="center", color=style.INK)
    ax.text(-0.58, 0, "condition\n(clean)", ha="right", va="center", color=style.INK)
    ax.axis("off")
    return fig


def _book(ax: Axes, x: float, y: float, title: str, colour: str) -> None:
    box = {"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": colour, "linewidth": 1.8}
    ax.text(x, y, wrapped(title), ha="center", va="center", fontsize=7.5, bbox=box)


def plain(title: str) -> str:
    """`title` without its series, which the bookshop writes in brackets."""
    return title.partition(" (")[0]


def wrapped(title: str, width: int = 15) -> str:
    """`title`, without its series, broken into lines of about `width` characters."""
    return textwrap.fill(plain(title), width)


def short(title: str, length: int = 24) -> str:
    """`title`, without its series, cut to `length` characters."""
    return textwrap.shorten(plain(title), length, placeholder=" …")


def field_maps(gain: Tensor, shift: Tensor, titles: Sequence[str], reach: float = 1.0) -> Figure:
    """Gain (1 + scale) and shift `(L, d)` as heat maps: a row for each book that sets them, a column a feature.

    White is a plain layer norm: gain 1, shift 0. Colours end at `reach` on either side.
    """
    fig, (left, right) = style.axes(1, 2, size=(7.6, 0.9 + 0.26 * len(titles)), sharey=True)
    options = {"cmap": COLOURS, "aspect": "auto", "interpolation": "nearest"}
    first = left.imshow(gain.numpy(), vmin=1 - reach, vmax=1 + reach, **options)
    second = right.imshow(shift.numpy(), vmin=-reach, vmax=reach, **options)
    left.set(title="gain (1 + scale)", xlabel="feature")
    right.set(title="shift", xlabel="feature")
    left.set_yticks(range(len(titles)), [short(title) for title in titles], fontsize=8)
    for ax, image in ((left, first), (right, second)):
        ax.grid(False)
        fig.colorbar(image, ax=ax, fraction=0.05, pad=0.02)
    return fig


def step_against_book(strength: Tensor, titles: Sequence[str], shares: Mapping[str, Mapping[str, float]]) -> Figure:
    """Left: strength `(T, L)` of the modulation by step and book. Right: where the gain's variance comes from."""
    fig, (left, right) = style.axes(1, 2, size=(7.6, 3.4), width_ratios=(3, 2))
    extent = (0.5, len(strength) + 0.5, len(titles), 0)
    image = left.imshow(strength.T.numpy(), cmap=style.SEQUENTIAL, aspect="auto", vmin=0, extent=extent)
    left.grid(False)
    left.set_yticks(np.arange(len(titles)) + 0.5, [short(title, 20) for title in titles], fontsize=8)
    left.set_xticks(np.linspace(1, len(strength), 4).round())
    left.set(xlabel="step t", title="rms of scale and shift")
    fig.colorbar(image, ax=left, fraction=0.05, pad=0.02)
    start = np.zeros(len(shares))
    for part, colour in (("step", style.NOISE), ("book", style.HISTORY), ("both", style.NEUTRAL)):
        share = np.array([one[part] for one in shares.values()])
        right.barh(list(shares), share, left=start, color=colour, label=part)
        start += share
    right.invert_yaxis()
    right.set(xlabel="share of the gain's variance", xlim=(0, 1), title="what the gain depends on")
    right.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=3)
    return fig


def bars(values: Mapping[str, float], xlabel: str, reference: str | None = None) -> Figure:
    """One bar a name; `reference` names the bar that the others are compared with."""
    fig, ax = style.axes(size=(7.6, 0.9 + 0.34 * len(values)))
    colours = [style.PREDICTION if name == reference else style.NEUTRAL for name in values]
    ax.barh(list(values), list(values.values()), color=colours)
    if reference:
        ax.axvline(values[reference], color=style.PREDICTION, linestyle="--", linewidth=1)
    ax.invert_yaxis()
    ax.set(xlabel=xlabel, xlim=(0, None))
    return fig


def ablation(published: pd.DataFrame, metric: str = "HR@5") -> Figure:
    """DCRec's own ablation: one group of bars a data set, two conditions against either one alone."""
    kinds = {
        "DCRec: implicit only": (style.NOISE, "implicit only"),
        "DCRec: explicit only": (style.HISTORY, "explicit only"),
        "DCRec": (style.look("DCRec")["color"], "both"),
    }
    table = published[published.metric == metric].pivot(index="dataset", columns="model", values="value")
    fig, ax = style.axes(size="wide")
    for i, (model, (colour, label)) in enumerate(kinds.items()):
        ax.bar(np.arange(len(table)) + 0.26 * (i - 1), table[model], width=0.24, color=colour, label=label)
    ax.set_xticks(range(len(table)), [name.capitalize() for name in table.index])
    ax.set(ylabel=metric)
    ax.legend()
    return fig


def measured(table: pd.DataFrame, ylabel: str = "HR@5", guide: tuple[str, float] | None = None) -> Figure:
    """One dot a seed, one column a variant: `table` has the columns variant, seed and value."""
    fig, ax = style.axes(size="wide")
    variants = list(dict.fromkeys(table.variant))
    for i, variant in enumerate(variants):
        values = table.value[table.variant == variant]
        ax.plot([i] * len(values), values, "o", color=style.PREDICTION, markersize=6, alpha=0.8)
        ax.plot([i - 0.2, i + 0.2], [values.mean()] * 2, color=style.INK, linewidth=1.5)
    if guide:
        ax.axhline(guide[1], color=style.NEUTRAL, linestyle="--", linewidth=1)
        ax.text(-0.4, guide[1], guide[0], ha="left", va="bottom", fontsize=8)
    ax.set_xticks(range(len(variants)), [variant.replace(", ", ",\n") for variant in variants])
    ax.set(ylabel=ylabel, ylim=(0, None))
    return fig
