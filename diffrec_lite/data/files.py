"""Files of interactions as tables: RecBole's atomic files, CSV and parquet.

Text is read as it is written; what a column may hold, and what becomes of it, stands in `log.py`. A problem raises
DataError, whose message names the file, the line, the value and the remedy.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from diffrec_lite.data.door import DataError, door
from diffrec_lite.data.log import as_catalogue, as_log, numbers, roles

LOG_ENDINGS = (".inter", ".inter.gz", ".csv", ".csv.gz", ".parquet")
GZIP_MAGIC, ZIP_MAGIC, BYTE_ORDER_MARK = b"\x1f\x8b", b"PK\x03\x04", b"\xef\xbb\xbf"
TYPES = (":token", ":token_seq", ":float", ":float_seq")  # RecBole's, behind a column's name
SEPARATORS = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "bar", " ": "space"}


def read_log(path: str | Path, columns: Mapping[str, str] | None = None, timed: bool = True) -> pd.DataFrame:
    """The log in a `.inter`, `.csv` (both also `.gz`) or `.parquet` file, in the form that `log.as_log` describes.

    `columns` maps "user", "item" and "timestamp" to the names in the file; by default user_id or user, item_id or
    item, timestamp or time. Unless it is `timed`, the file may lack the times. Raises DataError.
    """
    path = Path(path)
    with door(path):
        if path.name.endswith(".parquet"):
            return as_log(_read_parquet(path), path.name, columns, timed=timed)
        return as_log(_read_text(path)[0], path.name, columns, at=":", timed=timed)


def read_items(path: str | Path) -> pd.DataFrame:
    """The catalogue in an `.item` file: index the item tokens, a column for each further field.

    Fields typed `float` become numbers, where an empty field is NaN; all others stay text, where it is "".
    """
    path = Path(path)
    with door(path):
        table, types = _read_text(path)
        if "item_id" not in table:
            raise DataError(f"{path.name}: no column item_id; found {', '.join(map(repr, table.columns[:6]))}")
        for name in table.columns.drop("item_id"):
            if types[name] == "float":
                given = numbers(table[name].dropna(), path.name, ":")
                table[name] = given.astype(float).reindex(table.index)
            else:
                table[name] = table[name].fillna("")
        return as_catalogue(table, path.name, at=":")


def parse_columns(text: str) -> dict[str, str]:
    """A mapping of columns, for `read_log`, from "user=userId,item=movieId,time=timestamp".

    A pair whose name holds a comma is quoted as in a CSV file. Raises DataError.
    """
    columns: dict[str, str] = {}
    with door("columns", remedy=(ask := "write user=NAME,item=NAME,time=NAME")):
        for part in next(csv.reader([text], skipinitialspace=True), []):
            role, _, name = part.strip().partition("=")
            if not name or role in columns:
                raise DataError(f"columns: {part!r} is no pair, or its first half is given twice; {ask}")
            columns[role] = name
    if not columns:
        raise DataError(f"columns: nothing is given; {ask}")
    return roles(columns)


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


def _read_parquet(path: Path) -> pd.DataFrame:
    """The table in a parquet file, which is read from memory: a folder would be read as one table in many files.

    INT96, in which older programs write dates, reaches further than 64 bits of nanoseconds, and pyarrow wraps around.
    Where that would happen all dates are microseconds.
    """
    from pyarrow import ArrowInvalid, parquet, timestamp

    data = _bytes(path)
    table = parquet.read_table(io.BytesIO(data))
    schema = parquet.ParquetFile(io.BytesIO(data)).schema
    dates = {column.path for column in map(schema.column, range(len(schema))) if column.physical_type == "INT96"}
    if dates:
        coarse = parquet.read_table(io.BytesIO(data), coerce_int96_timestamp_unit="us")
        try:
            for name in dates.intersection(table.column_names):
                coarse[name].cast(timestamp("ns"))
        except ArrowInvalid:
            table = coarse
    return table.to_pandas()


def _read_text(path: Path) -> tuple[pd.DataFrame, dict[str, str]]:
    """A table of text, its index the lines of the file; and the type of each column, "" without one.

    An empty field is NaN. A line of nothing but empty fields is left out.
    """
    data = _bytes(path)
    _refuse_what_is_no_text(data, path.name)
    comma = path.name.endswith((".csv", ".csv.gz"))
    try:
        # Only CSV has quotes; a title in an atomic file may hold a lone quotation mark.
        table = pd.read_csv(
            io.BytesIO(data),
            sep="," if comma else "\t",
            quoting=csv.QUOTE_MINIMAL if comma else csv.QUOTE_NONE,
            header=None,  # as a header, pandas would rename a name that occurs twice
            dtype=str,
            keep_default_na=False,
            na_values=[""],
            skip_blank_lines=False,
            engine="c",
        )
    except pd.errors.ParserError as problem:
        raise _explained(problem, data, path.name, comma) from None
    table.index = _lines(table, comma and data.count(b"\n") > len(table))
    header = table.iloc[0].fillna("")
    table = table.iloc[1:]
    typed = [name.partition(":")[::2] if not comma or name.endswith(TYPES) else (name, "") for name in header]
    names = [name for name, _ in typed]
    if len(names) == 1 and (hint := _hint(data, comma)):
        raise DataError(f"{path.name}:1: {hint}")
    # A column without a name, such as the row numbers that pandas writes, is nobody's.
    table = table.set_axis(names, axis=1).loc[:, [name != "" for name in names]]
    if not table.columns.is_unique:
        raise DataError(f"{path.name}:1: column {table.columns[table.columns.duplicated()][0]!r} occurs twice")
    return table.dropna(how="all"), dict(typed)


def _lines(table: pd.DataFrame, broken: bool) -> np.ndarray:
    """The line on which each row begins; quoted fields may be `broken` over several."""
    lines = np.arange(1, len(table) + 1)
    if broken:
        breaks = sum(table[name].str.count(r"\r\n|\r|\n").fillna(0).astype(int) for name in table)
        lines[1:] += np.cumsum(breaks.to_numpy())[:-1]
    return lines


def _refuse_what_is_no_text(data: bytes, name: str) -> None:
    if not data.strip():
        raise DataError(f"{name}: the file is empty; is it the right file?")
    if data.startswith(ZIP_MAGIC):
        raise DataError(f"{name}: a zip archive; unpack it, or make a data set of it with `diffrec-lite data prepare`")
    if not data.split(b"\n", 1)[0].strip():
        raise DataError(f"{name}:1: the first line is blank; it must name the columns, so remove the blank lines")
    try:
        data.decode("utf-8")
        position, wrong = data.find(b"\0"), "holds a NUL character"
    except UnicodeDecodeError as problem:
        position, wrong = problem.start, "the text is not UTF-8"
    if position >= 0:
        line = data.count(b"\n", 0, position) + 1
        raise DataError(f"{name}:{line}: {wrong}; convert the file with iconv, for instance")


def _explained(problem: pd.errors.ParserError, data: bytes, name: str, comma: bool) -> DataError:
    """What pandas says about a text that is no table, in our words."""
    if hint := _hint(data, comma):
        return DataError(f"{name}:1: {hint}")
    if found := re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(problem)):
        fields, line, seen = found.groups()
        remedy = f"part the fields by {'commas' if comma else 'tabs'}, and give every line as many as the header"
        return DataError(f"{name}:{line}: {seen} fields where the header has {fields}; {remedy}")
    if found := re.search(r"inside string starting at row (\d+)", str(problem)):
        return DataError(f"{name}:{int(found[1]) + 1}: a quotation mark opens a field and none closes it; add it")
    return DataError(f"{name}: not a table ({problem}); is it the right file?")


def _hint(data: bytes, comma: bool) -> str:
    """What a header parted by something else looks like; "" for one that is parted as it should be."""
    header = data.split(b"\n", 1)[0].decode("utf-8").strip()
    wanted = "," if comma else "\t"
    if wanted in header:
        return ""
    found, count = max(((mark, header.count(mark)) for mark in SEPARATORS), key=lambda pair: pair[1])
    if not count:
        return ""
    kinds = {"\t": "is this an atomic file? Then name it .inter", ",": "is this a CSV? Then name it .csv"}
    remedy = kinds.get(found, f"part the fields by {SEPARATORS[wanted]}s")
    plural = "s" if count > 1 else ""
    return f"the header has no {SEPARATORS[wanted]} but {count} {SEPARATORS[found]}{plural}: {remedy}"


def _bytes(path: Path) -> bytes:
    """The content of a file, unpacked if it is gzip, without a byte-order mark."""
    with door(path, remedy="fetch it again"):
        data = path.read_bytes()
        if data.startswith(GZIP_MAGIC) or path.name.endswith(".gz"):
            data = gzip.decompress(data)
        return data.removeprefix(BYTE_ORDER_MARK)
