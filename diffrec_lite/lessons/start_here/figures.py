"""The figures of notebook 00: the split, popularity, how far each model is from the ceiling, a map of both models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from diffrec_lite.data import SequenceDataset
from diffrec_lite.evaluation import Evaluation
from diffrec_lite.models import DiffusionRecommender
from diffrec_lite.widgets import style, workflow

# What each part of DiffuRecSys and DCRec is for, by its name or its kind, and the notebooks that explain it.
PARTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "history": ("What the reader has read, oldest first: numbers of books.", ("07_training",)),
    "item_embedding": ("Every book becomes a vector.", ("01_forward_noising",)),
    "item_norm": ("All vectors get the same length.", ("01_forward_noising", "08_dcrec")),
    "positions": ("How long ago each book was read.", ("03_cross_attention", "08_dcrec")),
    "x_T": (
        "Noise, where the next book is asked for; in DCRec at all L places, with a trace of the history.",
        ("01_forward_noising", "02_offset_noise"),
    ),
    "step_embedding": ("How noisy it is: the step t, as a vector.", ("04_cond_layer_norm",)),
    "cross_attention": ("The history and the noised target meet.", ("03_cross_attention",)),
    "TransformerBlock": (
        "Every book looks at every other; of the last block only the last place is worked out.",
        ("03_cross_attention", "07_training"),
    ),
    "DCDTBlock": (
        "The noised stream is told step and history, and looks up the clean history.",
        ("08_dcrec", "03_cross_attention"),
    ),
    "CondLN": ("Step and history set a scale and a shift.", ("04_cond_layer_norm",)),
    "LayerNorm": ("The last place is the answer, at a common scale.", ("04_cond_layer_norm",)),
    "x0_hat": ("The guess of the next book's vector; noised and made again at each step.", ("05_step_skipping",)),
    "seen_bias": ("A learned number for what was read already; here it takes those books out.", ("08_dcrec",)),
    "scores": ("One number for each book; sorted, they are the answer.", ("06_metrics", "09_comparison")),
    "loss": ("Only in training: how far the answer was from the true next book.", ("07_training", "08_dcrec")),
}


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
        right = 1.18 * max(e.intervals[name][1] for e in evaluations.values())
        for row, model in enumerate(models):
            value, (low, high) = evaluations[model].metrics[name], evaluations[model].intervals[name]
            last = row == len(models) - 1
            colour = style.TARGET if last else style.PREDICTION if row == len(models) - 2 else style.NEUTRAL
            ax.barh(row, value, color=colour, height=0.62)
            ax.errorbar(value, row, xerr=[[value - low], [high - value]], color=style.INK, capsize=3, linewidth=1.2)
            ax.text(right, row, f"{value:.2f}", va="center", ha="right")
            if last:
                ax.axvline(value, color=colour, linestyle="--", linewidth=1)
        ax.set_yticks(range(len(models)), models)
        ax.set(xlabel=name, xlim=(0, right))
        ax.grid(axis="y", visible=False)
    panels[0].invert_yaxis()
    return fig


def shelf(shelf: Mapping[str, Any]) -> Figure:
    """A column with all books of a reader, oldest first, and one with the candidates for the next book.

    `shelf` is one entry of `explorer.shelves`. The answer is not given away.
    """
    columns = {
        f"Reader {shelf['reader']}: all {len(shelf['history'])} books, oldest first": (shelf["history"], style.HISTORY),
        "Which book comes next?": (shelf["candidates"], style.NEUTRAL),
    }
    most = max(len(books) for books, _ in columns.values())
    fig, axes = style.axes(1, 2, size=(7.6, 0.27 * (most + 1.6)))
    for ax, (heading, (books, colour)) in zip(axes, columns.items(), strict=True):
        ax.axis("off")
        ax.set(xlim=(0, 1), ylim=(most, -1.2))
        ax.text(0, -0.6, heading, weight="bold", va="center")
        ax.plot([0, 0], [0, len(books)], color=colour, lw=3)
        for row, book in enumerate(books):
            ax.text(0.03, row + 0.5, book["title"], va="center", fontsize=9)
    return fig


def course_map(models: Mapping[str, DiffusionRecommender], dataset: SequenceDataset) -> workflow.Map:
    """Both models from book numbers to scores, read off the models at work; each part leads to its notebook."""

    def page(stem: str) -> tuple[str, str]:
        return f"{stem}.ipynb", f"{stem[:2]} {stem[3:].replace('_', ' ')}"

    systems = {name: workflow.stages(model, dataset) for name, model in models.items()}
    return workflow.Map(
        systems, {part: (says, [page(stem) for stem in stems]) for part, (says, stems) in PARTS.items()}
    )
