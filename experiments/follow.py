"""Run the command of each record in data/runs again for two epochs, and see whether it follows the recorded curve.

    python experiments/follow.py                      # every record; real data need DIFFREC_DATA
    python experiments/follow.py bookshop toys_hybrid # the records whose names begin so

Returns 1 when a run leaves its record's curve. Counts have no curve and are not run.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RECORDS = ROOT / "data" / "runs"
EPOCHS = 2
WITHIN = 0.0005  # of the loss: another processor rounds otherwise, and another seed is already further away


def curve(record: dict[str, Any], folder: Path) -> list[float]:
    """The losses of the first epochs when the record's command is run again, in its precision."""
    program, *given = shlex.split(record["command"])
    given[given.index("--out") + 1] = str(folder / "run")
    given += ["--set", f"epochs={EPOCHS}", "--precision", record["precision"]]
    ran = subprocess.run([sys.executable, "-m", "diffrec_lite", *given], cwd=ROOT, capture_output=True, text=True)
    if ran.returncode:
        raise SystemExit(f"{program} {shlex.join(given)}\n{ran.stderr}")
    return losses(json.loads((folder / "run" / "run.json").read_text(encoding="utf-8")))


def losses(record: dict[str, Any]) -> list[float]:
    return [row["loss"] for row in record["history"][:EPOCHS]]


def follows(again: list[float], recorded: list[float]) -> bool:
    """Whether each epoch's loss is the recorded one, to `WITHIN`."""
    return all(abs(a - b) <= WITHIN * abs(b) for a, b in zip(again, recorded, strict=True))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("records", nargs="*", help="how the names of the wanted records begin; without one, all")
    begins = tuple(parser.parse_args().records) or ("",)
    if not any(path.stem.startswith(begins) for path in RECORDS.glob("*_*_[0-9].json")):
        parser.error(f"no record's name begins with {' or '.join(begins)}")
    strayed = 0
    for path in sorted(RECORDS.glob("*_*_[0-9].json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        if not path.stem.startswith(begins) or "loss" not in record["history"][0]:
            continue
        with tempfile.TemporaryDirectory() as folder:
            again = curve(record, Path(folder))
        good = follows(again, losses(record))
        strayed += not good
        print(f"{path.stem}: recorded {losses(record)}, again {again}{'' if good else '  STRAYED'}", flush=True)
    return int(strayed > 0)


if __name__ == "__main__":
    sys.exit(main())
