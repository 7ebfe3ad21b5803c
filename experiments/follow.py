"""Run the command of each record in data/runs again for two epochs, and see whether it follows the recorded curve.

    python experiments/follow.py                      # every record; real data need DIFFREC_DATA
    python experiments/follow.py bookshop toys_hybrid # the records whose names begin so

Returns 1 when a run leaves its record's curve. Counts have no curve and are not run. A record is followed on its own
kind of device, or not at all: another one draws other numbers for dropout, and a loss strays by some thousandths.
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

from diffrec_lite.training.device import choose_device

ROOT = Path(__file__).parents[1]
RECORDS = ROOT / "data" / "runs"
EPOCHS = 2
WITHIN = 0.0005  # of the loss: another processor rounds otherwise, and another seed is already further away


def curve(record: dict[str, Any], folder: Path) -> list[float]:
    """The losses of the first epochs when the record's command is run again, in its precision."""
    program, *given = shlex.split(record["command"])
    given[given.index("--out") + 1] = str(folder / "run")
    given += ["--set", f"epochs={EPOCHS}", "--precision", record["precision"], "--device", kind_of_device(record)]
    ran = subprocess.run([sys.executable, "-m", "diffrec_lite", *given], cwd=ROOT, capture_output=True, text=True)
    if ran.returncode:
        raise SystemExit(f"{program} {shlex.join(given)}\n{ran.stderr}")
    return losses(json.loads((folder / "run" / "run.json").read_text(encoding="utf-8")))


def kind_of_device(record: dict[str, Any]) -> str:
    """What a record was made on, as `--device` calls it: "cpu" or "cuda"."""
    return record["device"].partition(":")[0]


def is_here(device: str) -> bool:
    """Whether this computer has such a device."""
    try:
        return choose_device(device).type == device
    except ValueError:
        return False


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
        if not is_here(kind_of_device(record)):
            print(f"{path.stem}: not run, for there is no {kind_of_device(record)} here", flush=True)
            continue
        with tempfile.TemporaryDirectory() as folder:
            again = curve(record, Path(folder))
        good = follows(again, losses(record))
        strayed += not good
        print(f"{path.stem}: recorded {losses(record)}, again {again}{'' if good else '  STRAYED'}", flush=True)
    return int(strayed > 0)


if __name__ == "__main__":
    sys.exit(main())
