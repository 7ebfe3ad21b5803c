"""What the columns of a log may hold, and the one form in which all of the package sees it.

A log has the columns `user`, `item` (tokens, as categories of text) and `timestamp` (a number), one row an event. It is
made here from any table, so that one rule holds for files, archives and tables of pandas alike. Nothing is lost without
a word: two tokens, or two times, that differ in the source differ in the log. A problem raises DataError, whose message
names the source, the row, the value and the remedy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd

from diffrec_lite.data.door import DataError, door

COLUMNS = {"user": ("user_id", "user"), "item": ("item_id", "item"), "timestamp": ("timestamp", "time")}
# A token stands alone in a field of a table, on a command line and in JSON, and is the same when it is read again.
NO_TOKEN = re.compile(r"^\s|\s\Z|^\Z|[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
BROKEN_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
FLOAT_TEXT = re.compile(r"-?(0|[1-9][0-9]*)\.0")


def as_log(
    table: pd.DataFrame, source: str, columns: Mapping[str, str] | None = None, at: str = ", row ", timed: bool = True
) -> pd.DataFrame:
    """The log in a table, in the order of its rows.

    Unless it is `timed`, a table may lack the times; the rows then stand in their order.
    `columns` maps "user", "item" and "timestamp" (or "time") to the table's own names; by default user_id or user,
    item_id or item, timestamp or time. A named level of the index counts as a column. In a message, `source`, `at` and
    the label of a row say where it is.
    """
    columns = roles(columns or {})
    with door(source):
        table = _flat(table, source)
        wanted = set(COLUMNS)
        if not timed and "timestamp" not in columns and not any(name in table for name in COLUMNS["timestamp"]):
            wanted.remove("timestamp")
        found = {role: _choose(table, source, role, columns) for role in COLUMNS if role in wanted}
        if len(set(found.values())) < len(found):
            raise DataError(f"{source}: user, item and time need a column each, got {', '.join(found.values())}")
        for name in found.values():
            _refuse_missing(table[name], source, at)
        if table.empty:
            raise DataError(f"{source}: no interactions in it; is it the right file?")
        log = {role: tokens(table[found[role]], source, at) for role in ("user", "item")}
        time = times(table[found["timestamp"]], source, at) if "timestamp" in found else range(len(table))
        return pd.DataFrame({**log, "timestamp": time}).reset_index(drop=True)


def as_catalogue(table: pd.DataFrame, source: str, at: str = ", row ") -> pd.DataFrame:
    """The table of items with their tokens, from its column `item_id` or else its index, as the index."""
    with door(source):
        if "item_id" not in table:
            table = table.assign(item_id=table.index)
        _refuse_twice(table.columns, source)
        index = table["item_id"]
        _refuse_missing(index, source, at)
        names = tokens(index, source, at).astype(object)
        twice = names.duplicated()
        if twice.any():
            row = twice.to_numpy().argmax()
            raise DataError(
                f"{source}{at}{names.index[row]}: item {names.iloc[row]!r} is described twice; remove one of the lines"
            )
        return table.drop(columns="item_id").set_index(pd.Index(names.to_numpy(), name="item_id"))


def tokens(values: pd.Series, source: str, at: str) -> pd.Series:
    """A column of tokens as categories of text: "007" and "7" are two tokens, and "NA" is one.

    A token is text of at least one character that neither begins nor ends with white space and holds no control
    character, no line or paragraph separator and no half of a surrogate pair. Whole numbers are tokens, also as floats
    where these are exact: 5, 5.0, and "5.0" where the whole column looks like this, are the token "5".
    """
    codes, unique = _distinct(values)
    # From `inexact` on, a float stands for several whole numbers.
    inexact = 2 ** (1 + np.finfo(values.to_numpy().dtype).nmant) if pd.api.types.is_float_dtype(values) else 2**53
    names = unique.tolist()
    texts = [name if type(name) is str else _whole(name, inexact) for name in names]
    bad = next((code for code, text in enumerate(texts) if not _is_token(text)), None)
    if bad is not None:
        raise DataError(f"{source}{at}{_shown(values, codes, bad)} {_fault(names[bad])}")
    if texts and all(map(FLOAT_TEXT.fullmatch, texts)):
        return tokens(values.astype(float), source, at)
    if texts != names:
        same, unique = pd.factorize(np.array(texts, dtype=object))
        codes = same[codes]
    return pd.Series(pd.Categorical.from_codes(codes, unique), values.index, name=values.name)


def times(values: pd.Series, source: str, at: str) -> pd.Series:
    """Numbers in the order of the times: int64 where all are whole and fit, else floats.

    Dates become seconds since 1970 or, where that would lose a part, milli-, micro- or nanoseconds. Numbers that floats
    cannot tell apart, such as large whole ones beside a fraction, become their positions 0, 1, 2 … in time.
    """
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(values.cat.categories.dtype)
    if pd.api.types.is_datetime64_any_dtype(values):
        return _since_1970(values)
    found = numbers(values, source, at, "; write seconds since 1970, or a position")
    if found.dtype == "int64" or pd.api.types.is_float_dtype(values):
        return found
    codes, unique = _distinct(values)
    floats = np.array([float(value) for value in unique])  # pandas 2 does not round text to the nearest float
    if len(set(floats)) < len(unique):
        exact = [Decimal(str(value)) for value in unique]
        if len(set(floats)) < len(set(exact)):
            position = {value: i for i, value in enumerate(sorted(set(exact)))}
            return pd.Series(np.array([position[value] for value in exact])[codes], values.index)
    return pd.Series(floats[codes], values.index)


def numbers(values: pd.Series, source: str, at: str, remedy: str = "") -> pd.Series:
    """Finite numbers, int64 where all are whole and fit, else floats."""
    codes, unique = _distinct(values)  # times repeat, and text is slow to parse
    found = pd.to_numeric(pd.Series(unique), errors="coerce")
    if pd.api.types.is_integer_dtype(found) and not found.isna().any() and found.max() < 2**63:
        return pd.Series(found.to_numpy(dtype="int64")[codes], values.index)
    found = found.to_numpy(dtype=float, na_value=np.nan)
    bad = ~np.isfinite(found)
    if bad.any():
        raise DataError(f"{source}{at}{_shown(values, codes, bad.argmax())} is not a number{remedy}")
    return pd.Series(found[codes], values.index)


def one_line(text: Any) -> str:
    """Text that can be shown and written on one line: each run of control characters becomes a space."""
    return BROKEN_TEXT.sub(" ", str(text)).strip()


def _is_token(text: str) -> bool:
    if text.isprintable() and text[:1] > " " and text[-1] != " ":  # the quick answer for most
        return True
    return not NO_TOKEN.search(text)


def _whole(value: Any, inexact: int) -> str:
    """A whole number as text; "" for anything else."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real | Decimal) or value % 1 != 0:
        return ""
    if not isinstance(value, Integral | Decimal) and abs(value) >= inexact:
        return ""
    return str(int(value))


