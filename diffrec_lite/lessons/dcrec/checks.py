"""The checks of notebook 08: the smooth lambda, the sum of three losses, and the best linear guess of x_0."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from diffrec_lite.diffusion import GaussianDiffusion
from diffrec_lite.lessons.check import CheckFailed, answer, check, close, compare, numbers, passed, require

# The last epoch, and the epochs that are asked for: the first, some on the way, the last, and beyond it.
SCHEDULES = ((150, (0, 1, 10, 30.5, 75, 149, 150, 151, 400)), (20, (0, 3, 13, 20, 33)))
# B, L, d, V, the number of padded places of each row, and lambda.
BATCHES = (
    (3, 5, 4, 7, (0, 2, 4), 0.2),
    (2, 6, 8, 30, (5, 1), 0.003),
    (4, 3, 2, 5, (0, 0, 0, 0), 0.5),
    (1, 4, 6, 9, (3,), 0.1),
)
# The schedule, its T, the steps, the variance of x_0, and the shape of x_t.
SIGNALS = (
    ("scaled_linear", 50, (0, 3, 20, 50), 0.01, (6, 8)),
    ("cosine", 30, (1, 9, 30), 1.0, (2, 3, 4)),
    ("trunc_lin", 16, (2, 8, 16), 9.0, (5,)),
)


@check
def lambda_smooth(function: Callable) -> None:
    """Check `function(epoch, last) -> float`: 0.2 (1 - min(epoch, last) / last)^9 + 0.003."""
    for last, epochs in SCHEDULES:
        for epoch in epochs:
            left = 1 - min(epoch, last) / last
            mistakes = {
                "Beyond the last epoch the schedule is over and lambda is 0.003. You let it run on: epoch / last "
                "passes 1, so take min(epoch, last).": 0.2 * (1 - epoch / last) ** 9 + 0.003,
                "The last epoch is the caller's choice, and your code has 150 in its place.": 0.2
                * (1 - min(epoch, 150) / 150) ** 9
                + 0.003,
                "Your lambda ends at 0 and not at 0.003: the 0.003 is missing.": 0.2 * left**9,
                "The power is missing: this is a straight line.": 0.2 * left + 0.003,
                "This is the straight line called decline, which ends at 80/150 of the epochs. The smooth one "
                "falls with the ninth power.": 0.2 * max(1 - epoch / last * 150 / 80, 0.0) + 0.003,
                "The 0.003 belongs outside the product: 0.2 (…)^9 + 0.003.": 0.2 * (left**9 + 0.003),
                "The power takes the 0.2 with it. Only the bracket is raised: 0.2 * (…) ** 9.": (0.2 * left) ** 9
                + 0.003,
                "This rises with the epoch: the bracket holds 1 - epoch / last.": 0.2 * (1 - left) ** 9 + 0.003,
                "An epoch may be broken, as 30.5 is, and you cut it to a whole number.": 0.2
                * (1 - int(min(epoch, last)) / last) ** 9
                + 0.003,
                "Whole-number division, //, throws the fraction of the way away: use /.": 0.2
                * (1 - min(epoch, last) // last) ** 9
                + 0.003,
            }
            compare(f"lambda_smooth({epoch}, {last})", answer(function, epoch, last), left**9 * 0.2 + 0.003, mistakes)
    passed("lambda_smooth", "It falls from 0.203 to 0.003 and stays there.")


@check
def dcrec_loss(function: Callable) -> None:
    """Check `function(S0, S0_hat, scores, target, valid, lambda_) -> L`, its value and where its gradient goes."""
    draw = torch.Generator().manual_seed(8)
    for B, L, d, V, padding, lambda_ in BATCHES:
        S0, S0_hat = (torch.randn(B, L, d, generator=draw, dtype=torch.float64) + shift for shift in (0.0, 0.5))
        scores = torch.randn(B, V, generator=draw, dtype=torch.float64)
        scores[:, 0] = -1e4  # the padding is out of the ranking, as a model hands it on
        target = torch.randint(1, V, (B,), generator=draw)
        valid = torch.arange(L) >= torch.tensor(padding)[:, None]
        for leaf in (S0, S0_hat, scores):
            leaf.requires_grad_()
        result = answer(function, S0, S0_hat, scores, target, valid, lambda_)
        with torch.no_grad():
            terms = _terms(S0, S0_hat, scores, target, valid)
            right = _sum(*terms, lambda_)
            compare("L", result, right, _wrong_sums(S0, S0_hat, scores, target, valid, lambda_))
        _gradient(result, S0, S0_hat, scores, target, valid, lambda_)
    passed("dcrec_loss", "Padding weighs nothing, and L_t moves the prediction while the books stand still.")


def _terms(S0: Tensor, S0_hat: Tensor, scores: Tensor, target: Tensor, valid: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    prior = ((S0_hat.square().mean(-1) * valid).sum(1) / valid.sum(1)).mean()
    denoising = (S0_hat[:, -1] - S0[:, -1].detach()).square().mean()
    return prior, denoising, F.cross_entropy(scores, target)


def _sum(prior: Tensor, denoising: Tensor, ranking: Tensor, lambda_: float) -> Tensor:
    return prior + (1 - lambda_) * denoising + lambda_ * ranking


def _wrong_sums(
    S0: Tensor, S0_hat: Tensor, scores: Tensor, target: Tensor, valid: Tensor, lambda_: float
) -> dict[str, Tensor]:
    prior, denoising, ranking = _terms(S0, S0_hat, scores, target, valid)
    squares, apart, d = S0_hat.square().mean(-1), (S0_hat - S0).square().mean(-1), S0.shape[-1]
    everywhere = ((apart * valid).sum(1) / valid.sum(1)).mean()
    chosen = scores.gather(1, target[:, None]).mean()
    return {
        "lambda and 1 - lambda are swapped: lambda weighs the ranking, 1 - lambda the denoising.": _sum(
            prior, ranking, denoising, lambda_
        ),
        "L_T has weight 1. You gave it 1 - lambda as well.": (1 - lambda_) * (prior + denoising) + lambda_ * ranking,
        "L_t lacks its weight 1 - lambda.": prior + denoising + lambda_ * ranking,
        "L_z lacks its weight lambda.": prior + (1 - lambda_) * denoising + ranking,
        "L_T is missing.": (1 - lambda_) * denoising + lambda_ * ranking,
        "L_T looks at the target's place alone. It is the mean over all real places of the stream.": _sum(
            squares[:, -1].mean(), denoising, ranking, lambda_
        ),
        "L_T averages over padding as well (the released program does: ledger 29). `valid` says which places are "
        "real.": _sum(squares.mean(), denoising, ranking, lambda_),
        "Padding is set to zero in L_T but still counted: divide by the number of real places, valid.sum(1), and not "
        "by L.": _sum((squares * valid).mean(), denoising, ranking, lambda_),
        "L_T pools the places of all readers, so a long history weighs more than a short one. Take each reader's "
        "mean first, then the mean over the readers.": _sum(squares[valid].mean(), denoising, ranking, lambda_),
        "L_t compares the whole stream. Only the target is asked for: the last place, [:, -1].": _sum(
            prior, everywhere, ranking, lambda_
        ),
        "L_t compares the whole stream, padding included. Only the target is asked for: the last place, [:, -1].": _sum(
            prior, apart.mean(), ranking, lambda_
        ),
        "L_t compares the first place of the stream. The target is the last, [:, -1].": _sum(
            prior, apart[:, 0].mean(), ranking, lambda_
        ),
        "L_t adds up its d features. It is their mean.": _sum(prior, d * denoising, ranking, lambda_),
        "L_T adds up its d features. It is their mean.": _sum(d * prior, denoising, ranking, lambda_),
        "Both L_T and L_t add up their d features. They are means.": _sum(d * prior, d * denoising, ranking, lambda_),
        "L_t is the square root of what it should be: a mean of squares, without a root.": _sum(
            prior, denoising.sqrt(), ranking, lambda_
        ),
        "L_z has the wrong sign: it is minus the logarithm of the target's probability.": _sum(
            prior, denoising, -ranking, lambda_
        ),
        "L_z is minus the target's score. A cross-entropy also looks at all other scores: "
        "F.cross_entropy(scores, target).": _sum(prior, denoising, -chosen, lambda_),
        "F.cross_entropy takes the raw scores. You took a softmax before it.": _sum(
            prior, denoising, F.cross_entropy(scores.softmax(1), target), lambda_
        ),
        "L_z adds up the readers. It is their mean.": _sum(prior, denoising, len(target) * ranking, lambda_),
    }


def _gradient(result: object, *given: Tensor | float) -> None:
    """Where the gradient of a right number goes: to the prediction and the scores, and not to the target's vector."""
    S0, S0_hat, scores = given[:3]
    require(
        isinstance(result, Tensor) and result.requires_grad,
        "The number is right, but no gradient can flow back from it, so nothing would learn. Return the tensor itself: "
        "no .item(), no float(…), no detach() around the whole.",
    )
    try:
        found = torch.autograd.grad(result.sum(), (S0, S0_hat, scores), allow_unused=True)
    except RuntimeError as problem:
        raise CheckFailed(f"The number is right, but its gradient cannot be taken: {problem}") from None
    of_S0, of_hat, of_scores = (torch.zeros_like(x) if g is None else g for x, g in zip(given, found, strict=False))
    require(
        of_hat.any() or of_S0.any() or of_scores.any(),
        "The number is right, but it does not depend on S0_hat: no gradient reaches what was handed in.",
    )
    wanted = torch.autograd.grad(_sum(*_terms(*given[:5]), given[5]), (S0_hat, scores))
    require(
        not of_S0.any() or close(of_hat, wanted[0]),
        "The number is right, but L_t moves the book and not the prediction: the wrong side is detached. The target is "
        "what stands still, S0[:, -1].detach().",
    )
    require(
        not of_S0.any(),
        "The number is right, but L_t pulls the target's vector towards the prediction too. This way lies the "
        "collapse: detach the target, S0[:, -1].detach().",
    )
    require(
        close(of_hat, wanted[0]),
        "The number is right, but its gradient at S0_hat is not: was the prediction detached, in L_T or in L_t?",
    )
    require(close(of_scores, wanted[1]), "The number is right, but its gradient at the scores is not: detach neither.")


