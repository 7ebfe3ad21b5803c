"""The checks of notebook 00: the leave-one-out split, and followers counted without a leak."""

from __future__ import annotations

import operator
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pandas as pd

from diffrec_lite.lessons.check import CheckFailed, answer, check, passed, require

# Reader 7 has five books, reader 2 three, reader 9 two, and reader 4 buys books again. The rows are in no order.
LOG = pd.DataFrame(
    [
        (7, 12, 40.0),
        (2, 31, 5.0),
        (4, 22, 55.0),
        (7, 15, 10.0),
        (9, 44, 2.0),
        (4, 21, 15.0),
        (2, 38, 9.0),
        (7, 18, 30.0),
        (4, 23, 45.0),
        (7, 19, 50.0),
        (9, 41, 1.0),
        (4, 21, 35.0),
        (2, 33, 7.0),
        (4, 22, 25.0),
        (7, 11, 20.0),
    ],
    columns=["user", "item", "time"],
)
# Two of them read 1, 2, 3 or 2, 3, 1 again.
SHELVES = [
    [1, 2, 3, 4, 5],
    [2, 3, 4, 1, 2, 3],
    [4, 1],
    [5, 4, 3],
    [1, 2, 3, 4, 6, 2],
    [1, 2, 3, 6, 5],
    [1, 2, 3, 1, 2, 3, 5, 6],
    [2, 3, 1, 2, 3, 1, 4, 3, 4],
]
Split = dict[int, dict[str, Any]]
Counts = dict[tuple[int, int], dict[int, int]]


@check
def leave_one_out(function: Callable) -> None:
    """Check `function(log) -> {user: {"train": items, "val": (history, target), "test": (history, target)}}`.

    Readers with fewer than three books have "val" and "test" None. Raises CheckFailed with a diagnosis.
    """
    yours, right = _read_split(answer(function, LOG), LOG), _split(LOG)
    short, long = yours[9], yours[7]
    require(
        short["val"] is None and short["test"] is None,
        "Reader 9 has two books. Take one for the test and one for validation, and nothing is left to learn from: "
        'a reader with fewer than three books has "val" and "test" None.',
    )
    require(short["train"] != [], "Reader 9 has too few books to be tested on, but both may still be trained on.")
    require(long["test"] is not None and long["val"] is not None, "Reader 7 has five books and should be tested.")
    for name in ("val", "test"):
        history, target = long[name]
        require(
            target not in history,
            f"A leak: the {name} history of reader 7 holds the {name} target, book {target}. "
            "A model could simply look the answer up.",
        )
    require(
        long["test"][1] != LOG.item[LOG.user == 7].iloc[-1],
        "Your test target is the last row of reader 7, but not the latest book. The log is not in order of time: "
        "sort it first.",
    )
    require(
        (long["test"][1], long["val"][1]) != (12, 19),
        "Validation and test are swapped: the last book is the test target, the one before it the validation target.",
    )
    require(
        sorted(long["train"]) == [11, 15, 18] or long["train"] == [],
        "The training part of reader 7 should be the books before the validation target, three of them; "
        f"yours has {len(long['train'])}: {long['train']}.",
    )
    require(
        12 in long["test"][0] or long["test"][1] != 19,
        "When reader 7 reaches the test, the validation book has been read: it belongs to the test history.",
    )
    for keep in ("first", "last"):
        once = _split(LOG.sort_values("time").drop_duplicates(["user", "item"], keep=keep))
        require(
            yours[4] != once[4],
            "Reader 4 bought books 21 and 22 twice, and your split has each of them once. A row is a purchase, and a "
            "book that is bought again is there again: keep every row.",
        )
    _same_split(yours, right)
    other = _drawn_log()
    _same_split(_read_split(answer(function, other), other), _split(other))
    passed("leave_one_out", "Nothing that a model is asked for is in what it is shown.")


def _read_split(split: Any, log: pd.DataFrame) -> Split:
    """The learner's split in plain lists, tuples and ints. Raises CheckFailed when it is not of that form."""
    require(isinstance(split, dict), f"leave_one_out should return a dict, but it returned a {type(split).__name__}.")
    users = set(split)
    missing, unknown = set(log.user) - users, users - set(log.user)
    require(not missing, f"Reader {min(missing, default=0)} is missing from your split.")
    require(not unknown, f"Your split has {len(unknown)} readers who are not in the log: its keys should be user ids.")
    try:
        return {operator.index(user): _read_parts(parts) for user, parts in split.items()}
    except Exception:
        # Whatever goes wrong in reading it: it is not of the form that was asked for.
        raise CheckFailed(
            'Each reader needs "train", a list of items, and "val" and "test", each (history, target) or None. '
            "Items are whole numbers (int)."
        ) from None


