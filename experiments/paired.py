"""The hybrid beside its rivals on the same test readers of Beauty and Toys, seed by seed: data/runs/paired.csv.

    python experiments/paired.py        # needs DIFFREC_DATA, and the run folders that experiments/full_scale.py leaves

A record has no ranks, so two records cannot be paired; two run folders can. Every pair whose folders are there is
compared as `diffrec-lite compare A B` does it, with more draws, and rows of other pairs stay as they are.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd
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
    ("hybrid_repaired_narrow", "ridge_quick"),
)
METRICS = ("HR@5", "NDCG@5", "NDCG@10")
DRAWS = 10_000  # p is never below 2 / DRAWS, and Holm's correction asks for .05 over the number of rows
KEYS = ["dataset", "seed", "A", "B"]


def pairs(folder: Path, seeds: int) -> list[tuple[str, int, str, str]]:
    """Data set, seed and both names of every pair whose run folders are there; a rule has one run for all seeds."""
    return [
        (dataset, seed, *pair)
        for dataset in DATASETS
        for seed in range(seeds)
        for pair in PAIRS
        if all((folder / _run(dataset, name, seed) / "run.json").exists() for name in pair)  # written at the end
    ]


def _run(dataset: str, name: str, seed: int) -> str:
    return f"{dataset}_{name}_{0 if name.endswith('_quick') else seed}"


def compared(one: Evaluation, other: Evaluation) -> pd.DataFrame:
    """A, B, difference, low, high and p of METRICS on the same readers, a row a metric."""
    table = metrics.compare(one.ranks, other.ranks, draws=DRAWS).loc[list(METRICS)]
    return table.rename(columns={"A": "A value", "B": "B value"}).rename_axis("metric").reset_index()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "full_scale", help="where the run folders are")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
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
    for dataset, seed, one, other in tqdm(found, unit="pair"):
        for protocol, *sides in zip(
            ("unfiltered", "seen-filtered"), both(dataset, one, seed), both(dataset, other, seed), strict=True
        ):
            key = {"dataset": dataset, "seed": seed, "A": one, "B": other, "protocol": protocol, "draws": DRAWS}
            made.append(pd.DataFrame([key] * len(METRICS)).join(compared(*sides)))
    table = pd.concat(made, ignore_index=True)
    if RECORD.exists():
        old = pd.read_csv(RECORD)
        table = pd.concat([old[~old.set_index(KEYS).index.isin(table.set_index(KEYS).index)], table])
    table.sort_values([*KEYS, "protocol", "metric"]).round(6).to_csv(RECORD, index=False)


if __name__ == "__main__":
    main()
