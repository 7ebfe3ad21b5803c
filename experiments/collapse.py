"""How fast the item vectors of the printed DCRec collapse, and through which of its weights: data/runs/collapse.csv.

    python experiments/collapse.py         # six arms, one seed, twelve epochs each; a quarter of an hour on a core
    python experiments/collapse.py FOLDER  # the same of a trained run, as in build/full_scale/toys_dcrec_paper_0

DCRec as printed, at the size of the `quick` preset and with histories of 20 books at most. `item_std` is the standard
deviation with which item vectors start: 0.05 is ours, 1 is PyTorch's, which the released program leaves. `detached`
says whether L_t's target is detached, `positions` whether they are added before the layer norm, as printed, or after
the noise. At the start and after each epoch of 161 batches: `apart` is what tells the item vectors apart
(`figures.apart`), `rows` the same of the bare rows of the table, to which no position is added; `row` is the mean
length of such a row and `position` that of the vector which is added to all of them, both without their mean over
features, which the layer norm takes out; `HR@5` is that of all validation readers at one step, and `HR@5 inner` the
same of the same weights, ranked by inner product, as repaired, and not by cosine. Runs that the file holds are not
made again.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import torch
from arms import fill

from diffrec_lite import models
from diffrec_lite.data import SequenceDataset, load
from diffrec_lite.evaluation import evaluate
from diffrec_lite.lessons.dcrec.figures import apart
from diffrec_lite.models import DCRec
from diffrec_lite.training.loop import fit
from diffrec_lite.training.recipe import REPAIRS, SMALL, Recipe

RECORD = Path(__file__).parents[1] / "data" / "runs" / "collapse.csv"
DEFAULTS = models.MODELS["dcrec"].Settings.defaults()
MODEL = {
    **{name: value for name, value in SMALL.items() if name in DEFAULTS},
    **{name: DEFAULTS[name] for name in REPAIRS},
    "max_len": 20,
}
TRAINING = Recipe(epochs=12, batch_size=128, lr=SMALL["lr"])
STARTS = ((0.05, "before"), (0.05, "after"), (1.0, "before"))
ARMS = tuple(
    {"item_std": item_std, "detached": detached, "positions": positions}
    for (item_std, positions), detached in product(STARTS, (False, True))
)
SEEDS = range(1)


def look(model: DCRec) -> dict[str, float]:
    """The item vectors of a model as they stand: what tells them apart, and how long their two parts are."""
    rows = model.eval().item_embedding.weight[1:].detach()
    shared = model.positions(rows[:1, None])[-1:].detach() if model.settings.positions == "before" else 0 * rows[:1]
    return {
        "apart": apart(model.item_vectors()[1:])[0],
        "rows": apart(rows)[0],
        "row": length(rows),
        "position": length(shared),
    }


def length(vectors: torch.Tensor) -> float:
    """The mean length of vectors `(N, d)`, each without its mean over features."""
    return float((vectors - vectors.mean(1, keepdim=True)).norm(dim=1).mean())


def trained(dataset: SequenceDataset, arm: dict[str, Any], seed: int) -> Iterator[dict[str, float]]:
    """Train one model: a row at the start and after each epoch."""
    wanted = {"item_std": arm["item_std"], "detach_target": arm["detached"], "positions": arm["positions"]}
    torch.manual_seed(seed)
    model = models.build("dcrec", dataset.num_items, **{**MODEL, **wanted})
    yield {"epoch": 0, **look(model)}
    for row in fit(model, dataset, TRAINING, seed=seed):
        yield {
            "epoch": row["epoch"],
            **look(model),
            "HR@5": row["val HR@5"],
            "HR@5 inner": by_inner_product(model, dataset),
        }


def by_inner_product(model: DCRec, dataset: SequenceDataset) -> float:
    """HR@5 of all validation readers when items are ranked by inner product, at one step."""
    own = model.settings
    model.settings = replace(own, rounding_by="inner")
    found = evaluate(model, dataset, "val", steps=1).metrics["HR@5"]
    model.settings = own
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", nargs="?", help="the folder of a run: look at its model, and train nothing")
    run = parser.parse_args().run
    torch.set_num_threads(1)
    if run:
        print(*(f"{name} {value:.3f}" for name, value in look(models.load(run)).items()), sep=", ")
        return
    dataset = load("bookshop")
    arms = [{**arm, "seed": seed} for seed in SEEDS for arm in ARMS]
    fill(RECORD, arms, lambda arm: trained(dataset, arm, arm["seed"]), decimals=4)


if __name__ == "__main__":
    main()
