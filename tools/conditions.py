"""Train small DCRecs on the bookshop with one condition or both, and rank them at several numbers of denoising steps.

    python tools/conditions.py        # data/runs/conditions.csv: five variants, three seeds, some ten minutes

The base, "both", is the repaired DCRec of the `quick` preset, trained for six epochs. Every other variant differs from
it in the settings named here and in nothing else: same size, same batches, same noise. All are ranked on every
validation reader, at one denoising step and at four, so that a difference between two variants can be told from a
difference in how they stand the sampler. Models that the file holds are not trained again. DCRec as printed, with the
same size and epochs, is in data/runs/dcrec_repairs.csv.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from diffrec_lite import models
from diffrec_lite.data import SequenceDataset, load
from diffrec_lite.evaluation import evaluate
from diffrec_lite.training.loop import fit
from diffrec_lite.training.recipe import Recipe, settings

RECORD = Path(__file__).parents[1] / "data" / "runs" / "conditions.csv"
MODEL, TRAINING = settings("dcrec", "quick", ["epochs=6"])
SEEDS = range(3)
STEPS = (1, 4)
VARIANTS: dict[str, dict[str, Any]] = {
    "both": {},
    "explicit only": {"implicit": False},
    "implicit only": {"explicit": False},
    # The noise of training and the start of sampling are shifted by H_0, so that the history can be read at t = T.
    "implicit only, legible": {"explicit": False, "delta_in_training": True, "delta": 1.0},
    "both, plain LN": {"cond_ln": False},
}


def reached(dataset: SequenceDataset, seed: int, changed: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Train one model and rank it: a row for each number of steps."""
    torch.manual_seed(seed)
    model = models.build("dcrec", dataset.num_items, **{**MODEL, **changed})
    list(fit(model, dataset, Recipe(**TRAINING, val_users=100), seed=seed))
    for n in STEPS:
        found = evaluate(model, dataset, "val", steps=n)
        low, high = found.intervals["HR@5"]
        yield {"steps": n, "HR@5": round(found.metrics["HR@5"], 4), "low": round(low, 4), "high": round(high, 4)}


def main() -> None:
    torch.set_num_threads(1)
    dataset = load("bookshop")
    rows = pd.read_csv(RECORD).to_dict("records") if RECORD.exists() else []
    held = {(row["variant"], row["seed"]) for row in rows}
    for seed in SEEDS:
        for variant, changed in VARIANTS.items():
            if (variant, seed) in held:
                continue
            rows += [{"variant": variant, "seed": seed, **row} for row in reached(dataset, seed, changed)]
            pd.DataFrame(rows).to_csv(RECORD, index=False, lineterminator="\n")
            print(variant, seed, *(row["HR@5"] for row in rows[-len(STEPS) :]), flush=True)


if __name__ == "__main__":
    main()
