"""The checks of notebook 01: noising in one jump, and noising step by step."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from diffrec_lite.lessons.check import answer, check, compare, passed

# The steps t, the width d and how large the numbers are. First a square (B = d) that leaves out t = T: there the
# commonest mistakes give numbers, and so can be named, where elsewhere they give an error.
JUMPS = (
    ([1, 4, 7, 2, 7, 3], 6, 1.0, torch.float64),
    ([1, 4, 8, 2, 8], 6, 1.0, torch.float64),
    ([3, 8, 1], 9, 100.0, torch.float32),
    ([8], 2, 0.01, torch.float64),
)
CHAINS = ((8, 5, 6, 1.0, torch.float64), (3, 4, 4, 100.0, torch.float32), (1, 2, 3, 0.01, torch.float64))


@check
def q_sample(function: Callable) -> None:
    """Check `function(x0, t, noise, beta) -> x_t`: x0, noise `(B, d)`, t `(B,)`, beta `(T,)` from beta_1 on."""
    generator = torch.Generator().manual_seed(1)
    for steps, d, size, dtype in JUMPS:
        t, beta = torch.tensor(steps), _beta(8)
        x0 = size * torch.randn(len(t), d, generator=generator, dtype=dtype)
        eps = torch.randn(len(t), d, generator=generator, dtype=dtype)
        a = (1 - beta).cumprod(0)[t - 1][:, None]
        right = a.sqrt() * x0 + (1 - a).sqrt() * eps
        compare("x_t", answer(function, x0, t, eps, beta), right, _wrong_jumps(x0, t, eps, beta))
    passed("q_sample", "One jump to any step, and data of variance 1 keeps variance 1.")


def _wrong_jumps(x0: Tensor, t: Tensor, eps: Tensor, beta: Tensor) -> dict[str, Tensor]:
    abar = (1 - beta).cumprod(0)
    a = abar[t - 1][:, None]
    early = torch.cat([torch.ones(1), abar])[t - 1][:, None]
    late = abar[t.clamp(max=len(beta) - 1)][:, None]
    alpha = (1 - beta)[t - 1][:, None]
    betas = beta.cumprod(0)[t - 1][:, None]
    mistakes = {
        "abar is one step behind. abar_t multiplies t factors, and beta[0] is beta_1: with the cumulative "
        "product of 1 - beta, abar_t stands at index t - 1.": early.sqrt() * x0 + (1 - early).sqrt() * eps,
        "abar is one step ahead. beta[0] is beta_1, so the cumulative product holds abar_1 at index 0 and abar_t at "
        "index t - 1; at t = T your index would not even exist.": late.sqrt() * x0 + (1 - late).sqrt() * eps,
        "Both square roots are missing. abar_t is a share of variance; a vector is multiplied by its square root.": a
        * x0
        + (1 - a) * eps,
        "The square root on the signal is missing: x_0 is multiplied by sqrt(abar_t).": a * x0 + (1 - a).sqrt() * eps,
        "The square root on the noise is missing: eps is multiplied by sqrt(1 - abar_t).": (
            a.sqrt() * x0 + (1 - a) * eps
        ),
        "1 - sqrt(abar_t) is not sqrt(1 - abar_t): subtract first, then take the root.": (
            a.sqrt() * x0 + (1 - a.sqrt()) * eps
        ),
        "Signal and noise are swapped: your vector is clean at the end and noise at the start.": (
            (1 - a).sqrt() * x0 + a.sqrt() * eps
        ),
        "This is one step of the chain, with alpha_t. A jump from 0 to t needs abar_t, the product of all "
        "alphas up to t.": alpha.sqrt() * x0 + (1 - alpha).sqrt() * eps,
        "You multiplied the betas. abar_t is the product of 1 - beta.": betas.sqrt() * x0 + (1 - betas).sqrt() * eps,
        "The noise is added, but not scaled: it should be multiplied by sqrt(1 - abar_t).": a.sqrt() * x0 + eps,
    }
    if x0.shape[0] == x0.shape[1]:
        mistakes[
            "abar[t] has one number for each row, and you lay them along the features. Make it (B, 1) with [:, None]."
        ] = a.T.sqrt() * x0 + (1 - a.T).sqrt() * eps
    return mistakes


@check
def noise_chain(function: Callable) -> None:
    """Check `function(x0, beta, noise) -> x_T`: x0 `(B, d)`, beta `(T,)`, noise `(T, B, d)`, one draw a step."""
    generator = torch.Generator().manual_seed(2)
    for T, B, d, size, dtype in CHAINS:
        x0 = size * torch.randn(B, d, generator=generator, dtype=dtype)
        noise = torch.randn(T, B, d, generator=generator, dtype=dtype)
        beta = _beta(T)
        mistakes = _wrong_chains(x0, beta, noise)
        compare(f"x_T after {T} steps", answer(function, x0, beta, noise), _chain(x0, beta, noise), mistakes)
    passed("noise_chain", "Fresh noise at every step: the variance stays 1.")


def _wrong_chains(x0: Tensor, beta: Tensor, noise: Tensor) -> dict[str, Tensor]:
    return {
        "The bug is still there: every step adds the same draw, noise[0]. Equal draws pile up, and only "
        "independent ones average out. Step k needs a draw of its own.": _chain(x0, beta, noise[:1].expand_as(noise)),
        "Every step adds the same draw, the last one. Step k needs a draw of its own, noise[k].": _chain(
            x0, beta, noise[-1:].expand_as(noise)
        ),
        "Now the draw is fresh, but both square roots are gone: multiply by sqrt(1 - beta) and sqrt(beta).": _chain(
            x0, beta, noise, keep=lambda b: 1 - b, add=lambda b: b
        ),
        "The square root on 1 - beta is missing: the old vector shrinks too much.": _chain(
            x0, beta, noise, keep=lambda b: 1 - b
        ),
        "The square root on beta is missing: too little noise is added.": _chain(x0, beta, noise, add=lambda b: b),
        "The old vector is not shrunk: without sqrt(1 - beta) the variance only grows.": _chain(
            x0, beta, noise, keep=torch.ones_like
        ),
        "Each step starts from x_0 again. It has to start from what the step before left.": (
            _chain(x0, beta[-1:], noise[-1:])
        ),
        "The betas run backwards: beta[0] is beta_1 and belongs to the first step.": _chain(x0, beta.flip(0), noise),
        "The draws run backwards: noise[0] belongs to the first step.": _chain(x0, beta, noise.flip(0)),
        "The last step is missing: there are T of them, and range(T) gives all.": _chain(x0, beta[:-1], noise[:-1]),
        "The first step is missing: begin with beta[0] and noise[0].": _chain(x0, beta[1:], noise[1:]),
        "The draws run one step ahead: beta[k] belongs with noise[k].": _chain(x0, beta, noise.roll(-1, 0)),
    }


def _beta(T: int) -> Tensor:
    return torch.linspace(0.02, 0.4, T, dtype=torch.float64)


def _chain(
    x: Tensor, beta: Tensor, noise: Tensor, keep: Callable = lambda b: (1 - b).sqrt(), add: Callable = torch.sqrt
) -> Tensor:
    for b, eps in zip(beta, noise, strict=True):
        x = keep(b) * x + add(b) * eps
    return x
