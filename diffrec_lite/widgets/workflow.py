"""A model drawn from itself: the parts that a history passes through, with their names in the code and their shapes.

Nothing is written down here: the parts report themselves while the model scores a few histories.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from diffrec_lite.data import Batch, SequenceDataset
from diffrec_lite.evaluation import evaluating
from diffrec_lite.models import DCRec, DiffusionRecommender
from diffrec_lite.noise import Noise
from diffrec_lite.widgets import style

READERS = (1, 4, 7)  # their number is no other size of a model, so that B can be told from it
FILLS = {"history": "#DCEBF5", "noise": "#F6E4EE", "network": "#F2F2F2", "prediction": "#DDF1EA", "loss": "#FBE6D8"}


@dataclass(frozen=True)
class Stage:
    """A box: its name in the code, what it is, the shape that comes out, how many numbers it has learned, its role."""

    name: str
    kind: str
    shape: str
    weights: int
    role: str


@contextmanager
def reported(model: nn.Module) -> Iterator[list[tuple[str, nn.Module, Tensor]]]:
    """While the context lasts, each part of `model` that is called is kept with its name and what it returns."""
    calls: list[tuple[str, nn.Module, Tensor]] = []
    parts = [(name, part) for name, part in model.named_children() if not isinstance(part, nn.ModuleList)]
    for name, part in model.named_children():
        if isinstance(part, nn.ModuleList):
            parts += [(f"{name}[{i}]", one) for i, one in enumerate(part)]

    def hook(name: str) -> Any:
        def keep(part: nn.Module, given: Any, returned: Any) -> None:
            if isinstance(returned, Tensor):
                calls.append((name, part, returned))

        return keep

    silent = (nn.Dropout, nn.Identity)
    hooks = [part.register_forward_hook(hook(name)) for name, part in parts if not isinstance(part, silent)]
    try:
        yield calls
    finally:
        for one in hooks:
            one.remove()


def learned(part: nn.Module) -> int:
    """How many numbers a part has learned."""
    return sum(weight.numel() for weight in part.parameters())


@torch.inference_mode()
def stages(model: DiffusionRecommender, dataset: SequenceDataset) -> list[Stage]:
    """What a few histories pass through from ids to scores, in the order of the calls; last, the loss."""
    users = torch.tensor(READERS)
    batch = dataset.val.batch(users, model.max_len)
    T, noise = model.diffusion.T, Noise(0, batch.users)
    letters = _letters(model, batch)
    with evaluating(model), reported(model) as calls:
        x_T, denoise = model.start(batch.history, noise, model.diffusion.steps(1))
        read = len(calls)
        x0_hat = model.target_of(denoise(x_T, T))
        ready = len(calls)
        scores = model.rounding(x0_hat, batch.history)
    roles = ["history"] * read + ["network"] * (ready - read) + ["prediction"] * (len(calls) - ready)
    boxes: dict[str, Stage] = {}
    for (name, part, returned), role in zip(calls, roles, strict=True):
        if name not in boxes:  # a part that is called again stands where it was called first
            boxes[name] = Stage(name, type(part).__name__, letters(returned), learned(part), role)
    found = list(boxes.values())
    last = {role: max((i for i, box in enumerate(found) if box.role == role), default=-1) for role in FILLS}
    found.insert(last["network"] + 1, Stage("x0_hat", "the predicted vector", letters(x0_hat), 0, "prediction"))
    found.insert(last["history"] + 1, Stage("x_T", "noise, where use begins", letters(x_T), 0, "noise"))
    found.insert(0, Stage("history", "item ids", letters(batch.history), 0, "history"))
    found.append(Stage("scores", "of all items", letters(scores), 0, "prediction"))
    weights = vars(model.settings)  # a loss is called like the setting that is its weight
    parts = [name for name in model.loss(batch, noise) if name != "loss" and weights.get(name, 1)]
    found.append(Stage("loss", "in training: " + (" + ".join(parts) or "cross-entropy"), "", 0, "loss"))
    return found


def _letters(model: DiffusionRecommender, batch: Batch) -> Any:
    """A function from a tensor to its shape in letters."""
    names = {len(batch.users): "B", batch.history.shape[1]: "L", model.settings.d: "d", model.num_items + 1: "V"}
    if len(names) < 4:
        raise ValueError("two of the sizes B, L, d and V are the same number; take other readers")
    return lambda x: f"({', '.join(names.get(size, str(size)) for size in x.shape)})"


def workflow(systems: Sequence[list[Stage]], titles: Sequence[str]) -> Figure:
    """Systems side by side, each a column of boxes from ids to scores, in the order in which it calls its parts."""
    most = max(len(system) for system in systems)
    fig, panels = style.axes(1, len(systems), size=(4.6 * len(systems), 0.52 * most + 0.5), squeeze=False)
    for ax, system, title in zip(panels[0], systems, titles, strict=True):
        for y, box in enumerate(system):
            apart = {"linestyle": "--"} if box.role == "loss" else {}
            _box(ax, 0, y, box, **apart)
            if y > 0 and box.role != "loss":
                ax.annotate("", (0.5, y - 0.33), (0.5, y - 0.67), arrowprops={"arrowstyle": "->", "color": style.INK})
        ax.set(xlim=(-0.02, 1.02), ylim=(most - 0.4, -0.6), title=title)
        ax.axis("off")
    return fig


def _box(ax: Any, x: float, y: float, box: Stage, width: float = 1.0, **look: Any) -> None:
    from matplotlib.patches import Rectangle

    ax.add_patch(Rectangle((x, y - 0.33), width, 0.66, facecolor=FILLS[box.role], edgecolor=style.INK, lw=0.8, **look))
    weights = f"{box.weights:,} weight{'s' * (box.weights > 1)}" if box.weights else ""
    ax.text(x + 0.02, y - 0.12, box.name, weight="bold", va="center", fontsize=8.5)
    ax.text(x + 0.02, y + 0.15, box.kind, va="center", fontsize=7.5)
    ax.text(x + width - 0.02, y - 0.12, box.shape, va="center", ha="right", fontsize=8.5)
    ax.text(x + width - 0.02, y + 0.15, weights, va="center", ha="right", fontsize=7.5)


def alt_of_workflow(systems: Sequence[list[Stage]], titles: Sequence[str]) -> str:
    """The figure in words: the boxes of each system in their order."""
    boxes = (", then ".join(box.name for box in system) for system in systems)
    told = ". ".join(f"{title}: {names}" for title, names in zip(titles, boxes, strict=True))
    return f"Boxes from item ids to scores. {told}."


# ---------------------------------------------------------------- the same boxes as a map with links

MAP_STYLE = (Path(__file__).parent / "workflow.css").read_text(encoding="utf-8")


class Map:
    """Systems side by side as lists of boxes, in HTML: each box says what it is for, and where to read on.

    `what[part]` is one sentence about a part, by its name in the code or by its kind, and the pages that explain it, as
    (address, text); the first one is where a click anywhere in the box leads. Without styles it is a list of links.
    Raises KeyError for a part that `what` does not know.
    """

    def __init__(
        self, systems: Mapping[str, list[Stage]], what: Mapping[str, tuple[str, Sequence[tuple[str, str]]]]
    ) -> None:
        self.systems = systems
        self.told = {
            title: [what[box.name] if box.name in what else what[box.kind] for box in boxes]
            for title, boxes in systems.items()
        }

    def __repr__(self) -> str:
        return "Map: " + alt_of_workflow(list(self.systems.values()), list(self.systems))

    def _repr_html_(self) -> str:
        columns = "".join(self._column(title) for title in self.systems)
        fills = "".join(f".drl-map .dm-{role} {{ background: {fill}; }}\n" for role, fill in FILLS.items())
        return f'<div class="drl-map"><style>{MAP_STYLE}{fills}</style><div class="dm-systems">{columns}</div></div>'

    def _column(self, title: str) -> str:
        boxes = zip(self.systems[title], self.told[title], strict=True)
        items = "".join(self._box(box, *told) for box, told in boxes)
        return f'<section><h4>{html.escape(title)}</h4><ol class="dm-boxes">{items}</ol></section>'

    @staticmethod
    def _box(box: Stage, sentence: str, pages: Sequence[tuple[str, str]]) -> str:
        links = "".join(f'<a href="{html.escape(href)}">{html.escape(text)}</a> ' for href, text in pages)
        kind = html.escape(box.kind) + (f", {box.weights:,} weights" if box.weights > 1 else "")
        return (
            f'<li class="dm-{box.role}"><code class="dm-shape">{box.shape}</code> <b>{html.escape(box.name)}</b> '
            f'<small>{kind}</small> <span class="dm-what">{html.escape(sentence)}</span> {links}</li>'
        )


# ---------------------------------------------------------------- one block of the DCDT

SUBLAYERS = (("norm1", "self_attention"), ("norm2", "cross_attention"), ("norm3", "feed_forward"))


@torch.inference_mode()
def updates(model: DCRec, dataset: SequenceDataset, readers: int = 200) -> dict[str, list[float]]:
    """How much each sublayer adds to the target's place in the stream, in units of the stream, block by block.

    One step from pure noise, the first validation readers; root mean squares over readers and features.
    """
    batch = dataset.val.batch(torch.arange(readers), model.max_len)
    seen: dict[nn.Module, Tensor] = {}

    def keep_input(part: nn.Module, given: Any, returned: Any) -> None:
        seen[part] = given[0][:, -1]

    def keep_output(part: nn.Module, given: Any, returned: Any) -> None:
        seen[part] = returned[:, -1]

    hooks = []
    for block in model.blocks:
        for norm, layer in SUBLAYERS:
            hooks.append(getattr(block, norm).register_forward_hook(keep_input))
            hooks.append(_end(getattr(block, layer)).register_forward_hook(keep_output))
    try:
        with evaluating(model):
            model.score(batch.history, users=batch.users, steps=1)
    finally:
        for one in hooks:
            one.remove()

    def rms(x: Tensor) -> float:
        return float(x.double().square().mean().sqrt())

    return {
        layer: [rms(seen[_end(getattr(b, layer))]) / rms(seen[getattr(b, norm)]) for b in model.blocks]
        for norm, layer in SUBLAYERS
    }


def _end(layer: nn.Module) -> nn.Module:
    """The part of a sublayer that returns what is added; attention is called in two halves, and ends in its dropout."""
    return getattr(layer, "dropout", layer)


def dcdt_block(model: DCRec, added: dict[str, list[float]]) -> Figure:
    """Left, one block with its parts by name; right, how much each sublayer adds (`updates`), block by block."""
    block = model.blocks[0]
    fig, (left, right) = style.axes(1, 2, size=(9.2, 4.6), width_ratios=[1.7, 1])

    def stage(name: str, shape: str, role: str) -> Stage:
        part = getattr(block, name)
        return Stage(name, type(part).__name__, shape, learned(part), role)

    beside = {
        "norm1": Stage("condition", "d_t + H_0", "(B, L, d)", 0, "history"),
        "cross_attention": stage("norm_history", "(B, L, d)", "history"),
    }
    y = 0.0
    _box(left, 0, y, Stage("x", "the noised stream", "(B, L, d)", 0, "noise"), width=0.95)
    for norm, layer in SUBLAYERS:
        top = y
        for name in (norm, layer):
            y += 1
            _box(left, 0, y, stage(name, "(B, L, d)", "network"), width=0.95)
            left.annotate("", (0.475, y - 0.33), (0.475, y - 0.67), arrowprops={"arrowstyle": "->", "color": style.INK})
            if name in beside:
                _box(left, 1.12, y, beside[name], width=0.82)
                left.annotate("", (0.95, y), (1.12, y), arrowprops={"arrowstyle": "->", "color": style.HISTORY})
        left.plot([0, -0.1, -0.1, 0], [top, top, y, y], color=style.NEUTRAL, lw=1.2)
        left.text(-0.12, (top + y) / 2, "+", ha="right", va="center", fontsize=11)
    left.set(xlim=(-0.25, 1.96), ylim=(y + 0.5, -0.5), title=f"{type(block).__name__}: sublayers add to the stream")
    left.axis("off")
    height = 0.8 / len(model.blocks)
    for b in range(len(model.blocks)):
        places = [i + (b - (len(model.blocks) - 1) / 2) * height for i in range(len(added))]
        values = [round(of[b], 3) for of in added.values()]  # the digits after these differ between processors
        right.barh(places, values, height, color=style.CYCLE[b % len(style.CYCLE)], label=f"blocks[{b}]")
    right.set_yticks(range(len(added)), labels=list(added))
    right.invert_yaxis()
    right.set(xlabel="added / stream (root mean square)", title="at the target's place, t = T")
    right.legend(fontsize=8)
    return fig


def alt_of_block(added: dict[str, list[float]]) -> str:
    """The figure in words."""
    told = "; ".join(f"{name} {', '.join(f'{value:.2f}' for value in of)}" for name, of in added.items())
    return (
        "Left: a DCDT block. CondLN, told by the step and the clean history, then self-attention; a norm, then "
        "cross-attention to the clean history; a norm, then feed-forward; each adds to the stream. Right: how much each"
        f" adds, as a multiple of the stream, block by block: {told}."
    )
