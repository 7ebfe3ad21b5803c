"""The checks of notebook 07: a loss from its parts, a training loop that was mended, and when to stop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise, product
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

from diffrec_lite.diffusion import GaussianDiffusion
from diffrec_lite.lessons.check import answer, check, compare, numbers, pair_of, passed, require

# B, L, d, V with the padding, the schedule and its T, the size of the book vectors, and how far below 0 all scores lie:
# there a mask of -15 would be the greatest score of all.
BATCHES = (
    (5, 4, 6, 9, "trunc_lin", 32, 1.0, 0.0),
    (3, 2, 4, 30, "cosine", 8, 1.0, 30.0),
    (7, 6, 8, 12, "linear", 100, 0.3, 0.0),
)


@check
def diffurecsys_loss(function: Callable) -> None:
    """Check `function(E (V, d), abar (T + 1,), network, history (B, L), target (B,), t (B,), eps (B, d)) -> loss`."""
    generator = torch.Generator().manual_seed(7)
    for B, L, d, V, schedule, T, size, below in BATCHES:
        E = size * torch.randn(V, d, generator=generator, dtype=torch.float64)
        E = E.abs() if below else E
        E[0] = 0
        history = torch.randint(1, V, (B, L), generator=generator)
        history[0, : L - 1] = 0
        target = torch.randint(1, V, (B,), generator=generator)
        target[:2] = torch.tensor([1, V - 1])
        t = torch.randint(1, T + 1, (B,), generator=generator)
        t[:2] = torch.tensor([1, T // 2])
        eps = torch.randn(B, d, generator=generator, dtype=torch.float64)
        mixing = torch.randn(d, d, generator=generator, dtype=torch.float64) / d**0.5
        abar = GaussianDiffusion.of(schedule, T).abar.double()
        case = _Case(E, abar, _network(E, mixing, T, below), history, target, t, eps)
        compare(f"the loss of {B} readers", answer(function, *case), case.loss(), case.wrong_losses())
    passed("diffurecsys_loss", "Noise, network, scores, cross-entropy; the padding is no rival.")


def _network(E: Tensor, mixing: Tensor, T: int, below: float) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Any network will do, as long as its answer depends on all that it is shown."""

    def network(history: Tensor, xt: Tensor, t: Tensor) -> Tensor:
        return torch.tanh(xt @ mixing) + E[history].sum(1) + (t / T)[:, None] - below

    return network


class _Case(NamedTuple):
    """One batch, its loss, and what each common mistake makes of it."""

    E: Tensor
    abar: Tensor
    network: Callable
    history: Tensor
    target: Tensor
    t: Tensor
    eps: Tensor

    def noised(self, abar: Tensor, x0: Tensor) -> Tensor:
        return abar.sqrt()[:, None] * x0 + (1 - abar).sqrt()[:, None] * self.eps

    def scores(self, xt: Tensor | None = None, padding: float = -torch.inf) -> Tensor:
        xt = self.noised(self.abar[self.t], self.E[self.target]) if xt is None else xt
        scores = self.network(self.history, xt, self.t) @ self.E.T
        return scores if padding == 0 else scores.index_fill(1, torch.tensor([0]), padding)

    def loss(self, scores: Tensor | None = None) -> Tensor:
        return F.cross_entropy(self.scores() if scores is None else scores, self.target)

    def wrong_losses(self) -> dict[str, Tensor]:
        at, x0, eps = self.abar[self.t], self.E[self.target], self.eps
        xt = self.noised(at, x0)
        x0_hat = self.network(self.history, xt, self.t)
        scores = self.scores()
        log_p = scores.log_softmax(1).gather(1, self.target[:, None])
        direct = (xt @ self.E.T).index_fill(1, torch.tensor([0]), -torch.inf)
        shown = {
            "You noise to step t - 1: abar begins with abar_0 = 1, so abar[t] is the entry of step t.": (
                self.noised(self.abar[self.t - 1], x0)
            ),
            "The two weights are swapped: sqrt(abar_t) belongs to x_0, sqrt(1 - abar_t) to the noise.": (
                self.noised(1 - at, x0)
            ),
            "The square roots are missing: x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps.": (
                at[:, None] * x0 + (1 - at)[:, None] * eps
            ),
            "The network is shown x_0 itself, the answer. Show it x_t.": x0,
            "You noised the last book of the history. x_0 is the vector of the target, the next book.": (
                self.noised(at, self.E[self.history[:, -1]])
            ),
        }
        return {told: self.loss(self.scores(xt)) for told, xt in shown.items()} | {
            "The padding is a rival here: book 0 is no book. Give column 0 of the scores -inf, or leave it out.": (
                self.loss(self.scores(padding=0))
            ),
            "The network is never asked: you compare x_t with the books. Compare x0_hat.": self.loss(direct),
            "This is the distance between x0_hat and x_0. DiffuRec's loss compares x0_hat with every book, by "
            "cross-entropy.": (x0_hat - x0).square().mean(),
            "This is the sum over the batch. Take the mean, or the learning rate depends on B.": -log_p.sum(),
            "You return one loss for each reader. Take their mean.": -log_p[:, 0],
            "The sign is wrong: log p is negative, and the loss is -log p.": log_p.mean(),
            "Softmax is taken twice: F.cross_entropy wants the scores, and takes the softmax itself.": (
                self.loss(scores.softmax(1))
            ),
            "Each target is taken one book too early: column b of the scores is book b.": (
                F.cross_entropy(self.scores(padding=0), self.target - 1)
            ),
        }


