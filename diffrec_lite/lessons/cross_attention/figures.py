"""The figures of notebook 03: fusion position by position, attention maps with titles, masks, and the cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from torch import Tensor

from diffrec_lite.widgets import style


def attention(weights: Tensor, titles: Sequence[str]) -> Figure:
    """One attention map `(L, L)`: row = the book that looks, column = the book looked at."""
    fig, ax = style.axes(size=(7.6, 4.2))
    fig.set_layout_engine(None)  # titles of any length keep the map where it is
    fig.subplots_adjust(left=0.4, right=0.97, bottom=0.13, top=0.97)
    image = ax.imshow(weights.numpy(), vmin=0, vmax=1, cmap=style.SEQUENTIAL)
    places = range(len(titles))
    ax.set_xticks(places, [place + 1 for place in places])
    ax.set_yticks(places, [f"{_short(title)}  {place + 1}" for place, title in enumerate(titles)])
    ax.set(xlabel="book looked at (by its number)")
    ax.grid(False)
    fig.colorbar(image, ax=ax, label="weight", shrink=0.8)
    return fig


def masks(maps: Mapping[str, Tensor], padding: int) -> Figure:
    """Attention maps `(L, L)` side by side; a line parts the `padding` first columns from the books."""
    fig, panels = style.axes(1, len(maps), size=(7.6, 3.2))
    for ax, (name, weights) in zip(np.atleast_1d(panels), maps.items(), strict=True):
        # The square root of the weight sets the colour, so that small weights show.
        image = ax.imshow(weights.numpy(), norm=PowerNorm(0.5, 0, 1), cmap=style.SEQUENTIAL)
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


def cost(lengths: Sequence[int], d: int) -> Figure:
    """Multiplications of both kinds of attention against the length, for one head of width `d`."""
    fig, ax = style.axes(size="wide")
    lengths = np.asarray(lengths)
    ax.plot(
        lengths, 2 * lengths**2 * d, color=style.CYCLE[0], marker=style.MARKERS[0], label="softmax attention, 2 L²d"
    )
    ax.plot(lengths, 2 * lengths * d**2, color=style.CYCLE[1], marker=style.MARKERS[1], label="efficient, 2 L d²")
    ax.axvline(d, color=style.NEUTRAL, linestyle="--", linewidth=1)
    ax.text(d * 1.04, 2 * lengths[0] ** 2 * d, "L = d", fontsize=8)
    ax.set(xlabel="length L", ylabel="multiplications", xscale="log", yscale="log")
    ax.legend(fontsize=8)
    return fig


def _short(title: str, most: int = 28) -> str:
    """A title cut to `most` letters from its middle, so that the volume at its end stays."""
    return title if len(title) <= most else f"{title[: most - 13]}…{title[-12:]}"


def lost(changes: Mapping[str, int], hits: int) -> Figure:
    """Bars: how many of `hits` readers with a hit are lost under each change (negative: gained)."""
    fig, ax = style.axes(size="wide")
    ax.barh(list(changes), list(changes.values()), color=style.PREDICTION)
    ax.axvline(0, color=style.INK, linewidth=0.8)
    ax.set(xlabel=f"hits lost, of {hits} with the model as trained")
    ax.invert_yaxis()
    return fig
