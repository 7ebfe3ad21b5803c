"""The right answer passes each check of notebook 01, and each common mistake gets a diagnosis of its own."""

import pytest
import torch

from diffrec_lite.lessons import forward_noising as lesson
from diffrec_lite.lessons.check import CheckFailed


def jump(signal=lambda a: a.sqrt(), noise=lambda a: (1 - a).sqrt(), late=0, product=lambda b: 1 - b):
    def q_sample(x0, t, eps, beta):
        abar = torch.cat([torch.ones(1, dtype=beta.dtype), product(beta).cumprod(0)])[t - late][:, None]
        return signal(abar) * x0 + noise(abar) * eps

    return q_sample


def jump_ahead(x0, t, eps, beta):
    abar = (1 - beta).cumprod(0)[t][:, None]
    return abar.sqrt() * x0 + (1 - abar).sqrt() * eps


def jump_along_features(x0, t, eps, beta):
    abar = (1 - beta).cumprod(0)[t - 1]
    return abar.sqrt() * x0 + (1 - abar).sqrt() * eps


def jump_in_place(overwritten):
    def q_sample(x0, t, eps, beta):
        right = jump()(x0, t, eps, beta)
        {"x0": x0, "t": t, "eps": eps, "beta": beta}[overwritten].mul_(2)
        return right

    return q_sample


def chain_in_place(x0, beta, noise):
    for b, eps in zip(beta, noise, strict=True):
        x0 *= (1 - b).sqrt()
        x0 += b.sqrt() * eps
    return x0


def chain(keep=lambda b: (1 - b) ** 0.5, add=lambda b: b**0.5, draw=lambda k: k, steps=range):
    def noise_chain(x0, beta, noise):
        x = x0
        for k in steps(len(beta)):
            x = keep(beta[k]) * x + add(beta[k]) * noise[draw(k)]
        return x

    return noise_chain


def test_the_right_answers_pass(capsys):
    lesson.checks.q_sample(jump())
    lesson.checks.noise_chain(chain())
    assert capsys.readouterr().out.count("correct") == 2


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (jump(late=1), "one step behind"),
        (jump(signal=lambda a: a, noise=lambda a: 1 - a), "Both square roots"),
        (jump(signal=lambda a: a), "root on the signal"),
        (jump(noise=lambda a: 1 - a), "root on the noise"),
        (jump(noise=lambda a: 1 - a.sqrt()), "subtract first"),
        (jump(noise=lambda a: a.sqrt(), signal=lambda a: (1 - a).sqrt()), "swapped"),
        (jump(noise=lambda a: 1), "not scaled"),
        (jump(product=lambda b: b), "multiplied the betas"),
        (jump_ahead, "one step ahead"),
        (jump_along_features, "along the features"),
        (jump_in_place("x0"), "overwrites its argument x0"),
        (jump_in_place("t"), "overwrites its argument t"),
        (jump_in_place("eps"), "overwrites its argument eps"),
        (jump_in_place("beta"), "overwrites its argument beta"),
        (lambda x0, t, eps, beta: jump()(x0.view(6, 6), t, eps, beta), "line .*view.*x0 \\(5, 6\\)"),
        (lambda x0, t, eps, beta: jump()(x0, t, eps, beta) if len(t) > 4 else x0, "wrong values"),
        (lambda x0, t, eps, beta: jump()(x0, t, eps, beta) * float("nan"), "NaN"),
        (lambda x0, t, eps, beta: print, "should be numbers"),
        (lambda x0, t, eps, beta: x0[:2], "has shape"),
        (lambda x0, t, eps, beta: x0, "wrong values"),
    ],
)
def test_a_wrong_jump_is_diagnosed(wrong, message):
    with pytest.raises(CheckFailed, match=message):
        lesson.checks.q_sample(wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (chain(draw=lambda k: 0), "The bug is still there"),
        (chain(keep=lambda b: 1 - b, add=lambda b: b), "both square roots"),
        (chain(keep=lambda b: 1), "not shrunk"),
        (chain(keep=lambda b: 1 - b), "root on 1 - beta is missing"),
        (chain(add=lambda b: b), "root on beta is missing"),
        (chain(draw=lambda k: -1), "same draw, the last one"),
        (chain(draw=lambda k: -1 - k), "draws run backwards"),
        (chain_in_place, "overwrites its argument x0"),
        (lambda x0, beta, noise: chain()(x0, beta, noise.mul_(1.0).add_(1) - 1), "overwrites its argument noise"),
        (lambda x0, beta, noise: chain(steps=lambda n: range(8))(x0, beta, noise), "line .*IndexError"),
        (lambda x0, beta, noise: chain()(x0, beta, noise)[0], "has shape"),
        (chain(steps=lambda n: range(n - 1)), "last step is missing"),
        (chain(steps=lambda n: range(1, n)), "first step is missing"),
        (lambda x0, beta, noise: chain()(x0, beta, noise.roll(-1, 0)), "one step ahead"),
        (lambda x0, beta, noise: chain()(x0, beta.flip(0), noise), "run backwards"),
        (lambda x0, beta, noise: (1 - beta[-1]) ** 0.5 * x0 + beta[-1] ** 0.5 * noise[-1], "from x_0 again"),
    ],
)
def test_a_wrong_chain_is_diagnosed(wrong, message):
    with pytest.raises(CheckFailed, match=message):
        lesson.checks.noise_chain(wrong)


def test_an_unsolved_exercise_says_so():
    def unsolved(*args):
        raise NotImplementedError

    for check in (lesson.checks.q_sample, lesson.checks.noise_chain):
        with pytest.raises(CheckFailed, match="still to be written"):
            check(unsolved)
