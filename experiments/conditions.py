"""Train small models on the bookshop with one part changed, and rank them at several numbers of denoising steps.

    python experiments/conditions.py            # data/runs/conditions.csv: DCRec with one condition or both
    python experiments/conditions.py hybrid     # data/runs/hybrid.csv: the hybrid, and what each part of it is worth

Three seeds, some ten minutes each. The base, the first variant, is the `quick` preset's model, trained for six epochs.
Every other variant differs from it in what is named here and in nothing else: same size, same batches, same noise. All
are ranked on every validation reader, at one denoising step and at four, so that a difference between two variants can
be told from a difference in how they stand the sampler. Models that the file holds are not trained again. DCRec as
printed, with the same size and epochs, is in data/runs/dcrec_repairs.csv.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from arms import fill
from torch import Tensor

from diffrec_lite import models
from diffrec_lite.data import SequenceDataset, load
from diffrec_lite.evaluation import evaluate
from diffrec_lite.models import DCRec
from diffrec_lite.models.denoiser import Denoise
from diffrec_lite.noise import NormalNoise
from diffrec_lite.training.loop import fit
from diffrec_lite.training.recipe import Recipe, settings

RUNS = Path(__file__).parents[1] / "data" / "runs"
SEEDS = range(3)
STEPS = (1, 4)


class ShiftKept(DCRec):
    """DCRec whose noise is shifted by the history at every step of sampling, as in training, not at the start alone."""

    def start(self, history: Tensor, noise: NormalNoise, grid: list[int]) -> tuple[Tensor, Denoise]:
        x_T, denoise = super().start(history, noise, grid)
        shift = self.settings.delta / self.settings.signal * self.known(history, x_T)

        def shifted(St: Tensor, t: int) -> Tensor:
            return denoise(St if t == grid[0] else St + (1 - self.diffusion.abar[t]).sqrt().to(St) * shift, t)

        return x_T, shifted


CONDITIONS: dict[str, dict[str, Any]] = {
    "both": {},
    "explicit only": {"implicit": False},
    "implicit only": {"explicit": False},
    # The noise of training and the start of sampling are shifted by H_0, so that the history can be read at t = T.
    "implicit only, legible": {"explicit": False, "delta_in_training": True, "delta": 1.0},
    "implicit only, legible, shift kept": {
        "explicit": False,
        "delta_in_training": True,
        "delta": 1.0,
        "kind": ShiftKept,
    },
    "both, plain LN": {"cond_ln": False},
}
PARTS: dict[str, dict[str, Any]] = {
    "hybrid": {},
    "history and stream kept apart": {"model": "dcrec"},
    "without the stream": {"quiet": 0.0},
    "every example at t = T": {"share_at_T": 1.0},
    "without the clean history beside it": {"explicit": False},
    "plain LN": {"cond_ln": False},
    "every position at once": {"causal": True, "positions": "relative"},
}
TABLES = {"conditions": ("dcrec", CONDITIONS), "hybrid": ("hybrid", PARTS)}


def reached(
    dataset: SequenceDataset, seed: int, model: str, kind: type[DCRec] | None = None, **changed: Any
) -> Iterator[dict[str, Any]]:
    """Train one model, or one of its `kind`, and rank it: a row for each number of steps."""
    of_model, of_training = settings(model, "quick", ["epochs=6"])
    torch.manual_seed(seed)
    built = (kind or models.MODELS[model])(dataset.num_items, **{**of_model, **changed})
    list(fit(built, dataset, Recipe(**of_training, val_users=100), seed=seed))
    for n in STEPS:
        found = evaluate(built, dataset, "val", steps=n)
        low, high = found.intervals["HR@5"]
        yield {"steps": n, "HR@5": round(found.metrics["HR@5"], 4), "low": round(low, 4), "high": round(high, 4)}


def main(table: str) -> None:
    torch.set_num_threads(1)
    dataset, (base, variants) = load("bookshop"), TABLES[table]
    arms = [{"variant": variant, "seed": seed} for seed in SEEDS for variant in variants]

    def measure(arm: dict[str, Any]) -> Iterator[dict[str, Any]]:
        return reached(dataset, arm["seed"], **{"model": base, **variants[arm["variant"]]})

    fill(RUNS / f"{table}.csv", arms, measure)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("table", nargs="?", choices=TABLES, default="conditions")
    main(parser.parse_args().table)
