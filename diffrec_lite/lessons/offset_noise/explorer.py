"""The explorer of notebook 02: what an offset does to the noise, to its means, and to the rank of the true book."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from diffrec_lite import metrics
from diffrec_lite.data import SequenceDataset
from diffrec_lite.diffusion import offset_noise
from diffrec_lite.lessons.offset_noise import figures
from diffrec_lite.models import DiffuRec
from diffrec_lite.noise import Noise
from diffrec_lite.widgets.explorer import Explorer, choice, explorer, slider

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


def noise_explorer(model: DiffuRec, dataset: SequenceDataset, rows: Sequence[int]) -> Explorer:
    """Choose a form and a strength; the ranks are those of `rows` of the validation split."""
    batch = dataset.val.batch(torch.as_tensor(rows), model.max_len)
    found = {
        (strength, form): state(model, batch.history, batch.target, strength, form)
        for strength in STRENGTHS
        for form in FORMS
    }
    return explorer(
        lambda strength, form: figures.state(found[strength, form]),
        lambda strength, form: readout(found[strength, form], strength, form),
        title="Offset noise, and who notices it",
        alt="Three histograms: all numbers of the noise, the mean of each vector, and the ranks of the true books.",
        strength=slider("Strength", STRENGTHS, start=0.1),
        form=choice("Form", FORMS),
    )
