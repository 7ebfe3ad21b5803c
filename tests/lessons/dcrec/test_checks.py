"""The right answer passes each check of notebook 08, and each common mistake gets a diagnosis of its own."""

import pytest
import torch
from torch.nn import functional as F

from diffrec_lite.diffusion import GaussianDiffusion
from diffrec_lite.lessons import dcrec as lesson
from diffrec_lite.lessons.check import CheckFailed


def smooth(epoch, last):
    return 0.2 * (1 - min(epoch, last) / last) ** 9 + 0.003


def sums(prior=None, denoising=None, ranking=None, total=None, detach=True):
    """An answer to exercise 2 with some of its parts written in another way."""

    def right_prior(S0_hat, valid):
        return ((S0_hat.square().mean(-1) * valid).sum(1) / valid.sum(1)).mean()

    def right_denoising(S0, S0_hat):
        return (S0_hat[:, -1] - S0[:, -1]).square().mean()

    def right_total(L_T, L_t, L_z, lambda_):
        return L_T + (1 - lambda_) * L_t + lambda_ * L_z

    def dcrec_loss(S0, S0_hat, scores, target, valid, lambda_):
        L_T = (prior or right_prior)(S0_hat, valid)
        L_t = (denoising or right_denoising)(S0.detach() if detach else S0, S0_hat)
        L_z = (ranking or F.cross_entropy)(scores, target)
        return (total or right_total)(L_T, L_t, L_z, lambda_)

    return dcrec_loss


def guess(xt, abar, v):
    return abar.sqrt() * v / (abar * v + 1 - abar) * xt


def test_the_right_answers_pass(capsys):
    lesson.checks.lambda_smooth(smooth)
    lesson.checks.dcrec_loss(sums())
    lesson.checks.best_guess(guess)
    lesson.checks.best_guess(lambda xt, abar, v: xt * abar**0.5 / (abar + (1 - abar) / v))
    assert capsys.readouterr().out.count("correct") == 4


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda e, n: 0.2 * (1 - e / n) ** 9 + 0.003, "let it run on"),
        (lambda e, n: smooth(e, 150), "150 in its place"),
        (lambda e, n: smooth(e, n) - 0.003, "0.003 is missing"),
        (lambda e, n: 0.2 * (1 - min(e, n) / n) + 0.003, "power is missing"),
        (lambda e, n: 0.2 * max(1 - e / (n * 80 / 150), 0) + 0.003, "called decline"),
        (lambda e, n: 0.2 * ((1 - min(e, n) / n) ** 9 + 0.003), "outside the product"),
        (lambda e, n: (0.2 * (1 - min(e, n) / n)) ** 9 + 0.003, "takes the 0.2 with it"),
        (lambda e, n: 0.2 * (min(e, n) / n) ** 9 + 0.003, "rises with the epoch"),
        (lambda e, n: 0.2 * (1 - min(e, n) // n) ** 9 + 0.003, "Whole-number division"),
        (lambda e, n: 0.2 * (1 - min(e, n) / n) ** 8 + 0.003, "wrong values"),
        (lambda e, n: smooth(int(e), n), "cut it to a whole number"),
        (lambda e, n: str(smooth(e, n)), "a string"),
        (lambda e: 0.003, "cannot be called with 2 arguments"),
    ],
)
def test_a_wrong_lambda_is_diagnosed(wrong, message):
    with pytest.raises(CheckFailed, match=message):
        lesson.checks.lambda_smooth(wrong)


def target_place(difference):
    return difference[:, -1].square().mean()


