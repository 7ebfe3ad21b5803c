"""Histories as a user writes them, one on the command line or many in a file, and the recommendations for them."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from diffrec_lite.data.door import expand
from diffrec_lite.data.files import read_log
from diffrec_lite.data.prepare import in_order
from diffrec_lite.data.whole import write
from diffrec_lite.models.base import Recommender
from diffrec_lite.models.catalogue import Catalogue

SCORES_AT_ONCE = 4_000_000
ENDINGS = (".csv", ".parquet")


def parse(text: str, catalogue: Catalogue) -> list[int]:
    """The ids of items written as one line of CSV: `12,5,33`, or `"Salt, and Smoke",5`. Raises ValueError."""
    remedy = 'part items by commas, and write one that holds a comma or a quote as in a CSV file: "a,b",12'
    try:
        (tokens,) = csv.reader([text], skipinitialspace=True, strict=True)
    except (csv.Error, ValueError) as problem:
        raise ValueError(f"--history {text!r} is not one line of CSV ({problem}); {remedy}") from None
    tokens = [token if token in catalogue.ids else token.strip() for token in tokens]
    if not tokens or "" in tokens:
        raise ValueError(f"--history {text!r} holds an item that is empty; {remedy}")
    return [_id(token, catalogue) for token in tokens]


def read(path: Path, columns: dict[str, str] | None, catalogue: Catalogue) -> tuple[list[str], list[list[int]]]:
    """The readers in a file, in the order of their first rows, and the ids of what each has read, oldest first.

    The file is read like a data set; without times its rows count as in order. Raises DataError and ValueError.
    """
    log = in_order(read_log(expand(path), columns, timed=False))
    tokens = log["item"].cat.categories
    ids = log["item"].map({token: _id(token, catalogue, f"{path.name}: ") for token in tokens}).astype(int)
    histories = ids.groupby(log["user"], sort=False, observed=True).agg(list)
    return [str(user) for user in histories.index], histories.tolist()


def recommended(
    model: Recommender, readers: list[str], histories: list[list[int]], k: int, **settings: Any
) -> pd.DataFrame:
    """The k best items for each reader, by token: user_id, item_id, score, rank, and title where titles are known."""
    parts = []
    for chunk in _chunks(len(histories), max(1, SCORES_AT_ONCE // (model.num_items + 1))):
        found = model.recommend([histories[i] for i in chunk], k, users=[number(readers[i]) for i in chunk], **settings)
        parts.append(found.assign(user_id=found.user_id.map({number(readers[i]): readers[i] for i in chunk})))
    table = pd.concat(parts, ignore_index=True)
    table["item_id"] = [model.catalogue.tokens[i] for i in table["item_id"]]
    return table if model.catalogue.titles is not None else table.drop(columns="title")


def number(reader: str) -> int:
    """A reader's number, by which the noise is drawn: a function of the token alone, 48 bits of its SHA-256."""
    return int.from_bytes(hashlib.sha256(reader.encode()).digest()[:6])


def write_table(table: pd.DataFrame, path: Path) -> None:
    """A table as CSV or parquet, whichever the name ends in. Raises ValueError for another ending."""
    check_ending(path)
    if path.suffix == ".csv":
        write(path, table.to_csv(index=False, lineterminator="\n"))
    else:
        content = io.BytesIO()
        table.to_parquet(content, index=False)
        write(path, content.getvalue())


def check_out(path: Path, read_from: Path | None) -> None:
    """Raise ValueError unless `write_table` can write a file of this name, and it is not the one that is read."""
    check_place(path)
    if read_from is not None and path.exists() and read_from.exists() and path.samefile(read_from):
        raise ValueError(f"--out {path} is the file of the histories, which would be lost; name another one")


def check_ending(path: Path) -> None:
    """Raise ValueError unless a file of this name is a table that we know."""
    if path.suffix not in ENDINGS:
        raise ValueError(f"{path}: the name must end in {' or '.join(ENDINGS)}")


def check_place(path: Path) -> None:
    """Raise ValueError unless `write_table` can write a file of this name, in a folder that is there."""
    check_ending(path)
    if not path.parent.is_dir():
        raise ValueError(f"{path}: there is no folder {path.parent}; make it first")


def _id(token: str, catalogue: Catalogue, where: str = "") -> int:
    if token in catalogue.ids:
        return catalogue.ids[token]
    first, last, many = catalogue.tokens[1], catalogue.tokens[-1], len(catalogue.ids)
    raise ValueError(f"{where}item {token!r} is not in the catalogue of the model: {many} items, {first} to {last}")


def _chunks(total: int, size: int) -> Iterator[range]:
    return (range(start, min(start + size, total)) for start in range(0, total, size))
