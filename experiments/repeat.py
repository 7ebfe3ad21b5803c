"""Take one training out of each table in data/runs, make it again with the table's command, and compare.

    python experiments/repeat.py                      # every table; some minutes
    python experiments/repeat.py leak collapse        # these
    python experiments/repeat.py --seed 1             # other trainings

Returns 1 when a number is another one. What was trained on real data is left out.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[1]
RECORDS = ROOT / "data" / "runs"
WITHIN = 0.002  # another processor rounds otherwise
# Each table's command, and the columns that name one of its trainings.
TABLES = {
    "chains": (["chains.py"], ["signal", "seed"]),
    "collapse": (["collapse.py"], ["item_std", "detached", "positions", "seed"]),
    "conditions": (["conditions.py"], ["variant", "seed"]),
    "dcrec_repairs": (["repairs.py"], ["dataset", "variant", "seed"]),
    "hybrid": (["conditions.py", "hybrid"], ["variant", "seed"]),
    "leak": (["leak.py"], ["signal", "trained at", "seed"]),
    "loud_target": (["loud_target.py"], ["x_t", "history"]),
    "loss_balance": (["loss_balance.py"], ["denoising", "prior", "ranking", "lambda", "seed"]),
    "offset_noise": (["offset_noise.py"], ["arm", "seed"]),
    "sick_runs": (["sick_runs.py"], ["variant", "seed"]),
}


def repeated(name: str, seed: int, folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of one training as recorded and as made again; the experiments and the table are copied to `folder`."""
    command, keys = TABLES[name]
    table = pd.read_csv(RECORDS / f"{name}.csv")
    here = table[table.dataset == "bookshop"] if "dataset" in table else table
    one = here[keys].drop_duplicates().sample(1, random_state=seed)
    taken = table[keys].eq(one.iloc[0]).all(axis=1)
    shutil.copytree(ROOT / "experiments", folder / "experiments")
    copy = folder / "data" / "runs" / f"{name}.csv"
    copy.parent.mkdir(parents=True)
    table[~taken].to_csv(copy, index=False)
    program = folder / "experiments" / command[0]
    ran = subprocess.run([sys.executable, program, *command[1:]], capture_output=True, text=True)
    if ran.returncode:
        raise SystemExit(f"{' '.join(command)}\n{ran.stderr}")
    made = pd.read_csv(copy)  # and what the table lacked, if it had gaps
    return table[taken].reset_index(drop=True), made[made[keys].eq(one.iloc[0]).all(axis=1)].reset_index(drop=True)


def apart(recorded: pd.DataFrame, made: pd.DataFrame) -> float:
    """The greatest difference of any number, relative where it is above 1; infinite if anything else differs."""
    numbers = recorded.select_dtypes("number")
    words = [table.drop(columns=numbers.columns) for table in (recorded, made)]
    if not words[0].equals(words[1]) or not recorded.isna().equals(made.isna()):
        return float("inf")
    return float(((made[numbers.columns] - numbers).abs() / numbers.abs().clip(lower=1)).max(axis=None))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("tables", nargs="*", metavar="table", help=", ".join(TABLES))
    parser.add_argument("--seed", type=int, default=0, help="which trainings are taken out")
    given = parser.parse_args()
    if unknown := set(given.tables) - set(TABLES):
        parser.error(f"there is no table {min(unknown)}; there are {', '.join(TABLES)}")
    strayed = 0
    for name in given.tables or TABLES:
        with tempfile.TemporaryDirectory() as folder:
            recorded, made = repeated(name, given.seed, Path(folder))
        difference = apart(recorded, made)
        strayed += not difference <= WITHIN
        what = ", ".join(f"{key} {recorded[key][0]}" for key in TABLES[name][1])
        print(f"{name} ({what}): differs by {difference:.5f}{'' if difference <= WITHIN else '  STRAYED'}", flush=True)
    return int(strayed > 0)


if __name__ == "__main__":
    sys.exit(main())
