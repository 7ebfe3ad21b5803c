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


def filled(value, axis=hidden):
    return lambda q, k, v, valid: scores(q, k).masked_fill(axis(valid), value).softmax(-1) @ v


def queries(valid):
    return ~valid[:, :, None]


def scales_in_place(q, k, v, valid):
    q /= math.sqrt(q.shape[-1])
    return (q @ k.transpose(-1, -2)).masked_fill(hidden(valid), -torch.inf).softmax(-1) @ v


WRONG_ATTENTION = [
    (filled(-15), "finite number hides"),
    (filled(-20), "finite number hides"),
    (filled(-100), "finite number hides"),
    (filled(-500.0), "finite number hides"),
    (lambda q, k, v, m: (scores(q, k) - 20.0 * hidden(m)).softmax(-1) @ v, "finite number hides"),
    (lambda q, k, v, m: (scores(q, k) - 1000.0 * hidden(m)).softmax(-1) @ v, "finite number hides"),
    (filled(-1e9, queries), "lies on the queries"),
    (filled(-torch.inf, queries), "lies on the queries, so that some rows"),
    (lambda q, k, v, m: scores(q, k).masked_fill(hidden(m), -torch.inf).softmax(1) @ v, "nothing but -inf"),
    (attention_with(lambda q: q.shape[-1]), "multiply by sqrt"),
    (scales_in_place, "overwrites its argument q"),
    (lambda q, k, v, m: right_attention(q, k, v, m).float().half(), "wrong values"),
    (lambda q, k, v, m: right_attention(q, k, v, m).view(2, 4, 3), "line .*view"),
    (attention_with(lambda q: math.sqrt(q.shape[-1])), "scale is missing"),
    (attention_with(lambda q: 1 / math.sqrt(q.shape[-1])), "square root"),
    (lambda q, k, v, m: scores(q, k).softmax(-1) @ v, "mask is missing"),
    (lambda q, k, v, m: scores(q, k).masked_fill(~hidden(m), -torch.inf).softmax(-1) @ v, "wrong way round"),
    (lambda q, k, v, m: scores(q, k).softmax(-1).masked_fill(hidden(m), 0) @ v, "after the softmax"),
    (lambda q, k, v, m: scores(q, k).masked_fill(hidden(m), 0).softmax(-1) @ v, "score of 0"),
    (lambda q, k, v, m: scores(q, k).masked_fill(hidden(m), -1e9).softmax(1) @ v, "over the queries"),
    (lambda q, k, v, m: v, "Padded keys still"),
    (filled(-5), "finite number hides"),
    (lambda q, k, v, m: right_attention(q, k, v, m)[:, :2], "has shape"),
    (unsolved, "still to be written"),
]


def right_weights(scores, valid):
    return scores.masked_fill(hidden(valid), -torch.inf).softmax(-1)


WRONG_WEIGHTS = [
    (lambda s, m: s.masked_fill(hidden(m), -15).softmax(-1), "finite number hides"),
    (lambda s, m: s.masked_fill(hidden(m), -20).softmax(-1), "finite number hides"),
    (lambda s, m: s.masked_fill(hidden(m), -100).softmax(-1), "finite number hides"),
    (lambda s, m: (s - 1000.0 * hidden(m)).softmax(-1), "finite number hides"),
    (lambda s, m: s.masked_fill(hidden(m), 0).softmax(-1), "score of 0"),
    (lambda s, m: right_weights(s, m).masked_fill(~m[:, :, None], 0), "rows of padded queries hold zeros"),
    (lambda s, m: s.masked_fill(hidden(m) | ~m[:, :, None], -torch.inf).softmax(-1), "Mask the keys alone"),
    (lambda s, m: s.masked_fill(hidden(m) | ~m[:, :, None], -1e9).softmax(-1), "shared out evenly"),
    (lambda s, m: s.masked_fill(hidden(m), -torch.inf).softmax(1), "nothing but -inf there"),
    (lambda s, m: s.masked_fill_(hidden(m), -torch.inf).softmax(-1), "overwrites its argument s,"),
    (lambda s, m: right_weights(s, m).tolist()[0], "one weight for each"),
    (lambda s, m: str(right_weights(s, m)), "a string"),
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
    (UNCHANGED | {"pad on the left": "yes"}, "should be True or False, but it is 'yes'"),
    (UNCHANGED | {"swap the last two": None}, "should be True or False, but it is None"),
    (UNCHANGED | {"reverse": True}, "keys"),
    ({}, "keys"),
    (None, "returned None"),
]


def by_hand(q, k, v, valid):
    weights = scores(q, k).exp() * valid[:, None, :]
    return weights / weights.sum(-1, keepdim=True) @ v


@pytest.mark.parametrize("right", [by_hand, filled(-1e9), filled(torch.finfo(torch.float32).min)])
def test_attention_may_be_written_otherwise(right):
    lesson.checks.attention(right)


@pytest.mark.parametrize("hide", [-1e9, torch.finfo(torch.float32).min])
def test_a_number_far_below_every_score_hides_a_key(hide):
    lesson.checks.masked_weights(lambda s, m: s.masked_fill(hidden(m), hide).softmax(-1))


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
