"""The figures of notebook 07: a batch on its way to the loss, a curve that grows, and the curves of sick runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

import pandas as pd
from IPython.display import DisplayHandle, display
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from diffrec_lite.widgets import style

SIGNALS = ("loss", "val NDCG@10", "gradient norm")
# Where each tensor stands in the picture (column, row), what it is, and where its arrow leads.
PLACES = {
    "history": (0, 2, "the ids that were read", "e"),
    "target": (0, 0, "the id of the next book", "x0"),
    "e": (1, 2, "their vectors", "z"),
    "x0": (1, 0, "its vector", "xt"),
    "xt": (2, 0, "noised to step t", "u"),
    "u": (2, 1, "made small by lambda", "z"),
    "z": (2, 2, "the books, and what\nthey see of the target", "x0_hat"),
    "x0_hat": (3, 2, "the network's guess", "scores"),
    "scores": (3, 1, "one for each book", "loss"),
    "loss": (3, 0, "-log p(target)", None),
}
KNOWN_COLOURS = {"history": style.HISTORY, "e": style.HISTORY, "z": style.HISTORY, "target": style.TARGET}
COLOURS = {
    **KNOWN_COLOURS,
    "x0": style.TARGET,
    "xt": style.NOISE,
    "u": style.NOISE,
    "x0_hat": style.PREDICTION,
    "scores": style.PREDICTION,
    "loss": style.INK,
}


def pipeline(tensors: Mapping[str, Tensor]) -> Figure:
    """The way of a batch from ids to a loss: a box for each tensor of `PLACES`, with the shape that it has."""
    fig, ax = style.axes(size=(7.6, 3.9))
    ax.axis("off")
    width, height = 0.8, 0.62
    for name, (column, row, what, _) in PLACES.items():
        shape = tuple(tensors[name].shape)
        ax.add_patch(
            _box(column - width / 2, row - height / 2, width, height, edgecolor=COLOURS[name], facecolor="white")
        )
        ax.text(
            column, row + 0.17, f"{name}  {shape if shape else 'a number'}", ha="center", va="center", weight="bold"
        )
        ax.text(column, row - 0.11, what, ha="center", va="center", fontsize=8.5)
    for column, row, _, to in PLACES.values():
        if to is not None:
            there = PLACES[to]
            dx, dy = there[0] - column, there[1] - row
            start = (column + dx * width / 2, row + dy * height / 2)
            end = (there[0] - dx * width / 2, there[1] - dy * height / 2)
            ax.annotate(
                "", end, start, arrowprops={"arrowstyle": "-|>", "color": "#555555", "shrinkA": 1, "shrinkB": 1}
            )
    # The table of books is used three times: to read, to noise, and to score.
    ax.text(0.5, 1.0, "both rows come from\none table, E", ha="center", va="center", fontsize=8.5, style="italic")
    ax.text(3.06, 1.5, "times E", ha="left", va="center", fontsize=9)
    ax.set(xlim=(-0.45, 3.45), ylim=(-0.4, 2.4))
    return fig


def _box(x: float, y: float, width: float, height: float, **look: Any) -> Any:
    from matplotlib.patches import FancyBboxPatch

    return FancyBboxPatch((x, y), width, height, boxstyle="round,pad=0,rounding_size=0.06", linewidth=1.6, **look)


def curves(
    rows: Sequence[Mapping[str, float]],
    epochs: int,
    guides: Mapping[str, tuple[float, str]],
    ranges: Mapping[str, tuple],
) -> Figure:
    """Loss and NDCG@10 of the epochs so far, on axes that stay the same until epoch `epochs`.

    `guides` draws one dotted line in a panel, `(value, text)` by signal; `ranges` gives each panel its range.
    """
    fig, panels = style.axes(1, 2, size="wide")
    for ax, signal, colour in zip(panels, SIGNALS[:2], (style.HISTORY, style.PREDICTION), strict=True):
        ax.plot([row["epoch"] for row in rows], [row[signal] for row in rows], "o-", color=colour)
        value, text = guides[signal]
        ax.axhline(value, color=style.NEUTRAL, linestyle=":")
        ax.text(0.6, value, text, va="bottom", fontsize=8.5)
        ax.set(xlim=(0.5, epochs + 0.5), xticks=range(1, epochs + 1), ylim=ranges[signal], xlabel="epoch")
        ax.set_title("training loss" if signal == "loss" else "validation readers, NDCG@10")
    return fig


class Growing:
    """A picture in the notebook that is drawn anew with every epoch: `growing.add(row)`.

    The picture and its description are shown at once; `add` only changes the picture.
    """

    def __init__(
        self, epochs: int, guides: Mapping[str, tuple[float, str]], ranges: Mapping[str, tuple], alt: str
    ) -> None:
        self.rows: list[Mapping[str, float]] = []
        self.options = (epochs, guides, ranges)
        self.alt = alt
        self.handle = DisplayHandle()
        self.handle.display(self._picture())
        display(style.Caption(alt))

    def _picture(self) -> style.Picture:
        return style.Picture(style.png(curves(self.rows, *self.options)), self.alt)

    def add(self, row: Mapping[str, float]) -> None:
        """Take the row of one more epoch, as `fit` yields it."""
        self.rows.append(row)
        self.handle.update(self._picture())


def of_variant(runs: pd.DataFrame, variant: str) -> pd.DataFrame:
    """The curves of one variant by epoch, the mean over its seeds. Raises ValueError for a variant nobody recorded."""
    found = runs[runs.variant == variant]
    if found.empty:
        raise ValueError(f"there is no run {variant!r}; choose one of {', '.join(map(repr, runs.variant.unique()))}")
    return found.groupby("epoch")[list(SIGNALS)].mean()


def signs(runs: pd.DataFrame, variants: Sequence[str]) -> pd.DataFrame:
    """What the curves of each variant say in numbers: first and last loss, best and last NDCG@10, last norm."""
    rows = {}
    for variant in variants:
        curve = of_variant(runs[runs.seed == 0], variant)
        ndcg = curve["val NDCG@10"]
        rows[variant] = {
            "loss, first epoch": curve.loss.iloc[0],
            "loss, last": curve.loss.iloc[-1],
            "NDCG@10, best": ndcg.max(),
            "in epoch": int(ndcg.idxmax()),
            "NDCG@10, last": ndcg.iloc[-1],
            "gradient norm, last": curve["gradient norm"].iloc[-1],
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("run")


def one_run(view: Mapping[str, Any]) -> Figure:
    """One state of the explorer (`explorer.view`): three panels with a run's curves, the healthy run behind them."""
    fig, panels = style.axes(1, 3, size=(7.6, 2.9))
    for ax, panel in zip(panels, view["panels"], strict=True):
        _panel(ax, panel, view["last"])
    fig.suptitle(f"{view['label']}; dashed: the healthy run", fontsize=10.5)
    return fig


