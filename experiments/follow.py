"""Run the command of each record in data/runs again for two epochs, and see whether it follows the recorded curve.

    python experiments/follow.py                      # every record; real data need DIFFREC_DATA
    python experiments/follow.py bookshop toys_hybrid # the records whose names begin so

Returns 1 when a run leaves its record's curve, and keeps what it saw in data/runs/followed.csv. Counts have no curve
and are not run. A record is followed on its own kind of device, or on the CPU where there is none.
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

import pandas as pd

from diffrec_lite.training.device import choose_device

ROOT = Path(__file__).parents[1]
RECORDS = ROOT / "data" / "runs"
FOLLOWED = RECORDS / "followed.csv"
EPOCHS = 2
WITHIN = 0.0005  # of the loss: another processor rounds otherwise, and another seed is already further away
ACROSS = 0.005  # of the loss: another kind of device draws other numbers for dropout, as another seed does
SHOWN = ("loss", "val NDCG@10")


def again(record: dict[str, Any], device: str, folder: Path) -> dict[str, Any]:
    """The record of the first epochs when a record's command is run again, in its precision, on `device`."""
    program, *given = shlex.split(record["command"])
    given[given.index("--out") + 1] = str(folder / "run")
    given += ["--set", f"epochs={EPOCHS}", "--precision", record["precision"], "--device", device]
    ran = subprocess.run([sys.executable, "-m", "diffrec_lite", *given], cwd=ROOT, capture_output=True, text=True)
    if ran.returncode:
        raise SystemExit(f"{program} {shlex.join(given)}\n{ran.stderr}")
    return json.loads((folder / "run" / "run.json").read_text(encoding="utf-8"))


def kind_of_device(record: dict[str, Any]) -> str:
    """What a record was made on, as `--device` calls it: "cpu" or "cuda"."""
    return record["device"].partition(":")[0]


def is_here(device: str) -> bool:
    """Whether this computer has such a device."""
    try:
        return choose_device(device).type == device
    except ValueError:
        return False


def both(record: dict[str, Any], repeated: dict[str, Any]) -> pd.DataFrame:
    """One row an epoch: what was recorded, and what came when it was run again."""
    rows = []
    for old, new in zip(record["history"][:EPOCHS], repeated["history"], strict=True):
        row = {"made on": kind_of_device(record), "run on": kind_of_device(repeated), "epoch": old["epoch"]}
        rows.append(row | {name: old[name] for name in SHOWN} | {f"{name} again": new[name] for name in SHOWN})
    return pd.DataFrame(rows)


def follows(rows: pd.DataFrame) -> bool:
    """Whether each epoch's loss is the recorded one, to `WITHIN`; on another kind of device, to `ACROSS`."""
    within = (rows["made on"] == rows["run on"]).map({True: WITHIN, False: ACROSS})
    return bool(((rows["loss again"] / rows["loss"] - 1).abs() <= within).all())


def keep(name: str, rows: pd.DataFrame) -> None:
    """Put a record's rows into the table, in place of those that it had."""
    rows.insert(0, "record", name)
    if FOLLOWED.exists():
        old = pd.read_csv(FOLLOWED)
        rows = pd.concat([old[old["record"] != name], rows])
    rows.sort_values(["record", "epoch"]).to_csv(FOLLOWED, index=False, float_format="%.6g", lineterminator="\n")


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
        device = kind_of_device(record) if is_here(kind_of_device(record)) else "cpu"
        with tempfile.TemporaryDirectory() as folder:
            rows = both(record, again(record, device, Path(folder)))
        good = follows(rows)
        strayed += not good
        print(f"{path.stem}{'' if good else '  STRAYED'}\n{rows.to_string(index=False)}", flush=True)
        keep(path.stem, rows)
    return int(strayed > 0)


if __name__ == "__main__":
    sys.exit(main())
