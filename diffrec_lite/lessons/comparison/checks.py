"""The checks of notebook 09: a verdict with an interval, a paired interval, and a metric without popularity."""

from __future__ import annotations

import reprlib
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from diffrec_lite.lessons.check import CheckFailed, answer, check, compare, numbers, pair_of, passed, require
from diffrec_lite.metrics import debiased_ndcg as right_debiased

WORDS = ("not run", "replicated", "open", "below", "above")
OPEN = (
    "An interval with one end inside the band and one outside leaves the question open, on whichever side the mean is."
)
MEAN = "The mean lies in the band, but the interval reaches out of it: other readers might have said otherwise."
HOLDS = "An interval that holds the printed number can still reach far out of the band."
EDGE = "A number at the very edge, 5 % away, is still within ±5 %. Use <= (and allow for rounding: 1e-9)."
PRINTED = "Five per cent of what? Of the printed number: the band is 0.95 to 1.05 times that."
BAND = "Ask where the interval lies against the band, and not against the printed number itself."
ZERO = "0.0 is a number that was measured, not a missing one: test with `ours is None`."
SIDE = "Below and above are from our side: below means that ours is smaller than what is printed."
ABSOLUTE = "±5 % is a share of the printed number, and not 0.05."
# printed, ours, low, high, the right word, and what each wrong word tells.
CASES: tuple[tuple[float, float | None, float | None, float | None, str, dict[str, str]], ...] = (
    (0.06, None, None, None, "not run", dict.fromkeys(WORDS, "Without a number of ours the word is not run.")),
    (0.06, 0.0602, 0.059, 0.0614, "replicated", {"above": SIDE, "below": SIDE, "open": BAND}),
    (0.06, 0.06, 0.057, 0.063, "replicated", {"open": EDGE, "above": EDGE, "below": EDGE}),
    (0.06, 0.05, 0.048, 0.052, "below", {"replicated": ABSOLUTE, "above": SIDE, "open": BAND}),
    (0.06, 0.07, 0.068, 0.072, "above", {"replicated": ABSOLUTE, "below": SIDE, "open": BAND}),
    (0.5, 0.47, 0.45, 0.474, "below", {"replicated": ABSOLUTE, "open": ABSOLUTE}),
    (0.06, 0.0, 0.0, 0.001, "below", {"not run": ZERO, "above": SIDE, "open": BAND}),
    (0.06, 0.0565, 0.054, 0.0605, "open", {"replicated": HOLDS, "below": OPEN}),
    (0.06, 0.0575, 0.0555, 0.0595, "open", {"replicated": f"{MEAN} {OPEN}", "below": OPEN}),
    (0.06, 0.06, 0.05, 0.07, "open", {"replicated": f"{MEAN} {HOLDS}", "below": HOLDS, "above": HOLDS}),
    (0.06, 0.0637, 0.0615, 0.066, "open", {"above": OPEN, "replicated": OPEN}),
    (0.06, 0.0571, 0.05701, 0.0572, "replicated", {"below": PRINTED, "open": PRINTED}),
    (0.06, 0.0633, 0.0631, 0.0635, "above", {"replicated": PRINTED, "open": PRINTED}),
)


@check
def verdict(function: Callable) -> None:
    """Check `function(printed, ours, low, high) -> word`, one of `WORDS`; raises CheckFailed."""
    for printed, ours, low, high, right, wrong in CASES:
        found = answer(function, printed, ours, low, high)
        called = f"verdict({printed}, {ours}, {low}, {high})"
        require(
            isinstance(found, str) and found in WORDS,
            f"{called} should return one of the words {', '.join(WORDS)}; it returned {reprlib.repr(found)}.",
        )
        if found != right:
            told = wrong.get(found, "Look at the four rules again, in their order.")
            raise CheckFailed(f"{called} should be {right!r}, and yours is {found!r}. {told}")
    passed("verdict", "An open question is called open, whatever the mean says, and a missing run is not guessed.")


def _two_models() -> tuple[Tensor, Tensor, Tensor]:
    """Gains of 40 readers under two models that succeed and fail together, and 200 draws of 40 readers."""
    generator = torch.Generator().manual_seed(4)
    hard = torch.rand(40, generator=generator, dtype=torch.float64)
    a = (hard + 0.3 * torch.rand(40, generator=generator, dtype=torch.float64) > 0.7).double()
    b = (hard > 0.7).double() * 0.9
    return a, b, torch.randint(40, (200, 40), generator=generator)


def _ends(values: Tensor, low: float = 0.025, high: float = 0.975) -> Tensor:
    return torch.quantile(values, torch.tensor([low, high], dtype=values.dtype))


