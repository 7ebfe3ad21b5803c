"""Files of interactions as tables: RecBole's atomic files, CSV and parquet.

A log is returned with the columns `user`, `item` (tokens) and `timestamp` (a number), one row an event, in the order
of the file. Tokens are kept as they are written: "007" and "7" are two items, and "NA" is a token, not a gap. A problem
raises DataError, whose message names the file, the line, the value and the remedy.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

COLUMNS = {"user": ("user_id", "user"), "item": ("item_id", "item"), "timestamp": ("timestamp", "time")}
LOG_ENDINGS = (".inter", ".inter.gz", ".csv", ".csv.gz", ".parquet")
GZIP_MAGIC = b"\x1f\x8b"


class DataError(ValueError):
    """Input data that cannot be used; the message says where, what, and what to do about it."""


def read_log(path: str | Path, columns: Mapping[str, str] | None = None) -> pd.DataFrame:
    """The log in a `.inter`, `.csv` (both also `.gz`) or `.parquet` file.

    `columns` maps "user", "item" and "timestamp" to the names in the file; by default user_id or user, item_id or
    item, timestamp or time. Raises DataError.
    """
    path = Path(path)
    unknown = set(columns or ()) - COLUMNS.keys()
    if unknown:
        raise DataError(f"columns: {min(unknown)!r} is none of user, item, timestamp")
    if path.name.endswith(".parquet"):
        table, first_line = _read_parquet(path), None
    else:
        table, first_line = _read_text(path)[0], 2
    log = pd.DataFrame(index=table.index)
    for role, usual in COLUMNS.items():
        names = (columns[role],) if columns and role in columns else usual
        found = [name for name in names if name in table]
        if not found:
            raise DataError(
                f"{path.name}: no column {' or '.join(names)}; found {_listed(table.columns)}. "
                f"The first line must name the columns; `columns` says which one is the {role}"
            )
        log[role] = table[found[0]]
        _refuse_missing(log[role], found[0], path.name, first_line)
    if log.empty:
        raise DataError(f"{path.name}: no interactions, only a header; is it the right file?")
    for role in ("user", "item"):
        log[role] = _tokens(log[role], path.name, first_line)
    log["timestamp"] = _numbers(log["timestamp"], "timestamp", path.name, first_line)
    return log.reset_index(drop=True)


def read_items(path: str | Path) -> pd.DataFrame:
    """The catalogue in an `.item` file: index the item tokens, a column for each further field.

    Fields typed `float` become numbers, where an empty field is NaN; all others stay text, where it is "".
    """
    path = Path(path)
    table, types = _read_text(path)
    if "item_id" not in table:
        raise DataError(f"{path.name}: no column item_id; found {_listed(table.columns)}")
    _refuse_missing(table["item_id"], "item_id", path.name, 2)
    twice = table["item_id"].duplicated()
    if twice.any():
        row = twice.idxmax()
        value = table.at[row, "item_id"]
        raise DataError(f"{path.name}:{row + 2}: item {value!r} is described twice; remove one of the lines")
    for name in table.columns.drop("item_id"):
        if types[name] == "float":
            given = table[name].notna()
            numbers = _numbers(table.loc[given, name], name, path.name, 2)
            table[name] = numbers.astype(float).reindex(table.index)
        else:
            table[name] = table[name].fillna("")
    return table.set_index("item_id")


def is_table(path: Path) -> bool:
    """Whether `read_log` reads files of this name."""
    return path.name.endswith(LOG_ENDINGS)


def stem(path: Path) -> str:
    """The name of a file without the ending that tells its kind."""
    endings = [ending for ending in LOG_ENDINGS if path.name.endswith(ending)]
    return path.name.removesuffix(max(endings, key=len)) if endings else path.stem


def catalogue_beside(path: Path) -> pd.DataFrame | None:
    """The catalogue in the `.item` (or `.item.gz`) file of the same name in the same folder; None without one."""
    found = [file for ending in (".item", ".item.gz") if (file := path.with_name(stem(path) + ending)).is_file()]
    return read_items(found[0]) if found else None


def _read_text(path: Path) -> tuple[pd.DataFrame, dict[str, str]]:
    """A table of text, and the type of each column, "" without one.

    An empty field is NaN. Row r of the index is line r + 2 of the file.
    """
    data = _bytes(path)
    if not data.strip():
        raise DataError(f"{path.name}: the file is empty; is it the right file?")
    comma = ".csv" in path.name
    try:
        # Only CSV has quotes; a title in an atomic file may hold a lone quotation mark.
        table = pd.read_csv(
            io.BytesIO(data),
            sep="," if comma else "\t",
            quoting=csv.QUOTE_MINIMAL if comma else csv.QUOTE_NONE,
            dtype=str,
            keep_default_na=False,
            na_values=[""],
            skip_blank_lines=False,
            encoding="utf-8",
            engine="c",
        )
    except UnicodeDecodeError:
        line = _first_bad_line(data)
        raise DataError(
            f"{path.name}:{line}: the text is not UTF-8; convert the file with iconv, for instance"
        ) from None
    except pd.errors.ParserError as problem:
        found = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(problem))
        if not found:
            raise DataError(f"{path.name}: not a table ({problem}); is it the right file?") from None
        fields, line, seen = found.groups()
        raise DataError(f"{path.name}:{line}: {seen} fields where the header has {fields}; {_remedy(comma)}") from None
    if not isinstance(table.index, pd.RangeIndex):  # pandas takes a surplus field for row names
        raise DataError(f"{path.name}:2: more fields than the header has; {_remedy(comma)}")
    types = dict(column.partition(":")[::2] for column in table.columns)
    table.columns = [column.partition(":")[0] for column in table.columns]
    if not table.columns.is_unique:
        raise DataError(f"{path.name}:1: column {table.columns[table.columns.duplicated()][0]!r} occurs twice")
    return table.dropna(how="all"), types


def _remedy(comma: bool) -> str:
    return f"part the fields by {'commas' if comma else 'tabs'}, and give every line as many as the header"


def _first_bad_line(data: bytes) -> int:
    """The first line that is not UTF-8; pandas decodes field by field and cannot tell."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as problem:
        return data[: problem.start].count(b"\n") + 1
    return 1


