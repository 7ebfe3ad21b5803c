"""What a model whose noised target is loud has learnt to read: data/runs/loud_target.csv.

    python experiments/loud_target.py       # one run, some two minutes on an idle core

The patient "target loud in x_t" of `sick_runs.py`, trained again. After each epoch all validation readers are asked,
without dropout and at once: `x_t` says whether the network is given the true next book, noised to a step drawn as in
training, or pure noise at t = T, as in use; `history` whether it is given the reader's own or that of the next reader
in the list. `HR@5` and `loss` (cross-entropy) are those of the true next book.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from sick_runs import PATIENTS, beginning
from torch.nn import functional as F

from diffrec_lite.data import Batch, load
from diffrec_lite.diffusion import offset_noise
from diffrec_lite.metrics import ranks
from diffrec_lite.models import DiffuRecSys
from diffrec_lite.noise import Noise
from diffrec_lite.training.loop import fit

RECORD = Path(__file__).parents[1] / "data" / "runs" / "loud_target.csv"
PATIENT = "target loud in x_t"


@torch.inference_mode()
def asked(model: DiffuRecSys, batch: Batch) -> Iterator[dict[str, Any]]:
    """What the model answers under each of the four conditions, a row each."""
    noise = Noise(0, batch.users)
    x0 = model.item_embedding(batch.target)
    at_T = torch.full_like(batch.target, model.diffusion.T)
    t = noise.integers(1, model.diffusion.T)
    eps = offset_noise(noise(x0), model.settings.offset_mean)
    given = {"true": (model.diffusion.q_sample(x0, t, eps), t), "noise": (noise(x0, model.diffusion.T), at_T)}
    for x_t, (xt, step) in given.items():
        for whose, history in {"own": batch.history, "another's": batch.history.roll(1, 0)}.items():
            z = model.fuse(model.embed(history), xt, step, history != 0, noise)
            scores = model.rounding(model.approximate(z, history != 0), history)
            hits = (ranks(scores, batch.target) <= 5).float().mean()
            loss = F.cross_entropy(scores, batch.target)
            yield {"x_t": x_t, "history": whose, "HR@5": round(float(hits), 4), "loss": round(float(loss), 4)}


def main() -> None:
    argparse.ArgumentParser(description=__doc__.split("\n")[0]).parse_args()
    torch.set_num_threads(1)
    dataset = load("bookshop")
    model, recipe = beginning(dataset, PATIENT, PATIENTS[PATIENT], seed=0)
    everybody = dataset.val.batch(range(len(dataset.val)), model.max_len)
    rows = []
    for row in fit(model, dataset, recipe, seed=0):
        rows += [{"epoch": row["epoch"], **answer} for answer in asked(model.eval(), everybody)]
        pd.DataFrame(rows).to_csv(RECORD, index=False, lineterminator="\n")
        print(row["epoch"], *(answer["HR@5"] for answer in rows[-4:]), flush=True)


if __name__ == "__main__":
    main()
