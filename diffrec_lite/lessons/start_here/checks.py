"""The checks of notebook 00: the leave-one-out split, and followers counted without a leak."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from diffrec_lite.lessons.check import CheckFailed, answer, passed, require

# Reader 7 has five books, reader 2 has three, reader 9 has two. The rows are not in order of time.
LOG = pd.DataFrame(
    [
        (7, 12, 40.0),
        (2, 31, 5.0),
        (7, 15, 10.0),
        (9, 44, 2.0),
        (2, 38, 9.0),
        (7, 18, 30.0),
        (7, 19, 50.0),
        (9, 41, 1.0),
        (2, 33, 7.0),
        (7, 11, 20.0),
    ],
    columns=["user", "item", "time"],
)
SEQUENCES = [[1, 2, 3, 4, 5], [2, 3, 4, 1, 2, 3], [4, 1], [5, 4, 3], [1, 2, 3, 4, 6, 2], [1, 2, 3, 6, 5]]


def leave_one_out(function: Callable) -> None:
    """Check `function(log) -> {user: {"train": items, "val": (history, target), "test": (history, target)}}`.

    Readers with fewer than three books have "val" and "test" None. Raises CheckFailed with a diagnosis.
    """
    split = answer(function, LOG.copy())
    require(isinstance(split, dict), f"leave_one_out should return a dict, but it returned a {type(split).__name__}.")
    missing = set(LOG.user) - {int(user) for user in split}
    require(not missing, f"Reader {min(missing, default=0)} is missing from your split.")
    try:
        yours = {int(user): _plain(parts) for user, parts in split.items()}
    except (TypeError, ValueError, KeyError, IndexError):
        raise CheckFailed(
            'Each reader needs "train", a list of items, and "val" and "test", each (history, target) or None.'
        ) from None

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
    for user, parts in _right().items():
        for name, value in parts.items():
            require(
                yours[user][name] == value,
                f'"{name}" of reader {user} should be {value}, yours is {yours[user][name]}.',
            )
    passed("leave_one_out", "Nothing that a model is asked for is in what it is shown.")


def follower_counts(function: Callable) -> None:
    """Check `function(sequences) -> {(i, j): {k: how often k came right after i and j}}`, the training part alone."""
    found = answer(function, [list(sequence) for sequence in SEQUENCES])
    try:
        yours = {
            (int(i), int(j)): {int(k): int(n) for k, n in followers.items() if n} for (i, j), followers in found.items()
        }
    except (AttributeError, TypeError, ValueError):
        raise CheckFailed(
            "follower_counts should return a dict: each key a pair of books (i, j), each value the counts of what "
            "came right after."
        ) from None
    yours = {pair: followers for pair, followers in yours.items() if followers}
    right = _followers(2)
    mistakes = {
        "The leak is still there: you count the validation and the test books, which are the answers of the exam.": (
            _followers(0)
        ),
        "Half of the leak is left: the test book is gone, but the validation book is still counted. "
        "Both held-out books have to go.": _followers(1),
        "One book too many is held out: two are, the last and the second last.": _followers(3),
        "You cut the wrong end: the held-out books are the last two of a shelf, not the first two.": _followers(2, -1),
        "The pair is the wrong way round: the key is (i, j), where j was read after i.": {
            (j, i): followers for (i, j), followers in right.items()
        },
        "Each occurrence counts: yours is 1 where the count is larger.": {
            pair: dict.fromkeys(followers, 1) for pair, followers in right.items()
        },
    }
    for diagnosis, wrong in mistakes.items():
        require(yours == right or yours != wrong, diagnosis)
    for pair in sorted({*right, *yours}):
        require(
            yours.get(pair, {}) == right.get(pair, {}),
            f"After books {pair} the counts should be {right.get(pair, {})}, yours are {yours.get(pair, {})}.",
        )
    passed("follower_counts", "No validation or test book is counted.")


def _plain(parts: dict) -> dict:
    def example(value):
        return None if value is None else ([int(item) for item in value[0]], int(value[1]))

    return {
        "train": [int(i) for i in parts["train"]],
        "val": example(parts["val"]),
        "test": example(parts["test"]),
    }


def _right() -> dict[int, dict]:
    split = {}
    for user, rows in LOG.sort_values("time", kind="stable").groupby("user"):
        items = rows.item.tolist()
        if len(items) < 3:
            split[int(user)] = {"train": items, "val": None, "test": None}
        else:
            split[int(user)] = {
                "train": items[:-2],
                "val": (items[:-2], items[-2]),
                "test": (items[:-1], items[-1]),
            }
    return split


def _followers(held_out: int, end: int = 1) -> dict[tuple[int, int], dict[int, int]]:
    """The counts when `held_out` books are cut off at the end of each shelf, or at its start (`end=-1`)."""
    counts: dict[tuple[int, int], dict[int, int]] = {}
    for sequence in SEQUENCES:
        kept = sequence[: max(0, len(sequence) - held_out)] if end == 1 else sequence[held_out:]
        for i, j, k in zip(kept, kept[1:], kept[2:], strict=False):
            counts.setdefault((i, j), {}).setdefault(k, 0)
            counts[i, j][k] += 1
    return counts
