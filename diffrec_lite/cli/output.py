"""What the commands print, whatever the data hold and whatever the terminal can show.

Titles and tokens are data: nothing in them is taken for markup, and a character that the terminal lacks is escaped.
JSON is strict and stands on one line.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Sequence
from typing import Any

WIDTH = 160  # of a table that goes into a file or a pipe


def escape_what_cannot_be_shown() -> None:
    """From now on, a character that the encoding of stdout or stderr lacks is written as an escape, such as \\u2026."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str = "", fold: bool = False) -> None:
    """A table of text. `fold` breaks a last column that is too wide, instead of cutting it."""
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    table = Table(*(Column(Text(name)) for name in columns), title=Text(title) if title else None)
    for row in rows:
        table.add_row(*("" if cell is None else Text(str(cell)) for cell in row))
    if fold:
        table.columns[-1].overflow = "fold"
    Console(width=None if sys.stdout.isatty() else WIDTH).print(table)


def print_json(value: Any) -> None:
    """One line of JSON in ASCII. A number that is not finite becomes null, since JSON has no word for it."""
    print(json.dumps(_finite(value), allow_nan=False))


def print_evaluations(results: Sequence[Any], title: str) -> None:
    """A row for each `Evaluation`."""
    rows = []
    for found in results:
        low, high = found.intervals["NDCG@10"]
        candidates = "unseen items" if found.protocol["seen_filtered"] else "all items"
        numbers = (
            f"{value:.4f}" + (f" ({low:.4f} to {high:.4f})" if name == "NDCG@10" else "")
            for name, value in found.metrics.items()
        )
        rows.append((found.protocol["split"], candidates, *numbers))
    print_table(("split", "candidates", *results[0].metrics), rows, title)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
