"""The checks of notebook 06: NDCG from scores, a mean over readers, and what a sampled rank hides."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from diffrec_lite.lessons.check import CheckFailed, answer, compare, passed, require

# Five readers, eight books (and the padding in column 0, which scores highest on purpose).
SCORES = torch.tensor(
    [
        [9.0, 1.0, 2.0, 8.0, 4.0, 5.0, 6.0, 7.0, 3.0],  # book 3: rank 1
        [9.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0],  # book 6: rank 3
        [9.0, 5.0, 5.0, 5.0, 1.0, 7.0, 2.0, 0.0, 3.0],  # book 1 ties with 2 and 3: rank 4
        [9.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0],  # book 4: rank 5
        [9.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0],  # book 1: rank 8
    ],
    dtype=torch.float64,
)
TARGETS = torch.tensor([3, 6, 1, 4, 1])
K = 4


def ndcg_at_k(function: Callable) -> None:
    """Check `function(scores, target, k) -> float`: scores `(B, V)`, target `(B,)`; raises CheckFailed."""
    yours = answer(function, SCORES.clone(), TARGETS.clone(), K)
    own = SCORES.gather(1, TARGETS[:, None])
    books = SCORES[:, 1:]
    above, level = (books > own).sum(1), (books == own).sum(1) - 1
    r = (above + level + 1).double()
    gain = 1 / torch.log2(r + 1)
    right = (gain * (r <= K)).mean()
    compare(
        "NDCG@4",
        yours,
        right,
        {
            "Ties count for your model: the target is put before the books of equal score. A model that scores "
            "everything alike would be perfect. Count the books whose score is at least the target's.": _ndcg(
                above + 1
            ),
            "Ties are shared here, half before and half after the target. This course counts them against the "
            "model: count every book whose score is at least the target's.": _ndcg(above + 1 + level / 2),
            "Your rank counts the padding. Column 0 is no book: leave it out.": _ndcg(r + 1),
            "The best book gains infinity: either your ranks count from 0, or your gain is 1 / log2(rank). Rank 1 "
            "should gain 1 / log2(1 + 1) = 1.": ((r <= K) / torch.log2(r)).mean(),
            "This is the natural logarithm. The gain uses log2, so that rank 1 gains exactly 1.": (
                ((r <= K) / torch.log(r + 1)).mean()
            ),
            "Rank k itself is inside the list: use rank <= k.": (gain * (r < K)).mean(),
            "The cut-off is missing: a target below rank k gains nothing.": gain.mean(),
            "You average over the hits only. A reader without a hit counts as 0, and is one of the readers.": (
                gain[r <= K].mean()
            ),
            "This is HR@k, the share of hits. NDCG@k asks also where in the list the hit is.": (r <= K).double().mean(),
            "This is the reciprocal rank. NDCG's gain falls more slowly, as 1 / log2(rank + 1).": (
                ((r <= K) / r).mean()
            ),
            "You return one gain for each reader. Take their mean.": gain * (r <= K),
            "You return the sum over the readers. Divide by their number.": (gain * (r <= K)).sum(),
        },
    )
    constant = answer(function, torch.ones(3, 9, dtype=torch.float64), torch.tensor([1, 4, 8]), 5)
    compare("NDCG@5 of a model that scores all books alike", constant, 0.0)
    passed("ndcg_at_k", "Ties and padding gain nothing, and rank 1 gains 1.")


def _ndcg(ranks: Tensor) -> Tensor:
    return ((ranks <= K) / torch.log2(ranks.double() + 1)).mean()


def hit_rate_in_batches(function: Callable) -> None:
    """Check `function(ranks, k, batch_size) -> float`, the hit rate of all readers; raises CheckFailed."""
    found = torch.tensor(
        [1, 9, 5, 30, 12, 17, 5, 8, 3]
    )  # k = 5: batches of four hold 2, 1 and, in the short one, 1 hit
    k, size = 5, 4
    hits = (found <= k).double()
    batches = list(hits.split(size))
    compare(
        "HR@5",
        answer(function, found.clone(), k, size),
        hits.mean(),
        {
            "The bug is still there: you take the mean of the batch means. The last batch holds fewer readers, "
            "and each of them weighs more.": torch.stack([b.mean() for b in batches]).mean(),
            "Now you divide by batch_size times the number of batches. There are fewer readers than that, because "
            "the last batch is short (this is what the released DCRec does).": hits.sum() / (size * len(batches)),
            "You leave the short last batch out. Its readers count as much as any others.": (
                torch.cat(batches[:-1]).mean()
            ),
            "Rank k itself is a hit: use <=.": (found < k).double().mean(),
            "This is the number of hits. Divide by the number of readers.": hits.sum(),
            "Each batch is weighted by the full batch_size. Weight it by the number of readers it holds.": (
                torch.stack([b.mean() * size for b in batches]).sum() / len(hits)
            ),
        },
    )
    for other in (1, 3, 7, 10, 64):
        compare(f"HR@5 with batches of {other}", answer(function, found.clone(), k, other), hits.mean())
    passed("hit_rate_in_batches", "The batch size no longer moves the metric.")


def sampled_rank(function: Callable, why: str) -> None:
    """Check `function(rank, num_items, negatives) -> expected rank` and the choice `why`; raises CheckFailed."""
    asked = [(1, 241, 100), (5, 241, 100), (25, 241, 100), (241, 241, 100), (100, 12101, 99)]
    yours = torch.tensor([float(answer(function, *a)) for a in asked], dtype=torch.float64)

    def each(formula: Callable) -> Tensor:
        return torch.tensor([float(formula(*a)) for a in asked], dtype=torch.float64)

    compare(
        "the expected sampled rank",
        yours,
        each(lambda r, n, m: 1 + (r - 1) * m / (n - 1)),
        {
            "The target itself is always in the list, at worst rank 1. Add that 1 to the expected number of better "
            "books.": each(lambda r, n, m: (r - 1) * m / (n - 1)),
            "The target is never drawn as a negative: the draws come from num_items - 1 books.": each(
                lambda r, n, m: 1 + (r - 1) * m / n
            ),
            "At rank r only r - 1 books are better than the target.": each(lambda r, n, m: 1 + r * m / (n - 1)),
            "The whole rank is shrunk, and a perfect rank 1 becomes better than 1. Only the r - 1 better books are "
            "sampled.": each(lambda r, n, m: r * m / (n - 1)),
            "This is the full rank. With few negatives most of the better books are not in the list.": each(
                lambda r, n, m: r
            ),
            "The share is upside down: a book is drawn with probability negatives / (num_items - 1).": each(
                lambda r, n, m: 1 + (r - 1) * (n - 1) / m
            ),
        },
    )
    wrong = {
        "a": "Not a: the draw of the negatives is noise, but the order also differs between the exact means.",
        "c": "Not c: both models are ranked among the same negatives, and ties are counted in the same way.",
        "d": "Not d: the model is the same, and no training happens in an evaluation.",
    }
    choice = str(why).strip().strip(".)").lower()
    if choice in wrong:
        raise CheckFailed(wrong[choice])
    require(choice == "b", f'`why` should be one of the letters "a" to "d"; it is {why!r}.')
    passed("sampled_rank", "A sampled HR@k is a full HR at a much larger k.")
