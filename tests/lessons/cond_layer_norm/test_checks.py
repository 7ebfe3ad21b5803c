"""The checks of notebook 04 let the right answer pass and tell each wrong one what is wrong with it."""

import pytest
import torch
from torch.nn import functional as F

from diffrec_lite.lessons import cond_layer_norm as lesson
from diffrec_lite.lessons.check import CheckFailed


def fields(condition, weight, bias):
    return F.linear(F.silu(condition), weight, bias).chunk(2, dim=-1)


def right_cond_ln(x, condition, weight, bias):
    mean, var = x.mean(-1, keepdim=True), x.var(-1, keepdim=True, correction=0)
    shift, scale = fields(condition, weight, bias)
    return (x - mean) / (var + 1e-5).sqrt() * (1 + scale) + shift


def without_one(x, condition, weight, bias):
    shift, scale = fields(condition, weight, bias)
    return F.layer_norm(x, x.shape[-1:]) * scale + shift


def swapped(x, condition, weight, bias):
    scale, shift = fields(condition, weight, bias)
    return F.layer_norm(x, x.shape[-1:]) * (1 + scale) + shift


def without_silu(x, condition, weight, bias):
    shift, scale = F.linear(condition, weight, bias).chunk(2, dim=-1)
    return F.layer_norm(x, x.shape[-1:]) * (1 + scale) + shift


def never_normalised(x, condition, weight, bias):
    shift, scale = fields(condition, weight, bias)
    return x * (1 + scale) + shift


def norm_last(x, condition, weight, bias):
    return F.layer_norm(never_normalised(x, condition, weight, bias), x.shape[-1:])


def over_positions(x, condition, weight, bias):
    shift, scale = fields(condition, weight, bias)
    return F.layer_norm(x.transpose(1, 2), x.shape[1:2]).transpose(1, 2) * (1 + scale) + shift


def sample_variance(x, condition, weight, bias):
    shift, scale = fields(condition, weight, bias)
    return (x - x.mean(-1, keepdim=True)) / x.std(-1, keepdim=True) * (1 + scale) + shift


def norm_with(centre=True, spread=lambda var: (var + 1e-5).sqrt(), dims=-1, correction=0, act=F.silu, add_bias=True):
    def cond_ln(x, condition, weight, bias):
        shift, scale = F.linear(act(condition), weight, bias if add_bias else None).chunk(2, dim=-1)
        mean, var = x.mean(dims, keepdim=True), x.var(dims, keepdim=True, correction=correction)
        return (x - mean if centre else x) / spread(var) * (1 + scale) + shift

    return cond_ln


