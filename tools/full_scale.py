"""Train on all data sets, one run after the other, and keep each one's record in data/runs.

    python tools/full_scale.py                          # everything, in order of worth; days on two cores
    python tools/full_scale.py --only beauty_dcrec      # the runs whose name begins so
    python tools/full_scale.py --list                   # what is recorded, and what is missing

All but the bookshop needs DIFFREC_DATA. A run whose record is there is not made again, and one that was stopped goes on
where it was: its folder is build/full_scale/NAME. A record is the run.json that `diffrec-lite train` writes.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
COUNTS = ("popularity", "markov", "gap")  # no seed changes them
RECORDS = ROOT / "data" / "runs"


@dataclass(frozen=True)
class Job:
    """One training: what `diffrec-lite train` is told. `variant` names settings that differ from the preset's."""

    dataset: str
    model: str
    preset: str
    variant: str = ""
    changes: tuple[str, ...] = ()

    def name(self, seed: int) -> str:
        return "_".join(part for part in (self.dataset, self.model, self.preset, self.variant, str(seed)) if part)

    def command(self, seed: int, out: Path) -> list[str]:
        given = ["train", self.model, "--dataset", self.dataset, "--preset", self.preset, "--seed", str(seed)]
        for change in self.changes:
            given += ["--set", change]
        return [sys.executable, "-m", "diffrec_lite", *given, "--out", str(out), "--resume"]


WORTH = [
    *(Job("bookshop", model, "quick") for model in ("popularity", "markov", "gap", "dcrec", "diffurec", "sasrec")),
    *(Job(data, model, "quick") for data in ("beauty", "toys") for model in ("popularity", "markov", "gap")),
    Job("beauty", "dcrec", "repaired"),
    Job("beauty", "diffurec", "repaired", "lambda0", ("delta=0.0",)),
    Job("toys", "dcrec", "repaired"),
    Job("toys", "diffurec", "repaired", "lambda0", ("delta=0.0",)),
    *(
        Job(data, model, "repaired")
        for data in ("beauty", "toys")
        for model in ("sasrec", "gru4rec", "diffurecsys", "diffurec")
    ),
    *(Job(data, "dcrec", "repaired") for data in ("ml-1m", "yelp")),
    *(Job(data, "diffurecsys", "repaired") for data in ("ml-1m", "yelp")),
    *(
        Job(data, model, "paper")
        for data in ("beauty", "toys")
        for model in ("dcrec", "diffurecsys", "diffurec", "sasrec")
    ),
    Job("yelp", "dcrec", "paper"),
    Job("ml-1m", "diffurecsys", "paper"),
]


def run(job: Job, seed: int) -> None:
    """Train, or go on, and copy the record."""
    name = job.name(seed)
    out = Path("build") / "full_scale" / name  # the record tells where, as seen from the repository
    print(name, flush=True)
    subprocess.run(job.command(seed, out), check=True, cwd=ROOT)
    shutil.copy(ROOT / out / "run.json", RECORDS / f"{name}.json")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3, help="all runs with seed 0 come first, then those with 1, …")
    parser.add_argument("--only", default="", help="how the names of the wanted runs begin")
    parser.add_argument("--list", action="store_true", help="say what is recorded and what is missing")
    given = parser.parse_args()
    for seed in range(given.seeds):
        for job in WORTH:
            name = job.name(seed)
            recorded = (RECORDS / f"{name}.json").exists()
            if not name.startswith(given.only) or (seed and job.model in COUNTS):
                continue
            if given.list:
                print("recorded" if recorded else "missing ", name)
            elif not recorded:
                run(job, seed)


if __name__ == "__main__":
    main()
