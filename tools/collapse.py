"""How fast the item vectors of the printed DCRec collapse, by their size at the start: data/runs/collapse.csv.

    python tools/collapse.py          # three arms, one seed, four epochs each; some minutes on a core

DCRec as printed, at the size of the `quick` preset and with histories of 20 books at most. `item_std` is the standard
deviation with which item vectors start: 0.05 is ours, 1 is PyTorch's, which the released program leaves. `detached`
says whether L_t's target is detached. `apart` is what tells the item vectors apart (`figures.apart`), at the start and
after each epoch of 161 batches; `HR@5` is that of all validation readers at one step. Runs that the file holds are not
made again.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pandas as pd
import torch

from diffrec_lite import models
from diffrec_lite.data import SequenceDataset, load
from diffrec_lite.lessons.dcrec.figures import apart
from diffrec_lite.training.loop import fit
from diffrec_lite.training.recipe import REPAIRS, SMALL, Recipe

RECORD = Path(__file__).parents[1] / "data" / "runs" / "collapse.csv"
DEFAULTS = models.MODELS["dcrec"].Settings.defaults()
MODEL = {
    **{name: value for name, value in SMALL.items() if name in DEFAULTS},
    **{name: DEFAULTS[name] for name in REPAIRS},
    "max_len": 20,
}
TRAINING = Recipe(epochs=4, batch_size=128, lr=SMALL["lr"])
ARMS = ((0.05, False), (1.0, False), (1.0, True))
SEEDS = range(1)


def trained(dataset: SequenceDataset, item_std: float, detached: bool, seed: int) -> list[dict[str, float]]:
    """Train one model: a row at the start and after each epoch."""
    torch.manual_seed(seed)
    model = models.build("dcrec", dataset.num_items, **{**MODEL, "item_std": item_std, "detach_target": detached})
    rows = [{"epoch": 0, "apart": apart(model.eval().item_vectors()[1:])[0]}]
    for row in fit(model, dataset, TRAINING, seed=seed):
        rows.append({"epoch": row["epoch"], "apart": apart(model.item_vectors()[1:])[0], "HR@5": row["val HR@5"]})
    return rows


def main() -> None:
    torch.set_num_threads(1)
    dataset = load("bookshop")
    rows = pd.read_csv(RECORD).to_dict("records") if RECORD.exists() else []
    held = {(row["item_std"], row["detached"], row["seed"]) for row in rows}
    for seed, (item_std, detached) in product(SEEDS, ARMS):
        if (item_std, detached, seed) in held:
            continue
        arm = {"item_std": item_std, "detached": detached, "seed": seed}
        rows += [{**arm, **row} for row in trained(dataset, item_std, detached, seed)]
        pd.DataFrame(rows).round(4).to_csv(RECORD, index=False, lineterminator="\n")
        print(arm, *(f"{row['apart']:.3f}" for row in rows[-5:]), rows[-1]["HR@5"], flush=True)


if __name__ == "__main__":
    main()
