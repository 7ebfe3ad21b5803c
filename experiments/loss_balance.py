"""Train DCRec with its three losses weighed in many ways, and record what happens: data/runs/loss_balance.csv.

    python experiments/loss_balance.py  # 36 balances, one seed, an epoch of 161 batches each; five minutes on a core

Everything else is as printed, at the size of the `quick` preset, with histories of 20 books at most. What differs:

- `denoising`: L_t is "off", its "target moves" with it (as printed), or its "target is detached";
- `prior`: the weight of L_T, 0 or 1; `ranking`: the weight of L_z, 1 or 10;
- `lambda`: one number for the whole run. The schedules start near .203 and end at .003; .1 is `fix`.

At a few batches the model is looked at, always with the same examples and the same noise:

- `apart`, `first`: what tells the item vectors apart, and how much of that lies along one direction (`figures.apart`);
- `HR@5` of all validation readers at one step;
- `L_T items` … `L_z network`: the length of each weighted loss's gradient, on item vectors and on all other weights.

Runs that the file holds are not made again, so a stopped run goes on where it was.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import torch
from arms import fill

from diffrec_lite import models
from diffrec_lite.data import SequenceDataset, load
from diffrec_lite.evaluation import evaluate
from diffrec_lite.lessons.dcrec.figures import apart, pulls
from diffrec_lite.models import DCRec
from diffrec_lite.noise import Noise
from diffrec_lite.training.loop import fit
from diffrec_lite.training.recipe import REPAIRS, SMALL, Recipe

RECORD = Path(__file__).parents[1] / "data" / "runs" / "loss_balance.csv"
DEFAULTS = models.MODELS["dcrec"].Settings.defaults()
MODEL = {name: value for name, value in SMALL.items() if name in DEFAULTS}
AS_PRINTED = {**MODEL, **{name: DEFAULTS[name] for name in REPAIRS}, "max_len": 20}
TRAINING = Recipe(epochs=1, batch_size=128, lr=SMALL["lr"], val_users=1)
LOOKS = (0, 5, 10, 20, 40, 80, 120, 161)
SEEDS = range(1)
BALANCES: dict[str, tuple] = {
    "denoising": ("off", "target moves", "target is detached"),
    "prior": (0, 1),
    "ranking": (1, 10),
    "lambda": (0.003, 0.1, 0.203),
}


def trained(dataset: SequenceDataset, balance: dict[str, Any], seed: int) -> Iterator[dict[str, Any]]:
    """Train one model for an epoch: a row for each look."""
    torch.manual_seed(seed)
    switches = {
        "prior": balance["prior"],
        "ranking": balance["ranking"],
        "denoising": float(balance["denoising"] != "off"),
        "detach_target": balance["denoising"] == "target is detached",
    }
    model = models.build("dcrec", dataset.num_items, **AS_PRINTED | switches)
    model.lambda_at = lambda epoch: balance["lambda"]
    rows = [{"batch": 0, **looked_at(model, dataset)}]

    def look(step: int) -> None:
        if step in LOOKS:
            rows.append({"batch": step, **looked_at(model, dataset)})

    list(fit(model, dataset, TRAINING, seed=seed, on_step=look))
    yield from rows


def looked_at(model: DCRec, dataset: SequenceDataset) -> dict[str, float]:
    """One look at a model, which is left in training."""
    model.eval()
    batch = dataset.train.batch(range(0, len(dataset.train), 80), model.max_len)
    found = pulls(model, batch, Noise(0, batch.users, batch.positions))
    left, first = apart(model.item_vectors()[1:])
    hits = evaluate(model, dataset, "val", steps=1).metrics["HR@5"]
    model.train()
    return {"apart": left, "first": first, "HR@5": hits, **{f"{loss} {on}": size for (loss, on), size in found.items()}}


def main() -> None:
    argparse.ArgumentParser(description=__doc__.split("\n")[0]).parse_args()
    torch.set_num_threads(1)
    dataset = load("bookshop")
    balances = [dict(zip(BALANCES, values, strict=True)) for values in product(*BALANCES.values())]
    arms = [{**balance, "seed": seed} for seed in SEEDS for balance in balances]
    fill(RECORD, arms, lambda arm: trained(dataset, arm, arm["seed"]), float_format="%.5g")


if __name__ == "__main__":
    main()