def every_place(S0, S0_hat):
    return (S0_hat - S0).square().mean()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (sums(detach=False), "This way lies the collapse"),
        (sums(detach=False, denoising=lambda S0, hat: target_place(hat.detach() - S0)), "wrong side is detached"),
        (sums(ranking=lambda scores, target: F.cross_entropy(scores.softmax(1), target)), "a softmax before it"),
        (sums(prior=lambda x, valid: x.square().mean()), "averages over padding as well"),
        (sums(prior=lambda x, valid: (x.square().mean(-1) * valid).mean()), "still counted"),
        (sums(prior=lambda x, valid: x[valid].square().mean()), "pools the places"),
        (sums(prior=lambda x, valid: x[:, -1].square().mean()), "target's place alone"),
        (
            sums(prior=lambda x, valid: ((x.square().sum(-1) * valid).sum(1) / valid.sum(1)).mean()),
            "L_T adds up its d features",
        ),
        (sums(denoising=every_place), "whole stream, padding included"),
        (sums(denoising=lambda S0, x: (x[:, 0] - S0[:, 0]).square().mean()), "first place"),
        (sums(denoising=lambda S0, x: (x[:, -1] - S0[:, -1]).square().sum(-1).mean()), "L_t adds up its d features"),
        (sums(denoising=lambda S0, x: (x[:, -1] - S0[:, -1]).square().mean().sqrt()), "without a root"),
        (sums(denoising=lambda S0, x: (x[:, -1].detach() - S0[:, -1]).square().mean()), "was the prediction detached"),
        (sums(ranking=lambda s, target: -F.cross_entropy(s, target)), "wrong sign"),
        (sums(ranking=lambda s, target: -s.gather(1, target[:, None]).mean()), "minus the target's score"),
        (sums(ranking=lambda s, target: F.cross_entropy(s, target, reduction="sum")), "adds up the readers"),
        (sums(ranking=lambda s, target: F.cross_entropy(s.detach(), target)), "gradient at the scores"),
        (sums(total=lambda T, t, z, w: T + w * t + (1 - w) * z), "swapped"),
        (sums(total=lambda T, t, z, w: (1 - w) * (T + t) + w * z), "L_T has weight 1"),
        (sums(total=lambda T, t, z, w: T + t + w * z), "lacks its weight 1 - lambda"),
        (sums(total=lambda T, t, z, w: T + (1 - w) * t + z), "lacks its weight lambda"),
        (sums(total=lambda T, t, z, w: (1 - w) * t + w * z), "L_T is missing"),
        (sums(total=lambda T, t, z, w: (T + (1 - w) * t + w * z).item()), "no gradient can flow"),
        (sums(total=lambda T, t, z, w: (T + (1 - w) * t + w * z).detach()), "no gradient can flow"),
        (sums(total=lambda T, t, z, w: torch.stack([T, t, z])), "single number"),
        (lambda S0, S0_hat, *rest: sums()(S0, S0_hat.mul_(2), *rest), "overwrites its argument S0_hat"),
    ],
)
def test_a_wrong_loss_is_diagnosed(wrong, message):
    with pytest.raises(CheckFailed, match=message):
        lesson.checks.dcrec_loss(wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda xt, a, v: xt / a.sqrt(), "forgets the noise"),
        (lambda xt, a, v: 1 * xt, "x_t itself is no guess"),
        (lambda xt, a, v: a.sqrt() * xt, "only where x_0 has variance 1"),
        (lambda xt, a, v: a * xt, "shrinks by abar_t alone"),
        (lambda xt, a, v: a * v / (a * v + 1 - a) * xt, "guesses sqrt\\(abar_t\\) x_0"),
        (lambda xt, a, v: a.sqrt() / (a * v + 1 - a) * xt, "missing above the line"),
        (lambda xt, a, v: a.sqrt() * v * xt, "missing below the line"),
        (lambda xt, a, v: a.sqrt() * v**0.5 / (a * v + 1 - a) * xt, "standard deviation of x_0 above"),
        (lambda xt, a, v: guess(xt, a, v * v), "variance already"),
        (lambda xt, a, v: a.sqrt() * v / (a * v + (1 - a).sqrt()) * xt, "took its root"),
        (lambda xt, a, v: a.sqrt() * v / (a.sqrt() * v + 1 - a) * xt, "without a root"),
        (lambda xt, a, v: guess(xt, 1 - a, v), "swapped"),
        (lambda xt, a, v: guess(xt, a, v).sum(-1), "shape"),
        (lambda xt, a, v: GaussianDiffusion.of("linear", 9).linear_guess(xt, 3, v), "wrong values"),
        (lambda xt, a, v: guess(xt, a, v) if len(xt) < 100 else guess(xt, a, 2 * v), "bettered"),
        (lambda xt, a, v: guess(xt, a, v) if a else xt, "its mean, 0"),
    ],
)
def test_a_wrong_guess_is_diagnosed(wrong, message):
    with pytest.raises(CheckFailed, match=message):
        lesson.checks.best_guess(wrong)


def test_an_unsolved_exercise_says_so():
    def unsolved(*args):
        raise NotImplementedError

    for check in (lesson.checks.lambda_smooth, lesson.checks.dcrec_loss, lesson.checks.best_guess):
        with pytest.raises(CheckFailed, match="still to be written"):
            check(unsolved)
