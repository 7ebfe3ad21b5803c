"""Train DCRec as printed, repaired, and with one repair taken back or given at a time: data/runs/dcrec_repairs.csv.

    python experiments/repairs.py                   # the bookshop, three seeds; half an hour on a core
    python experiments/repairs.py --dataset beauty  # Beauty, one seed, repairs only taken back; needs DIFFREC_DATA

Within a data set all variants have the same size, the same number of epochs, the same batches and the same noise, and
all are ranked on every validation reader, at one denoising step and at four. Rows that the file holds are not made
again, so a stopped run goes on where it was.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from arms import fill

from diffrec_lite import models
from diffrec_lite.data import SequenceDataset, load
from diffrec_lite.evaluation import evaluate
from diffrec_lite.training.loop import fit
from diffrec_lite.training.recipe import REAL, REPAIRS, SMALL, Recipe

RECORD = Path(__file__).parents[1] / "data" / "runs" / "dcrec_repairs.csv"
STEPS = (1, 4)
METRICS = ("HR@5", "NDCG@5", "NDCG@10")
AS_PRINTED = {name: models.MODELS["dcrec"].Settings.defaults()[name] for name in REPAIRS}
# What belongs together is taken back together: the three losses' weights are one choice.
GROUPS = {
    "detach_target": ("detach_target",),
    "share_at_T": ("share_at_T",),
    "stream": ("stream",),
    "signal": ("signal",),
    "slot": ("slot",),
    "positions": ("positions",),
    "seen_bias": ("seen_bias",),
    "rounding_by": ("rounding_by",),
    "loss weights": ("lambda_schedule", "prior", "denoising", "ranking"),
}
REVIVING = ("detach_target", "loss weights", "signal")  # each of these alone revives the printed model
EXTRAS = ("project", "copies")  # not among the repairs of the small models
# On Beauty nothing is given to the printed model, to save time.
OF_DATASET: dict[str, dict[str, Any]] = {
    "bookshop": {"size": SMALL, "epochs": 6, "seeds": 3, "precision": "fp32", "given": True},
    "beauty": {"size": {**REAL, "blocks": 1}, "epochs": 3, "seeds": 1, "precision": "bf16", "given": False},
}


def variants(given: bool) -> dict[str, dict[str, Any]]:
    """The settings of every variant, by its name; with `given`, also the printed model with a single repair."""
    found = {"as printed": AS_PRINTED, "repaired": REPAIRS}
    for name, keys in GROUPS.items():
        found[f"repaired without {name}"] = {**REPAIRS, **{key: AS_PRINTED[key] for key in keys}}
        if given:
            found[f"as printed with {name}"] = {**AS_PRINTED, **{key: REPAIRS[key] for key in keys}}
    for name, switches in (("as printed", AS_PRINTED), ("repaired", REPAIRS)):
        if given or switches is REPAIRS:
            found |= {f"{name} with {extra}": {**switches, extra: True} for extra in EXTRAS}
    if given:
        found["as printed, L_t a sum over d"] = {**AS_PRINTED, "denoising": float(SMALL["d"])}  # ||.||^2, as written
        found["repaired with L_z alone"] = {**REPAIRS, "denoising": 0.0}  # L_T is off already
        three = [key for name in REVIVING for key in GROUPS[name]]
        found[f"repaired without {', '.join(REVIVING)}"] = {**REPAIRS, **{key: AS_PRINTED[key] for key in three}}
    return found


def reached(
    dataset: SequenceDataset, wanted: dict[str, Any], epochs: int, seed: int, precision: str
) -> list[dict[str, Any]]:
    """Train one model and rank it: a row for each number of steps."""
    torch.manual_seed(seed)
    of_model = {name: value for name, value in wanted.items() if name in models.MODELS["dcrec"].Settings.defaults()}
    of_training = {name: value for name, value in wanted.items() if name in Recipe.defaults()}
    model = models.build("dcrec", dataset.num_items, **of_model)
    recipe = Recipe.of("training", **{**of_training, "epochs": epochs, "val_users": 500})
    for row in fit(model, dataset, recipe, seed=seed, precision=precision):
        print(f"  epoch {row['epoch']}: loss {row['loss']:.3f}, HR@5 of 500 readers {row['val HR@5']:.4f}", flush=True)
    rows = []
    for steps in STEPS:
        found = evaluate(model, dataset, "val", steps=steps)
        row = {"steps": steps, "readers": len(found.ranks), "epochs": epochs, "precision": precision}
        for name in METRICS:
            low, high = found.intervals[name]
            row |= {name: round(found.metrics[name], 4), f"{name} low": round(low, 4), f"{name} high": round(high, 4)}
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--dataset", choices=OF_DATASET, default="bookshop")
    parser.add_argument("--only", default="", help="variants whose name holds this text")
    given = parser.parse_args()
    torch.set_num_threads(1)
    dataset, about = load(given.dataset), OF_DATASET[given.dataset]
    switches = {name: each for name, each in variants(about["given"]).items() if given.only in name}
    arms = [{"dataset": given.dataset, "variant": name, "seed": s} for s in range(about["seeds"]) for name in switches]

    def measure(arm: dict[str, Any]) -> list[dict[str, Any]]:
        wanted = {**about["size"], **switches[arm["variant"]]}
        return reached(dataset, wanted, about["epochs"], arm["seed"], about["precision"])

    fill(RECORD, arms, measure)


if __name__ == "__main__":
    main()
