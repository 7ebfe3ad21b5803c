"""The right answer passes each check of notebook 06, and each common mistake gets a diagnosis of its own."""

import math

import pytest
import torch

from diffrec_lite import metrics
from diffrec_lite.lessons import metrics as lesson
from diffrec_lite.lessons.check import CheckFailed


def ndcg(compare=lambda s, own: s >= own, first=1, add=0, inside=lambda r, k: r <= k, gain=None, reduce=torch.mean):
    gain = gain or (lambda r: 1 / torch.log2(r + 1))

    def ndcg_at_k(scores, target, k):
        own = scores.gather(1, target[:, None])
        rank = compare(scores[:, first:], own).sum(1).double() + add
        return reduce(gain(rank) * inside(rank, k))

    return ndcg_at_k


def topk_ndcg(scores, target, k):
    best = scores[:, 1:].topk(min(k, scores.shape[1] - 1)).indices + 1
    rank = (best == target[:, None]).nonzero()[:, 1]
    return float((1 / torch.log2(rank.double() + 2)).sum() / len(target))


def sorted_ndcg(stable):
    def ndcg_at_k(scores, target, k):
        order = scores[:, 1:].argsort(descending=True, stable=stable) + 1
        rank = (order == target[:, None]).int().argmax(1).double() + 1
        return ((rank <= k) / torch.log2(rank + 1)).mean()

    return ndcg_at_k


def read_at(shift, first=1):
    """The target's score read from a column beside it."""

    def ndcg_at_k(scores, target, k):
        own = scores[:, first:].gather(1, target[:, None] + shift)
        rank = (scores[:, 1:] >= own).sum(1).double()
        return ((rank <= k) / torch.log2(rank + 1)).mean()

    return ndcg_at_k


def padded_and_left(scores, target, k):
    rank = (scores >= scores.gather(1, target[:, None] - 1)).sum(1).double()
    return ((rank <= k) / torch.log2(rank + 1)).mean()


def sampled(formula=lambda r, n, m: 1 + (r - 1) * m / (n - 1)):
    return lambda rank, num_items, negatives: formula(rank, num_items, negatives)


def split_hits(ranks, k, size):
    return [(b <= k).double() for b in ranks.split(size)]