def _read_parts(parts: Any) -> dict[str, Any]:
    def items(values: Iterable) -> list[int]:
        return [operator.index(value) for value in values]

    def example(value: Any) -> tuple[list[int], int] | None:
        if value is None:
            return None
        history, target = value
        return items(history), operator.index(target)

    return {"train": items(parts["train"]), "val": example(parts["val"]), "test": example(parts["test"])}


def _same_split(yours: Split, right: Split) -> None:
    for user, parts in right.items():
        for name, value in parts.items():
            require(
                yours[user][name] == value,
                f'"{name}" of reader {user} should be {value}, yours is {yours[user][name]}.',
            )


def _split(log: pd.DataFrame) -> Split:
    split: Split = {}
    for user, rows in log.sort_values("time").groupby("user"):
        items = rows["item"].tolist()
        if len(items) < 3:
            split[int(user)] = {"train": items, "val": None, "test": None}
        else:
            split[int(user)] = {
                "train": items[:-2],
                "val": (items[:-2], items[-2]),
                "test": (items[:-1], items[-1]),
            }
    return split


def _drawn_log() -> pd.DataFrame:
    """Twenty readers of one to eight books, with other ids, other columns first and rows numbered at random."""
    draw = random.Random(3)
    users = [user for user in draw.sample(range(1000), 20) for _ in range(draw.randint(1, 8))]
    rows = {
        "time": draw.sample(range(10_000), len(users)),
        "user": users,
        "item": [draw.randint(50, 70) for _ in users],
    }
    return pd.DataFrame(rows, index=draw.sample(range(5000), len(users)))


@check
def follower_counts(function: Callable) -> None:
    """Check `function(sequences) -> {(i, j): {k: how often k came right after i and j}}`, the training part alone."""
    draw = random.Random(4)
    drawn = [[draw.randint(40, 45) for _ in range(draw.randint(2, 12))] for _ in range(30)]
    for shelves in (SHELVES, drawn, [[8, 9, 8, 9, 8, 9, 8], [3, 4]]):
        _one_count(_read_counts(answer(function, shelves)), shelves)
    passed("follower_counts", "No validation or test book is counted.")


def _read_counts(found: Any) -> Counts:
    """The learner's counts in plain dicts of ints, without what is zero. Raises CheckFailed for another form."""
    try:
        counts = {
            (operator.index(i), operator.index(j)): {
                operator.index(k): operator.index(n) for k, n in followers.items() if n != 0
            }
            for (i, j), followers in found.items()
        }
    except Exception:
        # Whatever goes wrong in reading it: it is not of the form that was asked for.
        raise CheckFailed(
            "follower_counts should return a dict: each key a pair of books (i, j), each value the counts of what "
            "came right after, whole numbers."
        ) from None
    return {pair: followers for pair, followers in counts.items() if followers}


def _one_count(yours: Counts, shelves: Sequence[Sequence[int]]) -> None:
    kept = [shelf[:-2] for shelf in shelves]
    right = _followers(kept)
    mistakes = {
        "The leak is still there: you count the validation and the test books, which are the answers of the exam.": (
            _followers(shelves)
        ),
        "Half of the leak is left: the test book is gone, but the validation book is still counted. "
        "Both held-out books have to go.": _followers([shelf[:-1] for shelf in shelves]),
        "One book too many is held out: two are, the last and the second last.": (
            _followers([shelf[:-3] for shelf in shelves])
        ),
        "You cut the wrong end: the held-out books are the last two of a shelf, not the first two.": (
            _followers([shelf[2:] for shelf in shelves])
        ),
        "The pair is the wrong way round: the key is (i, j), where j was read after i.": {
            (j, i): followers for (i, j), followers in right.items()
        },
        "Each occurrence counts: yours is 1 where the count is larger.": {
            pair: dict.fromkeys(followers, 1) for pair, followers in right.items()
        },
        "A shelf can hold the same three books in a row twice, and both times count. Yours counts them once a shelf, "
        "as a set does.": _followers(kept, once=True),
        "Triples overlap: after books 1 and 2 begin again at book 2. You go on three books at a time.": (
            _followers(kept, stride=3)
        ),
    }
    for diagnosis, wrong in mistakes.items():
        require(yours == right or yours != wrong, diagnosis)
    for pair in sorted({*right, *yours}):
        require(
            yours.get(pair, {}) == right.get(pair, {}),
            f"After books {pair} the counts should be {right.get(pair, {})}, yours are {yours.get(pair, {})}.",
        )


def _followers(shelves: Iterable[Sequence[int]], once: bool = False, stride: int = 1) -> Counts:
    """How often each book came right after two others; `once`: at most once a shelf, and every `stride`-th triple."""
    counts: Counts = {}
    for shelf in shelves:
        triples = list(zip(shelf, shelf[1:], shelf[2:], strict=False))[::stride]
        for i, j, k in dict.fromkeys(triples) if once else triples:
            counts.setdefault((i, j), {}).setdefault(k, 0)
            counts[i, j][k] += 1
    return counts
