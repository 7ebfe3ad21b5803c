"""The explorer of notebook 03: who asks and who answers in a trained DiffuRecSys, and with which weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import traitlets
from torch import Tensor

from diffrec_lite.data import SequenceDataset
from diffrec_lite.layers import EfficientAttention, causal_mask, key_mask, row_mask
from diffrec_lite.lessons.cross_attention import figures
from diffrec_lite.models import DiffuRec, DiffuRecSys, Recommender, SASRec
from diffrec_lite.models.diffurec import LAMBDA
from diffrec_lite.noise import Noise
from diffrec_lite.widgets import style
from diffrec_lite.widgets.explorer import CSS, Board, chosen, question, script

PAPER = "cross: books ask, noised target answers (paper)"
PROGRAM = "cross: noised target asks, books answer (program)"
SELF = "self-attention, block {}"


@torch.inference_mode()
def maps(model: Recommender, history: Tensor) -> list[Tensor]:
    """The self-attention maps of a SASRec or a DiffuRec: for each block `(B, h, L, L)`, every row sums to 1.

    A DiffuRec is asked at the last step, t = T, where x_t is noise: what its Transformer sees first when it is used.
    """
    valid = history != 0
    if isinstance(model, SASRec):
        e = model.item_embedding(history)
        x, mask = e + model.positions(e), causal_mask(valid)
    elif isinstance(model, DiffuRec):
        T = model.settings.T
        noise = Noise(0, range(len(history)))
        e = model.embed(history)
        x = model.fuse(e, noise(e[:, -1], T), torch.full((len(e),), T), valid, noise, T)
        mask = row_mask(valid) if model.settings.mask_rows else key_mask(valid)
    else:
        raise TypeError(f"attention maps of a {type(model).__name__} are not drawn; take a SASRec or a DiffuRec")
    found = []
    for block in model.blocks:
        h = block.norm1(x)
        found.append(block.attention.weights(h, h, mask))
        x = block(x, mask)
    return found


def efficient_map(attention: EfficientAttention, x: Tensor, context: Tensor, valid: Tensor) -> Tensor:
    """The weights `(B, h, L, M)` with which efficient attention mixes the values: A in softmax(Q) G = A V.

    G = softmax(K)^T V, so A = softmax(Q) softmax(K)^T. Its rows sum to 1: a map like that of softmax attention, which
    efficient attention never has to write down.
    """
    q, k = attention.split(attention.query(x)), attention.split(attention.key(context))
    return q.softmax(-1) @ k.masked_fill(~valid[:, None, :, None], -torch.inf).softmax(-2).transpose(-1, -2)


@torch.inference_mode()
def cross_maps(model: DiffuRecSys, history: Tensor, delta: float) -> dict[str, tuple[Tensor, Tensor]]:
    """For each direction of the cross-attention its map `(B, h, L, L)` and what it answers `(B, L, d)`, at t = T.

    `delta` is the size of lambda, the numbers that the noised target is multiplied by.
    """
    valid, e = history != 0, model.embed(history)
    u = noised_target(model, e, Noise(0, range(len(history))), delta)
    return {
        name: (efficient_map(model.cross_attention, x, context, valid), model.cross_attention(x, context, valid))
        for name, x, context in ((PAPER, e, u), (PROGRAM, u, e))
    }


def noised_target(model: DiffuRec, e: Tensor, noise: Noise, delta: float) -> Tensor:
    """u_i = lambda_i * (x_T + d_T) `(B, L, d)`: what a reader's books `e (B, L, d)` meet at t = T, where use starts."""
    T = model.settings.T
    x_T, steps = noise(e[:, -1], T), torch.full((len(e),), T)
    return delta * (1 + noise(e, T, LAMBDA)) * (x_T + model.step_embedding(steps))[:, None, :]


def readout(weights: Tensor, asks: Sequence[str]) -> str:
    """What the last book, the one that predicts, looks at: its map row `weights[-1]`, in words."""
    last = weights[-1]
    place = int(last.argmax())
    return (
        f"The last book is {asks[-1]}.\nIt looks most at {asks[place]} ({100 * float(last[place]):.1f} %); "
        f"spread evenly, each of the {len(asks)} would get {100 / len(asks):.1f} %."
    )


def cross_readout(weights: Tensor, answers: Tensor, e: Tensor) -> str:
    """How alike the rows of a cross-attention map `(L, L)` are, and how alike its answers `(L, d)`."""
    rows = float((weights - weights[-1]).abs().max())
    length = float(answers.norm(dim=-1).mean() / e.norm(dim=-1).mean())
    return (
        f"Spread evenly, each of the {len(weights)} places would get {100 / len(weights):.1f} %. "
        f"Two rows differ by {100 * rows:.1f} points at most.\nThe least cosine between two of the answers is "
        f"{float(figures.cosines(answers).min()):.2f}; they are {100 * length:.0f} % as long as a book's vector."
    )