def test_the_right_answers_pass(capsys):
    lesson.checks.ndcg_at_k(ndcg())
    lesson.checks.ndcg_at_k(lambda scores, target, k: metrics.ndcg(metrics.ranks(scores, target), k))
    lesson.checks.hit_rate_in_batches(lambda r, k, size: sum(float(b.sum()) for b in split_hits(r, k, size)) / len(r))
    lesson.checks.sampled_rank(sampled(), "b")
    lesson.checks.sampled_rank(sampled(), " B) ")
    assert capsys.readouterr().out.count("correct") == 5


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (ndcg(compare=lambda s, own: s > own, add=1), "Ties count for your model"),
        (ndcg(compare=lambda s, own: ((s > own).double() + (s >= own)) / 2, add=0.5), "Ties are shared"),
        (ndcg(first=0), "counts the padding"),
        (ndcg(add=-1), "The best book gains infinity"),
        (ndcg(gain=lambda r: 1 / torch.log2(r)), "The best book gains infinity"),
        (ndcg(gain=lambda r: 1 / torch.log(r + 1)), "natural logarithm"),
        (ndcg(inside=lambda r, k: r < k), "rank <= k"),
        (ndcg(inside=lambda r, k: torch.ones_like(r)), "cut-off is missing"),
        (ndcg(reduce=lambda g: g[g > 0].mean()), "over the hits only"),
        (ndcg(gain=torch.ones_like), "This is HR@k"),
        (ndcg(gain=lambda r: 1 / r), "reciprocal rank"),
        (ndcg(reduce=lambda g: g), "one gain for each reader"),
        (ndcg(reduce=torch.sum), "sum over the readers"),
        (topk_ndcg, "leaves equal scores in an order"),
        (sorted_ndcg(stable=True), "leaves equal scores in an order"),
        (sorted_ndcg(stable=False), "leaves equal scores in an order"),
        (ndcg(compare=lambda s, own: s > own + 1e-9, add=1), "Ties count for your model"),
        (read_at(-1, first=0), "one column too far left, at target - 1\\. Column b of the scores is book b\\."),
        (read_at(0), "one column too far right"),
        (padded_and_left, "and you count the padding"),
        (ndcg(compare=lambda s, own: s <= own), "worst book gets rank 1"),
        (lambda scores, target, k: ndcg(reduce=torch.sum)(scores, target, k) / k, "divide by k"),
        (lambda scores, target, k: ndcg()(scores, target, 4), "NDCG@4 whatever k is"),
        (lambda scores, target, k: ndcg()(scores.sub_(1), target, k), "overwrites its argument scores"),
        (lambda scores, target, k: [0.5], "single number"),
        (lambda scores, target, k: 0.4, "wrong values"),
    ],
)
def test_a_wrong_ndcg_is_diagnosed(wrong, message):
    with pytest.raises(CheckFailed, match=message):
        lesson.checks.ndcg_at_k(wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda r, k, n: torch.stack([b.mean() for b in split_hits(r, k, n)]).mean(), "The bug is still there"),
        (lambda r, k, n: (r <= k).sum() / (n * math.ceil(len(r) / n)), "released DCRec"),
        (lambda r, k, n: torch.cat(split_hits(r, k, n)[:-1]).mean(), "last batch out"),
        (lambda r, k, n: (r < k).double().mean(), "Rank k itself"),
        (lambda r, k, n: (r <= k).sum(), "number of hits"),
        (lambda r, k, n: sum(b.mean() * n for b in split_hits(r, k, n)) / len(r), "full batch_size"),
        (lambda r, k, n: 6 / 11 if n == 4 else 0.4, "with batches of 1 "),
        (lambda r, k, n: sum(b.sum() for b in split_hits(r, k, n)[:-1]) / len(r), "but divide by all readers"),
        (lambda r, k, n: (r <= k).sum() / (len(r) // n * n), "but not its readers"),
        (lambda r, k, n: split_hits(r, k, n)[-1].mean(), "last batch alone"),
        (lambda r, k, n: (r <= k).sum() / len(split_hits(r, k, n)), "divide by the number of batches"),
        (lambda r, k, n: (r <= 5).double().mean(), "HR@10 of 12 readers"),
        (lambda r, k, n: float((r.clamp_(max=k + 1) <= k).double().mean()), "overwrites its argument r"),
        (lambda r, k, n: (r <= k).double(), "has shape"),
        (lambda r, k, n: str(float((r <= k).double().mean())), "a string"),
    ],
)
def test_a_wrong_hit_rate_is_diagnosed(wrong, message):
    with pytest.raises(CheckFailed, match=message):
        lesson.checks.hit_rate_in_batches(wrong)


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        (lambda r, n, m: (r - 1) * m / (n - 1), "Add that 1"),
        (lambda r, n, m: 1 + (r - 1) * m / n, "never drawn as a negative"),
        (lambda r, n, m: 1 + r * m / (n - 1), "only r - 1 books"),
        (lambda r, n, m: r * m / (n - 1), "The whole rank is shrunk"),
        (lambda r, n, m: r, "This is the full rank"),
        (lambda r, n, m: 1 + (r - 1) * (n - 1) / m, "upside down"),
        (lambda r, n, m: round(1 + (r - 1) * m / (n - 1)), "Leave the rounding out"),
        (lambda r, n, m: 1 + (r - 1) * m // (n - 1), "not with //"),
        (lambda r, n, m: 1 + (r - 1) * m / 240, "wrong values"),
        (lambda r, n, m: None, "returned None"),
        (lambda r, n, m: "1", "a string"),
        (lambda r, n, m: [1 + (r - 1) * m / (n - 1)], "single number"),
    ],
)
def test_a_wrong_sampled_rank_is_diagnosed(formula, message):
    with pytest.raises(CheckFailed, match=message):
        lesson.checks.sampled_rank(sampled(formula), "b")


@pytest.mark.parametrize(
    ("why", "message"), [("a", "Not a"), ("c", "Not c"), ("d", "Not d"), ("", "one of the letters")]
)
def test_a_wrong_reason_is_diagnosed(why, message):
    with pytest.raises(CheckFailed, match=message):
        lesson.checks.sampled_rank(sampled(), why)


def test_unsolved_exercises_say_so():
    def unsolved(*args):
        raise NotImplementedError

    for check in (
        lesson.checks.ndcg_at_k,
        lesson.checks.hit_rate_in_batches,
        lambda f: lesson.checks.sampled_rank(f, "b"),
    ):
        with pytest.raises(CheckFailed, match="still to be written"):
            check(unsolved)
