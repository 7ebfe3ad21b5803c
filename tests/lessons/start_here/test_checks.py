"""The right answer passes each check of notebook 00, and each common mistake gets a diagnosis of its own."""

from collections import Counter, defaultdict

import pytest

from diffrec_lite.lessons import start_here as lesson
from diffrec_lite.lessons.check import CheckFailed


def split(log, *, sort=True, swap=False, forget_validation=False, leak=False, short=True, greedy=False, read=list):
    result = {}
    for user, rows in (log.sort_values("time", kind="stable") if sort else log).groupby("user"):
        items = read(rows["item"].tolist())
        if len(items) < 3 and short:
            result[user] = {"train": items, "val": None, "test": None}
            continue
        val, test = (items[:-2], items[-2]), (items[:-1], items[-1])
        if swap:
            val, test = (items[:-2], items[-1]), (items[:-2] + items[-1:], items[-2])
        if forget_validation:
            test = (items[:-2], items[-1])
        if leak:
            test = (items, items[-1])
        result[user] = {"train": items if greedy else items[:-2], "val": val, "test": test}
    return result


def triples(items):
    return list(zip(items, items[1:], items[2:], strict=False))


def followers(sequences, *, keep=slice(None, -2), swapped=False, once=False, triples=triples):
    counts = defaultdict(Counter)
    for items in sequences:
        for i, j, k in triples(items[keep]):
            pair = (j, i) if swapped else (i, j)
            counts[pair][k] = 1 if once else counts[pair][k] + 1
    return counts


def test_the_right_answers_pass(capsys):
    lesson.checks.leave_one_out(split)
    lesson.checks.follower_counts(followers)
    assert capsys.readouterr().out.count("correct") == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sort": False}, "sort it first"),
        ({"swap": True}, "swapped"),
        ({"forget_validation": True}, "belongs to the test history"),
        ({"leak": True}, "A leak"),
        ({"short": False}, "fewer than three books"),
        ({"greedy": True}, "yours has 5"),
        ({"read": lambda items: list(dict.fromkeys(items))}, "bought books 21 and 22 twice"),
        ({"read": lambda items: list(dict.fromkeys(items[::-1]))[::-1]}, "bought books 21 and 22 twice"),
        ({"read": lambda items: [float(i) for i in items]}, "whole numbers"),
        ({"read": lambda items: [str(i) for i in items]}, "whole numbers"),
        ({"read": lambda items: items[-5:]}, '"train" of reader'),
    ],
)
def test_a_wrong_split_is_diagnosed(settings, message):
    with pytest.raises(CheckFailed, match=message):
        lesson.checks.leave_one_out(lambda log: split(log, **settings))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"keep": slice(None)}, "still there"),
        ({"keep": slice(None, -1)}, "Half of the leak"),
        ({"keep": slice(None, -3)}, "One book too many"),
        ({"keep": slice(2, None)}, "wrong end"),
        ({"swapped": True}, "wrong way round"),
        ({"once": True}, "Each occurrence counts"),
        ({"keep": slice(1, -1)}, "After books"),
        ({"triples": lambda items: set(triples(items))}, "as a set does"),
        ({"triples": lambda items: list(dict.fromkeys(triples(items)))}, "as a set does"),
        ({"triples": lambda items: triples(items)[::3]}, "three books at a time"),
        ({"triples": lambda items: triples(items)[1:]}, "After books"),
        ({"triples": lambda items: [t for t in triples(items) if len({*t}) == 3]}, "After books"),
    ],
)
def test_wrong_counts_are_diagnosed(settings, message):
    with pytest.raises(CheckFailed, match=message):
        lesson.checks.follower_counts(lambda sequences: followers(sequences, **settings))


@pytest.mark.parametrize(("check", "arguments"), [(lesson.checks.leave_one_out, 1), (lesson.checks.follower_counts, 1)])
def test_an_unsolved_exercise_says_so(check, arguments):
    def unsolved(*args):
        raise NotImplementedError

    with pytest.raises(CheckFailed, match="still to be written"):
        check(unsolved)
    with pytest.raises(CheckFailed, match="returned None"):
        check(lambda *args: None)


def test_the_wrong_kind_of_answer_is_named():
    with pytest.raises(CheckFailed, match="should return a dict"):
        lesson.checks.leave_one_out(lambda log: [])
    with pytest.raises(CheckFailed, match="Reader 2 is missing"):
        lesson.checks.leave_one_out(lambda log: {7: None, 9: None})
    with pytest.raises(CheckFailed, match="1 readers who are not in the log"):
        lesson.checks.leave_one_out(lambda log: split(log) | {"7": None})
    with pytest.raises(CheckFailed, match="Each reader needs"):
        lesson.checks.leave_one_out(lambda log: dict.fromkeys(set(log.user)))
    for wrong in ([1, 2], {1: 2}, {(1, 2): 3}, {(1, 2): {3: 1.0}}, {("1", "2"): {3: 1}}):
        with pytest.raises(CheckFailed, match="each key a pair"):
            lesson.checks.follower_counts(lambda sequences, wrong=wrong: wrong)


def test_an_overwritten_log_and_overwritten_shelves_are_told():
    def sorts_in_place(log):
        log["time"] = log["time"].rank()
        return split(log)

    def cuts_in_place(sequences):
        for items in sequences:
            del items[-2:]
        return followers(sequences, keep=slice(None))

    with pytest.raises(CheckFailed, match="overwrites its argument log"):
        lesson.checks.leave_one_out(sorts_in_place)
    with pytest.raises(CheckFailed, match="overwrites its argument sequences"):
        lesson.checks.follower_counts(cuts_in_place)


def test_an_answer_by_heart_is_told():
    heart = split(lesson.checks.LOG)
    with pytest.raises(CheckFailed, match="is missing from your split"):
        lesson.checks.leave_one_out(lambda log: heart)
    counts = followers(lesson.checks.SHELVES)
    with pytest.raises(CheckFailed, match="After books"):
        lesson.checks.follower_counts(lambda sequences: counts)
