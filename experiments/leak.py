"""Train DCRec on a part of the steps only, and see what it knows at t = T, where it is used: data/runs/leak.csv.

    python experiments/leak.py              # four choices of t, two signals, two seeds, an epoch each; some minutes

The model is DCRec as printed, at the size of the `quick` preset and with histories of 20 books at most, after two
repairs that would otherwise hide what is asked here: L_t's target is detached, and the losses are weighed so that L_z
is heard. What differs is `trained at`, the steps that training draws t from, and `signal`, the scale of the item
vectors beside the noise.

All are ranked on every validation reader. `HR@5` is at one step, from pure noise. The rest is asked at t = T / 4, which
all but the last choice of t were trained at: `truth, own` with an x_t made from the true book, as in training;
`truth, other` the same with another reader's history; `erased, own` with the own history and no book in x_t.
Runs that the file holds are not made again.
"""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path

import torch
from arms import fill

from diffrec_lite import models
from diffrec_lite.data import SequenceDataset, load
from diffrec_lite.evaluation import evaluate
from diffrec_lite.lessons.dcrec.figures import leak
from diffrec_lite.metrics import hit_rate
from diffrec_lite.training.loop import fit
from diffrec_lite.training.recipe import REPAIRS, SMALL, Recipe

RECORD = Path(__file__).parents[1] / "data" / "runs" / "leak.csv"
DEFAULTS = models.MODELS["dcrec"].Settings.defaults()
HEARD = ("detach_target", "lambda_schedule", "prior", "denoising", "ranking")
MODEL = {
    **{name: value for name, value in SMALL.items() if name in DEFAULTS},
    **{name: REPAIRS[name] if name in HEARD else DEFAULTS[name] for name in REPAIRS},
    "max_len": 20,
}
TRAINING = Recipe(epochs=1, batch_size=128, lr=SMALL["lr"], val_users=1)
T = MODEL["T"]
STEPS = {"t <= T/4": (1, T // 4), "all t": (1, T), "t >= T/4": (T // 4, T), "t = T": (T, T)}
SIGNALS = (1.0, 0.1)
SEEDS = range(2)


def reached(dataset: SequenceDataset, steps: tuple[int, int], signal: float, seed: int) -> dict[str, float]:
    """Train one model and rank it."""
    torch.manual_seed(seed)
    model = models.build("dcrec", dataset.num_items, **{**MODEL, "signal": signal})
    model.draw_steps = lambda noise, n: noise.integers(*steps)
    list(fit(model, dataset, TRAINING, seed=seed))
    batch = dataset.val.batch(range(len(dataset.val)), model.max_len)
    ways = {"truth, own": {}, "truth, other": {"shuffle": True}, "erased, own": {"erase": True}}
    asked = {name: hit_rate(leak(model, batch, [T // 4], **way)[0], 5) for name, way in ways.items()}
    return {"HR@5": evaluate(model, dataset, "val", steps=1).metrics["HR@5"], **asked}


def main() -> None:
    argparse.ArgumentParser(description=__doc__.split("\n")[0]).parse_args()
    torch.set_num_threads(1)
    dataset = load("bookshop")
    every = product(SEEDS, SIGNALS, STEPS)
    arms = [{"signal": signal, "trained at": name, "seed": seed} for seed, signal, name in every]
    fill(RECORD, arms, lambda arm: [reached(dataset, STEPS[arm["trained at"]], arm["signal"], arm["seed"])], decimals=4)


if __name__ == "__main__":
    main()
