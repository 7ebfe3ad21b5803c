"""Train the small models that the notebooks show, and write them to data/checkpoints.

    python experiments/checkpoints.py            # all of them
    python experiments/checkpoints.py dcrec      # one

Each folder holds the model (safetensors), its configuration and `run.json`, the record of how it was made.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

MODELS = ("sasrec", "diffurec", "diffurecsys", "dcrec", "hybrid")
KEPT = ("model.safetensors", "config.json", "items.csv", "run.json", "history.csv")
CHECKPOINTS = Path(__file__).parents[1] / "data" / "checkpoints"


def make(name: str) -> None:
    """Train `name` on the bookshop at the quick preset, seed 0, and keep what a notebook needs."""
    with tempfile.TemporaryDirectory() as out:
        command = ["train", name, "--dataset", "bookshop", "--out", out, "--seed", "0"]
        command += ["--device", "cpu", "--precision", "fp32"]
        subprocess.run([sys.executable, "-m", "diffrec_lite", *command], check=True)
        (CHECKPOINTS / name).mkdir(parents=True, exist_ok=True)
        for file in KEPT:
            shutil.copy(Path(out) / file, CHECKPOINTS / name / file)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"of {', '.join(MODELS)}; without one, all")
    for model in parser.parse_args().models or MODELS:
        make(model)
