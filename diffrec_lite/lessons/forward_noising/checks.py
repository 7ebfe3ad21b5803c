"""The checks of notebook 01: noising in one jump, and noising step by step."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from diffrec_lite.diffusion import GaussianDiffusion
from diffrec_lite.lessons.check import answer, compare, passed, require

T, B, D = 8, 5, 6
BETA = torch.linspace(0.02, 0.4, T, dtype=torch.float64)


def q_sample(function: Callable) -> None:
    """Check `function(x0, t, noise, beta) -> x_t`: x0, noise `(B, d)`, t `(B,)`, beta `(T,)` from beta_1 on."""
    generator = torch.Generator().manual_seed(1)
    x0, eps = (torch.randn(B, D, generator=generator, dtype=torch.float64) for _ in range(2))
    beta = BETA
    t = torch.tensor([1, 4, 8, 2, 8])
    abar = (1 - beta).cumprod(0)
    a = abar[t - 1][:, None]
    early = GaussianDiffusion(beta).abar[t - 1][:, None]
    alpha = (1 - beta)[t - 1][:, None]
    right = a.sqrt() * x0 + (1 - a).sqrt() * eps
    xt = answer(function, x0, t, eps, beta)
    compare(
        "x_t",
        xt,
        right,
        {
            "abar is one step behind. abar_t multiplies t factors, and beta[0] is beta_1: with the cumulative "
            "product of 1 - beta, abar_t stands at index t - 1.": early.sqrt() * x0 + (1 - early).sqrt() * eps,
            "Both square roots are missing. abar_t is a share of variance; a vector is multiplied by its square "
            "root.": a * x0 + (1 - a) * eps,
            "The square root on the signal is missing: x_0 is multiplied by sqrt(abar_t).": (
                a * x0 + (1 - a).sqrt() * eps
            ),
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
            "You multiplied the betas. abar_t is the product of 1 - beta.": (
                beta.cumprod(0)[t - 1][:, None].sqrt() * x0 + (1 - beta.cumprod(0)[t - 1][:, None]).sqrt() * eps
            ),
            "The noise is added, but not scaled: it should be multiplied by sqrt(1 - abar_t).": a.sqrt() * x0 + eps,
        },
    )
    same = torch.full((4000,), 5)
    x0 = torch.randn(4000, D, generator=generator, dtype=torch.float64)
    eps = torch.randn(4000, D, generator=generator, dtype=torch.float64)
    variance = float(answer(function, x0, same, eps, beta).var())
    require(abs(variance - 1) < 0.05, f"The variance of x_t should stay 1, but it is {variance:.2f} at t = 5.")
    passed("q_sample", "One jump to any step, and data of variance 1 keeps variance 1.")


def noise_chain(function: Callable) -> None:
    """Check `function(x0, beta, noise) -> x_T`: x0 `(B, d)`, beta `(T,)`, noise `(T, B, d)`, one draw a step."""
    generator = torch.Generator().manual_seed(2)
    x0 = torch.randn(B, D, generator=generator, dtype=torch.float64)
    noise = torch.randn(T, B, D, generator=generator, dtype=torch.float64)
    beta = BETA
    xT = answer(function, x0.clone(), beta.clone(), noise.clone())
    compare(
        "x_T",
        xT,
        _chain(x0, beta, noise),
        {
            "The bug is still there: every step adds the same draw, noise[0]. Equal draws pile up, and only "
            "independent ones average out. Step k needs a draw of its own.": _chain(
                x0, beta, noise[:1].expand_as(noise)
            ),
            "Now the draw is fresh, but both square roots are gone: multiply by sqrt(1 - beta) and sqrt(beta).": (
                _chain(x0, beta, noise, keep=lambda b: 1 - b, add=lambda b: b)
            ),
            "The old vector is not shrunk: without sqrt(1 - beta) the variance only grows.": _chain(
                x0, beta, noise, keep=lambda b: b * 0 + 1
            ),
            "Each step starts from x_0 again. It has to start from what the step before left.": _restart(
                x0, beta, noise
            ),
            "The betas run backwards: beta[0] is beta_1 and belongs to the first step.": _chain(
                x0, beta.flip(0), noise
            ),
            "The last step is missing: there are T of them, and range(T) gives all.": _chain(x0, beta[:-1], noise[:-1]),
            "The first step is missing: begin with beta[0] and noise[0].": _chain(x0, beta[1:], noise[1:]),
            "The draws run one step ahead: beta[k] belongs with noise[k].": _chain(x0, beta, noise.roll(-1, 0)),
        },
    )
    many = torch.randn(4000, D, generator=generator, dtype=torch.float64)
    draws = torch.randn(T, 4000, D, generator=generator, dtype=torch.float64)
    variance = float(answer(function, many, beta, draws).var())
    require(abs(variance - 1) < 0.05, f"The variance of x_T should stay 1, but it is {variance:.2f}.")
    passed("noise_chain", "Fresh noise at every step: the variance stays 1.")


def _chain(x: Tensor, beta: Tensor, noise: Tensor, keep: Callable | None = None, add: Callable | None = None) -> Tensor:
    keep = keep or (lambda b: (1 - b).sqrt())
    add = add or (lambda b: b.sqrt())
    for b, eps in zip(beta, noise, strict=True):
        x = keep(b) * x + add(b) * eps
    return x


def _restart(x0: Tensor, beta: Tensor, noise: Tensor) -> Tensor:
    return (1 - beta[-1]).sqrt() * x0 + beta[-1].sqrt() * noise[-1]
