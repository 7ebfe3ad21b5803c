"""Train on all data sets, one run after the other, and keep each one's record in data/runs.

    python experiments/full_scale.py                          # everything, in order of worth; days on two cores
    python experiments/full_scale.py --only beauty_dcrec      # the runs whose name begins so
    python experiments/full_scale.py --list                   # what is recorded, and what is missing

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

from diffrec_lite.training.results import NARROW

ROOT = Path(__file__).parents[1]
COUNTS = ("popularity", "recent", "markov", "gap", "ridge")  # no seed changes them
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
        if self.preset == "paper" or self.dataset == "ml-1m":  # long trainings, faster so on two cores
            given += ["--precision", "bf16"]
        return [sys.executable, "-m", "diffrec_lite", *given, "--out", str(out), "--resume"]


REAL = ("beauty", "toys")
BCE = ("loss=bce", "seen_bias=false", "epochs=100", "lr_decay=1.0", "patience=10")  # 14 epochs are few for it
HALF = ("epochs=8", "lr_decay=0.85")  # ML-1M's examples are seven times Beauty's: half the epochs, as far down
LIGHT = ("dropout=0.1", "item_dropout=0.2")  # the preset's were chosen on short histories
PREFIXES = (
    "learns_from=prefixes",
    "epochs=12",
)  # the examples, and about the epochs, of the diffusion models beside it
WITHOUT = ("share_at_T=1.0",)  # every example is noised to step T, where nothing of it is left: no diffusion
WIDTH = tuple(change for change in NARROW if change.startswith(("d=", "heads=")))
LENGTH = tuple(change for change in NARROW if change not in WIDTH)
SWITCHES = {  # one repair each, given to the printed model
    "weights": ("prior=0.0", "ranking=10.0", "lambda_schedule=fix", "epochs=36"),  # as many as the printed one had
    "detached": ("detach_target=true", "epochs=12"),
    "after": ("positions=after", "epochs=12"),
}
WORTH = [
    *(Job("bookshop", model, "quick") for model in (*COUNTS, "dcrec", "hybrid", "diffurec", "sasrec")),
    Job("bookshop", "sasrec", "quick", "prefixes", PREFIXES),
    *(Job(data, model, "quick") for data in (*REAL, "yelp") for model in COUNTS),
    *(Job(data, model, "repaired") for model in ("hybrid", "sasrec", "dcrec") for data in REAL),
    *(Job(data, "diffurec", "repaired", "lambda0", ("delta=0.0",)) for data in REAL),
    *(Job(data, "hybrid", "repaired", "without", WITHOUT) for data in REAL),
    *(Job(data, model, "repaired") for model in ("diffurecsys", "diffurec", "adrec", "gru4rec") for data in REAL),
    *(Job(data, model, "repaired") for model in ("bert4rec", "bprmf") for data in REAL),
    *(Job(data, "sasrec", "repaired", "bce", BCE) for data in REAL),
    *(Job(data, "sasrec", "repaired", "untied", ("tied=false",)) for data in REAL),
    *(Job(data, model, "repaired", "narrow", NARROW) for model in ("sasrec", "hybrid") for data in REAL),
    *(Job(data, "hybrid", "repaired", "narrow_without", (*NARROW, *WITHOUT)) for data in REAL),
    *(Job(data, "sasrec", "repaired", "half", WIDTH) for data in REAL),
    *(Job(data, "sasrec", "repaired", "long", LENGTH) for data in REAL),
    *(Job(data, model, "repaired", "narrow", NARROW) for model in ("diffurecsys", "dcrec") for data in REAL),
    *(Job("toys", model, "repaired", "rate", ("lr=0.002",)) for model in ("diffurecsys", "sasrec")),
    *(Job("yelp", model, "repaired") for model in ("dcrec", "diffurecsys", "sasrec", "hybrid")),
    Job("ml-1m", "diffurecsys", "repaired"),
    Job("ml-1m", "dcrec", "repaired", "", HALF),
    Job("ml-1m", "diffurecsys", "repaired", "light", (*HALF, *LIGHT)),
    *(Job("ml-1m", model, "repaired", "light", (*HALF, *LIGHT)) for model in ("dcrec", "sasrec")),
    Job("yelp", "dcrec", "repaired", "unbiased", ("seen_bias=false",)),
    Job("toys", "diffurecsys", "repaired", "unbiased", ("seen_bias=false",)),
    *(Job(data, model, "paper") for data in REAL for model in ("dcrec", "diffurecsys", "diffurec", "sasrec")),
    *(Job("toys", "dcrec", "paper", name, changes) for name, changes in SWITCHES.items()),
    *(Job(data, "diffurecsys", "paper", "norm", ("input_norm=true", "epochs=12")) for data in REAL),
    Job("toys", "diffurecsys", "paper", "start", ("item_std=1.0", "epochs=12")),
    Job("toys", "diffurecsys", "paper", "start_norm", ("item_std=1.0", "input_norm=true", "epochs=12")),
    Job("toys", "diffurecsys", "paper", "start_between", ("item_std=0.2", "epochs=12")),
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
    if not any(job.name(seed).startswith(given.only) for job in WORTH for seed in range(given.seeds)):
        parser.error(f"no run's name begins with {given.only}")
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
