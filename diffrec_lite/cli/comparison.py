"""The ranks of all readers as a table, written and read again, and two of them side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from diffrec_lite import metrics
from diffrec_lite.cli.histories import check_ending
from diffrec_lite.data import DataError, SequenceDataset
from diffrec_lite.data.door import door
from diffrec_lite.evaluation import Evaluation

PROTOCOLS = {"unfiltered": "rank", "seen_filtered": "rank_filtered"}
CANDIDATES = {"unfiltered": "all items", "seen_filtered": "unseen items"}
# What two tables must have in common, and what it is called.
READERS = {
    "user_id": "reader",
    "item_id": "target",
    "length": "length of the history",
    "popularity": "occurrences of the target in training",
}
LEAST = {"length": 1, "popularity": 0, "rank": 1, "rank_filtered": 1}
NO_VERDICT = "cannot be told apart"
GOAL = "NDCG@10"  # what is said in words
DRAWS = 2000


def table_of(dataset: SequenceDataset, unfiltered: Evaluation, filtered: Evaluation) -> pd.DataFrame:
    """A row a reader, by token: user_id, item_id (the target), length, popularity, rank, rank_filtered."""
    found = unfiltered.table().assign(rank_filtered=filtered.ranks.numpy())
    users = [str(dataset.user_tokens[user]) for user in found.pop("user")]
    items = [str(dataset.item_tokens[item]) for item in found.pop("target")]
    return pd.DataFrame({"user_id": users, "item_id": items, **found})


def read(path: Path) -> pd.DataFrame:
    """A table that `table_of` made, from a CSV or parquet file. Raises DataError for a file that is none."""
    check_ending(path)
    with door(path, remedy="is it a file that `evaluate --ranks` wrote?"):
        if path.suffix == ".csv":
            text = {"user_id": str, "item_id": str}
            found = pd.read_csv(path, dtype=text, keep_default_na=False, encoding="utf-8")
        else:
            found = pd.read_parquet(path)
        for name in (*READERS, *PROTOCOLS.values()):
            if name not in found:
                raise DataError(f"{path.name}: no column {name}; write the file with `evaluate FOLDER --ranks`")
            least = LEAST.get(name)
            if least is not None and not (pd.api.types.is_integer_dtype(found[name]) and (found[name] >= least).all()):
                raise DataError(f"{path.name}: {name} must hold whole numbers, at least {least}")
        return found


def refuse_other_items(a: SequenceDataset, b: SequenceDataset, names: tuple[str, str]) -> None:
    """Raise ValueError, naming the first item that only one of two data sets has: the candidates must be the same."""
    for own, other, where in ((a, b, names[0]), (b, a, names[1])):
        there = set(map(str, other.item_tokens))
        only = next((token for token in map(str, own.item_tokens) if token not in there), None)
        if only is not None:
            raise ValueError(f"{names[0]} and {names[1]} rank other items: only {where} knows {only!r}")


def compared(a: Mapping[str, pd.DataFrame], b: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """`metrics.compare` under both protocols, by their names, with a column `verdict`.

    A side is a table by name, or several of other seeds, whose gains are averaged. Raises ValueError, naming the first
    difference, unless all tables are of the same readers, asked for the same.
    """
    (name, first), *others = [*a.items(), *b.items()]
    for other, table in others:
        _refuse_other_readers(first, table, (name, other))
    popularity = torch.tensor(first["popularity"].to_numpy())
    found = {}
    for protocol, column in PROTOCOLS.items():
        ranks = (torch.tensor(np.stack([table[column].astype(np.int64) for table in side.values()])) for side in (a, b))
        table = metrics.compare(*ranks, popularity, draws=DRAWS)
        side = np.sign(table["low"]) + np.sign(table["high"])  # 2 where both ends are above zero, -2 below
        found[protocol] = table.assign(verdict=side.map({2: "A is better", -2: "B is better"}).fillna(NO_VERDICT))
    return found


def in_cells(row: pd.Series) -> list[str]:
    """A, B, their difference, its interval, p and the verdict of one metric, as text."""
    interval = f"{row['low']:+.4f} to {row['high']:+.4f}"
    return [
        f"{row['A']:.4f}",
        f"{row['B']:.4f}",
        f"{row['difference']:+.4f}",
        interval,
        f"{row['p']:.4f}",
        row["verdict"],
    ]


def in_words(table: pd.DataFrame, protocol: str) -> str:
    """One sentence about the goal."""
    row = table.loc[GOAL]
    better = {"A is better": "A is better than B", "B is better": "B is better than A"}
    what = better.get(row["verdict"], f"A and B {NO_VERDICT}")
    numbers = f"the difference is {row['difference']:+.4f}, 95 % between {row['low']:+.4f} and {row['high']:+.4f}"
    return f"By {GOAL} among {CANDIDATES[protocol]}, {what}: {numbers}, p = {row['p']:.4f}."


def as_json(found: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """What was found, and how, JSON-ready."""
    method = (
        f"paired percentile bootstrap over readers, {DRAWS} draws; two-sided p from the same draws; a side of several "
        "trainings is the mean of their metrics"
    )
    tables = {protocol: table.to_dict("index") for protocol, table in found.items()}
    words = {protocol: in_words(table, protocol) for protocol, table in found.items()}
    return {"method": method, **tables, "words": words}


def _refuse_other_readers(a: pd.DataFrame, b: pd.DataFrame, names: tuple[str, str]) -> None:
    both = f"{names[0]} and {names[1]}"
    for column, what in READERS.items():
        pairs = zip(a["user_id"], a[column], b[column], strict=False)
        first = next(((user, own, other) for user, own, other in pairs if own != other), None)
        if first is not None:
            user, own, other = first
            whose = "" if column == "user_id" else f" of reader {user!r}"
            raise ValueError(f"{both} were asked other things: the first {what}{whose} is {own!r} against {other!r}")
    if len(a) != len(b):
        where, table, rows = (names[0], a, len(b)) if len(a) > len(b) else (names[1], b, len(a))
        only = table["user_id"].iloc[rows]
        raise ValueError(f"{both} have {len(a)} and {len(b)} readers: only {where} has {only!r}")
