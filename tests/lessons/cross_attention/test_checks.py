"""The checks of notebook 03 let the right answer pass and tell each wrong one what is wrong with it."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

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


def disturbed(x, valid, value=3.0):
    return x.masked_fill(~valid[:, :, None], value)


def more_places(layer, x, valid, value=3.0):
    padded = F.pad(x, (0, 0, 4, 0), value=value)
    return layer(padded, F.pad(valid, (4, 0)))[:, 4:]


def right_test(layer, x, valid):
    other = more_places(layer, disturbed(x, valid), valid)
    return torch.allclose(other[valid], layer(x, valid)[valid], atol=1e-5)


def in_two_steps(layer, x, valid):
    """By NumPy's booleans, one disturbance at a time, with other vectors."""
    before = layer(x, valid)[valid]
    answers = (
        layer(-5 * x.masked_fill(valid[:, :, None], 0) + disturbed(x, valid, 0), valid),
        more_places(layer, x, valid),
    )
    return np.bool_(all((answer[valid] - before).abs().max() < 1e-4 for answer in answers))


def overwrites(layer, x, valid):
    x[~valid] = 3
    return right_test(layer, x, valid)


WRONG_HIDES_PADDING = [
    (lambda layer, x, valid: False, "fault with a layer whose keys .* answers 0 at padded"),
    (lambda layer, x, valid: True, "no mask at all"),
    (lambda layer, x, valid: torch.allclose(layer(x, valid), layer(x + 1, valid)), "Change padded places alone"),
    (
        lambda layer, x, valid: torch.allclose(
            layer(F.pad(x, (0, 0, 4, 0)), F.pad(valid, (4, 0)))[:, : x.shape[1]][valid], layer(x, valid)[valid]
        ),
        "all others to the right",
    ),
    (lambda layer, x, valid: right_test(layer, disturbed(x, valid, torch.nan), valid), "no NaN or infinity"),
    (lambda layer, x, valid: right_test(layer, disturbed(x, valid, torch.inf), valid), "no NaN or infinity"),
    (
        lambda layer, x, valid: torch.allclose(layer(disturbed(x, valid), valid), layer(x, valid), atol=1e-5),
        "answers at real places alone",
    ),
    (
        lambda layer, x, valid: torch.allclose(layer(x, valid)[valid], layer(x, torch.ones_like(valid))[valid], atol=9),
        "no mask at all",
    ),
    (
        lambda layer, x, valid: torch.allclose(
            more_places(layer, disturbed(x, valid), valid)[valid], layer(x, valid)[valid], atol=0.5
        ),
        "rows of padded queries|score -3",
    ),
    (
        lambda layer, x, valid: torch.allclose(
            layer(disturbed(x, valid), valid)[valid], layer(x, valid)[valid], atol=1e-5
        ),
        "puts 0 into the padded places",
    ),
    (
        lambda layer, x, valid: torch.allclose(more_places(layer, x, valid)[valid], layer(x, valid)[valid], atol=1e-5),
        "first reader's mask",
    ),
    (overwrites, "overwrites its argument x"),
    (lambda layer, x, valid: 0.0, "True or False, but it is a float"),
    (lambda layer, x, valid: valid, "True or False, but it is a Tensor"),
    (lambda layer, x, valid: layer(x), "stopped in line"),
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


@pytest.mark.parametrize("right", [right_test, in_two_steps])
def test_padding_may_be_disturbed_in_any_way(right, capsys):
    lesson.checks.hides_padding(right)
    assert "2 layers that hide padding from 6" in capsys.readouterr().out


def test_every_layer_of_the_check_is_told_by_one_disturbance_or_the_other():
    """The verdict that a layer comes with is what its answers say."""
    x = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(1))
    valid = torch.arange(5) >= torch.tensor([[1], [2], [0]])
    for layer, hides, message in lesson.checks.LAYERS:
        assert right_test(layer, x, valid) == hides, message


def test_right_answers_pass(capsys):
    lesson.checks.attention(right_attention)
    lesson.checks.hides_padding(right_test)
    lesson.checks.unchanged(lambda: UNCHANGED)
    assert capsys.readouterr().out.count("correct") == 3


@pytest.mark.parametrize(("wrong", "message"), WRONG_ATTENTION)
def test_wrong_attention_is_diagnosed(wrong, message):
    with pytest.raises(CheckFailed, match=message):
        lesson.checks.attention(wrong)


@pytest.mark.parametrize(("wrong", "message"), WRONG_HIDES_PADDING)
def test_wrong_tests_of_padding_are_diagnosed(wrong, message):
    with pytest.raises(CheckFailed, match=message):
        lesson.checks.hides_padding(wrong)


@pytest.mark.parametrize(("wrong", "message"), WRONG_UNCHANGED)
def test_wrong_explanation_is_diagnosed(wrong, message):
    with pytest.raises(CheckFailed, match=message):
        lesson.checks.unchanged(lambda: wrong)
