"""The hybrid beside its rivals on the same test readers of Beauty and Toys: data/runs/paired.csv.

    python experiments/paired.py        # needs DIFFREC_DATA, and the run folders that experiments/full_scale.py leaves

A record has no ranks, so two records cannot be paired; two run folders can. Every pair whose folders are there is
compared as `diffrec-lite compare A B` does it, with more draws. Where all seeds of a pair are there, their means are
compared as well: the interval is over the readers, for just these trainings. What the file holds, with as many draws,
is not made again.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch
from tqdm import tqdm

from diffrec_lite import metrics, models
from diffrec_lite.data import load
from diffrec_lite.evaluation import Evaluation, evaluate_both

ROOT = Path(__file__).parents[1]
RECORD = ROOT / "data" / "runs" / "paired.csv"
DATASETS = ("beauty", "toys")
PAIRS = (
    ("hybrid_repaired", "hybrid_repaired_without"),
    ("hybrid_repaired", "sasrec_repaired"),
    ("hybrid_repaired", "dcrec_repaired"),
    ("hybrid_repaired", "diffurecsys_repaired"),
    ("hybrid_repaired", "ridge_quick"),
    ("hybrid_repaired_narrow", "hybrid_repaired_narrow_without"),
    ("hybrid_repaired_narrow", "sasrec_repaired_narrow"),
    ("hybrid_repaired_narrow", "dcrec_repaired_narrow"),
    ("hybrid_repaired_narrow", "diffurecsys_repaired_narrow"),
    ("hybrid_repaired_narrow", "ridge_quick"),
)
METRICS = ("HR@5", "NDCG@5", "NDCG@10")
DRAWS = 10_000  # p is never below 2 / DRAWS, and Holm's correction asks for .05 over the number of rows
KEYS = ["dataset", "seeds", "A", "B"]


def pairs(folder: Path, seeds: int) -> list[tuple[str, tuple[int, ...], str, str]]:
    """Data set, seeds and both names of every pair whose run folders are there; a rule has one run for all seeds."""
    found = []
    for dataset in DATASETS:
        for pair in PAIRS:
            ended = [  # run.json is written at the end
                seed
                for seed in range(seeds)
                if all((folder / _run(dataset, name, seed) / "run.json").exists() for name in pair)
            ]
            together = [tuple(ended)] if len(ended) == seeds > 1 else []
            found += [(dataset, some, *pair) for some in [*((seed,) for seed in ended), *together]]
    return found


def _run(dataset: str, name: str, seed: int) -> str:
    return f"{dataset}_{name}_{0 if name.endswith('_quick') else seed}"


def told(seeds: Sequence[int]) -> str:
    """Seeds as the table has them, "0 1 2"."""
    return " ".join(map(str, seeds))


def compared(some: Sequence[Evaluation], others: Sequence[Evaluation]) -> pd.DataFrame:
    """A, B, difference, low, high and p of METRICS on the same readers, a row a metric; an evaluation is a seed's."""
    ranks = (torch.stack([one.ranks for one in side]) for side in (some, others))
    table = metrics.compare(*ranks, draws=DRAWS).loc[list(METRICS)]
    return table.rename(columns={"A": "A value", "B": "B value"}).rename_axis("metric").reset_index()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "full_scale", help="where the run folders are")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    old = pd.read_csv(RECORD, dtype={"seeds": str}) if RECORD.exists() else pd.DataFrame(columns=[*KEYS, "draws"])
    held = set(old[old.draws == DRAWS][KEYS].itertuples(index=False, name=None))
    found = pairs(given.folder, given.seeds)
    if not found:
        raise SystemExit(f"{given.folder}: no two run folders of a pair; python experiments/full_scale.py makes them")
    ranked: dict[str, tuple[Evaluation, Evaluation]] = {}

    def both(dataset: str, name: str, seed: int) -> tuple[Evaluation, Evaluation]:
        run = _run(dataset, name, seed)
        if run not in ranked:
            ranked[run] = evaluate_both(models.load(given.folder / run), load(dataset))
        return ranked[run]

    made = []
    missing = [pair for pair in found if (pair[0], told(pair[1]), *pair[2:]) not in held]
    for dataset, seeds, one, other in tqdm(missing, unit="pair"):
        for place, protocol in enumerate(("unfiltered", "seen-filtered")):
            sides = ([both(dataset, name, seed)[place] for seed in seeds] for name in (one, other))
            key = {"dataset": dataset, "seeds": told(seeds), "A": one, "B": other, "protocol": protocol, "draws": DRAWS}
            made.append(pd.DataFrame([key] * len(METRICS)).join(compared(*sides)))
    again = old.set_index(KEYS).index.isin([(pair[0], told(pair[1]), *pair[2:]) for pair in missing])
    table = pd.concat([old[~again], *made], ignore_index=True)
    table.sort_values([*KEYS, "protocol", "metric"]).round(6).to_csv(RECORD, index=False)


if __name__ == "__main__":
    main()
