"""Train small DCRecs on the bookshop with one condition or both, and record what they reach: data/runs/conditions.csv.

    python tools/conditions.py             # four variants, three seeds, some three minutes on one core

All variants have the same size, batches and number of steps, and are ranked at one denoising step on the validation
readers. The losses are weighted so that a short training learns: the paper's own weights are made for 150 epochs.
"""

from __future__ import annotations

import csv
from pathlib import Path

import torch

from diffrec_lite import models
from diffrec_lite.data import SequenceDataset, load
from diffrec_lite.evaluation import evaluate
from diffrec_lite.training.loop import fit
from diffrec_lite.training.recipe import Recipe

RECORD = Path(__file__).parents[1] / "data" / "runs" / "conditions.csv"
VARIANTS = {
    "both": {},
    "implicit only": {"explicit": False},
    "explicit only": {"implicit": False},
    "both, plain LN": {"cond_ln": False},
}
SETTINGS = {"d": 32, "blocks": 2, "heads": 2, "T": 16, "max_len": 20, "item_dropout": 0.2}
LOSSES = {"prior": 0.01, "denoising": 0.1, "ranking": 10.0, "lambda_schedule": "fix"}
RECIPE = Recipe(epochs=3, batch_size=128, lr=3e-3, optimizer="adam")


def reached(dataset: SequenceDataset, seed: int, **variant: bool) -> float:
    """HR@5 of one trained model. The same seed gives the same batches and noise to every variant."""
    torch.manual_seed(seed)
    model = models.build("dcrec", dataset.num_items, **SETTINGS, **LOSSES, **variant)
    list(fit(model, dataset, RECIPE, seed=seed))
    return evaluate(model, dataset, "val", steps=1).metrics["HR@5"]


if __name__ == "__main__":
    torch.set_num_threads(1)
    bookshop = load("bookshop")
    rows = []
    for seed in range(3):
        for name, variant in VARIANTS.items():
            rows.append((name, seed, "HR@5", f"{reached(bookshop, seed, **variant):.4f}"))
            print(*rows[-1], flush=True)
    RECORD.parent.mkdir(parents=True, exist_ok=True)
    with RECORD.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([("variant", "seed", "metric", "value"), *rows])
