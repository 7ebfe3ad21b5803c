"""The checks of notebook 02 let the right answer pass and tell each wrong one what is wrong with it."""

import pytest
import torch

from diffrec_lite import diffusion
from diffrec_lite.lessons import offset_noise as lesson
from diffrec_lite.lessons.check import CheckFailed


def unsolved(*_):
    raise NotImplementedError


def right_offset(noise, mean, strength, draw):
    return noise + mean + strength * draw.view(-1, *[1] * (noise.dim() - 1))


WRONG_OFFSET = [
    (lambda n, m, s, d: n + m + d[:, None], "strength is missing"),
    (lambda n, m, s, d: n + m * d[:, None], "scaled by the mean"),
    (lambda n, m, s, d: n + s * d[:, None], "constant shift"),
    (lambda n, m, s, d: n + m, "per-sample part"),
    (lambda n, m, s, d: (m + s * d[:, None]).expand_as(n), "offset alone"),
    (lambda n, m, s, d: n + m + s * (d if n.shape[0] == n.shape[1] else d[:, None]), "along the features"),
    (lambda n, m, s, d: n + m + s * d[:, None], r"positions: \(B, 1\) lines up with \(L, d\)"),
    (lambda n, m, s, d: n + m + s * d.reshape(-1, 1), r"positions: \(B, 1\) lines up with \(L, d\)"),
    (lambda n, m, s, d: n + m + s * (d if n.dim() > 2 else d[:, None]), "In a sequence .* along the features"),
    (lambda n, m, s, d: n + s * (m + d.view(-1, *[1] * (n.dim() - 1))), "mean is multiplied by the strength"),
    (lambda n, m, s, d: right_offset(n, m, 0.5, d), "wrong values"),
    (lambda n, m, s, d: right_offset(n, 0.1, s, d), "wrong values"),
    (lambda n, m, s, d: n.add_(m) + s * d.view(-1, *[1] * (n.dim() - 1)), "overwrites its argument n,"),
    (lambda n, m, s, d: right_offset(n, m, s, torch.randn(len(n))), "wrong values"),
    (lambda n, m, s, d: n + m + s * d.view(4, 1), "has shape|positions"),
    (diffusion.offset_noise, "package's own function"),
    (unsolved, "still to be written"),
]


def right_per_sample(noise, strength, generator):
    return noise + strength * torch.randn(len(noise), 1, generator=generator)


def normal(noise, generator):
    return torch.randn(len(noise), 1, generator=generator)


def laplace(noise, generator):
    """Both tails exponential, of variance 1."""
    u = torch.rand(len(noise), 1, generator=generator, dtype=torch.float64) - 0.5
    return -u.sign() * (1 - 2 * u.abs()).log() / 2**0.5


WRONG_PER_SAMPLE = [
    (lambda n, s, g: n + s * torch.randn(n.shape[1], generator=g), "Every sample got the same"),
    (lambda n, s, g: n + s * torch.randn(1, generator=g), "whole batch"),
    (lambda n, s, g: n + s * torch.randn(n.shape, generator=g), "only more noise"),
    (lambda n, s, g: n + torch.randn(len(n), 1, generator=g), "standard deviation"),
    (lambda n, s, g: n + s * torch.rand(len(n), 1, generator=g), "one sign"),
    (lambda n, s, g: n + s * torch.randn(len(n), 1), "same generator"),
    (lambda n, s, g: n, "Nothing was added"),
    (lambda n, s, g: right_per_sample(n, s, torch.Generator().manual_seed(0)), "makes no difference"),
    (lambda n, s, g: right_per_sample(n, s, g.manual_seed(3)), "makes no difference"),
    (lambda n, s, g: n + s * torch.linspace(-3, 3, len(n), dtype=n.dtype).erfinv().nan_to_num(0)[:, None], "share"),
    (lambda n, s, g: right_per_sample(n, s, torch.Generator().manual_seed(g.initial_seed())), "Two calls with one"),
    (lambda n, s, g: right_per_sample(n, s, g.clone_state()), "Two calls with one"),
    (lambda n, s, g: n + s * normal(n, g).sign(), "share 2 different numbers"),
    (lambda n, s, g: n + s * normal(n, g).round(), "share .* different numbers"),
    (lambda n, s, g: n + s * normal(n[::2], g).repeat(2, 1)[: len(n)], "share 9999 different numbers"),
    (lambda n, s, g: n + s * 12**0.5 * (torch.rand(len(n), 1, generator=g) - 0.5), "uniform"),
    (lambda n, s, g: n + s * (2 * torch.rand(len(n), 1, generator=g) - 1), "uniform"),
    (lambda n, s, g: n + s * 3**0.5 * torch.empty(len(n), 1).uniform_(-1, 1, generator=g), "uniform"),
    (lambda n, s, g: n + s * (normal(n, g).exp() - 1.65) / 2.16, "not normal"),
    (lambda n, s, g: n + s * laplace(n, g), "not normal"),
    (lambda n, s, g: n + s * (normal(n, g).square() - 1) / 2**0.5, "not normal"),
    (lambda n, s, g: n + s * (normal(n, g) + 0.1), "do not average to 0"),
    (lambda n, s, g: n + s * s * normal(n, g), "standard deviation 0.25"),
    (lambda n, s, g: n + 0.5 * normal(n, g), "Three times the strength"),
    (lambda n, s, g: right_per_sample(n, s, g).float().half(), "differ between the features"),
    (lambda n, s, g: n.add_(s * normal(n, g)), "overwrites its argument n,"),
    (lambda n, s, g: right_per_sample(n, s, g).T, "shape of the noise"),
    (lambda n, s, g: n + s * torch.randn(20_000, 1, generator=g)[: len(n)] / (len(n) > 9), "NaN or infinity"),
    (unsolved, "still to be written"),
]