@check
def best_guess(function: Callable) -> None:
    """Check `function(xt, abar_t, variance) -> x0_guess`: w x_t with the least mean square error, shaped like x_t."""
    draw = torch.Generator().manual_seed(9)
    for schedule, T, steps, variance, shape in SIGNALS:
        diffusion = GaussianDiffusion.of(schedule, T)
        xt = torch.randn(shape, generator=draw, dtype=torch.float64)
        for t in steps:
            abar = diffusion.abar[t]
            name = f"best_guess at abar_t = {float(abar):.3g}, variance {variance:g}"
            right = diffusion.linear_guess(xt, t, variance)
            compare(name, answer(function, xt, abar, variance), right, _wrong_guesses(xt, float(abar), variance))
        nothing = numbers("best_guess", answer(function, xt, torch.zeros_like(abar), variance), xt.shape)
        require(not nothing.any(), "At abar_t = 0 nothing of x_0 is in x_t: the best guess is its mean, 0.")
    _orthogonal(function, draw)
    passed("best_guess", "It is all of x_t at t = 0, nothing at abar_t = 0, and its error has nothing of x_t left.")


def _wrong_guesses(xt: Tensor, abar: float, v: float) -> dict[str, Tensor]:
    a, noise = abar**0.5, 1 - abar
    guesses = {
        "This turns the scaling back and forgets the noise: at large t it blows the noise up. Weigh signal against "
        "noise.": xt / a,
        "x_t itself is no guess of x_0: at large t it is all noise, and the best guess is then near 0.": xt,
        "sqrt(abar_t) x_t is right only where x_0 has variance 1. Bring `variance` in.": a * xt,
        "abar_t x_t shrinks by abar_t alone: `variance` and the noise, 1 - abar_t, decide as well.": abar * xt,
        "This is the share of signal in the variance of x_t. It guesses sqrt(abar_t) x_0 and not x_0: divide by "
        "sqrt(abar_t).": abar * v / (abar * v + noise) * xt,
        "The variance of x_0 is missing above the line.": a / (abar * v + noise) * xt,
        "The variance of x_0 is missing below the line: x_t has the variance abar_t v + 1 - abar_t.": a * v * xt,
        "You took the standard deviation of x_0 above the line. It is its variance.": (
            a * v**0.5 / (abar * v + noise) * xt
        ),
        "You squared the variance: it is a variance already.": a * v * v / (abar * v * v + noise) * xt,
        "Below the line stands the variance of x_t, abar_t v + 1 - abar_t: the noise has variance 1 - abar_t, and you "
        "took its root.": a * v / (abar * v + noise**0.5) * xt,
        "Below the line abar_t stands without a root: it is the square of the factor sqrt(abar_t).": (
            a * v / (a * v + noise) * xt
        ),
        "Signal and noise are swapped: the noise has variance 1 - abar_t, the signal abar_t v.": (
            noise**0.5 * v / (noise * v + abar) * xt
        ),
    }
    return {diagnosis: guess for diagnosis, guess in guesses.items() if guess.isfinite().all()}


def _orthogonal(function: Callable, draw: torch.Generator) -> None:
    """Whatever is left of x_0 after the best guess has nothing to do with x_t, or the guess could be better."""
    x0, eps = torch.randn(2, 20_000, generator=draw, dtype=torch.float64)
    xt, abar = 0.6**0.5 * 0.5 * x0 + 0.4**0.5 * eps, torch.tensor(0.6, dtype=torch.float64)
    error = 0.5 * x0 - numbers("best_guess", answer(function, xt, abar, 0.25), xt.shape)
    along = float((error * xt).mean() / xt.square().mean())
    require(abs(along) < 0.02, f"Your guess can be bettered by adding {along:.2f} x_t to it.")
