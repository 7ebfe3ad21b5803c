"""Throw odd answers at every check: each must end in CheckFailed, and only right answers may pass.

    python tools/fuzz_checks.py --answers 2000 --seed 0

Odd answers are wrong types and shapes, right results bent a little, exceptions, functions that are right only at first
or that overwrite what they are handed, and things that are no function. Returns 1 when a wrong answer passes, a right
one fails, a check ends in any other error, or torch's random numbers have moved.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import math
import random
import sys
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from copy import deepcopy
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from diffrec_lite import diffusion, layers
from diffrec_lite import metrics as core
from diffrec_lite.diffusion import GaussianDiffusion
from diffrec_lite.lessons import (
    comparison,
    cond_layer_norm,
    cross_attention,
    dcrec,
    forward_noising,
    hybrid,
    metrics,
    offset_noise,
    start_here,
    training,
)
from diffrec_lite.lessons import step_skipping as skipping
from diffrec_lite.lessons.check import CheckFailed

CHANGES = cross_attention.checks.CHANGES


class Answer(NamedTuple):
    """What a learner might hand in: a function, a letter, and whether it was right, known after the check."""

    function: Any
    letter: Any = "b"
    right: Callable[[], bool] = lambda: False


# Right answers, the package's own wherever it has the function.


def leave_one_out(log):
    split = {}
    for user, rows in log.sort_values("time").groupby("user"):
        items = rows["item"].tolist()
        split[user] = {"train": items, "val": None, "test": None}
        if len(items) > 2:
            split[user] = {"train": items[:-2], "val": (items[:-2], items[-2]), "test": (items[:-1], items[-1])}
    return split


def follower_counts(sequences):
    counts = defaultdict(Counter)
    for items in sequences:
        for i, j, k in zip(items[:-2], items[1:-2], items[2:-2], strict=False):
            counts[i, j][k] += 1
    return counts


def noise_chain(x0, beta, noise):
    for b, eps in zip(beta, noise, strict=True):
        x0 = (1 - b).sqrt() * x0 + b.sqrt() * eps
    return x0


def cond_ln(x, condition, weight, bias):
    shift, scale = F.linear(F.silu(condition), weight, bias).chunk(2, dim=-1)
    return F.layer_norm(x, x.shape[-1:]) * (1 + scale) + shift


def dcrec_loss(S0, S0_hat, scores, target, valid, lambda_):
    prior = ((S0_hat.square().mean(-1) * valid).sum(1) / valid.sum(1)).mean()
    denoising = (S0_hat[:, -1] - S0[:, -1].detach()).square().mean()
    return prior + (1 - lambda_) * denoising + lambda_ * F.cross_entropy(scores, target)


def diffurecsys_loss(E, abar, network, history, target, t, eps):
    at = abar[t][:, None]
    scores = network(history, at.sqrt() * E[target] + (1 - at).sqrt() * eps, t) @ E.T
    scores = torch.cat([torch.full_like(scores[:, :1], -torch.inf), scores[:, 1:]], dim=1)
    return F.cross_entropy(scores, target)


def train_epoch(model, batches, optimizer, clip):
    model.train()
    losses = []
    for batch in batches:
        loss = model(batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.detach())
    return torch.stack(losses).mean()


def early_stopping(values, patience):
    best = 0
    for epoch, value in enumerate(values):
        if value > values[best]:
            best = epoch
        if epoch - best >= patience:
            break
    return best + 1, epoch + 1


def told(printed, ours, low, high):
    if ours is None:
        return "not run"
    low_end, high_end = 0.95 * printed, 1.05 * printed
    if low_end - 1e-9 <= low and high <= high_end + 1e-9:
        return "replicated"
    if low <= high_end and high >= low_end:
        return "open"
    return "below" if ours < printed else "above"


def paired_interval(a, b, draws):
    means = (a - b)[draws].mean(1)
    return tuple(float(torch.quantile(means, q)) for q in (0.025, 0.975))


def debiased_ndcg(ranks, popularity, k):
    weight = 1 / popularity.double().clamp(min=1)
    gain = torch.where(ranks <= k, 1 / torch.log2(ranks.double() + 1), 0.0)
    return float((weight * gain).sum() / weight.sum())


def missed(table, student):
    wide = table.pivot(index="seed", columns="variant", values="HR@5")
    change = wide.drop(columns="hybrid").sub(wide["hybrid"], axis=0)
    upper = change.mean() + student * change.std() / len(change) ** 0.5
    return {name: bool(value < 0) for name, value in upper.items()}


def hides_padding(layer, x, valid):
    other = x.masked_fill(~valid[:, :, None], 3)
    after = layer(F.pad(other, (0, 0, 4, 0), value=3), F.pad(valid, (4, 0)))[:, 4:]
    return torch.allclose(after[valid], layer(x, valid)[valid], atol=1e-5)


RIGHT = {
    start_here.checks.leave_one_out: leave_one_out,
    start_here.checks.follower_counts: follower_counts,
    forward_noising.checks.noise_chain: noise_chain,
    forward_noising.checks.q_sample: lambda x0, t, noise, beta: GaussianDiffusion(beta).q_sample(x0, t, noise),
    offset_noise.checks.offset_noise: lambda *args: diffusion.offset_noise(*args),
    offset_noise.checks.per_sample: lambda n, strength, g: n + strength * torch.randn(len(n), 1, generator=g),
    offset_noise.checks.unnoticed: lambda e, change: change.norm(dim=-1).mean() / e.norm(dim=-1).mean(),
    cross_attention.checks.attention: lambda q, k, v, valid: F.scaled_dot_product_attention(q, k, v, valid[:, None, :]),
    cross_attention.checks.hides_padding: hides_padding,
    cross_attention.checks.unchanged: lambda: dict(zip(CHANGES, (True, False, True, False), strict=True)),
    cond_layer_norm.checks.cond_ln: cond_ln,
    cond_layer_norm.checks.pair: lambda history, last: (torch.cat([history[:, 1:], last[:, None]], 1), history),
    cond_layer_norm.checks.first_gradients: lambda: {"x": True, "condition": False, "weight": True, "bias": True},
    skipping.checks.posterior: (
        lambda x0, xt, t, s, abar: GaussianDiffusion(1 - abar[1:] / abar[:-1]).posterior(x0, xt, t, s)
    ),
    skipping.checks.step_grid: lambda T, n: GaussianDiffusion(torch.full((T,), 0.1)).steps(n),
    skipping.checks.surprise: lambda predictions: skipping.figures.share_of_noise(predictions),
    metrics.checks.ndcg_at_k: lambda scores, target, k: core.ndcg(core.ranks(scores, target), k),
    metrics.checks.hit_rate_in_batches: lambda ranks, k, size: core.hit_rate(ranks, k),
    metrics.checks.sampled_rank: lambda rank, items, negatives: 1 + (rank - 1) * negatives / (items - 1),
    dcrec.checks.lambda_smooth: lambda epoch, E: 0.2 * (1 - min(epoch, E) / E) ** 9 + 0.003,
    dcrec.checks.dcrec_loss: dcrec_loss,
    dcrec.checks.best_guess: lambda xt, abar, v: abar.sqrt() * v / (abar * v + 1 - abar) * xt,
    training.checks.diffurecsys_loss: diffurecsys_loss,
    training.checks.train_epoch: train_epoch,
    training.checks.early_stopping: early_stopping,
    comparison.checks.verdict: told,
    comparison.checks.paired_interval: paired_interval,
    comparison.checks.debiased_ndcg: debiased_ndcg,
    hybrid.checks.fuse: lambda x, H0, quiet: H0[:, -x.shape[1] :] + quiet * x,
    hybrid.checks.heard: lambda change: 1 - change.mean(-1).square() / change.square().mean(-1),
    hybrid.checks.missed: missed,
}
# They also ask for a letter, which is "b" each time.
WITH_LETTER = {
    offset_noise.checks.unnoticed,
    skipping.checks.surprise,
    metrics.checks.sampled_rank,
    hybrid.checks.missed,
}


# Odd answers. Each of these takes a random.Random and the right function.


class Hostile:
    """An object that raises whatever is done with it."""

    def _raise(self, *args: Any) -> Any:
        raise ZeroDivisionError("hostile")

    __repr__ = __str__ = __len__ = __iter__ = __float__ = __array__ = __eq__ = __bool__ = __getitem__ = _raise
    __hash__ = object.__hash__


class HostileError(Exception):
    """An exception that cannot say what it is."""

    def __str__(self) -> str:
        raise ValueError("hostile")


def thing(draw: random.Random) -> Any:
    """Any one thing that is no right answer to anything."""
    loop: list = []
    loop.append(loop)
    shape = [draw.randint(0, 6) for _ in range(draw.randint(0, 4))]
    numbers = torch.randn(shape)
    real = [numbers, numbers.double().requires_grad_(), numbers.half(), numbers.long(), numbers * math.nan]
    odd = [numbers > 0, numbers * 1j, numbers.to_sparse(), numbers.to("meta"), torch.zeros(1).expand(10**6, 10**6)]
    arrays = [numbers.numpy(), np.array(["a"]), np.array([None, 1]), np.zeros(3, bool), np.array("2020", "M8[Y]")]
    plain = [None, True, "b", "", b"x", 0, -1, 3.7, math.nan, math.inf, 10**400, 1j, Decimal("1.5"), Fraction(22, 7)]
    groups = [[], (), {}, set(), [[1], [2, 3]], loop, range(5), [numbers, numbers], (numbers, "b"), [Hostile()]]
    dicts = [{1: None}, {(1, 2): 3}, {(1, 2): {3: "x"}}, {"x": Hostile()}, dict.fromkeys(CHANGES, numbers)]
    readers = [dict.fromkeys((2, 4, 7, 9), value) for value in ({}, None, {"train": 1, "val": 2, "test": 3})]
    rest = [Hostile(), object(), int, (n for n in range(3)), torch.Generator(), Ellipsis, pd.Series([1.0], index=["a"])]
    return draw.choice(draw.choice([real, odd, arrays, plain, groups, dicts, readers, rest]))


def bent(draw: random.Random, value: Any) -> Any:
    """A right result with one thing about it changed."""
    if draw.random() < 0.1:
        return draw.choice([str(value), [value], None, thing(draw)])
    if isinstance(value, Tensor):
        return bent_tensor(draw, value)
    if isinstance(value, bool):
        return draw.choice([not value, str(value), torch.tensor([value, value])])
    if isinstance(value, int | float):
        return draw.choice([value + 0.01, value + 1, -value - 1, math.nan, math.inf, value * 1j + 1, str(value)])
    if isinstance(value, dict) and value:
        key = draw.choice(list(value))
        others = {k: v for k, v in value.items() if k != key}
        return draw.choice([others, others | {key: bent(draw, value[key])}, others | {"?": value[key]}])
    if isinstance(value, list | tuple) and value:
        place = draw.randrange(len(value))
        changed = [*value[:place], bent(draw, value[place]), *value[place + 1 :]]
        return draw.choice([type(value)(changed), value[:-1], type(value)([*value, thing(draw)])])
    return thing(draw)


def bent_tensor(draw: random.Random, value: Tensor) -> Tensor:
    moved = value.double().clone()
    step = 1e-3 * max(1.0, float(moved.abs().max()))
    flat = moved.view(-1)
    flat[draw.randrange(len(flat))] += step
    ways = [moved, value + step, value * 1.01 + step, value[None], value * math.nan, value > 0, value * 1j, -value - 1]
    return draw.choice([*ways, value[..., None], value.to("meta"), value.double().to_sparse() + step])


def copied(value: Any) -> Any:
    """A copy; of a tensor one through which a gradient still flows."""
    return value.clone() if isinstance(value, Tensor) else deepcopy(value)


def another_thing(draw: random.Random, right: Callable) -> Answer:
    result = thing(draw)
    return Answer(lambda *args: result)


def a_bend(draw: random.Random, right: Callable) -> Answer:
    return Answer(lambda *args: bent(draw, right(*args)))


def no_function(draw: random.Random, right: Callable) -> Answer:
    return Answer(draw.choice([thing(draw), lambda: right, lambda a, b, c, d, e, f: 0, partial(right, *range(9))]))


def an_exception(draw: random.Random, right: Callable) -> Answer:
    kinds = [ValueError("a\nb"), KeyError(), HostileError(), StopIteration(), MemoryError(), NotImplementedError("x")]
    kinds += [NotImplementedError(), AssertionError(), RecursionError(), OSError(2, "gone")]
    problem = draw.choice([*kinds, SystemExit(), SystemExit("x"), GeneratorExit(), BaseException("x")])

    def stops(*args):
        raise problem

    return Answer(draw.choice([stops, lambda *args: torch.tensor([1]).softmax(-1)]))


def right_at_first(draw: random.Random, right: Callable) -> Answer:
    """Right for a while; then a bent result, a thing or the first result again."""
    calls, wrong, then = [], [], draw.choice(["bent", "thing", "memory"])
    after = draw.randint(1, 6)

    def function(*args):
        result = right(*args)
        calls.append(copied(result))
        if len(calls) <= after or (then == "memory" and not args):
            return result
        wrong.append(True)
        return {"bent": partial(bent, draw, result), "thing": partial(thing, draw), "memory": lambda: calls[0]}[then]()

    return Answer(function, right=lambda: not wrong)


def overwriting(draw: random.Random, right: Callable) -> Answer:
    done = []

    def function(*args):
        result = copied(right(*args))
        targets = [a for a in args if isinstance(a, Tensor | list | pd.DataFrame)]
        if targets:
            value = draw.choice(targets)
            done.append(value)
            if isinstance(value, list):
                draw.choice([value.clear, partial(value.append, [1, 2]), partial(value.pop, 0)])()
            elif isinstance(value, Tensor):
                value.logical_not_() if value.dtype == torch.bool else value.add_(1)
            else:
                value[draw.choice(["time", "new"])] = range(len(value))
        return result

    return Answer(function, right=lambda: not done)


def the_packages_own(draw: random.Random, right: Callable) -> Answer:
    own = [core.ndcg, diffusion.offset_noise, layers.CondLN(8), skipping.figures.share_of_noise]
    return Answer(draw.choice([*own, GaussianDiffusion.of("linear", 16).steps, partial(layers.key_mask)]))


def odd_letter(draw: random.Random, right: Callable) -> Answer:
    letter = draw.choice([thing(draw), "a", "c", "d", "?", "B ", "(b)", "bb", "B"])
    is_b = isinstance(letter, str) and letter in ("b", "B ", "(b)", "B")
    return Answer(right, letter, right=lambda: is_b)


def untouched(draw: random.Random, right: Callable) -> Answer:
    return Answer(right, right=lambda: True)


KINDS = [another_thing, a_bend, no_function, an_exception, right_at_first, overwriting, the_packages_own, untouched]
GOOD = ("wrong, failed", "right, passed")


def verdict(check: Callable, answer: Answer) -> str:
    """How `check` ends on this answer: one of GOOD, or what is bad about it."""
    arguments = [answer.function, answer.letter][: 1 + (check in WITH_LETTER)]
    state = torch.get_rng_state()
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check(*arguments)
        end = "right, passed" if answer.right() else "wrong, passed"
    except CheckFailed:
        end = "right, failed" if answer.right() else "wrong, failed"
    except BaseException as problem:
        end = f"raw {type(problem).__name__}"
    return end if torch.equal(state, torch.get_rng_state()) else "random numbers moved"


def fuzz(answers: int, seed: int) -> Iterator[tuple[str, str, str]]:
    """The check, the kind of answer and the verdict, of `answers` odd answers; the checks take turns."""
    draw = random.Random(seed)
    torch.manual_seed(seed)
    for number in range(answers):
        check, right = list(RIGHT.items())[number % len(RIGHT)]
        kind = draw.choice([*KINDS, odd_letter] if check in WITH_LETTER else KINDS)
        yield check.__name__, kind.__name__, verdict(check, kind(draw, right))


def main() -> int:
    """Print how many answers ended how. Returns 1 when one of them should have ended otherwise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    found = list(fuzz(options.answers, options.seed))
    bad = [each for each in found if each[2] not in GOOD]
    ends = Counter(end for _, _, end in found)
    print(f"{len(found)} answers to {len(RIGHT)} checks")
    for end in (*GOOD, *sorted(set(ends) - set(GOOD))):
        print(f"{ends[end]:6d}  {end}")
    for (check, kind, end), count in Counter(bad).most_common(20):
        print(f"{count:6d}  {check}, {kind}: {end}")
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
