"""Train a healthy DiffuRecSys, spoil it in one way after another, and keep the curves: data/runs/sick_runs.csv.

    python experiments/sick_runs.py         # fourteen variants, some thirteen minutes on an idle core

All runs are of the model that notebook 07 trains (`quick` with one block and twice the learning rate) and differ from
the healthy one in a single thing. The patients are trained once. The ablations, in which one part of the model is
switched off, and the healthy run are trained with three seeds, so that a difference can be told from luck. A row is an
epoch, as `fit` yields it; every epoch is measured on all validation readers at one denoising step. Runs that the file
holds are not trained again.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from arms import fill
from torch import Tensor

from diffrec_lite.data import Batch, SequenceDataset, load
from diffrec_lite.models import DiffuRecSys
from diffrec_lite.noise import NormalNoise
from diffrec_lite.training.loop import fit
from diffrec_lite.training.recipe import Recipe, settings

RECORD = Path(__file__).parents[1] / "data" / "runs" / "sick_runs.csv"
HEALTHY = ["blocks=1", "lr=0.006", "epochs=16"]
NO_DROPOUT = ["dropout=0", "item_dropout=0"]
# What is changed: settings, as on the command line. "target in the history" and "gradients kept" change the program.
PATIENTS: dict[str, list[str]] = {
    "healthy": [],
    "learning rate x 50": ["lr=0.3"],
    "learning rate / 100": ["lr=0.00006"],
    "item vectors drawn at std 1": ["item_std=1"],
    "no dropout": NO_DROPOUT,
    "target in the history": [],
    "target loud in x_t": ["delta=1"],
    "gradients kept": [],
    "learning rate / 100, no bias": ["lr=0.00006", "seen_bias=false"],
}
ABLATIONS: dict[str, list[str]] = {
    "healthy": [],
    "no noised target (lambda = 0)": ["delta=0"],
    "no cross-attention": ["cross_attention=none"],
    "no offset noise": ["offset_mean=0"],
    "no positions": ["positions=false"],
    "no bias on what was read": ["seen_bias=false"],
    "no dropout": NO_DROPOUT,
}


class Leaking(DiffuRecSys):
    """A mistake of one place in a slice: the target stands at the end of its own history."""

    def loss(self, batch: Batch, noise: NormalNoise, epoch: float = 0.0) -> dict[str, Tensor]:
        history = torch.cat([batch.history, batch.target[:, None]], dim=1)[:, -self.max_len :]
        return super().loss(batch._replace(history=history), noise, epoch)


def beginning(dataset: SequenceDataset, variant: str, changes: list[str], seed: int) -> tuple[DiffuRecSys, Recipe]:
    """The model of a variant before its first step, and how it is trained."""
    of_model, of_training = settings("diffurecsys", "quick", [*HEALTHY, *changes])
    torch.manual_seed(seed)
    kind = Leaking if variant == "target in the history" else DiffuRecSys
    return kind(dataset.num_items, **of_model), Recipe(**of_training)


def curve(dataset: SequenceDataset, variant: str, changes: list[str], seed: int) -> Iterator[dict[str, Any]]:
    """Train one variant: a row for each epoch."""
    model, recipe = beginning(dataset, variant, changes, seed)
    optimizer = recipe.make_optimizer(model)
    if variant == "gradients kept":
        optimizer.zero_grad = lambda: None
    for row in fit(model, dataset, recipe, seed=seed, optimizer=optimizer):
        shown = {name: round(row[name], 4) for name in ("loss", "gradient norm", "val HR@5", "val NDCG@10")}
        yield {"epoch": row["epoch"], **shown}


def main() -> None:
    argparse.ArgumentParser(description=__doc__.split("\n")[0]).parse_args()
    torch.set_num_threads(1)
    dataset = load("bookshop")
    changes = PATIENTS | ABLATIONS
    arms = [{"variant": variant, "seed": 0} for variant in PATIENTS]
    arms += [{"variant": variant, "seed": seed} for seed in range(3) for variant in ABLATIONS]
    fill(RECORD, arms, lambda arm: curve(dataset, arm["variant"], changes[arm["variant"]], arm["seed"]))


if __name__ == "__main__":
    main()
