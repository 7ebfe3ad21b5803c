"""The right answer passes each check of notebook 10, and each common mistake gets a diagnosis of its own."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from diffrec_lite.lessons import hybrid as lesson
from diffrec_lite.lessons.check import CheckFailed


def beside(x, H0):
    return H0[:, -x.shape[1] :]


def laid(x, H0, quiet):
    return beside(x, H0) + quiet * x


def share(change):
    centred = change - change.mean(-1, keepdim=True)
    return centred.square().sum(-1) / change.square().sum(-1)


def of_mean(change, *dims):
    return (change - change.mean(dims, keepdim=True)).square().sum(-1) / change.square().sum(-1)


def by_seed(table):
    wide = table.pivot(index="seed", columns="variant", values="HR@5")
    return wide.drop(columns="hybrid").sub(wide["hybrid"], axis=0)


def part_missed(table, student):
    change = by_seed(table)
    upper = change.mean() + student * change.std() / len(change) ** 0.5
    return {name: bool(value < 0) for name, value in upper.items()}


def judged(rule):
    """A learner's function that decides by `rule(mean, spread, n, student)`."""
    return lambda table, student: {
        name: bool(rule(each.mean(), each.std(), len(each), student)) for name, each in by_seed(table).items()
    }


def test_the_right_answers_pass(capsys):
    lesson.checks.fuse(laid)
    lesson.checks.fuse(lambda x, H0, quiet: torch.add(H0[:, H0.shape[1] - x.shape[1] :], x, alpha=quiet))
    lesson.checks.heard(share)
    lesson.checks.heard(lambda change: change.var(-1, correction=0) / change.square().mean(-1))
    lesson.checks.heard(lambda change: 1 - change.shape[-1] * change.mean(-1) ** 2 / change.square().sum(-1))
    lesson.checks.missed(part_missed, "b")
    lesson.checks.missed(lambda table, student: {k: np.bool_(v) for k, v in part_missed(table, student).items()}, "B")
    assert capsys.readouterr().out.count("correct") == 7


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda x, H0, quiet: x, "DCRec's line"),
        (lambda x, H0, quiet: quiet * x, "the stream alone, made quiet"),
        (lambda x, H0, quiet: beside(x, H0) + 0 * x, "the clean history alone"),
        (lambda x, H0, quiet: beside(x, H0) + x, "full loudness"),
        (lambda x, H0, quiet: quiet * beside(x, H0) + x, "quiet stands at the history"),
        (lambda x, H0, quiet: quiet * (beside(x, H0) + x), "quiet multiplies the sum"),
        (lambda x, H0, quiet: (1 - quiet) * beside(x, H0) + quiet * x, "weighted mean"),
        (lambda x, H0, quiet: beside(x, H0) - quiet * x, "You subtract"),
        (lambda x, H0, quiet: H0[:, : x.shape[1]] + quiet * x, "the oldest books"),
        (lambda x, H0, quiet: H0 + quiet * x, "DiffuRec's fusion"),
        (lambda x, H0, quiet: H0[:, -1:] + quiet * x, "wrong values"),
        (lambda x, H0, quiet: torch.cat([H0, quiet * x], dim=1), "has shape"),
        (lambda x, H0, quiet: laid(x, H0, 0.3), "a stream of 1 places .* wrong values"),
        (lambda x, H0, quiet: H0[:, -x.shape[1] :].add_(quiet * x), "overwrites its argument H0"),
        (lambda x, H0, quiet: None, "returned None"),
        (lambda x, H0: x, "cannot be called with 3 arguments"),
    ],
)
def test_a_wrong_fusion_is_diagnosed(wrong, message):
    with pytest.raises(CheckFailed, match=message):
        lesson.checks.fuse(wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda c: 1 - share(c), "takes out"),
        (lambda c: share(c).sqrt(), "share of lengths"),
        (lambda c: (c - c.mean(-1, keepdim=True)).square().sum(-1), "not its share"),
        (lambda c: (c - c.mean(-1, keepdim=True)).square().mean(-1) / c.mean(-1) ** 2, "A share divides by the whole"),
        (lambda c: of_mean(c, 1), "dim 1"),
        (lambda c: of_mean(c, 0), "dim 0"),
        (lambda c: of_mean(c, 0, 1, 2), "one mean of everything"),
        (lambda c: c.var(-1) / c.square().mean(-1), "correction=0"),
        (lambda c: (c - c.mean(-1, keepdim=True)).abs().sum(-1) / c.abs().sum(-1), "Squares are missing"),
        (lambda c: c.square().sum(-1) / c.square().sum(-1), "Nothing was taken out"),
        (lambda c: share(c).mean(), "a share of its own"),
        (lambda c: share(c)[..., None], "has shape"),
        (lambda c: F.layer_norm(c, c.shape[-1:]).norm(dim=-1), "wrong values"),
        (lambda c: share(c) if c.shape[0] != 2 else share(c) + 0.1, "wrong values"),
        (lambda c: share(c) if c.shape[-1] != 5 else torch.ones(c.shape[:-1]), "one number added to all"),
        (lambda c: share(c.sub_(1)), "overwrites"),
        (lambda c: f"{share(c)}", "should be numbers"),
    ],
)
def test_a_wrong_share_is_diagnosed(wrong, message):
    with pytest.raises(CheckFailed, match=message):
        lesson.checks.heard(wrong)