def asked(maps: Sequence[Tensor], times: float) -> dict[str, Any]:
    """The question before the explorer: what a lambda so many `times` as large makes unequal in the paper's direction.

    `maps` are the weights `(L, L)` that the explorer shows there. They count as unequal when they differ by more than
    five points, of the hundred that a row shares out.
    """
    within = 100 * max(float((weights.amax(-1) - weights.amin(-1)).max()) for weights in maps)
    between = 100 * max(float((weights.amax(-2) - weights.amin(-2)).max()) for weights in maps)
    options = {
        "the columns: some places get more": (True, False),
        "the rows: books prefer other places": (False, True),
        "both": (True, True),
        "neither": (False, False),
    }
    return question(
        f"Every book asks, and the noised target answers, once for each place. Make lambda {times:,.0f} "
        "times as large as it is. Which weights become unequal?",
        list(options),
        list(options.values()).index((within > 5, between > 5)),
        f"Within a row the weights then differ by up to {within:.1f} points, between two rows by up to {between:.1f}. "
        "What tells the places apart is noise; who asks hardly counts.",
    )


class AttentionMap(Board):
    """Pickers for the reader, who asks, the head and the size of lambda, and the map as a table.

    `state` holds the index of each picker's value. The page writes the table itself, so it needs no kernel.
    """

    _esm = script(Path(__file__).with_suffix(".js"))
    _css = CSS + Path(__file__).with_suffix(".css").read_text(encoding="utf-8")

    alt = traitlets.Unicode(
        "A square map: a row for each place that asks, a column for each place that answers, weights in per cent."
    ).tag(sync=True)
    state = traitlets.List([0, 0, 0, 0]).tag(sync=True)

    def shown(self) -> dict[str, Any]:
        """What the table shows now: weights, who asks, who answers, and the readout."""
        return self.data["states"]["/".join(map(str, self.state))]

    def picture(self) -> bytes:
        now = self.shown()
        return style.small_png(
            figures.attention(torch.tensor(now["weights"]), now["asks"], now["answers"].partition(",")[0]), dpi=90
        )

    def shows(self) -> str:
        return chosen(self.data["controls"], self.state)


def attention_explorer(
    model: DiffuRecSys,
    dataset: SequenceDataset,
    rows: Sequence[int],
    longest: int = 8,
    deltas: Sequence[float] = (0.001, 0.1, 1.0),
) -> AttentionMap:
    """Choose a reader among `rows` of the test split, who asks, a head, and the size of lambda.

    `longest` books are read at most.
    """
    batch = dataset.test.batch(torch.as_tensor(rows), longest)
    ways = [PAPER, PROGRAM, *(SELF.format(block) for block in range(1, model.settings.blocks + 1))]
    states, largest = {}, []
    for r, history in enumerate(batch.history):
        for k, delta in enumerate(deltas):
            found = _ways(model, history[history != 0][None], dataset, delta)
            largest += [torch.tensor(head["weights"]) for head in found[0]] if delta == max(deltas) else []
            for w, heads in enumerate(found):
                states |= {f"{r}/{w}/{h}/{k}": shown for h, shown in enumerate(heads)}
    choices = {
        "Reader": [dataset.user_tokens[int(user)] for user in batch.users],
        "Attention": ways,
        "Head": [str(head) for head in range(1, model.settings.heads + 1)],
        "Size of lambda": [f"{delta:g}" for delta in deltas],
    }
    controls = [{"label": label, "texts": texts} for label, texts in choices.items()]
    return AttentionMap(
        data={"controls": controls, "states": states}, ask=asked(largest, max(deltas) / model.settings.delta)
    )


@torch.inference_mode()
def _ways(model: DiffuRecSys, books: Tensor, dataset: SequenceDataset, delta: float) -> list[list[dict[str, Any]]]:
    """For each way of attending and each head, what the explorer shows."""
    titles, e = [dataset.title(int(book)) for book in books[0]], model.embed(books)[0]
    copies, plain = (
        [f"the noised target, on book {place}" for place in range(1, len(titles) + 1)],
        [title.partition(" (")[0] for title in titles],
    )
    names = {
        PAPER: (titles, "the noised target, as it is laid on each book"),
        PROGRAM: (copies, "the books, " + ", ".join(f"{place} {title}" for place, title in enumerate(plain, start=1))),
    }
    found = [
        [_shown(head, *names[way], cross_readout(head, answers[0], e)) for head in map_[0]]
        for way, (map_, answers) in cross_maps(model, books, delta).items()
    ]
    kept = model.settings
    model.settings = replace(kept, delta=delta)
    found += [
        [_shown(head, titles, "the books", readout(head, titles)) for head in map_[0]] for map_ in maps(model, books)
    ]
    model.settings = kept
    return found


def _shown(weights: Tensor, asks: Sequence[str], answers: str, text: str) -> dict[str, Any]:
    rounded = (weights.double() * 1e4).round().div(1e4).tolist()
    return {"weights": rounded, "asks": list(asks), "answers": answers, "text": text}