def overwrites(x, condition, weight, bias):
    shift, scale = fields(condition, weight, bias)
    x -= x.mean(-1, keepdim=True)
    x /= (x.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    return x * (1 + scale) + shift


def without_shift(x, condition, weight, bias):
    return F.layer_norm(x, x.shape[-1:]) * (1 + fields(condition, weight, bias)[1])


def unsolved(*_):
    raise NotImplementedError


WRONG_COND_LN = [
    (without_one, "scale alone"),
    (swapped, "swapped"),
    (without_silu, "SiLU"),
    (never_normalised, "never normalised"),
    (norm_last, "comes last"),
    (over_positions, "run over the positions"),
    (sample_variance, "d - 1"),
    (without_shift, "shift is missing"),
    (norm_with(correction=1), "d - 1"),
    (norm_with(spread=torch.sqrt), "eps is missing"),
    (norm_with(spread=lambda var: var.sqrt() + 1e-5), "eps stands outside the root"),
    (norm_with(spread=lambda var: (var + 1e-8).sqrt()), "Your eps is 1e-08"),
    (norm_with(spread=lambda var: (var + 1e-3).sqrt()), "Your eps is 0.001"),
    (norm_with(spread=lambda var: (var.clamp(min=1e-5)).sqrt()), "wrong values"),
    (norm_with(spread=lambda var: var + 1e-5), "divide by the variance"),
    (norm_with(centre=False), "its mean is still in it"),
    (norm_with(dims=(1, 2)), "over positions and features together"),
    (norm_with(act=F.relu), "through a ReLU"),
    (norm_with(act=torch.sigmoid), "through a sigmoid"),
    (norm_with(add_bias=False), "bias is missing"),
    (overwrites, "overwrites its argument x"),
    (lambda x, c, w, b: right_cond_ln(x, c, w, b) if len(x) == 2 else x, "wrong values"),
    (lambda x, c, w, b: right_cond_ln(x.reshape(2, 3, 8), c, w, b), "line .*reshape.*x \\(4, 4, 4\\)"),
    (lambda x, *_: x[..., :3], "shape"),
    (unsolved, "still to be written"),
]


def stream_of(history, target):
    return torch.cat([history[:, 1:], target[:, None]], dim=1)


def right_pair(history, target):
    return stream_of(history, target), history


WRONG_PAIR = [
    (lambda h, t: (stream_of(h, t), stream_of(h, t)), "beside itself"),
    (lambda h, t: (h, h), "does not end in the target"),
    (lambda h, t: (torch.cat([h, t[:, None]], 1), h), "one too long"),
    (lambda h, t: (torch.cat([t[:, None], h[:, 1:]], 1), h), "stands first"),
    (lambda h, t: (stream_of(h, t), F.pad(h, (1, 0))[:, :-1]), "two places behind"),
    (lambda h, t: (stream_of(h, t), F.pad(h[:, 1:], (0, 1))), "is padding"),
    (lambda h, t: (stream_of(h, t), h.flip(1)), "reversed"),
    (lambda h, t: stream_of(h, t), "two tensors"),
    (lambda h, t: (torch.cat([h[:, :-1], t[:, None]], 1), h), "last book of the history is lost"),
    (lambda h, t: (stream_of(h, t), None), "condition should be a tensor of item ids"),
    (lambda h, t: (stream_of(h, t).double(), h), "stream should be a tensor of item ids"),
    (lambda h, t: (stream_of(h, t), h[:, 1:]), "condition has shape"),
    (lambda h, t: (stream_of(h, t), h.clone().fill_(3)), "wrong values"),
    (lambda h, t: right_pair(h, t) if len(h) == 2 else (h, h), "does not end in the target"),
    (unsolved, "still to be written"),
]

GRADIENTS = {"x": True, "condition": False, "weight": True, "bias": True}
WRONG_GRADIENTS = [
    (GRADIENTS | {"condition": True}, "condition gets none"),
    (GRADIENTS | {"weight": False}, "weight gets a gradient"),
    (GRADIENTS | {"bias": False}, "bias gets a gradient"),
    (GRADIENTS | {"weight": False, "bias": False}, "for ever"),
    (GRADIENTS | {"x": False}, "x does get"),
    (GRADIENTS | {"condition": "False"}, "should be True or False, but it is 'False'"),
    (GRADIENTS | {"condition": 0.0}, "should be True or False, but it is a float"),
    (GRADIENTS | {"condition": torch.zeros(8, dtype=torch.bool)}, "should be True or False"),
    (list(GRADIENTS.values()), "keys"),
    ({"x": True}, "keys"),
    (None, "returned None"),
]


def test_right_answers_pass(capsys):
    lesson.checks.cond_ln(right_cond_ln)
    lesson.checks.pair(right_pair)
    lesson.checks.first_gradients(lambda: GRADIENTS)
    assert capsys.readouterr().out.count("correct") == 3


@pytest.mark.parametrize(("wrong", "message"), WRONG_COND_LN, ids=lambda value: str(value)[:20])
def test_wrong_cond_ln_is_diagnosed(wrong, message):
    with pytest.raises(CheckFailed, match=message):
        lesson.checks.cond_ln(wrong)


@pytest.mark.parametrize(("wrong", "message"), WRONG_PAIR, ids=lambda value: str(value)[:20])
def test_wrong_pair_is_diagnosed(wrong, message):
    with pytest.raises(CheckFailed, match=message):
        lesson.checks.pair(wrong)


@pytest.mark.parametrize(("wrong", "message"), WRONG_GRADIENTS, ids=lambda value: str(value)[:20])
def test_wrong_gradients_are_diagnosed(wrong, message):
    with pytest.raises(CheckFailed, match=message):
        lesson.checks.first_gradients(lambda: wrong)
