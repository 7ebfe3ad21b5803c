"""A table of trainings that differ in a few named things (an arm), each made once and kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pandas as pd


def fill(
    record: Path,
    arms: Iterable[dict[str, Any]],
    measure: Callable[[dict[str, Any]], Iterable[dict[str, Any]]],
    decimals: int | None = None,
    float_format: str | None = None,
) -> None:
    """Measure every arm that the CSV file `record` does not hold, and add its rows: the arm's columns, then the found.

    The file is written after each arm, so a program that was stopped goes on where it was.
    """
    rows = pd.read_csv(record).to_dict("records") if record.exists() else []
    for arm in arms:
        if any(arm.items() <= row.items() for row in rows):
            continue
        rows += [{**arm, **row} for row in measure(arm)]
        table = pd.DataFrame(rows)
        table = table if decimals is None else table.round(decimals)
        table.to_csv(record, index=False, lineterminator="\n", float_format=float_format)
        print(*arm.values(), rows[-1], flush=True)
