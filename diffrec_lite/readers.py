"""Interaction logs from files: RecBole atomic files (.inter, .item), CSV and parquet, gzipped or not.

A log is a DataFrame with columns user, item (text) and timestamp (float). Every problem is a DataError that names the
file, the line, the value and the remedy.
"""

from __future__ import annotations

import csv
import zlib
from pathlib import Path

import pandas as pd

USERS = ("user_id", "user", "userId", "reviewerID")
ITEMS = ("item_id", "item", "itemId", "movieId", "asin")
TIMES = ("timestamp", "time", "unixReviewTime")
TITLES = ("title", "movie_title")


class DataError(ValueError):
    """Input data that cannot be used; the message names the place, the value and the remedy."""


def read_log(
    path: str | Path, user: str | None = None, item: str | None = None, time: str | None = None
) -> pd.DataFrame:
    """Read an interaction log with columns user, item, timestamp.

    The names of the columns are found among the usual ones unless given. A log without a time column keeps the order
    of its rows. Raises DataError for a missing column, an empty file, an empty field or a time that is not a number.
    """
    path = Path(path)
    table = _read_table(path)
    columns = {
        "user": _column(table, path, "user", user, USERS),
        "item": _column(table, path, "item", item, ITEMS),
    }
    if time is not None or any(name in table for name in TIMES):
        columns["timestamp"] = _column(table, path, "time", time, TIMES)
    log = table[list(columns.values())].set_axis(list(columns), axis=1)
    if log.empty:
        raise DataError(f"{path.name}: holds no interactions; check that it is the file you meant")
    for name in ("user", "item"):
        missing = log[name].isna() | (log[name].astype(str).str.strip() == "")
        if missing.any():
            raise DataError(f"{path.name}:{_line(missing)}: the {name} is empty; remove the line or fill it in")
        log[name] = log[name].astype(str)
    if "timestamp" not in log:
        return log.assign(timestamp=range(len(log)))
    timestamp = pd.to_numeric(log["timestamp"], errors="coerce")
    bad = ~timestamp.between(-1e18, 1e18)
    if bad.any():
        value = log["timestamp"][bad].iloc[0]
        raise DataError(f"{path.name}:{_line(bad)}: timestamp {value!r} is not a number; give seconds or an order")
    return log.assign(timestamp=timestamp.astype(float))


def read_items(log_path: str | Path) -> pd.DataFrame | None:
    """The .item file beside an .inter file, with columns item, title (where known) and features; None without one."""
    log_path = Path(log_path)
    stem = log_path.name.split(".inter")[0]
    for name in (f"{stem}.item", f"{stem}.item.gz"):
        path = log_path.with_name(name)
        if ".inter" in log_path.name and path.is_file():
            table = _read_table(path)
            item = _column(table, path, "item", None, ITEMS)
            titles = {name: "title" for name in TITLES if name in table}
            return table.rename(columns={item: "item", **titles})
    return None


def _read_table(path: Path) -> pd.DataFrame:
    kind = path.name.removesuffix(".gz").rsplit(".", 1)[-1].lower()
    if kind not in ("inter", "item", "csv", "tsv", "parquet"):
        raise DataError(f"{path}: unknown kind of file; give .inter, .csv, .tsv or .parquet (.gz too)")
    try:
        if kind == "parquet":
            return pd.read_parquet(path)
        separator = "," if kind == "csv" else "\t"
        quoting = csv.QUOTE_MINIMAL if kind == "csv" else csv.QUOTE_NONE
        table = pd.read_csv(
            path, sep=separator, dtype=str, keep_default_na=False, quoting=quoting, index_col=False, encoding="utf-8",
            on_bad_lines="error", skip_blank_lines=False,
        )  # fmt: skip
    except pd.errors.EmptyDataError:
        raise DataError(f"{path.name}: the file is empty; it needs a header line and one line an interaction") from None
    except pd.errors.ParserError as problem:
        raise DataError(f"{path.name}: a line does not fit the header ({problem}); check the separators") from None
    except UnicodeDecodeError as problem:
        raise DataError(f"{path.name}: is not UTF-8 text ({problem.reason}); save it as UTF-8") from None
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (OSError, EOFError, zlib.error, ValueError) as problem:
        raise DataError(f"{path.name}: cannot be read ({problem}); the file may be damaged") from None
    return table.rename(columns=lambda name: str(name).split(":")[0].strip())


def _column(table: pd.DataFrame, path: Path, role: str, given: str | None, usual: tuple[str, ...]) -> str:
    for name in (given,) if given else usual:
        if name in table:
            return name
    wanted = repr(given) if given else " or ".join(usual[:2])
    raise DataError(f"{path.name}:1: no {role} column {wanted}; the file has {', '.join(map(str, table.columns))}")


def _line(bad: pd.Series) -> int:
    """The line of the first bad row; the header is line 1."""
    return int(bad.to_numpy().argmax()) + 2