def _panel(ax: Axes, panel: Mapping[str, Any], last: int) -> None:
    epochs = range(1, len(panel["run"]) + 1)
    ax.plot(epochs, panel["run"], color=style.TARGET, linewidth=2.4)
    ax.plot(epochs, panel["healthy"], "--", color=style.INK, linewidth=1.2)
    if panel.get("guide"):
        ax.axhline(panel["guide"]["value"], color=style.INK, linestyle=":", linewidth=1)
        side = "top" if panel["guide"]["below"] else "bottom"
        ax.text(last, panel["guide"]["value"], panel["guide"]["text"], ha="right", va=side, fontsize=8)
    ax.set(xlim=(0.5, last + 0.5), ylim=panel["range"], xlabel="epoch", yscale=panel["scale"])
    ax.set_title(panel["name"], fontsize=9.5)
    if panel["scale"] == "log":
        ax.set_yticks(panel["ticks"], labels=[f"{tick:g}" for tick in panel["ticks"]])
        ax.minorticks_off()


def final_scores(runs: pd.DataFrame, variants: Sequence[str]) -> Figure:
    """NDCG@10 of the last epoch, a dot for each seed and a bar for their mean, one line a variant."""
    fig, ax = style.axes(size="wide")
    last = runs[runs.epoch == runs.epoch.max()]
    for y, variant in enumerate(variants):
        values = last[last.variant == variant]["val NDCG@10"]
        ax.plot(values, [y] * len(values), "o", color=style.PREDICTION, alpha=0.7)
        ax.plot([values.mean()] * 2, [y - 0.3, y + 0.3], color=style.INK)
    ax.set_yticks(range(len(variants)), labels=list(variants))
    ax.set(ylim=(len(variants) - 0.5, -0.5), xlabel="NDCG@10 of the validation readers after the last epoch")
    return fig


def ward(runs: pd.DataFrame, variants: Sequence[str], guides: Mapping[str, tuple[float, str]]) -> Figure:
    """A column for each run, a row for each of the three curves, on the same axes; the healthy run dashed behind."""
    fig, grid = style.axes(3, len(variants), size=(7.6, 4.9), sharex=True, sharey="row")
    behind = of_variant(runs[runs.seed == 0], "healthy")
    for column, variant in enumerate(variants):
        curve = of_variant(runs[runs.seed == 0], variant)
        for ax, signal in zip(grid[:, column], SIGNALS, strict=True):
            ax.plot(behind[signal], "--", color=style.NEUTRAL, linewidth=1.2)
            ax.plot(curve[signal], color=style.HISTORY if variant == "healthy" else style.TARGET)
            if signal in guides:
                ax.axhline(guides[signal][0], color=style.INK, linestyle=":", linewidth=1)
        grid[0, column].set_title(fill(variant, 14), fontsize=8.5)
        grid[2, column].set_xticks([1, 8, 16])
    for ax, name in zip(grid[:, 0], ("training loss", "NDCG@10", "gradient norm"), strict=True):
        ax.set_ylabel(name)
    grid[1, 0].set_ylim(0, 0.42)
    grid[2, 0].set(yscale="log", ylim=(0.1, 10), yticks=[0.1, 1, 10], yticklabels=["0.1", "1", "10"])
    grid[2, len(variants) // 2].set_xlabel("epoch")
    return fig
