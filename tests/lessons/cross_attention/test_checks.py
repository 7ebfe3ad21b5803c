"""The checks of notebook 03 let the right answer pass and tell each wrong one what is wrong with it."""

import math

import pytest
import torch

from diffrec_lite.lessons import cross_attention as lesson
from diffrec_lite.lessons.check import CheckFailed


def unsolved(*_):
    raise NotImplementedError


def scores(q, k):
    return q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])


def hidden(valid):
    return ~valid[:, None, :]


def right_attention(q, k, v, valid):
    return scores(q, k).masked_fill(hidden(valid), -torch.inf).softmax(-1) @ v


def attention_with(scale):
    return lambda q, k, v, m: (scale(q) * scores(q, k)).masked_fill(hidden(m), -torch.inf).softmax(-1) @ v


WRONG_ATTENTION = [
    (attention_with(lambda q: math.sqrt(q.shape[-1])), "scale is missing"),
    (attention_with(lambda q: 1 / math.sqrt(q.shape[-1])), "square root"),
    (lambda q, k, v, m: scores(q, k).softmax(-1) @ v, "mask is missing"),
    (lambda q, k, v, m: scores(q, k).masked_fill(~hidden(m), -torch.inf).softmax(-1) @ v, "NaN|wrong way"),
    (lambda q, k, v, m: scores(q, k).softmax(-1).masked_fill(hidden(m), 0) @ v, "after the softmax"),
    (lambda q, k, v, m: scores(q, k).masked_fill(hidden(m), 0).softmax(-1) @ v, "score of 0"),
    (lambda q, k, v, m: scores(q, k).masked_fill(hidden(m), -1e9).softmax(1) @ v, "over the queries"),
    (lambda q, k, v, m: v, "shape"),
    (unsolved, "still to be written"),
]


def right_weights(scores, valid):
    return scores.masked_fill(hidden(valid), -torch.inf).softmax(-1)


WRONG_WEIGHTS = [
    (lambda s, m: s.masked_fill(~m[:, :, None], -1e9).softmax(-1), "only the rows"),
    (lambda s, m: s.softmax(-1), "Padded keys still"),
    (lambda s, m: s.masked_fill(~m[:, :, None], -torch.inf).softmax(-1), "NaN"),
    (lambda s, m: s.softmax(-1) * m[:, None, :], "no longer sum"),
    (lambda s, m: s.masked_fill(m[:, None, :], -1e9).softmax(-1), "wrong way round"),
    (lambda s, m: s.masked_fill(hidden(m), -1e9).softmax(1), "over the queries"),
    (lambda s, m: s[0], "one weight for each"),
    (unsolved, "still to be written"),
]

UNCHANGED = dict(zip(lesson.checks.CHANGES, (True, False, True, False), strict=True))
WRONG_UNCHANGED = [
    (UNCHANGED | {"shuffle all but the last": False}, "weighted sum"),
    (UNCHANGED | {"swap the last two": True}, "last place does matter"),
    (UNCHANGED | {"pad on the left": False}, "no weight"),
    (UNCHANGED | {"drop the first book": True}, "out of the sum"),
    ({}, "keys"),
    (None, "returned None"),
]


def test_right_answers_pass(capsys):
    lesson.checks.attention(right_attention)
    lesson.checks.masked_weights(right_weights)
    lesson.checks.unchanged(lambda: UNCHANGED)
    assert capsys.readouterr().out.count("correct") == 3


@pytest.mark.parametrize(("wrong", "message"), WRONG_ATTENTION)
def test_wrong_attention_is_diagnosed(wrong, message):
    with pytest.raises(CheckFailed, match=message):
        lesson.checks.attention(wrong)


@pytest.mark.parametrize(("wrong", "message"), WRONG_WEIGHTS)
def test_wrong_weights_are_diagnosed(wrong, message):
    with pytest.raises(CheckFailed, match=message):
        lesson.checks.masked_weights(wrong)


@pytest.mark.parametrize(("wrong", "message"), WRONG_UNCHANGED)
def test_wrong_explanation_is_diagnosed(wrong, message):
    with pytest.raises(CheckFailed, match=message):
        lesson.checks.unchanged(lambda: wrong)