class _Itself:
    """A check copies what it hands over. A model and its optimizer belong together and are handed over themselves."""

    def __deepcopy__(self, memo: dict) -> Any:
        return self


class Tiny(_Itself, nn.Module):
    """Three weights. In training mode one feature is dropped, always the same, so that nothing here is chance."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64))

    def forward(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        x, y = batch
        kept = torch.tensor([1.5, 0.0, 1.5] if self.training else [1.0, 1.0, 1.0], dtype=torch.float64)
        return (x * kept @ self.weight - y).square().mean()


class Descent(_Itself, torch.optim.SGD):
    """Plain gradient descent."""


class Batches(_Itself, list):
    """Batches of `(x (B, 3), y (B,))`, as a list."""


def _batches(seed: int, sizes: Sequence[int]) -> Batches:
    generator = torch.Generator().manual_seed(seed)
    drawn = [torch.randn(B, 4, generator=generator, dtype=torch.float64) for B in sizes]
    return Batches((each[:, :3], 3 * each[:, 3]) for each in drawn)


BUGS = {
    "mode": "the model still evaluates, since nobody called model.train(): its dropout is off",
    "clear": "the gradients of the last batch are never cleared, so each step repeats all the steps before it",
    "clip": "the gradient is not clipped before the step, and to clip it afterwards changes nothing",
    "late": "the gradient is clipped after the step, too late for it",
}
LEARNT = ((0.05, 1.0, (4, 4, 3)), (0.01, 5.0, (6, 2)), (0.1, 0.3, (3, 3, 3, 1)))


@check
def train_epoch(function: Callable) -> None:
    """Check `function(model, batches, optimizer, clip) -> mean loss`, one epoch; the model comes in evaluation mode."""
    for seed, (lr, clip, sizes) in enumerate(LEARNT):
        batches, given, model = _batches(seed, sizes), _batches(seed, sizes), Tiny()
        result = answer(function, model.eval(), given, Descent(model.parameters(), lr=lr), clip)
        require(str(given) == str(batches), "train_epoch overwrites its batches; the next epoch needs them too.")
        right, losses = _epoch(batches, lr, clip)
        wrong = _wrong_weights(batches, lr, clip, right)
        compare(f"the weights after {len(sizes)} batches", model.weight, right, wrong)
        mistakes = {
            "You return the loss of the last batch. The row of an epoch holds the mean over its batches.": losses[-1],
            "You return the sum of the losses. Divide by the number of batches.": losses.sum(),
            "You return one loss for each batch. Take their mean.": losses,
            "You weight each batch by its size. That is another mean, and not wrong, but the loop above divides "
            "by the number of batches: keep to it, so that old and new curves can be compared.": (
                losses @ torch.tensor(sizes, dtype=torch.float64) / sum(sizes)
            ),
        }
        compare("the mean loss", numbers("the mean loss", result), losses.mean(), mistakes)
    passed("train_epoch", "It trains in training mode, on one batch's gradient at a time, clipped before the step.")


def _epoch(batches: Batches, lr: float, clip: float, *bugs: str, by_value: bool = False) -> tuple[Tensor, Tensor]:
    """The weights and the losses `(batches,)` after one epoch with these bugs."""
    model = Tiny()
    optimizer = Descent(model.parameters(), lr=lr)
    model.train("mode" not in bugs)
    losses = []
    for batch in batches:
        loss = model(batch)
        loss.backward()
        losses.append(loss.detach())
        if not {"clip", "late"} & set(bugs):
            (clip_grad_value_ if by_value else clip_grad_norm_)(model.parameters(), clip)
        optimizer.step()
        if "late" in bugs:
            clip_grad_norm_(model.parameters(), clip)
        if "clear" not in bugs:
            optimizer.zero_grad()
    return model.weight.detach(), torch.stack(losses)


def _wrong_weights(batches: Batches, lr: float, clip: float, right: Tensor) -> dict[str, Tensor]:
    wrong = {}
    for bugs in product(("mode", ""), ("clear", ""), ("clip", "late", "")):
        present = [bug for bug in bugs if bug]
        # Clipping too late is as good as not at all, unless gradients are kept.
        if present and ("late" not in bugs or "clear" in bugs):
            told, are = "; and ".join(BUGS[bug] for bug in present), "are" if len(present) > 1 else "is"
            wrong[f"{len(present)} of the bugs {are} still there: {told}."] = _epoch(batches, lr, clip, *present)[0]
    wrong |= {
        "You clip each number of the gradient. `clip` is the greatest *norm* of the whole gradient.": (
            _epoch(batches, lr, clip, by_value=True)[0]
        ),
        "The weights have not moved: is there an optimizer.step()?": Tiny().weight.detach(),
        "Only the first batch was learnt from: is the `return` inside the loop?": (
            _epoch(Batches(batches[:1]), lr, clip)[0]
        ),
    }
    return {told: weights for told, weights in wrong.items() if not torch.allclose(weights, right)}


# Validation curves and the patience each is watched with.
WATCHED = (
    ([0.10, 0.20, 0.30, 0.25, 0.29, 0.28, 0.50, 0.60], 3),
    ([0.20, 0.30, 0.30, 0.30, 0.30, 0.40], 2),
    ([0.10, 0.20, 0.30], 5),
    ([0.30, 0.20, 0.10], 1),
    ([0.10, 0.40, 0.20, 0.30, 0.35, 0.41, 0.30, 0.20, 0.10, 0.05], 4),
    ([0.20, 0.50, 0.40, 0.45, 0.42, 0.47, 0.10, 0.60], 4),
)


@check
def early_stopping(function: Callable) -> None:
    """Check `function(values, patience) -> (best epoch, epochs trained)`, epochs counted from 1; raises CheckFailed."""
    what = "two whole numbers, the best epoch and how many were trained: `return best, trained`"
    yours = torch.stack(
        [
            torch.stack(
                [numbers("an epoch", each, ()) for each in pair_of("early_stopping", answer(function, *c), what)]
            )
            for c in WATCHED
        ]
    )

    def all_of(rule: Callable) -> Tensor:
        return torch.tensor([rule(*case) for case in WATCHED], dtype=torch.float64)

    right = all_of(_stop)
    compare(
        "early_stopping",
        yours,
        right,
        {
            "You count the epochs from 0. The first is epoch 1.": right - 1,
            "You return the two numbers in the other order: the best epoch comes first.": right.flip(1),
            "You keep the last epoch. Keep the best one: the weights of that epoch are the model.": (
                right[:, 1:].expand(-1, 2)
            ),
            "You look at the whole curve and pick its best. A run that has stopped never sees the later epochs.": (
                all_of(lambda v, p: (v.index(max(v)) + 1, len(v)))
            ),
            "An epoch that is as good as the best counts as better here. Only a better one does; else a run that "
            "stands still never stops.": all_of(lambda v, p: _stop(v, p, better=lambda new, old: new >= old)),
            "The run goes on one epoch too long: it stops as soon as `patience` epochs in a row were not better.": (
                all_of(lambda v, p: _stop(v, p + 1))
            ),
            "The run stops one epoch too early: `patience` epochs without a better one are allowed, then it stops.": (
                all_of(lambda v, p: _stop(v, p - 1))
            ),
            "You compare each epoch with the one before it. Compare it with the best so far.": all_of(_falls),
            "You look for the smallest value. NDCG@10 is better when it is greater.": (
                all_of(lambda v, p: _stop(v, p, better=lambda new, old: new < old))
            ),
            "The run never stops early.": all_of(lambda v, p: (_stop(v, p)[0], len(v))),
        },
    )
    passed("early_stopping", "It keeps the best epoch it has seen and looks at none beyond its patience.")


def _stop(values: Sequence[float], patience: int, better: Callable = lambda new, old: new > old) -> tuple[int, int]:
    best = epoch = 1
    for epoch, value in enumerate(values, start=1):
        best = epoch if better(value, values[best - 1]) else best
        if epoch - best >= patience:
            break
    return best, epoch


def _falls(values: Sequence[float], patience: int) -> tuple[int, int]:
    """What comes of comparing each epoch with the one before it."""
    rises = [True, *(new > old for old, new in pairwise(values))]
    ends = (n for n in range(1, len(values) + 1) if n > patience and not any(rises[n - patience : n]))
    trained = next(ends, len(values))
    return values.index(max(values[:trained])) + 1, trained
