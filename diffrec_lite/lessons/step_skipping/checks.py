"""The checks of notebook 05: the posterior that skips, a grid that arrives, and why steps matter little."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from diffrec_lite.diffusion import GaussianDiffusion
from diffrec_lite.lessons.check import answer, compare, passed, require

B, D = 6, 8
DIFFUSION = GaussianDiffusion.of("scaled_linear", 50)
MOVES = ((40, 25), (12, 3), (30, 29), (20, 0))
GRIDS = ((50, 8), (32, 5), (50, 50), (16, 4), (50, 1), (7, 6))


def posterior(function: Callable) -> None:
    """Check `function(x0, xt, t, s, abar) -> (mean (B, d), variance)` of q(x_s | x_t, x_0), for any s < t."""
    generator = torch.Generator().manual_seed(5)
    x0, xt = torch.randn(2, B, D, generator=generator, dtype=torch.float64)
    for t, s in MOVES:
        abar = DIFFUSION.abar.clone()
        result = answer(function, x0.clone(), xt.clone(), t, s, abar)
        require(
            isinstance(result, tuple | list) and len(result) == 2,
            "posterior should return two things, the mean and the variance: `return mean, variance`.",
        )
        mean, variance = result
        right_mean, right_variance = DIFFUSION.posterior(x0, xt, t, s)
        at, as_, a = abar[t], abar[s], abar[t] / abar[s]
        one_mean, one_variance = DIFFUSION.posterior(x0, xt, t, t - 1)
        alpha = DIFFUSION.alpha[t]
        compare(
            f"the mean at t = {t}, s = {s}",
            mean,
            right_mean,
            {
                "This is the posterior of the step before, s = t - 1. Your code never looks at s: "
                "a skip needs abar[s].": one_mean,
                "The two weights are swapped: x_0 gets sqrt(abar_s) (1 - a), x_t gets sqrt(a) (1 - abar_s), "
                "both over (1 - abar_t).": DIFFUSION.posterior(xt, x0, t, s)[0],
                "a is the signal that survives the whole way from s to t, abar_t / abar_s. You took alpha_t, which "
                "is a single step.": (
                    as_.sqrt() * (1 - alpha) / (1 - at) * x0 + alpha.sqrt() * (1 - as_) / (1 - at) * xt
                ),
                "The square root on abar_s is missing in the weight of x_0.": (
                    as_ * (1 - a) / (1 - at) * x0 + a.sqrt() * (1 - as_) / (1 - at) * xt
                ),
                "The square root on a is missing in the weight of x_t.": (
                    as_.sqrt() * (1 - a) / (1 - at) * x0 + a * (1 - as_) / (1 - at) * xt
                ),
                "This mean forgets x_t: it is the mean of re-noising, q(x_s | x_0). "
                "The posterior knows x_t too.": as_.sqrt() * x0,
                "Both weights lack the division by (1 - abar_t).": (
                    as_.sqrt() * (1 - a) * x0 + a.sqrt() * (1 - as_) * xt
                ),
            },
        )
        compare(
            f"the variance at t = {t}, s = {s}",
            torch.as_tensor(variance, dtype=torch.float64).expand(()),
            right_variance,
            {
                "The mean is right, but the variance is that of s = t - 1.": one_variance,
                "This is the standard deviation. Return its square, the variance.": right_variance.sqrt(),
                "This is the variance of re-noising, q(x_s | x_0). Knowing x_t as well leaves less: "
                "multiply by (1 - a) / (1 - abar_t).": 1 - as_,
                "This is how much noise the way from s to t adds, 1 - a. The posterior also knows x_0: multiply by "
                "(1 - abar_s) / (1 - abar_t).": 1 - a,
                "Your variance lacks the division by (1 - abar_t).": (1 - as_) * (1 - a),
            },
        )
    passed("posterior", "It skips from any t to any s, and s = 0 lands on x_0 with no variance left.")


def step_grid(function: Callable) -> None:
    """Check `function(T, n) -> list`: n moves from T to 0, n + 1 whole numbers, strictly falling, evenly spread."""
    for T, n in GRIDS:
        grid = answer(function, T, n)
        require(isinstance(grid, list | tuple), "step_grid should return a list of whole numbers.")
        grid = list(grid)
        shown = f"step_grid({T}, {n})"
        kinds = {type(t).__name__ for t in grid} - {"int"}
        require(
            not kinds,
            f"{shown} holds {', '.join(sorted(kinds))} values: a step is a whole number (int), since it is an index "
            "into abar.",
        )
        require(grid, f"{shown} is empty.")
        require(
            grid[0] != 0 or grid[-1] != T, f"{shown} runs forward, from 0 to T. The reverse process starts at T = {T}."
        )
        require(
            grid[-1] == 0 or len(grid) != n + 1,
            f"The bug is still there: {shown} ends at t = {grid[-1]}, so the sample still holds noise. "
            "T // n throws the remainder away.",
        )
        require(grid[0] == T, f"{shown} starts at {grid[0]}, but the noise is that of step T = {T}.")
        require(
            len(grid) >= n + 1,
            f"{shown} makes {len(grid) - 1} moves. n moves need n + 1 points: both ends count.",
        )
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
    passed("step_grid", "Every grid starts at T, falls strictly, and ends at 0.")


def surprise(function: Callable, because: str) -> None:
    """Check `function(predictions (S, B, d)) -> float`, the share of the variance due to the noise, and the reason.

    S noise seeds, B readers. `because` is the letter of the reason: "a", "b", "c" or "d".
    """
    generator = torch.Generator().manual_seed(6)
    readers = torch.randn(1, 7, 5, generator=generator, dtype=torch.float64)
    predictions = readers + 0.5 * torch.randn(9, 7, 5, generator=generator, dtype=torch.float64) + 3
    share = answer(function, predictions.clone())
    noise, total = _noise(predictions), _total(predictions)
    compare(
        "the share",
        share,
        noise / total,
        {
            "This is the share of the reader, not of the noise: one minus it is the answer.": 1 - noise / total,
            "This is the variance that the noise makes, not its share. Divide by the variance over all seeds "
            "and readers.": noise,
            "You averaged over the readers (dim 1) to find a reader's own mean. Average over the seeds (dim 0).": (
                (predictions - predictions.mean(1, keepdim=True)).square().mean() / total
            ),
            "The total still holds the mean of all predictions: subtract the mean over seeds and readers first.": noise
            / predictions.square().mean(),
            "This compares noise with reader. The share divides by the total, noise and reader together.": (
                noise / (total - noise)
            ),
            "This is the share of standard deviations. Shares add up to 1 for variances: leave the roots out.": (
                (noise / total).sqrt()
            ),
        },
        tolerance=1e-4,
    )
    letter = str(because).strip().lower()
    wrong = {
        "a": "The chains run from one step to all the steps that the diffusion has, and nowhere along the way does "
        "the accuracy rise.",
        "c": "Shared noise makes the comparison fair. It does not make it flat: DCRec's chains share their noise too, "
        "and their accuracy differs.",
        "d": "Rounding does not hide what the steps change: in DCRec they moved readers in and out of the first five, "
        "and more out than in.",
    }
    require(letter in ("a", "b", "c", "d"), f'because should be "a", "b", "c" or "d"; it is {because!r}.')
    require(letter == "b", wrong.get(letter, ""))
    passed("surprise", "The first guess has what the history tells, and walking on adds only noise.")


def _noise(predictions: Tensor) -> Tensor:
    return (predictions - predictions.mean(0)).square().mean()


def _total(predictions: Tensor) -> Tensor:
    return (predictions - predictions.mean((0, 1))).square().mean()
