"""From a raw log of events to the sequences that a model learns from: filter, order, number.

A log is a table as `log.as_log` makes it, one row an event. Every step works on whole columns; none loops over rows.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

DUPLICATES = ("keep", "first", "last")


def k_core(log: pd.DataFrame, k: int) -> pd.DataFrame:
    """The largest part of a log in which every user and every item occurs at least `k` times.

    Dropping a rare item can make a user rare, so the filter repeats until nothing changes. May return an empty log.
    """
    users, items = pd.factorize(log["user"])[0], pd.factorize(log["item"])[0]
    kept = np.arange(len(log))
    while len(kept):
        frequent = (np.bincount(users[kept])[users[kept]] >= k) & (np.bincount(items[kept])[items[kept]] >= k)
        if frequent.all():
            break
        kept = kept[frequent]
    return log.iloc[kept].reset_index(drop=True)


def in_order(log: pd.DataFrame, duplicates: str = "keep") -> pd.DataFrame:
    """The log by user and time. Events of one user at one time keep the order of the rows: the sort is stable.

    `duplicates` says what to do when a user meets an item more than once: "keep" all events, or only the "first" or
    the "last" in time.
    """
    if duplicates not in DUPLICATES:
        raise ValueError(f"duplicates must be one of {', '.join(DUPLICATES)}, got {duplicates!r}")
    users = pd.factorize(log["user"])[0]
    log = log.iloc[np.lexsort((log["timestamp"].to_numpy(), users))]
    if duplicates != "keep":
        log = log.drop_duplicates(["user", "item"], keep=duplicates)
    return log.reset_index(drop=True)


def number_tokens(column: pd.Series) -> tuple[np.ndarray, list[str]]:
    """Codes 0 … n - 1 for a column of tokens, and the n tokens in their natural order.

    Numbers come first, by value (9 before 9.5 before 10), then all other tokens as text.
    """
    codes, unique = pd.factorize(column)
    tokens = pd.Series(unique).astype(str)
    number = tokens.str.fullmatch(r"[0-9]+(\.[0-9]+)?").astype(bool)
    digits = tokens.str.lstrip("0").where(number, "")
    # Of two numbers the one with more digits before the point is larger: no conversion, no overflow.
    length = digits.str.replace(r"\..*", "", regex=True).str.len().astype(int)
    keys = pd.DataFrame({"text": ~number, "length": length, "digits": digits, "token": tokens})
    order = keys.sort_values(["text", "length", "digits", "token"], kind="stable").index.to_numpy()
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return rank[codes], tokens.iloc[order].tolist()
