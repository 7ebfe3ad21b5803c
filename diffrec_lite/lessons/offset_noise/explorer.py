"""The explorer of notebook 02: what an offset does to the noise, to its means, and to the rank of the true book."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import traitlets
from torch import Tensor

from diffrec_lite import metrics
from diffrec_lite.data import SequenceDataset
from diffrec_lite.diffusion import offset_noise
from diffrec_lite.lessons.offset_noise import figures
from diffrec_lite.models import DiffuRec
from diffrec_lite.noise import Noise
from diffrec_lite.widgets import style
from diffrec_lite.widgets.explorer import Board, question, script

STRENGTHS = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
FORMS = ("mean shift", "per sample")


def shifted(noise: Tensor, draw: Tensor, strength: float, form: str) -> Tensor:
    """`noise (B, d)` with an offset of this strength in this form; `draw (B,)` serves the per-sample form."""
    if form == "mean shift":
        return offset_noise(noise, mean=strength)
    return offset_noise(noise, strength=strength, draw=draw)


def clouds(strength: float, form: str, samples: int = 600, d: int = 64) -> dict[str, Tensor]:
    """Noise of `samples` vectors, the same numbers each time: "noise" `(B, d)` and "means" `(B,)`, one a vector."""
    noise, draw = drawn(2, torch.empty(samples, d))
    found = shifted(noise, draw, strength, form)
    return {"noise": found, "means": found.mean(1)}


def drawn(seed: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Standard normal numbers `(B, d)`, shaped like `like`, and one more for each vector, `(B,)`."""
    source = Noise(seed, range(len(like)))
    return source(like), source(like[:, :1], stream=1)[:, 0]


@torch.inference_mode()
def ranks(
    model: DiffuRec, history: Tensor, target: Tensor, strength: float, form: str, t: int = 1
) -> dict[str, Tensor]:
    """Ranks `(B,)` of the true next books after noising them to step `t`.

    - "rounding": x_t itself is rounded: its inner product with every item vector, and nothing of the history.
    - "model": the network reads x_t and the history and predicts x_0, which is rounded.
    """
    valid, items = history != 0, model.item_vectors()
    x0, e = items[target], model.embed(history)
    eps = shifted(*drawn(3, x0), strength, form)
    xt = model.diffusion.q_sample(x0, t, eps)
    z = model.fuse(e, xt, torch.full((len(xt),), t), valid, Noise(0, range(len(xt))), t)
    return {
        "rounding": metrics.ranks(xt @ items.T, target),
        "model": metrics.ranks(model.rounding(model.approximate(z, valid), history), target),
    }


def state(model: DiffuRec, history: Tensor, target: Tensor, strength: float, form: str) -> dict[str, Any]:
    """All that one state of the explorer shows."""
    return {**clouds(strength, form), **ranks(model, history, target, strength, form)}


def readout(data: dict[str, Any], strength: float, form: str) -> str:
    """The state in words."""
    means = data["means"]
    first = {who: int((data[who] == 1).sum()) for who in ("model", "rounding")}
    return (
        f"{form}, strength {strength:g}: the means of the vectors have centre {float(means.mean()):+.2f} and spread "
        f"{float(means.std()):.2f}.\nThe true book is on rank 1 for {first['rounding']} of {len(data['model'])} "
        f"readers by rounding x_t alone, for {first['model']} by the model."
    )


def asked(model: DiffuRec, history: Tensor, target: Tensor) -> dict[str, Any]:
    """The question before the explorer: whose ranks a mean shift of the largest strength moves.

    Ranks move when more than one reader in twenty has the true book on rank 1 without the shift and not with it, or
    the other way round.
    """
    plain, moved = (ranks(model, history, target, strength, FORMS[0]) for strength in (0.0, STRENGTHS[-1]))
    first = {who: [int((found[who] == 1).sum()) for found in (plain, moved)] for who in plain}
    changed = tuple(20 * abs(before - after) > len(target) for before, after in first.values())
    answers = {"those of x_t alone": (True, False), "those of the model": (False, True), "both": (True, True)}
    answers["neither"] = (False, False)
    return question(
        f"Below, the true books of {len(target)} readers are ranked, by x_t alone and by a trained model. Shift the "
        f"noise by {STRENGTHS[-1]:g}. Whose ranks move?",
        list(answers),
        list(answers.values()).index(changed),
        f"By x_t alone {first['rounding'][0]} books stand on rank 1 without the shift and {first['rounding'][1]} with "
        f"it, by the model {first['model'][0]} and {first['model'][1]}. Section 3 asks why.",
    )


class NoiseBoard(Board):
    """A slider for the strength, a picker for the form; the noise, its means, the ranks, and the equation in numbers.

    `state` holds the index of the strength and of the form.
    """

    _esm = script(Path(__file__).with_suffix(".js"))

    alt = traitlets.Unicode(
        "Two histograms, all numbers of the noise and the mean of each vector, and the ranks of the true books."
    ).tag(sync=True)
    state = traitlets.List([0, 0]).tag(sync=True)

    def __init__(self, found: dict[tuple[float, str], dict[str, Any]], **traits: Any) -> None:
        self.found = found
        super().__init__(**traits)

    def picture(self) -> bytes:
        strength, form = self.state
        return style.small_png(figures.state(self.found[STRENGTHS[strength], FORMS[form]]))

    def shows(self) -> str:
        strength, form = self.state
        return f"{FORMS[form]}, strength {STRENGTHS[strength]:g}; on the right, t = 1"


def shown(data: dict[str, Any], strength: float, form: str) -> dict[str, Any]:
    """One state as the page draws it: the bars of each panel, and the readout."""
    return {
        "noise": figures.densities(data["noise"], figures.NOISE_BINS),
        "means": figures.densities(data["means"], figures.MEAN_BINS),
        "rounding": figures.rank_counts(data["rounding"]),
        "model": figures.rank_counts(data["model"]),
        "text": readout(data, strength, form),
    }


def noise_explorer(model: DiffuRec, dataset: SequenceDataset, rows: Sequence[int]) -> NoiseBoard:
    """Choose a form and a strength; the ranks are those of `rows` of the validation split."""
    batch = dataset.val.batch(torch.as_tensor(rows), model.max_len)
    found = {
        (strength, form): state(model, batch.history, batch.target, strength, form)
        for strength in STRENGTHS
        for form in FORMS
    }
    eps, zeta = drawn(2, torch.empty(600, 64))  # the noise of `clouds`; the equation shows two of its vectors
    data = {
        "strengths": STRENGTHS,
        "forms": FORMS,
        "states": [[shown(found[strength, form], strength, form) for form in FORMS] for strength in STRENGTHS],
        "groups": figures.rank_groups(),
        "readers": len(batch.target),
        "eps": [round(float(number), 2) for number in eps[:2, 0]],
        "zeta": [round(float(number), 2) for number in zeta[:2]],
        "colours": {"noise": style.NOISE, "prediction": style.PREDICTION, "ink": style.INK, "neutral": style.NEUTRAL},
    }
    asks = asked(model, batch.history, batch.target)
    return NoiseBoard(found, data=data, ask=asks, state=[STRENGTHS.index(0.1), 0])