def in_order(table, student):
    base = table[table.variant == "hybrid"]["HR@5"].to_numpy()
    found = {}
    for name, rows in table[table.variant != "hybrid"].groupby("variant"):
        change = rows["HR@5"].to_numpy() - base
        found[name] = bool(change.mean() + student * change.std(ddof=1) / len(change) ** 0.5 < 0)
    return found


def unpaired(table, student):
    of = table.groupby("variant")["HR@5"]
    mean, var, n = of.mean(), of.var(), of.size().iloc[0]
    upper = mean - mean["hybrid"] + student * ((var + var["hybrid"]) / n) ** 0.5
    return {name: bool(value < 0) for name, value in upper.drop("hybrid").items()}


def all_below(table, student):
    by_seed = table.pivot(index="seed", columns="variant", values="HR@5")
    change = by_seed.drop(columns="hybrid").sub(by_seed["hybrid"], axis=0)
    return {name: bool(below) for name, below in (change < 0).all().items()}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (judged(lambda mean, sd, n, student: mean < 0), "only whether the mean change"),
        (judged(lambda mean, sd, n, student: abs(mean) > student * sd / n**0.5), "on either side"),
        (judged(lambda mean, sd, n, student: mean > student * sd / n**0.5), "sign is turned"),
        (judged(lambda mean, sd, n, student: mean - student * sd / n**0.5 < 0), "lower end"),
        (unpaired, "nothing to do with each other"),
        (in_order, "in the order in which they stand"),
        (judged(lambda mean, sd, n, student: mean + student * sd < 0), "root of n"),
        (
            judged(lambda mean, sd, n, student: mean + student * sd * ((n - 1) / n) ** 0.5 / n**0.5 < 0),
            "divide by n - 1",
        ),
        (judged(lambda mean, sd, n, student: mean + 1.96 * sd / n**0.5 < 0), "1.96"),
        (all_below, "All changes below 0"),
        (judged(lambda mean, sd, n, student: mean + sd / n**0.5 < 0), "one standard error"),
        (judged(lambda mean, sd, n, student: mean + 4.303 * sd / n**0.5 < 0), "is\\s+all of it below 0"),
        (lambda table, student: {**part_missed(table, student), "hybrid": False}, "leave it out"),
        (lambda table, student: {"without its ears": True}, "a dictionary with the keys"),
        (lambda table, student: [k for k, v in part_missed(table, student).items() if v], "a dictionary with the keys"),
        (lambda table, student: dict.fromkeys(part_missed(table, student), 0.0), "True or False"),
        (lambda table, student: dict.fromkeys(part_missed(table, student), True), "is\\s+all of it below 0"),
    ],
)
def test_a_wrong_judgement_is_diagnosed(wrong, message):
    with pytest.raises(CheckFailed, match=message):
        lesson.checks.missed(wrong, "b")


@pytest.mark.parametrize(
    ("letter", "message"),
    [("a", "three seeds"), ("c", "no proof of equality"), ("D", "Look at the row"), ("", "one of the letters")],
)
def test_a_wrong_verdict_is_answered(letter, message):
    with pytest.raises(CheckFailed, match=message):
        lesson.checks.missed(part_missed, letter)


def test_an_unsolved_exercise_says_so():
    def unsolved(*args):
        raise NotImplementedError

    for check in (lesson.checks.fuse, lesson.checks.heard, lambda f: lesson.checks.missed(f, "b")):
        with pytest.raises(CheckFailed, match="still to be written"):
            check(unsolved)
