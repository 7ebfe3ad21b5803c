"""A table of numbers, printed and measured: for a program (CSV) and for the eye (Markdown)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from diffrec_lite.data.shipped import shipped
from diffrec_lite.training.results import Score

NOT_RUN, NOT_PRINTED = "not run", "not printed"


@dataclass(frozen=True)
class Table:
    """A table by name: what it shows, what a reader has to know beside it, and its `frame` with the bare numbers.

    `missing` is the word for a number of ours that is not there.
    """

    name: str
    title: str
    note: str
    frame: pd.DataFrame
    missing: str = NOT_RUN

    def csv(self) -> str:
        """The bare numbers, a column each."""
        return self.frame.to_csv(index=False, lineterminator="\n")

    def text(self) -> pd.DataFrame:
        """The table for the eye, all text: a number and its interval, or its deviation, share a cell."""
        return as_text(self.frame, self.missing)

    def markdown(self) -> str:
        """Title, table and note."""
        shown = self.text()
        rows = as_markdown([shown.columns, *shown.itertuples(index=False)])
        return f"# {self.title}\n\n{rows}\n{self.note}\n"


def as_markdown(rows: Sequence[Sequence[object]]) -> str:
    """Rows as the lines of a Markdown table; the first one is its head."""
    lines = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |\n" for row in lines)


def as_text(frame: pd.DataFrame, missing: str = NOT_RUN) -> pd.DataFrame:
    """A frame as text. Columns "X sd", "X low" and "X high" go into X.

    A number that is missing is "not printed" in a column whose name begins with "published", and else `missing`.
    """
    frame = frame.convert_dtypes()  # whole numbers stay whole although others of their column are missing
    parts = [f"{name} {part}" for name in frame.columns for part in ("sd", "low", "high")]
    shown = {}
    for name in frame.columns.drop(parts, errors="ignore"):
        word = NOT_PRINTED if name.startswith("published") else missing
        around = [frame.get(f"{name} {part}", [None] * len(frame)) for part in ("sd", "low", "high")]
        shown[name] = [_cell(*row, word) for row in zip(frame[name], *around, strict=True)]
    return pd.DataFrame(shown)


def _cell(value: object, sd: float | None, low: float | None, high: float | None, missing: str) -> str:
    if isinstance(value, str):
        return value
    if pd.isna(value):
        return missing
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    text = f"{value:.4f}" if value < 10 else f"{value:,.1f}"
    if pd.notna(sd):
        return f"{text} ± {sd:.4f}"
    return f"{text} [{low:.4f}, {high:.4f}]" if pd.notna(low) else text


def published(name: str) -> pd.DataFrame:
    """A table of data/published, with "" where a cell is empty."""
    return pd.read_csv(shipped(f"published/{name}.csv"), keep_default_na=False)


def measured(name: str) -> pd.DataFrame:
    """A table of data/runs."""
    return pd.read_csv(shipped(f"runs/{name}.csv"))


def numbers(name: str, score: Score | None) -> dict[str, float | int | None]:
    """A score as the columns NAME, NAME sd, NAME low and NAME high."""
    parts = (None,) * 4 if score is None else (score.value, score.sd, score.low, score.high)
    return {name + part: value for part, value in zip(("", " sd", " low", " high"), parts, strict=True)}
