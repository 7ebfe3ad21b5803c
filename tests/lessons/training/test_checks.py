"""The right answer passes each check of notebook 07, and each common mistake gets a diagnosis of its own."""

import pytest
import torch
from torch.nn import functional as F
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

from diffrec_lite.lessons import training as lesson
from diffrec_lite.lessons.check import CheckFailed


def noise(x0, at, eps):
    return at.sqrt()[:, None] * x0 + (1 - at).sqrt()[:, None] * eps


def masked(scores):
    return torch.cat([torch.full_like(scores[:, :1], -torch.inf), scores[:, 1:]], dim=1)


def loss(noised=noise, early=0, source="target", score=None, mask=masked, end=F.cross_entropy):
    def diffurecsys_loss(E, abar, network, history, target, t, eps):
        x0 = E[target] if source == "target" else E[history[:, -1]]
        xt = noised(x0, abar[t - early], eps)
        x0_hat = xt if score == "xt" else network(history, xt, t)
        return end(mask(x0_hat @ E.T), target)

    return diffurecsys_loss


def distance(reduce):
    def diffurecsys_loss(E, abar, network, history, target, t, eps):
        x0 = E[target]
        return reduce(network(history, noise(x0, abar[t], eps), t) - x0)

    return diffurecsys_loss


def log_p(scores, target):
    return scores.log_softmax(1)[torch.arange(len(target)), target]


def epoch(train=True, clear="after", clip="norm", returns="mean", steps="each", first=False):
    def train_epoch(model, batches, optimizer, clip_at):
        if train:
            model.train()
        losses, sizes = [], []
        for batch in batches:
            if clear == "before":
                optimizer.zero_grad()
            now = model(batch)
            now.backward()
            if clip == "norm":
                clip_grad_norm_(model.parameters(), clip_at)
            if clip == "value":
                clip_grad_value_(model.parameters(), clip_at)
            if steps == "each":
                optimizer.step()
            if clip == "late":
                clip_grad_norm_(model.parameters(), clip_at)
            if clear == "after":
                optimizer.zero_grad()
            if clear == "by hand":
                for weight in model.parameters():
                    weight.grad = None
            losses.append(now.detach())
            sizes.append(float(len(batch[0])))
            if first:
                break
        losses, sizes = torch.stack(losses), torch.tensor(sizes)
        found = {"mean": losses.mean(), "last": losses[-1], "sum": losses.sum(), "all": losses}
        return {**found, "by size": (losses * sizes).sum() / sizes.sum(), "graph": now / 1, "nothing": None}[returns]

    return train_epoch


def stop(values, patience):
    best = 1
    for trained, value in enumerate(values, start=1):
        if value > values[best - 1]:
            best = trained
        if trained - best == patience:
            break
    return best, trained


def in_order(values, patience):
    """The same with a running best value instead of its place."""
    best, at = float("-inf"), 0
    for trained, value in enumerate(values, start=1):
        if value > best:
            best, at = value, trained
        if trained - at >= patience:
            return [at, trained]
    return at, len(values)


def falls(values, patience):
    best, bad = 1, 0
    for trained in range(2, len(values) + 1):
        bad = bad + 1 if values[trained - 1] <= values[trained - 2] else 0
        best = trained if values[trained - 1] > values[best - 1] else best
        if bad == patience:
            break
    return best, trained


def ties(values, patience):
    best = 1
    for trained, value in enumerate(values, start=1):
        if value >= values[best - 1]:
            best = trained
        if trained - best == patience:
            break
    return best, trained


