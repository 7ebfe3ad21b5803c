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
        (lambda scores, target, k: 0.5, "wrong values"),
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
        (lambda r, k, n: 4 / 9 if n == 4 else 0.4, "with batches of"),
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