def _fault(value: Any) -> str:
    """What is wrong with a value that is no token."""
    if isinstance(value, str):
        return (
            "is no token: it is empty, begins or ends with white space, or holds a tab, a line break or another "
            "control character; rename it in the source"
        )
    if isinstance(value, float | np.floating) and value % 1 == 0:
        return "is a float too large to be exact, so others may have merged with it; store the column as text"
    return "is neither text nor a whole number; store the column as text"


def _since_1970(values: pd.Series) -> pd.Series:
    """Dates as whole numbers of the largest unit that loses nothing: s, ms, us or ns."""
    units = ["s", "ms", "us", "ns"]
    counts = values.astype("int64")
    for _ in range(units.index(values.dt.unit)):
        if (counts % 1000 != 0).any():
            break
        counts = counts // 1000
    return counts


def _flat(table: pd.DataFrame, source: str) -> pd.DataFrame:
    """The table with the named levels of its index as columns; all names differ."""
    levels = [name for name in table.index.names if name is not None]
    _refuse_twice(pd.Index([*levels, *table.columns]), source)
    return table.reset_index(level=levels) if levels else table


def roles(columns: Mapping[str, str]) -> dict[str, str]:
    """A mapping of columns, with "timestamp" for "time". Raises DataError for other keys than user, item and these."""
    found: dict[str, str] = {}
    for role, name in columns.items():
        if role not in (*COLUMNS, "time"):
            raise DataError(f"columns: {role!r} is none of user, item, timestamp")
        role = "timestamp" if role == "time" else role
        if role in found:
            raise DataError("columns: the time is given twice; remove one")
        found[role] = name
    return found


def _choose(table: pd.DataFrame, source: str, role: str, columns: Mapping[str, str]) -> str:
    names = (columns[role],) if role in columns else COLUMNS[role]
    for name in names:
        if name in table:
            return name
    listed = ", ".join(repr(str(name)[:30]) for name in table.columns[:6]) + (", …" if table.shape[1] > 6 else "")
    raise DataError(
        f"{source}: no column {' or '.join(names)}; found {listed}. The first line must name the columns; say which is "
        'which with columns={"user": "userId", "item": "movieId", "time": "timestamp"} in Python, or on the command '
        "line with --columns user=userId,item=movieId,time=timestamp"
    )


def _refuse_twice(names: pd.Index, source: str) -> None:
    if not names.is_unique:
        raise DataError(f"{source}: column {names[names.duplicated()][0]!r} occurs twice; rename or remove one")


def _refuse_missing(values: pd.Series, source: str, at: str) -> None:
    gaps = values.isna().to_numpy()
    if gaps.any():
        where = f"{source}{at}{values.index[gaps.argmax()]}"
        more = f" (and {gaps.sum() - 1} more)" if gaps.sum() > 1 else ""
        raise DataError(f"{where}: {values.name} is missing{more}; complete the line or remove it")


def _distinct(values: pd.Series) -> tuple[np.ndarray, Any]:
    """A code for each value, and the distinct values in the order of their first rows."""
    # A column of objects may hold 5, 5.0 and "5", or lists, so there each value counts as another one.
    if values.dtype == object and pd.api.types.infer_dtype(values, skipna=False) != "string":
        return np.arange(len(values)), values.to_numpy()
    return pd.factorize(values)


def _shown(values: pd.Series, codes: np.ndarray, code: int) -> str:
    """The row, the column and the value of the first that has this code."""
    row = np.argmax(codes == code)
    text = repr(values.iloc[[row]].tolist()[0])
    return f"{values.index[row]}: {values.name} {text if len(text) <= 60 else text[:60] + '…'}"