def right_push(e, change):
    return change.norm(dim=-1).mean() / e.norm(dim=-1).mean()


WRONG_UNNOTICED = [
    (lambda e, c: 1 / right_push(e, c), "b", "upside down"),
    (lambda e, c: c.norm(dim=-1).mean(), "b", "change alone"),
    (lambda e, c: c.norm(dim=1).mean() / e.norm(dim=1).mean(), "b", "along the positions"),
    (right_push, "a", "N\\(0, I\\)"),
    (right_push, "c", "almost 1"),
    (lambda e, c: c.abs().mean() / e.abs().mean(), "b", "mean size of single numbers"),
    (lambda e, c: c.norm(p=1, dim=-1).mean() / e.norm(p=1, dim=-1).mean(), "b", "mean size of single numbers"),
    (lambda e, c: c.norm() / e.norm(), "b", "one root over all numbers"),
    (lambda e, c: c.square().mean().sqrt() / e.square().mean().sqrt(), "b", "one root over all numbers"),
    (lambda e, c: c.square().sum(-1).mean() / e.square().sum(-1).mean(), "b", "squared lengths"),
    (lambda e, c: (c.norm(dim=-1) / e.norm(dim=-1)).mean(), "b", "vector by vector"),
    (lambda e, c: c.norm(dim=-1) / e.norm(dim=-1), "b", "one number for each vector"),
    (lambda e, c: c.norm(p=torch.inf, dim=-1).mean() / e.norm(p=torch.inf, dim=-1).mean(), "b", "wrong values"),
    (lambda e, c: c.norm(dim=-1).median() / e.norm(dim=-1).median(), "b", "wrong values"),
    (right_push, " A ", "N\\(0, I\\)"),
    (right_push, "", "one of the letters"),
    (right_push, None, "one of the letters"),
    (right_push, 2, "one of the letters"),
    (unsolved, "b", "still to be written"),
]


def test_right_answers_pass(capsys):
    lesson.checks.offset_noise(right_offset)
    lesson.checks.per_sample(right_per_sample)
    lesson.checks.unnoticed(right_push, "b")
    lesson.checks.unnoticed(right_push, " B ")
    assert capsys.readouterr().out.count("correct") == 4


@pytest.mark.parametrize(
    "right",
    [
        lambda n, s, g: n + s * torch.randn(len(n), generator=g)[:, None],
        lambda n, s, g: n + s * torch.randn(len(n), 1, generator=g, dtype=torch.float64),
        lambda n, s, g: n + torch.empty(len(n), 1).normal_(0, s, generator=g),
        lambda n, s, g: n - torch.normal(0.0, s, (len(n), 1), generator=g).expand_as(n),
    ],
)
def test_a_per_sample_offset_may_be_written_otherwise(right):
    lesson.checks.per_sample(right)


@pytest.mark.parametrize(("wrong", "message"), WRONG_OFFSET)
def test_wrong_offset_is_diagnosed(wrong, message):
    with pytest.raises(CheckFailed, match=message):
        lesson.checks.offset_noise(wrong)


@pytest.mark.parametrize(("wrong", "message"), WRONG_PER_SAMPLE)
def test_wrong_per_sample_is_diagnosed(wrong, message):
    with pytest.raises(CheckFailed, match=message):
        lesson.checks.per_sample(wrong)


@pytest.mark.parametrize(("push", "reason", "message"), WRONG_UNNOTICED)
def test_wrong_explanation_is_diagnosed(push, reason, message):
    with pytest.raises(CheckFailed, match=message):
        lesson.checks.unnoticed(push, reason)