def test_the_right_answers_pass(capsys):
    lesson.checks.diffurecsys_loss(loss())
    lesson.checks.diffurecsys_loss(loss(mask=lambda s: s[:, 1:], end=lambda s, y: F.cross_entropy(s, y - 1)))
    lesson.checks.diffurecsys_loss(loss(end=lambda s, y: -log_p(s, y).mean()))
    for clear in ("before", "after", "by hand"):
        lesson.checks.train_epoch(epoch(clear=clear))
    lesson.checks.early_stopping(stop)
    lesson.checks.early_stopping(in_order)
    assert capsys.readouterr().out.count("correct") == 8


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (loss(mask=lambda s: s), "padding is a rival"),
        (loss(early=1), "You noise to step t - 1"),
        (loss(noised=lambda x0, at, eps: noise(x0, 1 - at, eps)), "two weights are swapped"),
        (loss(noised=lambda x0, at, eps: at[:, None] * x0 + (1 - at)[:, None] * eps), "square roots are missing"),
        (loss(noised=lambda x0, at, eps: x0), "is shown x_0 itself"),
        (loss(source="history"), "You noised the last book of the history"),
        (loss(score="xt"), "The network is never asked"),
        (distance(lambda e: e.square().mean()), "distance between x0_hat and x_0"),
        (loss(end=lambda s, y: F.cross_entropy(s, y, reduction="sum")), "sum over the batch"),
        (loss(end=lambda s, y: F.cross_entropy(s, y, reduction="none")), "one loss for each reader"),
        (loss(end=lambda s, y: log_p(s, y).mean()), "sign is wrong"),
        (loss(end=lambda s, y: F.cross_entropy(s.softmax(1), y)), "Softmax is taken twice"),
        (loss(mask=lambda s: s, end=lambda s, y: F.cross_entropy(s, y - 1)), "one book too early"),
        (loss(mask=lambda s: s.index_fill(1, torch.tensor([0]), -15.0)), "wrong values"),
        (loss(end=lambda s, y: s), "has shape"),
    ],
)
def test_a_wrong_loss_is_diagnosed(wrong, message):
    with pytest.raises(CheckFailed, match=message):
        lesson.checks.diffurecsys_loss(wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (epoch(train=False), "1 of the bugs is still there: the model still evaluates"),
        (epoch(clear="never"), "1 of the bugs is still there: the gradients of the last batch"),
        (epoch(clip="late"), "1 of the bugs is still there: the gradient is not clipped"),
        (epoch(train=False, clear="never"), "2 of the bugs are still there: the model still evaluates.*; and the grad"),
        (epoch(train=False, clip="late"), "2 of the bugs are still there: .*; and the gradient is not clipped"),
        (
            epoch(clear="never", clip="late"),
            "2 of the bugs are still there: the gradients of.*; and the gradient is clipped",
        ),
        (
            epoch(clear="never", clip="never"),
            "2 of the bugs are still there: the gradients of.*; and the gradient is not",
        ),
        (epoch(train=False, clear="never", clip="late"), "3 of the bugs are still there"),
        (epoch(clip="never"), "1 of the bugs is still there: the gradient is not clipped before the step"),
        (epoch(clip="value"), "clip each number"),
        (epoch(steps="none"), "weights have not moved"),
        (epoch(first=True), "Only the first batch"),
        (epoch(returns="last"), "loss of the last batch"),
        (epoch(returns="graph"), "loss of the last batch"),
        (epoch(returns="sum"), "sum of the losses"),
        (epoch(returns="all"), "one loss for each batch"),
        (epoch(returns="by size"), "weight each batch by its size"),
        (epoch(returns="nothing"), "returned None"),
    ],
)
def test_a_loop_that_is_still_sick_is_diagnosed(wrong, message):
    with pytest.raises(CheckFailed, match=message):
        lesson.checks.train_epoch(wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda v, p: tuple(n - 1 for n in stop(v, p)), "from 0"),
        (lambda v, p: stop(v, p)[::-1], "other order"),
        (lambda v, p: (stop(v, p)[1],) * 2, "keep the last epoch"),
        (lambda v, p: (v.index(max(v)) + 1, len(v)), "whole curve and pick its best"),
        (ties, "as good as the best counts as better"),
        (lambda v, p: stop(v, p + 1), "one epoch too long"),
        (lambda v, p: (stop(v, p)[0], max(1, stop(v, p)[1] - 1)), "wrong values"),
        (lambda v, p: stop(v, p - 1) if p > 1 else (1, 1), "one epoch too early"),
        (falls, "one before it"),
        (lambda v, p: stop([-x for x in v], p), "smallest value"),
        (lambda v, p: (stop(v, p)[0], len(v)), "never stops early"),
        (lambda v, p: stop(v, p)[0], "two whole numbers"),
        (lambda v, p: ("1", "2"), "a string"),
    ],
)
def test_a_wrong_rule_for_stopping_is_diagnosed(wrong, message):
    with pytest.raises(CheckFailed, match=message):
        lesson.checks.early_stopping(wrong)


@pytest.mark.parametrize("check", ["diffurecsys_loss", "train_epoch", "early_stopping"])
def test_unsolved_exercises_say_so(check):
    def unsolved(*args):
        raise NotImplementedError

    with pytest.raises(CheckFailed, match="still to be written"):
        getattr(lesson.checks, check)(unsolved)
