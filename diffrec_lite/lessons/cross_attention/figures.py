"""The figures of notebook 03: fusion position by position, attention maps with titles, masks, and the cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from torch import Tensor

from diffrec_lite.widgets import style


def attention(weights: Tensor, asks: Sequence[str], answers: str = "the books") -> Figure:
    """One attention map `(L, L)`: row = who asks, column = who answers. Every weight is written in its cell, in %.

    Hatched cells are hidden by a mask: nothing but a mask makes a weight exactly 0. Among the others the colour grows
    with the square root of the weight, so that small weights show.
    """
    fig, ax = style.axes(size=(8.6, 0.9 + 0.4 * len(asks)))
    fig.set_layout_engine(None)  # titles of any length keep the map where it is
    fig.subplots_adjust(left=0.45, right=0.99, bottom=0.15, top=0.98)
    image = ax.imshow(_unhidden(ax, weights), norm=PowerNorm(0.5, 0, 1), cmap=style.SEQUENTIAL, aspect="auto")
    for (row, column), weight in np.ndenumerate(weights.numpy()):
        if weight:
            ink = "black" if weight > 0.22 else "white"
            ax.text(column, row, f"{100 * weight:.1f}", ha="center", va="center", color=ink, fontsize=8)
    places = range(len(asks))
    ax.set_xticks(places, [place + 1 for place in places])
    ax.set_yticks(places, [f"{short(title)}  {place + 1}" for place, title in enumerate(asks)], fontsize=9)
    ax.set(xlabel=f"who answers: {answers}")
    ax.grid(False)
    fig.colorbar(image, ax=ax, label="weight", pad=0.02)
    return fig


def _unhidden(ax, weights: Tensor) -> np.ma.MaskedArray:
    """The weights without those that a mask hides; there the hatched ground of `ax` shows."""
    ax.patch.set(facecolor="#EEEEEE", edgecolor="#999999", hatch="////", linewidth=0)
    return np.ma.masked_equal(weights.numpy(), 0)


def masks(maps: Mapping[str, Tensor], padding: int) -> Figure:
    """Attention maps `(L, L)` side by side; a line parts the `padding` first columns from the books.

    What a mask hides is hatched.
    """
    fig, panels = style.axes(1, len(maps), size=(7.6, 3.2))
    for ax, (name, weights) in zip(np.atleast_1d(panels), maps.items(), strict=True):
        # The square root of the weight sets the colour, so that small weights show.
        image = ax.imshow(_unhidden(ax, weights), norm=PowerNorm(0.5, 0, 1), cmap=style.SEQUENTIAL)
        ax.axvline(padding - 0.5, color=style.HIGHLIGHT, linewidth=2)
        ax.set(title=name, xlabel="key (padding left of the line)", ylabel="query")
        ax.grid(False)
    fig.colorbar(image, ax=panels, label="weight", shrink=0.8)
    return fig


def fusion(changes: Mapping[str, Tensor]) -> Figure:
    """How alike the vectors added at two positions are: a map of cosines `(L, L)` for each way of fusing."""
    fig, panels = style.axes(1, len(changes), size=(7.6, 3.0))
    for ax, (name, added) in zip(np.atleast_1d(panels), changes.items(), strict=True):
        image = ax.imshow(cosines(added).numpy(), vmin=-1, vmax=1, cmap=style.DIVERGING)
        ax.set(title=name, xlabel="position", ylabel="position")
        ax.grid(False)
    fig.colorbar(image, ax=panels, label="cosine", shrink=0.8)
    return fig


def cosines(x: Tensor) -> Tensor:
    """Cosines `(L, L)` between the rows of `x (L, d)`."""
    unit = x / x.norm(dim=-1, keepdim=True)
    return unit @ unit.T


def cost(lengths: Sequence[int], width: int) -> Figure:
    """Multiplications of both kinds of attention against the length, for one head: its width is d/h."""
    fig, ax = style.axes(size="wide")
    lengths = np.asarray(lengths)
    ax.plot(lengths, 2 * lengths**2 * width, color=style.CYCLE[0], marker=style.MARKERS[0], label="softmax, 2 L² d/h")
    ax.plot(
        lengths, 2 * lengths * width**2, color=style.CYCLE[1], marker=style.MARKERS[1], label="efficient, 2 L (d/h)²"
    )
    ax.axvline(width, color=style.NEUTRAL, linestyle="--", linewidth=1)
    ax.text(width * 1.04, 2 * lengths[0] ** 2 * width, "L = d/h", fontsize=8)
    ax.set(xlabel="length L", ylabel="multiplications", xscale="log", yscale="log")
    ax.legend(fontsize=8)
    return fig


def short(title: str, most: int = 46) -> str:
    """A title cut to `most` letters between two words, with the volume at its end kept."""
    if len(title) <= most:
        return title
    *words, volume = title.split(" ")
    tail = f" … {volume}" if volume.endswith(")") else " …"
    kept = ""
    for word in words:
        if len(kept) + len(word) + 1 + len(tail) > most:
            break
        kept = f"{kept} {word}".strip()
    return kept + tail


def lost(changes: Mapping[str, tuple[float, float]], hits: int) -> Figure:
    """Bars with 95 % intervals: hits lost less hits won under each change, beside the `hits` of the model as it is.

    `changes` gives the difference and half the width of its interval.
    """
    fig, ax = style.axes(size="wide")
    numbers, half = zip(*changes.values(), strict=True)
    ax.barh(list(changes), numbers, xerr=half, color=style.PREDICTION, ecolor=style.INK, capsize=3)
    ax.axvline(0, color=style.INK, linewidth=0.8)
    ax.set(xlabel=f"hits lost less hits won; the model as trained has {hits}")
    ax.invert_yaxis()
    return fig
