"""The figures of notebook 00: the split, popularity, and how far each model is from the ceiling."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from diffrec_lite.data import SequenceDataset
from diffrec_lite.evaluation import Evaluation
from diffrec_lite.widgets import style


def split(lengths: Sequence[int]) -> Figure:
    """One row of boxes a reader, one box a book: what trains, what validates and what tests."""
    fig, ax = style.axes(size=(7.6, 0.62 * len(lengths) + 0.9))
    colours = {"train": style.HISTORY, "val": style.HIGHLIGHT, "test": style.TARGET}
    for row, n in enumerate(lengths):
        parts = ["train"] * (n - 2) + ["val", "test"] if n >= 3 else ["train"] * n
        for place, part in enumerate(parts):
            ax.add_patch(Rectangle((place, -row), 0.9, 0.7, color=colours[part]))
            ax.text(
                place + 0.45,
                0.35 - row,
                part,
                color=style.INK if part == "val" else "white",
                ha="center",
                va="center",
                fontsize=8.5,
            )
    ax.set(xlim=(-0.1, max(lengths) + 0.1), ylim=(0.8 - len(lengths), 0.9), xlabel="place on the shelf")
    ax.set_yticks([0.35 - row for row in range(len(lengths))], [f"{n} books" for n in lengths])
    ax.set_xticks([p + 0.45 for p in range(max(lengths))], [str(p + 1) for p in range(max(lengths))])
    ax.grid(False)
    ax.spines[["left", "bottom"]].set_visible(False)
    ax.tick_params(length=0)
    return fig


def popularity(dataset: SequenceDataset) -> Figure:
    """How often each book was read in the training part, the most read first."""
    counts = torch.bincount(dataset.train_items(), minlength=dataset.num_items + 1)[1:].numpy()
    order = (-counts).argsort(kind="stable")
    fig, ax = style.axes(size="wide")
    ax.bar(range(1, len(order) + 1), counts[order], width=1.0, color=style.NEUTRAL)
    top = int(order[0]) + 1
    ax.annotate(
        dataset.title(top),
        (1, int(counts[order[0]])),
        xytext=(18, -4),
        textcoords="offset points",
        arrowprops={"arrowstyle": "-", "color": style.INK},
        va="top",
    )
    ax.set(xlabel="books, the most read first", ylabel="times read (training part)")
    return fig


def ceiling(evaluations: Mapping[str, Evaluation], names: Sequence[str] = ("HR@5", "NDCG@5")) -> Figure:
    """Each model's metrics with 95 % intervals; the last entry is the ceiling, drawn as a line."""
    fig, panels = style.axes(1, len(names), size="pair", sharey=True)
    models = list(evaluations)
    for ax, name in zip(panels, names, strict=True):
        for row, model in enumerate(models):
            value, (low, high) = evaluations[model].metrics[name], evaluations[model].intervals[name]
            last = row == len(models) - 1
            colour = style.TARGET if last else style.PREDICTION if row == len(models) - 2 else style.NEUTRAL
            ax.barh(row, value, color=colour, height=0.62)
            ax.errorbar(value, row, xerr=[[value - low], [high - value]], color=style.INK, capsize=3, linewidth=1.2)
            ax.text(high + 0.008, row, f"{value:.2f}", va="center")
            if last:
                ax.axvline(value, color=colour, linestyle="--", linewidth=1)
        ax.set_yticks(range(len(models)), models)
        ax.set(xlabel=name, xlim=(0, 1.18 * max(e.intervals[name][1] for e in evaluations.values())))
        ax.grid(axis="y", visible=False)
    panels[0].invert_yaxis()
    return fig


def shelf(shelf: Mapping[str, Any], answer: str = "shown", most: int = 7) -> Figure:
    """A column with a reader's last `most` books and the next one, and a column for each model with its best books.

    `shelf` is one entry of `explorer.shelves`. With `answer` "hidden" the next book stays covered.
    """
    columns, shown = 1 + len(shelf["models"]), answer == "shown"
    history, total = shelf["history"][-most:], len(shelf["history"])
    fig, ax = style.axes(size=(1.72 * columns, 0.55 * (len(history) + 3.2)))
    fig.set_layout_engine(None)
    ax.set_position((0, 0, 1, 1))
    ax.set(xlim=(0, columns), ylim=(-len(history) - 2.1, 1.1))
    ax.axis("off")
    read = f"all {total}" if total == len(history) else f"last {len(history)} of {total}"
    _heading(ax, 0, f"Reader {shelf['reader']}", f"{read}, oldest first")
    for row, book in enumerate(history):
        _card(ax, 0, row, book, style.HISTORY)
    _heading(ax, 0, "Next book", "", row=len(history) + 0.7)
    _card(ax, 0, len(history) + 1, shelf["truth"] if shown else {"title": "?"}, style.TARGET, hit=shown)
    for column, model in enumerate(shelf["models"], start=1):
        _heading(ax, column, model["name"], f"next book: rank {model['rank'] if shown else '?'}")
        for row, book in enumerate(model["top"]):
            hit = shown and book["hit"]
            _card(ax, column, row, book, style.TARGET if hit else style.PREDICTION, hit)
    return fig


def _heading(ax: Axes, column: int, text: str, small: str, row: float = -0.65) -> None:
    ax.text(column + 0.02, -row, text, weight="bold", va="center", fontsize=11)
    ax.text(column + 0.02, -row - 0.42, small, va="center", fontsize=8.2)


def _card(ax: Axes, column: int, row: float, book: Mapping[str, str], colour: str, hit: bool = False) -> None:
    face = colour + "26" if hit else "white"
    ax.add_patch(Rectangle((column + 0.02, -row - 0.97), 0.95, 0.9, facecolor=face, edgecolor=colour))
    lines = textwrap.wrap(("✓ " if hit else "") + book["title"], 23)
    ax.text(column + 0.05, -row - 0.52, "\n".join(lines[:3]), va="center", fontsize=8.2, linespacing=1.0)