def _bytes(path: Path) -> bytes:
    """The content of a file, unpacked if it is gzip, without a byte-order mark."""
    try:
        data = path.read_bytes()
        if data.startswith(GZIP_MAGIC):
            data = gzip.decompress(data)
        elif path.name.endswith(".gz"):
            raise gzip.BadGzipFile("it does not begin like one")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as problem:
        raise DataError(f"{path.name}: damaged gzip file ({problem}); fetch it again") from None
    except OSError as problem:
        raise DataError(f"{path}: cannot be read ({problem.strerror})") from None
    return data.removeprefix(b"\xef\xbb\xbf")


def _read_parquet(path: Path) -> pd.DataFrame:
    from pyarrow import ArrowException

    try:
        return pd.read_parquet(path).reset_index(drop=True)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (ArrowException, OSError, ValueError) as problem:
        raise DataError(f"{path.name}: not a readable parquet file ({str(problem).splitlines()[0]})") from None


def _tokens(values: pd.Series, file: str, first_line: int | None) -> pd.Series:
    """Tokens as text or whole numbers. Parquet gives floats where a whole column of numbers once had gaps."""
    if pd.api.types.is_float_dtype(values):
        broken = values % 1 != 0
        if broken.any():
            row = int(broken.idxmax())
            raise DataError(f"{_place(file, row, first_line)}: {values.name} {values[row]} is not a whole number")
        return values.astype("int64")
    return values


def _numbers(values: pd.Series, name: str, file: str, first_line: int | None) -> pd.Series:
    """Finite numbers, int64 where all are whole and fit; dates of a parquet file become seconds since 1970."""
    if pd.api.types.is_datetime64_any_dtype(values):
        return (values - pd.Timestamp(0, tz=values.dt.tz)) // pd.Timedelta(seconds=1)
    numbers = pd.to_numeric(values, errors="coerce")
    if pd.api.types.is_signed_integer_dtype(numbers):
        return numbers.astype("int64")
    bad = ~np.isfinite(numbers.astype(float))
    if bad.any():
        row = int(bad.idxmax())
        raise DataError(
            f"{_place(file, row, first_line)}: {name} {values[row]!r} is not a number"
            + ("; write seconds since 1970, or a position" if name == "timestamp" else "")
        )
    return numbers.astype(float)


def _refuse_missing(values: pd.Series, name: str, file: str, first_line: int | None) -> None:
    gaps = values.isna()
    if gaps.any():
        where = _place(file, int(gaps.idxmax()), first_line)
        more = f" (and {int(gaps.sum()) - 1} more)" if gaps.sum() > 1 else ""
        raise DataError(f"{where}: {name} is missing{more}; complete the line or remove it")


def _place(file: str, row: int, first_line: int | None) -> str:
    return f"{file}, row {row}" if first_line is None else f"{file}:{row + first_line}"


def _listed(names: pd.Index, most: int = 6) -> str:
    shown = ", ".join(repr(str(name)[:30]) for name in names[:most])
    return shown + (", …" if len(names) > most else "")
