"""Train small DCRecs on the bookshop with one condition or both, and record what they reach: data/runs/conditions.csv.

    python tools/conditions.py             # four variants, three seeds, some five minutes on one core

All variants have the same size, batches and number of steps. The losses are weighted so that a short training learns:
the paper's own weights are made for 150 epochs.
"""

from __future__ import annotations

import csv
from pathlib import Path

import short_run
import torch

from diffrec_lite import models
from diffrec_lite.data import SequenceDataset, load
from diffrec_lite.metrics import ranks

RECORD = Path(__file__).parents[1] / "data" / "runs" / "conditions.csv"
VARIANTS = {
    "both": {},
    "implicit only": {"explicit": False},
    "explicit only": {"implicit": False},
    "both, plain LN": {"cond_ln": False},
}
SETTINGS = {"d": 32, "blocks": 2, "heads": 2, "T": 16, "sampling_steps": 4, "max_len": 20, "item_dropout": 0.2}
LOSSES = {"prior": 0.01, "denoising": 0.1, "ranking": 10.0, "lambda_schedule": "fix"}
BATCHES, BATCH_SIZE, LR = 400, 128, 3e-3


def train(dataset: SequenceDataset, seed: int, **variant: bool) -> models.Recommender:
    """One model after BATCHES batches. The same seed gives the same batches and noise to every variant."""
    torch.manual_seed(seed)
    model = models.build("dcrec", dataset.num_items, **SETTINGS, **LOSSES, **variant)
    return short_run.train(model, dataset, seed, BATCHES, BATCH_SIZE, LR)


@torch.inference_mode()
def hit_rate(model: models.Recommender, dataset: SequenceDataset, k: int = 5) -> float:
    """HR@k over all test readers, full ranking, nothing filtered."""
    batch = dataset.test.batch(range(len(dataset.test)), model.max_len)
    return float((ranks(model.score(batch.history, batch.users), batch.target) <= k).float().mean())


if __name__ == "__main__":
    torch.set_num_threads(1)
    bookshop = load("bookshop")
    rows = []
    for seed in range(3):
        for name, variant in VARIANTS.items():
            rows.append((name, seed, "HR@5", f"{hit_rate(train(bookshop, seed, **variant), bookshop):.4f}"))
            print(*rows[-1], flush=True)
    RECORD.parent.mkdir(parents=True, exist_ok=True)
    with RECORD.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([("variant", "seed", "metric", "value"), *rows])
