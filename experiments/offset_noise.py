"""Train small DiffuRecs on the bookshop with and without offset noise, and record them: data/runs/offset_noise.csv.

    python experiments/offset_noise.py           # five arms, five seeds, some six minutes on one core

The models are those of the `quick` preset, T = 32 and the bias on what was read included, trained for five epochs
instead of twelve. The arms of one seed start from the same weights and see the same batches and the same noise, so that
their difference is the offset's. They are ranked at one denoising step on the validation readers. Rows that the file
holds are not made again, so a stopped run goes on where it was.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from arms import fill

from diffrec_lite import models
from diffrec_lite.data import SequenceDataset, load
from diffrec_lite.evaluation import evaluate
from diffrec_lite.training.loop import fit
from diffrec_lite.training.recipe import Recipe, settings

RECORD = Path(__file__).parents[1] / "data" / "runs" / "offset_noise.csv"
ARMS = {
    "no offset": {},
    "mean 0.1": {"offset_mean": 0.1},
    "mean 1.0": {"offset_mean": 1.0},
    "per sample 0.1": {"offset_strength": 0.1},
    "per sample 1.0": {"offset_strength": 1.0},
}
MODEL, TRAINING = settings("diffurec", "quick", ["epochs=5", "lr=0.005"])
METRICS = ("HR@5", "HR@10", "NDCG@5", "NDCG@10")
SEEDS = range(5)


def reached(dataset: SequenceDataset, seed: int, **arm: float) -> dict[str, float]:
    """`METRICS` of one trained DiffuRec."""
    torch.manual_seed(seed)
    model = models.build("diffurec", dataset.num_items, **MODEL, **arm)
    list(fit(model, dataset, Recipe(**TRAINING), seed=seed))
    found = evaluate(model, dataset, "val", steps=1).metrics
    return {metric: found[metric] for metric in METRICS}


def main() -> None:
    argparse.ArgumentParser(description=__doc__.split("\n")[0]).parse_args()
    torch.set_num_threads(1)
    dataset = load("bookshop")
    arms = [{"arm": name, "seed": seed} for seed in SEEDS for name in ARMS]
    fill(RECORD, arms, lambda arm: [reached(dataset, arm["seed"], **ARMS[arm["arm"]])], float_format="%.4f")


if __name__ == "__main__":
    main()