@check
def paired_interval(function: Callable) -> None:
    """Check `function(a, b, draws) -> (low, high)`: gains `(N,)` of two models, draws `(R, N)` of readers."""
    a, b, draws = _two_models()
    means_a, means_b = a[draws].mean(1), b[draws].mean(1)
    own_a, own_b, ends = _ends(means_a), _ends(means_b), _ends(means_a - means_b)
    difference = (a - b).mean()
    spread = 1.96 * (a - b).std() / len(a) ** 0.5
    mistakes = {
        "This is the interval of B - A. The difference is A - B: above zero where A is better.": -ends.flip(0),
        "The ends have changed places: low comes first.": ends.flip(0),
        "This is the interval of A alone. Resample the difference a - b.": own_a,
        "This is the interval of B alone. Resample the difference a - b.": own_b,
        "You took the interval of each model and subtracted the opposite ends. That forgets that both models meet the "
        "same readers: subtract reader by reader first, or draw by draw.": torch.stack(
            [own_a[0] - own_b[1], own_a[1] - own_b[0]]
        ),
        "You subtracted the ends of the two intervals from each other. The interval of a difference is no difference "
        "of intervals.": own_a - own_b,
        "A and B are resampled with different readers here. A pair stays together: the same row of draws for both.": (
            _ends(means_a - b[draws.flip(0)].mean(1))
        ),
        "This is a 90 % interval: 5 % are left at each end. For 95 % leave 2.5 %.": _ends(
            means_a - means_b, 0.05, 0.95
        ),
        "These are the least and the greatest draw. Leave 2.5 % out at each end.": _ends(means_a - means_b, 0, 1),
        "These are sums over the readers. A metric is a mean.": ends * len(a),
        "This is the difference itself, twice. How far would other readers have moved it?": difference.expand(2),
        "This is the normal formula, mean ± 1.96 standard errors. It is near, but use the draws that you are given.": (
            torch.stack([difference - spread, difference + spread])
        ),
        "These are quantiles of the readers' own differences. First the mean over the readers of each draw, then the "
        "quantiles over the draws.": _ends(a - b),
    }
    _compare_ends(function, a, b, draws, ends, mistakes)
    generator = torch.Generator().manual_seed(9)
    for readers, rows in ((7, 50), (25, 33)):
        a, b = torch.rand(2, readers, generator=generator, dtype=torch.float64)
        draws = torch.randint(readers, (rows, readers), generator=generator)
        _compare_ends(function, a, b, draws, _ends((a - b)[draws].mean(1)), {})
    passed("paired_interval", "The same readers for both models: what is easy or hard for both cancels.")


def _compare_ends(
    function: Callable, a: Tensor, b: Tensor, draws: Tensor, right: Tensor, mistakes: dict[str, Tensor]
) -> None:
    found = answer(function, a, b, draws)
    if not isinstance(found, Tensor | np.ndarray):
        pair_of("paired_interval", found, "two numbers, low and high")
        found = torch.stack([numbers("an end of the interval", end, ()) for end in found])
    compare("The interval", numbers("The interval", found, (2,)), right, mistakes)


@check
def debiased_ndcg(function: Callable) -> None:
    """Check `function(ranks, popularity, k) -> float`: NDCG@k with the weight 1 / popularity, at least 1, a reader."""
    ranks = torch.tensor([1, 3, 10, 2, 11, 7, 1, 40, 5])
    popularity = torch.tensor([60, 5, 2, 120, 1, 0, 33, 4, 15])
    k = 10
    w = 1 / popularity.double().clamp(min=1)
    r = ranks.double()
    gain = torch.where(r <= k, 1 / torch.log2(r + 1), 0.0)

    def weighted(weights: Tensor, gains: Tensor = gain) -> Tensor:
        return weights @ gains / weights.sum()

    unseen = popularity > 0
    mistakes = {
        "This is the plain NDCG: every reader weighs the same.": gain.mean(),
        "The weights are upside down: you weigh a reader by the popularity, and not by 1 / popularity.": weighted(
            1 / w
        ),
        "You divide by the number of readers. Divide by the sum of the weights, or the result is no mean.": (
            (w * gain).mean()
        ),
        "The weights are never divided out: divide by their sum.": w @ gain,
        "A book that was never read in training is left out. Count it as if it had been read once.": (
            weighted(w[unseen], gain[unseen])
        ),
        "You add 1 to every popularity. Only a popularity of 0 is raised to 1.": weighted(
            1 / (popularity.double() + 1)
        ),
        "This is the weight 1 / sqrt(popularity): a weaker correction. Here it is 1 / popularity.": weighted(w.sqrt()),
        "Rank k itself is inside the list: rank <= k.": weighted(w, torch.where(r < k, 1 / torch.log2(r + 1), 0.0)),
        "The cut-off is missing: a rank beyond k gains nothing.": weighted(w, 1 / torch.log2(r + 1)),
        "This is the debiased HR@k. The gain of NDCG is 1 / log2(rank + 1).": weighted(w, (r <= k).double()),
        "The logarithm has base 2.": weighted(w, torch.where(r <= k, 1 / torch.log(r + 1), 0.0)),
        "This is the debiased reciprocal rank. The gain of NDCG is 1 / log2(rank + 1).": (
            weighted(w, torch.where(r <= k, 1 / r, 0.0))
        ),
    }
    found = numbers("The debiased NDCG", answer(function, ranks, popularity, k), ())
    require(
        bool(found.isfinite()),
        "The debiased NDCG is infinite or NaN: one target was never read in training, and 1 / 0 is no weight. Raise "
        "the popularity to 1 where it is 0.",
    )
    compare("The debiased NDCG", found, torch.tensor(right_debiased(ranks, popularity, k)), mistakes)
    generator = torch.Generator().manual_seed(2)
    for readers, k in ((12, 5), (30, 20)):
        ranks = torch.randint(1, 40, (readers,), generator=generator)
        popularity = torch.randint(0, 50, (readers,), generator=generator)
        right = torch.tensor(right_debiased(ranks, popularity, k))
        compare(f"The debiased NDCG@{k}", answer(function, ranks, popularity, k), right)
    passed("debiased_ndcg", "A seldom-read book counts as much as a best-seller.")
