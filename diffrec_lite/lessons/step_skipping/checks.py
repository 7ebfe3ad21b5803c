"""The checks of notebook 05: the posterior that skips, a grid that arrives, and why steps matter little."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from numbers import Integral

import torch
from torch import Tensor

from diffrec_lite.diffusion import GaussianDiffusion
from diffrec_lite.lessons.check import answer, check, compare, letter, numbers, pair_of, passed, require

# The schedule and its T, B, d, the size of the vectors, and the moves t → s.
WALKS = (
    ("scaled_linear", 50, 6, 8, 1.0, ((40, 25), (12, 3), (30, 29), (20, 0))),
    ("trunc_lin", 16, 3, 3, 100.0, ((16, 9), (8, 7), (1, 0))),
    ("cosine", 200, 1, 5, 0.01, ((150, 2), (90, 60))),
)
GRIDS = ((50, 8), (32, 5), (50, 50), (16, 4), (50, 1), (7, 6), (1, 1), (1000, 37))


@check
def posterior(function: Callable) -> None:
    """Check `function(x0, xt, t, s, abar) -> (mean (B, d), variance)` of q(x_s | x_t, x_0), for any s < t."""
    generator = torch.Generator().manual_seed(5)
    for schedule, T, B, d, size, moves in WALKS:
        diffusion = GaussianDiffusion.of(schedule, T)
        x0, xt = size * torch.randn(2, B, d, generator=generator, dtype=torch.float64)
        for t, s in moves:
            result = answer(function, x0, xt, t, s, diffusion.abar)
            what = "two things, the mean and the variance: `return mean, variance`"
            mean, variance = pair_of("posterior", result, what)
            right_mean, right_variance = diffusion.posterior(x0, xt, t, s)
            where = f"at t = {t}, s = {s}"
            compare(f"the mean {where}", mean, right_mean, _wrong_means(diffusion, x0, xt, t, s))
            compare(
                f"the variance {where}",
                _one_number(numbers("the variance", variance), x0),
                right_variance,
                _wrong_variances(diffusion, t, s),
            )
    passed("posterior", "It skips from any t to any s, and s = 0 lands on x_0 with no variance left.")


def _one_number(variance: Tensor, x0: Tensor) -> Tensor:
    """The variance as one number where it is given as (B, 1) or (B, d) and is the same everywhere."""
    shapes = ((1,), (1, 1), (len(x0), 1), tuple(x0.shape))
    first = variance.flatten()[:1].sum()
    return first if tuple(variance.shape) in shapes and (variance == first).all() else variance


def _wrong_means(diffusion: GaussianDiffusion, x0: Tensor, xt: Tensor, t: int, s: int) -> dict[str, Tensor]:
    at, as_ = diffusion.abar[t], diffusion.abar[s]
    a, alpha = at / as_, diffusion.alpha[t]

    def mean(w0: Tensor, wt: Tensor) -> Tensor:
        return w0 * x0 + wt * xt

    mistakes = {
        "This is the posterior of the step before, s = t - 1. Your code never looks at s: "
        "a skip needs abar[s].": diffusion.posterior(x0, xt, t, t - 1)[0],
        "The two weights are swapped: x_0 gets sqrt(abar_s) (1 - a), x_t gets sqrt(a) (1 - abar_s), "
        "both over (1 - abar_t).": diffusion.posterior(xt, x0, t, s)[0],
        "a is the signal that survives the whole way from s to t, abar_t / abar_s. You took alpha_t, which "
        "is a single step.": mean(as_.sqrt() * (1 - alpha) / (1 - at), alpha.sqrt() * (1 - as_) / (1 - at)),
        "Both square roots are missing in the weights.": mean(as_ * (1 - a) / (1 - at), a * (1 - as_) / (1 - at)),
        "The square root on abar_s is missing in the weight of x_0.": (
            mean(as_ * (1 - a) / (1 - at), a.sqrt() * (1 - as_) / (1 - at))
        ),
        "The square root on a is missing in the weight of x_t.": (
            mean(as_.sqrt() * (1 - a) / (1 - at), a * (1 - as_) / (1 - at))
        ),
        "This mean forgets x_t: it is the mean of re-noising, q(x_s | x_0). The posterior knows x_t too.": as_.sqrt()
        * x0,
        "Both weights lack the division by (1 - abar_t).": mean(as_.sqrt() * (1 - a), a.sqrt() * (1 - as_)),
    }
    if s > 0:
        before_t, before_s = diffusion.abar[t - 1], diffusion.abar[s - 1]
        b = before_t / before_s
        mistakes["You read abar one step early. Here abar[0] = 1 is clean data, so abar_t stands at abar[t]."] = mean(
            before_s.sqrt() * (1 - b) / (1 - before_t), b.sqrt() * (1 - before_s) / (1 - before_t)
        )
    return mistakes


def _wrong_variances(diffusion: GaussianDiffusion, t: int, s: int) -> dict[str, Tensor]:
    at, as_ = diffusion.abar[t], diffusion.abar[s]
    a = at / as_
    right = (1 - as_) * (1 - a) / (1 - at)
    return {
        "The mean is right, but the variance is that of s = t - 1.": diffusion.posterior(at, at, t, t - 1)[1],
        "This is the standard deviation. Return its square, the variance.": right.sqrt(),
        "This is the variance of re-noising, q(x_s | x_0). Knowing x_t as well leaves less: "
        "multiply by (1 - a) / (1 - abar_t).": 1 - as_,
        "This is how much noise the way from s to t adds, 1 - a. The posterior also knows x_0: multiply by "
        "(1 - abar_s) / (1 - abar_t).": 1 - a,
        "Your variance lacks the division by (1 - abar_t).": (1 - as_) * (1 - a),
    }


@check
def step_grid(function: Callable) -> None:
    """Check `function(T, n) -> list`: n moves from T to 0, n + 1 whole numbers, strictly falling, evenly spread."""
    for T, n in GRIDS:
        _one_grid(answer(function, T, n), T, n)
    passed("step_grid", "Every grid starts at T, falls strictly, and ends at 0.")


def _one_grid(grid: list[int], T: int, n: int) -> None:
    shown = f"step_grid({T}, {n})"
    require(isinstance(grid, list | tuple), f"{shown} should be a list of whole numbers.")
    kinds = {type(t).__name__ for t in grid if isinstance(t, bool) or not isinstance(t, Integral)}
    require(
        not kinds,
        f"{shown} holds {', '.join(sorted(kinds))} values: a step is a whole number (int), since it is an index "
        "into abar.",
    )
    require(grid, f"{shown} is empty.")
    require(grid[0] != 0 or grid[-1] != T, f"{shown} runs forward, from 0 to T. The reverse process starts at T = {T}.")
    require(
        grid[-1] == 0 or len(grid) != n + 1,
        f"The bug is still there: {shown} ends at t = {grid[-1]}, so the sample still holds noise. "
        "T // n throws the remainder away.",
    )
    require(grid[0] == T, f"{shown} starts at {grid[0]}, but the noise is that of step T = {T}.")
    require(len(grid) >= n + 1, f"{shown} makes {len(grid) - 1} moves. n moves need n + 1 points: both ends count.")
    require(
        len(grid) <= n + 1,
        f"{shown} makes {len(grid) - 1} moves instead of {n}: it arrives, but by calling the denoiser "
        "more often than asked.",
    )
    gaps = [t - s for t, s in pairwise(grid)]
    require(min(gaps) > 0, f"{shown} does not fall strictly: two neighbours are equal or rise.")
    require(
        max(gaps) - min(gaps) <= 1,
        f"{shown} arrives, but unevenly: its moves are {min(gaps)} to {max(gaps)} steps long. "
        "Spread the remainder over all moves, by rounding T (n - i) / n.",
    )


@check
def surprise(function: Callable, because: str) -> None:
    """Check `function(predictions (seeds, B, d)) -> float`, the share of the variance due to the noise, and the reason.

    S noise seeds, B readers. `because` is the letter of the reason: "a", "b", "c" or "d".
    """
    generator = torch.Generator().manual_seed(6)
    for seeds, B, d, size, dtype in (
        (9, 7, 5, 0.5, torch.float64),
        (4, 4, 4, 30.0, torch.float64),
        (2, 6, 3, 0.1, torch.float64),
    ):
        # Each feature has a mean of its own, so that one mean of everything is not the mean for each feature.
        readers = torch.randn(1, B, d, generator=generator, dtype=dtype) + torch.arange(d)
        predictions = readers + size * torch.randn(seeds, B, d, generator=generator, dtype=dtype) + 3
        share = _noise(predictions) / _total(predictions)
        compare("the share", answer(function, predictions), share, _wrong_shares(predictions))
    letter(
        "because",
        because,
        "b",
        {
            "a": "The chains run from one step to all the steps that the diffusion has, and no number of them finds "
            "more books than one step does, beyond chance.",
            "c": "Shared noise makes the comparison fair. It does not make it flat: the chains of the next section "
            "share theirs too, and where the signal is 1 more steps cost accuracy.",
            "d": "Rounding does not hide what the steps change: in DCRec they moved readers in and out of the first "
            "five, and more out than in.",
        },
    )
    passed(
        "surprise",
        "The first guess has what the network gets from the history, and no later call is told more about the reader.",
    )


def _wrong_shares(predictions: Tensor) -> dict[str, Tensor]:
    noise, total = _noise(predictions), _total(predictions)
    of_one = (predictions - predictions.mean()).square().mean()
    by_less = predictions.var(0).mean()
    return {
        "This is the share of the reader, not of the noise: one minus it is the answer.": 1 - noise / total,
        "This is the variance that the noise makes, not its share. Divide by the variance over all seeds "
        "and readers.": noise,
        "You averaged over the readers (dim 1) to find a reader's own mean. Average over the seeds (dim 0).": (
            (predictions - predictions.mean(1, keepdim=True)).square().mean() / total
        ),
        "The total still holds the mean of all predictions: subtract the mean over seeds and readers first.": (
            noise / predictions.square().mean()
        ),
        "The mean of everything is a vector here, one mean for each feature: average over seeds and readers, "
        "mean((0, 1)). You subtracted one number.": noise / of_one,
        "This compares noise with reader. The share divides by the total, noise and reader together.": (
            noise / (total - noise)
        ),
        "This is the share of standard deviations. Shares add up to 1 for variances: leave the roots out.": (
            (noise / total).sqrt()
        ),
    } | {
        "torch.var divides by one less than the count, and so the two shares do not add up to 1. A plain mean of "
        f"squares divides by the count: use correction=0 {where}.": wrong
        for where, wrong in {
            "in both variances": by_less / predictions.var((0, 1)).mean(),
            "in the variance of the noise": by_less / total,
            "in the total": noise / predictions.var((0, 1)).mean(),
            "in both variances, and one mean for each feature in the total": by_less / predictions.var(),
        }.items()
    }


def _noise(predictions: Tensor) -> Tensor:
    return (predictions - predictions.mean(0)).square().mean()


def _total(predictions: Tensor) -> Tensor:
    return (predictions - predictions.mean((0, 1))).square().mean()
