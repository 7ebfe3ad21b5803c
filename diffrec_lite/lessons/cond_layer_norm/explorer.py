"""Explorer of notebook 04: what the conditional layer norms of a trained DCRec do at each step, book by book.

`fields` computes everything once, for every step, reader and layer; the widget only picks from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import traitlets
from torch import Tensor

from diffrec_lite.layers import CondLN
from diffrec_lite.lessons.cond_layer_norm import figures
from diffrec_lite.models import DCRec
from diffrec_lite.widgets import style
from diffrec_lite.widgets.explorer import CSS, Board, question, script

SHOWN = 8  # books of a history in the picture


@dataclass(frozen=True)
class Fields:
    """Gain (1 + scale) and shift of one CondLN, `(T, L, d)` each: entry [t - 1, p] belongs to step t, position p.

    `books (L,)` are the items that set them (the condition); the stream holds the item after each, and the target last.
    """

    books: list[int]
    gain: Tensor
    shift: Tensor

    def at(self, t: int) -> tuple[Tensor, Tensor]:
        """Gain and shift `(L, d)` at step t = 1 … T."""
        if not 1 <= t <= len(self.gain):
            raise ValueError(f"the step must lie in 1 … {len(self.gain)}, got {t}")
        return self.gain[t - 1], self.shift[t - 1]

    def strength(self) -> Tensor:
        """How far each position is from a plain layer norm, `(T, L)`: the rms of scale and shift over features."""
        return ((self.gain - 1).square() + self.shift.square()).mean(-1).sqrt()


def cond_layers(model: DCRec) -> dict[str, CondLN]:
    """The conditional layer norms of a DCRec by name, in the order of the forward pass. ValueError if it has none."""
    layers = {f"block {i}": block.norm1 for i, block in enumerate(model.blocks, start=1)}
    layers["final"] = model.norm
    layers = {name: layer for name, layer in layers.items() if isinstance(layer, CondLN)}
    if not layers:
        raise ValueError("this model has no CondLN (cond_ln=False), so there are no fields to show")
    return layers


@torch.inference_mode()
def fields(model: DCRec, books: Sequence[int], layer: str = "block 1") -> Fields:
    """The fields of one layer for a history of items, oldest first, at every step 1 … T. Draws nothing at random."""
    layers = cond_layers(model)
    if layer not in layers:
        raise ValueError(f"no layer {layer!r}; choose one of {', '.join(layers)}")
    model.eval()
    books = [int(book) for book in books][-model.max_len :]
    H0 = model.clean(torch.tensor([books]))
    t = torch.arange(1, model.diffusion.T + 1)
    condition = model.condition(t, H0.expand(len(t), -1, -1))
    shift, scale = layers[layer].fields(condition)
    return Fields(books, 1 + scale, shift)


def shares(values: Tensor) -> dict[str, float]:
    """Where the variance of a field `(T, L, d)` comes from: the step, the book, or only both together. Sums to 1.

    Two-way analysis of variance, summed over the features; each feature's own mean is left out.
    """
    values = values.double()
    mean = values.mean((0, 1))
    step = (values.mean(1) - mean).square().mean(0).sum()
    book = (values.mean(0) - mean).square().mean(0).sum()
    total = (values - mean).square().mean((0, 1)).sum()
    if total == 0:
        return {"step": 0.0, "book": 0.0, "both": 0.0}
    return {"step": float(step / total), "book": float(book / total), "both": float((total - step - book) / total)}


CHANNELS = ("the step", "the book beside", "cross-attention", "delta H_0")


@contextmanager
def silenced(model: DCRec, channel: str) -> Iterator[DCRec]:
    """`model` with one of its channels cut for as long as the context lasts; nothing is trained again.

    - "the step": d_t is that of T / 2 at every step.
    - "the book beside": CondLN is told the mean book of the catalogue at every position, and which position it is.
    - "cross-attention": every cross-attention adds nothing.
    - "delta H_0": the reverse process starts from pure noise.

    Raises ValueError for another channel.
    """
    if channel not in CHANNELS:
        raise ValueError(f"no channel {channel!r}; choose one of {', '.join(CHANNELS)}")
    condition, settings, hooks = model.condition, model.settings, []
    if channel == "the step":
        model.condition = lambda t, H0: condition(torch.full_like(t, model.diffusion.T // 2), H0)
    elif channel == "the book beside":
        mean_book = (model.item_vectors()[1:] / settings.signal).mean(0)
        place = model.positions if settings.positions == "after" else torch.zeros_like
        model.condition = lambda t, H0: condition(t, mean_book.expand_as(H0) + place(H0))
    elif channel == "cross-attention":
        hooks = [
            block.cross_attention.out.register_forward_hook(lambda layer, given, output: torch.zeros_like(output))
            for block in model.blocks
        ]
    else:
        model.settings = replace(settings, delta=0.0)
    try:
        yield model
    finally:
        model.__dict__.pop("condition", None)
        model.settings = settings
        for hook in hooks:
            hook.remove()


def asked(several: Sequence[Fields], genres: Sequence[str], step: int) -> dict[str, Any]:
    """The question before the explorer: what two books share whose dials are nearly the same at a step.

    Every position of every history is compared with the one of another book whose gain and shift are nearest.
    `genres[i]` is that of item i.
    """
    dials = torch.cat([torch.cat(one.at(step), dim=1) for one in several])
    books = torch.tensor([book for one in several for book in one.books])
    places = torch.tensor([place for one in several for place in range(len(one.books))])
    kinds = torch.tensor([sorted(set(genres)).index(genres[book]) for book in books.tolist()])
    apart = torch.cdist(dials, dials).masked_fill(books[:, None] == books, torch.inf)
    nearest, other = apart.argmin(1), apart.isfinite()
    genre = float((kinds[nearest] == kinds).double().mean())
    place = float((places[nearest] == places).double().mean())
    chance = float((kinds[:, None] == kinds)[other].double().mean())
    options = ["the genre", "the place in the history", "neither"]
    return question(
        "Two rows of these maps look alike. What do their books share, as a rule?",
        options,
        2 if max(genre, place) < 0.5 else int(place > genre),
        f"For {100 * genre:.0f} % of the {len(books)} positions of these readers, the most similar position is that of "
        f"a book of the same genre (by chance: {100 * chance:.0f} %); for {100 * place:.0f} % it has the same place.",
    )


class FieldMaps(Board):
    """Pickers for the reader, the layer, the step and a feature; gain and shift as strips, and as numbers.

    `state` holds the index of each picker's value.
    """

    _esm = script(Path(__file__).with_suffix(".js"))
    _css = CSS + Path(__file__).with_suffix(".css").read_text(encoding="utf-8")

    alt = traitlets.Unicode(
        "Two heat maps, gain and shift: a row for each book of the history, a column for each feature."
    ).tag(sync=True)
    state = traitlets.List([0, 0, 0, 0]).tag(sync=True)

    def shown(self) -> dict[str, Any]:
        """What the maps show now: gain and shift in hundredths, and the readout."""
        return self.data["states"]["/".join(map(str, self.state[:3]))]

    def picture(self) -> bytes:
        reader, layer, _, _ = self.state
        now, titles = self.shown(), [book["title"] for book in self.data["books"][reader]]
        gain, shift = (torch.tensor(now[name]) / 100 for name in ("gain", "shift"))
        return style.small_png(figures.field_maps(gain, shift, titles, self.data["reach"][layer]))

    def shows(self) -> str:
        reader, layer, step, _ = self.state
        names = self.data["readers"][reader], self.data["layers"][layer], self.data["steps"][step]
        return "{}, {}, step {}".format(*names)


def fields_explorer(
    model: DCRec, readers: Mapping[str, Sequence[int]], titles: Sequence[str], genres: Sequence[str]
) -> FieldMaps:
    """Pick a reader, a layer, a step and a feature; see the gain and shift that each book of the history sets.

    `readers` maps a label to a history, oldest first; the last eight books are shown. `titles[i]` and `genres[i]` are
    those of item i.
    """
    names = list(cond_layers(model))
    names = [names[0], names[-1]]
    T = model.diffusion.T
    steps = sorted({max(1, round(T * share)) for share in (0, 0.25, 0.5, 0.75, 1)})
    made = [[fields(model, books, layer) for layer in names] for books in readers.values()]
    states = {
        f"{r}/{k}/{s}": {
            "gain": _hundredths(one.at(step)[0]),
            "shift": _hundredths(one.at(step)[1]),
            "strongest": int(one.strength()[step - 1, -SHOWN:].argmax()),
            "text": describe(one, step, titles),
        }
        for r, layers in enumerate(made)
        for k, one in enumerate(layers)
        for s, step in enumerate(steps)
    }
    kinds = sorted(set(genres[1:]))
    data = {
        "readers": list(readers),
        "layers": names,
        "steps": steps,
        "features": made[0][0].gain.shape[-1],
        "books": [
            [
                {"title": titles[i], "genre": genres[i], "tint": _tint(kinds.index(genres[i]))}
                for i in one.books[-SHOWN:]
            ]
            for one, _ in made
        ],
        "reach": [round(_reach([layers[k] for layers in made]), 2) for k in range(len(names))],
        "palette": figures.PALETTE,
        "states": states,
    }
    middle = len(steps) // 2
    asks = asked([layers[0] for layers in made], genres, steps[middle])
    return FieldMaps(data=data, ask=asks, state=[0, 0, middle, 0])


def _tint(kind: int) -> str:
    return style.GENRES[kind % len(style.GENRES)]


def _hundredths(values: Tensor) -> list[list[int]]:
    """The last books' numbers `(L, d)` in hundredths: half as long on their way to the page."""
    return (100 * values[-SHOWN:]).round().int().tolist()


def describe(shown: Fields, step: int, titles: Sequence[str]) -> str:
    """One state of the explorer in words: the book that changes its position most, and the one that does so least."""
    strength = shown.strength()[step - 1, -SHOWN:]
    books = shown.books[-SHOWN:]
    most, least = int(strength.argmax()), int(strength.argmin())
    return (
        f"Step {step}. Strongest: {titles[books[most]]} ({strength[most]:.2f}); "
        f"weakest: {titles[books[least]]} ({strength[least]:.2f})."
    )


def _reach(several: Sequence[Fields]) -> float:
    """One end of the colour scale for all pictures of a layer: 98 of 100 numbers lie within it."""
    away = torch.cat([torch.cat([(one.gain - 1).flatten(), one.shift.flatten()]) for one in several]).abs()
    return max(float(away[:: max(1, len(away) // 100_000)].quantile(0.98)), 0.05)
