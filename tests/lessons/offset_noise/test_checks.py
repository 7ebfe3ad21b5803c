"""The checks of notebook 02 let the right answer pass and tell each wrong one what is wrong with it."""

import pytest
import torch

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
    (lambda n, m, s, d: n + m + s * d[:, None], "stopped with|sequence"),
    (unsolved, "still to be written"),
]


def right_per_sample(noise, strength, generator):
    return noise + strength * torch.randn(len(noise), 1, generator=generator)


WRONG_PER_SAMPLE = [
    (lambda n, s, g: n + s * torch.randn(n.shape[1], generator=g), "Every sample got the same"),
    (lambda n, s, g: n + s * torch.randn(1, generator=g), "whole batch"),
    (lambda n, s, g: n + s * torch.randn(n.shape, generator=g), "only more noise"),
    (lambda n, s, g: n + torch.randn(len(n), 1, generator=g), "standard deviation"),
    (lambda n, s, g: n + s * torch.rand(len(n), 1, generator=g), "one sign"),
    (lambda n, s, g: n + s * torch.randn(len(n), 1), "same generator"),
    (lambda n, s, g: n, "Nothing was added"),
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
    (right_push, "", "Choose one"),
    (unsolved, "b", "still to be written"),
]


def test_right_answers_pass(capsys):
    lesson.checks.offset_noise(right_offset)
    lesson.checks.per_sample(right_per_sample)
    lesson.checks.unnoticed(right_push, "b")
    assert capsys.readouterr().out.count("correct") == 3


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
