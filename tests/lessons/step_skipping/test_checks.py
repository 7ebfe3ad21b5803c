"""The right answer passes each check of notebook 05, and each common mistake gets a diagnosis of its own."""

import numpy as np
import pytest
import torch

from diffrec_lite.diffusion import GaussianDiffusion
from diffrec_lite.lessons import step_skipping as lesson
from diffrec_lite.lessons.check import CheckFailed


def skip(x0_root=True, xt_root=True, swap=False, divide=True, survive=None, one=False, forget=False, variance=None):
    def posterior(x0, xt, t, s, abar):
        if one:
            s = t - 1
        a = survive(abar, t, s) if survive else abar[t] / abar[s]
        below = 1 - abar[t] if divide else 1
        w0 = (abar[s].sqrt() if x0_root else abar[s]) * (1 - a) / below
        wt = (a.sqrt() if xt_root else a) * (1 - abar[s]) / below
        if swap:
            x0, xt = xt, x0
        mean = abar[s].sqrt() * x0 if forget else w0 * x0 + wt * xt
        right = (1 - abar[s]) * (1 - a) / (1 - abar[t])
        return mean, right if variance is None else variance(right, a, abar, t, s)

    return posterior


def grid(T, n):
    return [(T * (n - i) + n // 2) // n for i in range(n + 1)]


def share(predictions):
    noise = (predictions - predictions.mean(0)).square().mean()
    return noise / (predictions - predictions.mean((0, 1))).square().mean()


def test_the_right_answers_pass(capsys):
    lesson.checks.posterior(skip())
    lesson.checks.step_grid(grid)
    lesson.checks.step_grid(lambda T, n: GaussianDiffusion(torch.full((T,), 0.1)).steps(n))
    lesson.checks.step_grid(lambda T, n: list(np.linspace(T, 0, n + 1).round().astype(int)))
    lesson.checks.surprise(share, "b")
    lesson.checks.surprise(share, "B ")
    lesson.checks.surprise(lambda p: p.var(0, correction=0).mean() / p.var((0, 1), correction=0).mean(), "b")
    lesson.checks.posterior(lambda x0, xt, t, s, abar: (skip()(x0, xt, t, s, abar)[0], one_for_each(x0, t, s, abar)))
    assert capsys.readouterr().out.count("correct") == 8


def one_for_each(x0, t, s, abar):
    return skip()(x0, x0, t, s, abar)[1] * torch.ones(len(x0), 1)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (skip(one=True), "never looks at s"),
        (skip(swap=True), "swapped"),
        (skip(survive=lambda abar, t, s: abar[t] / abar[t - 1]), "a single step"),
        (skip(x0_root=False), "root on abar_s"),
        (skip(xt_root=False), "root on a is missing"),
        (skip(forget=True), "forgets x_t"),
        (skip(divide=False), "Both weights lack"),
        (skip(variance=lambda v, a, abar, t, s: v.sqrt()), "standard deviation"),
        (skip(variance=lambda v, a, abar, t, s: 1 - abar[s]), "variance of re-noising"),
        (skip(variance=lambda v, a, abar, t, s: 1 - a), "from s to t adds"),
        (skip(variance=lambda v, a, abar, t, s: v * (1 - abar[t])), "variance lacks the division"),
        (skip(x0_root=False, xt_root=False), "Both square roots"),
        (lambda x0, xt, t, s, abar: skip()(x0, xt, t, s, torch.cat([abar[-1:], abar[:-1]])), "one step early"),
        (skip(variance=lambda v, a, abar, t, s: skip()(abar, abar, t, t - 1, abar)[1]), "that of s = t - 1"),
        (skip(variance=lambda v, a, abar, t, s: None), "the variance should be numbers, but it is None"),
        (skip(variance=lambda v, a, abar, t, s: v.expand(3, 5)), "the variance at .* has shape"),
        (skip(variance=lambda v, a, abar, t, s: v if t < 100 else v * 1.001), "the variance at t = 150"),
        (lambda x0, xt, t, s, abar: skip()(x0, xt, t, s, abar.mul_(1.0001)), "overwrites its argument abar"),
        (lambda x0, xt, t, s, abar: skip()(x0, xt, t, s, GaussianDiffusion.of("scaled_linear", 50).abar), "t = 16"),
        (lambda x0, xt, t, s, abar: x0, "two things"),
    ],
)
def test_a_wrong_posterior_is_diagnosed(wrong, message):
    with pytest.raises(CheckFailed, match=message):
        lesson.checks.posterior(wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda T, n: [T - i * (T // n) for i in range(n + 1)], "The bug is still there"),
        (lambda T, n: [*(T - i * (T // n) for i in range(n + 1)), 0], "more often than asked"),
        (lambda T, n: [*(T - i * (T // n) for i in range(n)), 0], "unevenly"),
        (lambda T, n: [*grid(T, n)[:-2], 0] if n > 1 else [T], "n moves need n \\+ 1 points"),
        (lambda T, n: grid(T, n)[::-1], "runs forward"),
        (lambda T, n: [*(t - 1 for t in grid(T, n)[:-1]), 0] if n == 8 else grid(T, n), "starts at"),
        (lambda T, n: [T * (n - i) / n for i in range(n + 1)], "whole number"),
        (lambda T, n: [T, *grid(T, n)[:-2], 0] if n > 1 else [T, 0], "strictly"),
        (lambda T, n: torch.tensor(grid(T, n)), "a list of whole numbers"),
        (lambda T, n: list(torch.tensor(grid(T, n))), "holds Tensor values"),
        (lambda T, n: [str(t) for t in grid(T, n)], "holds str values"),
        (lambda T, n: [True, False] if (T, n) == (1, 1) else [*grid(T, n)[:-1], False], "holds bool values"),
        (lambda T, n: [], "is empty"),
        (lambda T, n: grid(T, n) if T < 100 else list(range(n, -1, -1)), r"step_grid\(1000, 37\) starts at"),
    ],
)
def test_a_wrong_grid_is_diagnosed(wrong, message):
    with pytest.raises(CheckFailed, match=message):
        lesson.checks.step_grid(wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda p: 1 - share(p), "share of the reader"),
        (lambda p: (p - p.mean(0)).square().mean(), "not its share"),
        (lambda p: (p - p.mean(1, keepdim=True)).square().mean() / lesson.checks._total(p), "Average over the seeds"),
        (lambda p: (p - p.mean(0)).square().mean() / p.square().mean(), "subtract the mean"),
        (lambda p: share(p) / (1 - share(p)), "compares noise with reader"),
        (lambda p: share(p).sqrt(), "standard deviations"),
        (lambda p: (p - p.mean(0)).square().mean() / (p - p.mean()).square().mean(), "mean for each feature"),
        (lambda p: p.var(0).mean() / p.var((0, 1)).mean(), "correction=0 in both variances\\."),
        (lambda p: p.var(0).mean() / lesson.checks._total(p), "correction=0 in the variance of the noise"),
        (lambda p: lesson.checks._noise(p) / p.var((0, 1)).mean(), "correction=0 in the total"),
        (lambda p: p.var(0).mean() / p.var(), "and one mean for each feature in the total"),
        (lambda p: share(p.sub_(1)), "overwrites its argument p,"),
        (lambda p: share(p.reshape(9, 7, 5)), "line .*reshape.*p \\(4, 4, 4\\)"),
        (lambda p: share(p) if len(p) == 9 else 0.5, "wrong values"),
        (lambda p: [share(p)], "single number"),
        (lambda p: f"{share(p):.3f}", "a string"),
        (lesson.figures.share_of_noise, "package's own function"),
    ],
)
def test_a_wrong_share_is_diagnosed(wrong, message):
    with pytest.raises(CheckFailed, match=message):
        lesson.checks.surprise(wrong, "b")


@pytest.mark.parametrize(
    ("letter", "message"),
    [
        ("a", "beyond chance"),
        ("c", "fair"),
        ("d", "more out than in"),
        ("e", "should be"),
        (" C", "fair"),
        (None, "is None"),
    ],
)
def test_a_wrong_reason_is_answered(letter, message):
    with pytest.raises(CheckFailed, match=message):
        lesson.checks.surprise(share, letter)


def test_an_unsolved_exercise_says_so():
    def unsolved(*args):
        raise NotImplementedError

    for check in (lesson.checks.posterior, lesson.checks.step_grid, lambda f: lesson.checks.surprise(f, "b")):
        with pytest.raises(CheckFailed, match="still to be written"):
            check(unsolved)
