"""The checks of notebook 06: NDCG from scores, a mean over readers, and what a sampled rank hides."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from diffrec_lite.lessons.check import CheckFailed, answer, check, close, compare, letter, numbers, passed, require

# Six readers, eight books (and the padding in column 0, which scores highest on purpose). Drawn so that no two of the
# mistakes that are told apart below give the same number.
SCORES = torch.tensor(
    [
        [9.0, 2.0, 4.0, 6.0, 7.0, 1.0, 5.0, 8.0, 3.0],  # book 3: rank 3
        [9.0, 6.0, 7.0, 3.0, 8.0, 2.0, 4.0, 5.0, 1.0],  # book 6: rank 5
        [9.0, 1.0, 5.0, 7.0, 4.0, 3.0, 8.0, 2.0, 6.0],  # book 5: rank 6
        [9.0, 5.0, 4.0, 3.0, 7.0, 2.0, 1.0, 8.0, 6.0],  # book 2: rank 5
        [9.0, 1.0, 5.0, 3.0, 7.0, 8.0, 6.0, 4.0, 2.0],  # book 2: rank 4
        [9.0, 3.0, 7.0, 2.0, 6.0, 5.0, 8.0, 1.0, 4.0],  # book 6: rank 1
    ],
    dtype=torch.float64,
)
TARGETS = torch.tensor([3, 6, 5, 2, 2, 6])
K = 4
# Readers, columns, k and the size of the scores, drawn without ties.
DRAWN = ((7, 12, 3, 1.0, torch.float64), (4, 5, 10, 1000.0, torch.float32), (9, 9, 1, 0.001, torch.float32))


@check
def ndcg_at_k(function: Callable) -> None:
    """Check `function(scores, target, k) -> float`: scores `(B, V)`, target `(B,)`; raises CheckFailed."""
    _without_ties(function, SCORES, TARGETS, K)
    generator = torch.Generator().manual_seed(1)
    for B, V, k, size, dtype in DRAWN:
        scores = size * torch.rand(B, V, generator=generator, dtype=dtype).sub(0.5)
        target = torch.randint(1, V, (B,), generator=generator)
        target[:2] = torch.tensor([1, V - 1])
        _without_ties(function, scores, target, k)
    _with_ties(function)
    alike, targets = torch.ones(3, 9, dtype=torch.float64), torch.tensor([1, 4, 8])
    compare("NDCG@5 of a model that scores all books alike", answer(function, alike, targets, 5), 0.0)
    passed("ndcg_at_k", "Ties and padding gain nothing, and rank 1 gains 1.")


def _ranks(scores: Tensor, own: Tensor) -> Tensor:
    return (scores >= own).sum(1).double()


def _ndcg(ranks: Tensor, k: int) -> Tensor:
    return ((ranks <= k) / torch.log2(ranks + 1)).mean()


def _without_ties(function: Callable, scores: Tensor, target: Tensor, k: int) -> None:
    books, own = scores[:, 1:], scores.gather(1, target[:, None])
    r = _ranks(books, own)
    gain, inside = 1 / torch.log2(r + 1), r <= k
    left = scores.gather(1, target[:, None] - 1)
    right = scores.gather(1, (target[:, None] + 1).clamp(max=scores.shape[1] - 1))
    compare(
        f"NDCG@{k}",
        answer(function, scores, target, k),
        _ndcg(r, k),
        {
            "Your rank counts the padding. Column 0 is no book: leave it out.": _ndcg(_ranks(scores, own), k),
            "You read the target's score one column too far left, at target - 1. Column b of the scores is book b.": (
                _ndcg(_ranks(books, left), k)
            ),
            "You read the target's score one column too far left, at target - 1, and you count the padding. Column b "
            "of the scores is book b, and column 0 is no book.": _ndcg(_ranks(scores, left), k),
            "You read the target's score one column too far right. Without column 0, book b stands in column b - 1.": (
                _ndcg(_ranks(books, right), k)
            ),
            "The best book gains infinity: either your ranks count from 0, or your gain is 1 / log2(rank). Rank 1 "
            "should gain 1 / log2(1 + 1) = 1.": (inside / torch.log2(r)).mean(),
            "This is the natural logarithm. The gain uses log2, so that rank 1 gains exactly 1.": (
                (inside / torch.log(r + 1)).mean()
            ),
            "Rank k itself is inside the list: use rank <= k.": (gain * (r < k)).mean(),
            "The cut-off is missing: a target below rank k gains nothing.": gain.mean(),
            f"You compute NDCG@{K} whatever k is: the cut-off is handed in.": _ndcg(r, K),
            "The worst book gets rank 1: sort the scores so that the highest comes first.": (
                _ndcg((books <= own).sum(1).double(), k)
            ),
            "You average over the hits only. A reader without a hit counts as 0, and is one of the readers.": (
                gain[inside].mean()
            ),
            "This is HR@k, the share of hits. NDCG@k asks also where in the list the hit is.": inside.double().mean(),
            "This is the reciprocal rank. NDCG's gain falls more slowly, as 1 / log2(rank + 1).": (inside / r).mean(),
            "You return one gain for each reader. Take their mean.": gain * inside,
            "You return the sum over the readers. Divide by their number.": (gain * inside).sum(),
            "You divide by k. Divide by the number of readers.": (gain * inside).sum() / k,
        },
    )


def _with_ties(function: Callable) -> None:
    """On scores with ties; an answer that comes here is right on scores without."""
    scores = torch.tensor(
        [
            [9.0, 5.0, 5.0, 5.0, 1.0, 7.0, 2.0, 0.0, 3.0],
            [0.0, 4.0, 4.0, 1.0, 4.0, 4.0, 2.0, 0.0, 3.0],
            [5.0, 1.0, 2.0, 3.0, 3.0, 0.5, 0.0, 0.0, 0.0],
        ],
        dtype=torch.float64,
    )
    against = "This course counts ties against the model: count every book whose score is at least the target's."
    mistakes = {
        "Ties count for your model: the target is put before the books of equal score. A model that scores everything "
        f"alike would be perfect. {against}": lambda better, level: better + 1,
        f"Ties are shared here, half before and half after the target. {against}": (
            lambda better, level: better + (level + 1) / 2
        ),
    }
    for target in (torch.tensor([1, 2, 4]), torch.tensor([3, 4, 3]), torch.tensor([2, 5, 4])):
        books, own = scores[:, 1:], scores.gather(1, target[:, None])
        better, level = (books > own).sum(1).double(), (books == own).sum(1).double()
        found = numbers(f"NDCG@{K}", answer(function, scores, target, K), ())
        if close(found, _ndcg(better + level, K)):
            continue
        for diagnosis, rank in mistakes.items():
            require(not close(found, _ndcg(rank(better, level), K)), diagnosis)
        raise CheckFailed(
            "Your number is right only where no scores are equal. Sorting, topk too, leaves equal scores in an order "
            f"of its own. {against}"
        )


@check
def hit_rate_in_batches(function: Callable) -> None:
    """Check `function(ranks, k, batch_size) -> float`, the hit rate of all readers; raises CheckFailed."""
    # k = 5: batches of four hold 2, 1 and, in the short one, 3 hits; two of them are at rank 5.
    found = torch.tensor([1, 9, 5, 30, 12, 17, 5, 8, 3, 1, 2])
    hits = (found <= 5).double()
    full, short = hits[:8], hits[8:]
    means = torch.stack([batch.mean() for batch in hits.split(4)])
    compare(
        "HR@5",
        answer(function, found, 5, 4),
        hits.mean(),
        {
            "The bug is still there: you take the mean of the batch means. The last batch holds fewer readers, "
            "and each of them weighs more.": means.mean(),
            "Now you divide by batch_size times the number of batches. There are fewer readers than that, because "
            "the last batch is short (this is what the released DCRec does).": hits.sum() / 12,
            "You leave the short last batch out. Its readers count as much as any others.": full.mean(),
            "You leave the hits of the short last batch out, but divide by all readers. Its readers count as much as "
            "any others.": full.sum() / len(hits),
            "You count the hits of the short last batch, but not its readers.": hits.sum() / len(full),
            "You return the hit rate of the last batch alone.": short.mean(),
            "Rank k itself is a hit: use <=.": (found < 5).double().mean(),
            "This is the number of hits. Divide by the number of readers.": hits.sum(),
            "You divide by the number of batches. Divide by the number of readers.": hits.sum() / len(means),
            "Each batch is weighted by the full batch_size. Weight it by the number of readers it holds.": (
                means.sum() * 4 / len(hits)
            ),
        },
    )
    generator = torch.Generator().manual_seed(2)
    for count, k, size in ((11, 5, 1), (11, 5, 3), (12, 10, 4), (7, 1, 64), (500, 20, 64), (3, 2, 2)):
        drawn = torch.randint(1, 40, (count,), generator=generator)
        name = f"HR@{k} of {count} readers with batches of {size}"
        compare(name, answer(function, drawn, k, size), (drawn <= k).double().mean())
    passed("hit_rate_in_batches", "The batch size no longer moves the metric.")


@check
def sampled_rank(function: Callable, why: str) -> None:
    """Check `function(rank, num_items, negatives) -> expected rank` and the choice `why`; raises CheckFailed."""
    asked = [(1, 241, 100), (5, 241, 100), (25, 241, 100), (241, 241, 100), (100, 12101, 99), (3, 8, 7), (9, 20, 1)]
    name = "the expected sampled rank"
    yours = torch.stack([numbers(name, answer(function, *each), ()) for each in asked])

    def each(formula: Callable) -> Tensor:
        return torch.tensor([float(formula(*a)) for a in asked], dtype=torch.float64)

    compare(
        name,
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
            "The expected rank is no whole number: it is a mean over many draws. Leave the rounding out.": each(
                lambda r, n, m: round(1 + (r - 1) * m / (n - 1))
            ),
            "The expected rank is no whole number: it is a mean over many draws. Divide with /, not with //.": each(
                lambda r, n, m: 1 + (r - 1) * m // (n - 1)
            ),
        },
    )
    letter(
        "why",
        why,
        "b",
        {
            "a": "Not a: the draw of the negatives is noise, but the order also differs between the exact means.",
            "c": "Not c: for both models the sampled rank is drawn from the full one in the same way, and the full one "
            "has counted the ties already.",
            "d": "Not d: the model is the same, and no training happens in an evaluation.",
        },
    )
    passed("sampled_rank", "A sampled HR@k is a full HR at a much larger k.")
