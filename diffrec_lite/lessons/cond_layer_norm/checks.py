"""Checks of notebook 04: conditional layer norm, the pairing of stream and condition, the first step of training."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from diffrec_lite.layers import CondLN
from diffrec_lite.lessons.check import answer, check, compare, numbers, pair_of, passed, require, truths

Pair = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]

PARTS = ("x", "condition", "weight", "bias")
EPS = 1e-5
# B, L, d, the size of x and its type. Where x is as small as sqrt(eps), it shows what is done with eps.
INPUTS = (
    (2, 3, 8, 3.0, torch.float64),
    (2, 3, 8, 0.003, torch.float64),
    (4, 4, 4, 1000.0, torch.float32),
    (1, 1, 6, 1.0, torch.float32),
)


@check
def cond_ln(yours: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> None:
    """Exercise 1: `yours(x, condition, weight, bias)` equals `layers.CondLN` with this weight and bias."""
    draw = torch.Generator().manual_seed(4)
    for B, L, d, size, dtype in INPUTS:
        x = size * (torch.randn(B, L, d, generator=draw, dtype=dtype) + 0.3)
        condition = torch.randn(B, L, d, generator=draw, dtype=dtype)
        layer = CondLN(d).to(dtype)
        weight, bias = (p.detach() for p in layer.modulation[-1].parameters())
        weight.normal_(std=0.3, generator=draw)
        bias.normal_(std=0.3, generator=draw)
        with torch.no_grad():
            shift, scale = layer.fields(condition)
            right = layer(x, condition)
            mistakes = _wrong_layers(x, shift, scale) | _wrong_fields(x, condition, weight, bias)
        name = "cond_ln(x, condition, weight, bias)"
        compare(name, answer(yours, x, condition, weight, bias), right, mistakes)
        start = answer(yours, x, condition, torch.zeros_like(weight), torch.zeros_like(bias))
        compare("With weight and bias at zero your layer", start, F.layer_norm(x, (d,)))
    passed("cond_ln", "It equals layers.CondLN, and with zero weights it is a plain layer norm.")


def _wrong_layers(x: Tensor, shift: Tensor, scale: Tensor) -> dict[str, Tensor]:
    def normed(dims: tuple[int, ...] = (-1,), eps: float = EPS, correction: int = 0, outside: float = 0.0) -> Tensor:
        spread = (x.var(dims, keepdim=True, correction=correction) + eps).sqrt() + outside
        return (x - x.mean(dims, keepdim=True)) / spread * (1 + scale) + shift

    norm = F.layer_norm(x, x.shape[-1:])
    mistakes = {
        "You multiply by scale alone. At the start scale is zero, and the layer would return nothing but its "
        "shift: multiply by 1 + scale.": norm * scale + shift,
        "Shift and scale are swapped: the first half of the linear map's output is the shift.": (
            norm * (1 + shift) + scale
        ),
        "x is scaled and shifted but never normalised.": x * (1 + scale) + shift,
        "x is divided by its standard deviation, but its mean is still in it.": (
            x / (x.var(-1, keepdim=True, correction=0) + EPS).sqrt() * (1 + scale) + shift
        ),
        "The layer norm comes last and undoes the scale and the shift: normalise x first.": F.layer_norm(
            x * (1 + scale) + shift, x.shape[-1:]
        ),
        "You divide by the variance. A layer norm divides by its square root.": (
            (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, correction=0) + EPS) * (1 + scale) + shift
        ),
        "The shift is missing.": norm * (1 + scale),
        "The variance divides by d - 1. A layer norm divides by d: use correction=0.": normed(correction=1),
        "eps is missing. Where the features of a position hardly differ, their variance is near 0, and without "
        "eps = 1e-5 under the root the layer blows them up.": normed(eps=0.0),
        "eps stands outside the root. It is added to the variance: sqrt(var + eps).": normed(eps=0.0, outside=EPS),
    }
    if x.shape[1] > 1:
        mistakes |= {
            "The statistics run over the positions. Every position has a mean and variance of its own, over its d "
            "features (the last axis).": normed((1,)),
            "The statistics run over positions and features together. Every position has a mean and variance of its "
            "own, over its d features (the last axis).": normed((1, 2)),
        }
    return mistakes | {
        f"Your eps is {eps:g}. It should be 1e-5, as in PyTorch's layer norm.": normed(eps=eps)
        for eps in (1e-3, 1e-6, 1e-8)
    }


def _wrong_fields(x: Tensor, condition: Tensor, weight: Tensor, bias: Tensor) -> dict[str, Tensor]:
    def layer(through: Callable[[Tensor], Tensor], weight: Tensor, bias: Tensor) -> Tensor:
        shift, scale = F.linear(through(condition), weight, bias).chunk(2, dim=-1)
        return F.layer_norm(x, x.shape[-1:]) * (1 + scale) + shift

    return {
        "The condition reaches the linear map without its SiLU.": layer(lambda c: c, weight, bias),
        "The bias is missing from the linear map.": layer(F.silu, weight, torch.zeros_like(bias)),
    } | {
        f"The condition passes through a {name}. It should be a SiLU.": layer(through, weight, bias)
        for name, through in (("ReLU", F.relu), ("GELU", F.gelu), ("sigmoid", torch.sigmoid), ("tanh", torch.tanh))
    }


@check
def pair(yours: Pair) -> None:
    """Exercise 3: `yours(history, target)` gives stream and condition, aligned and without a leak."""
    for history, target in (
        ([[0, 0, 3, 8, 5], [7, 2, 9, 4, 6]], [1, 10]),
        ([[11, 12, 13], [0, 15, 16], [21, 22, 23], [0, 0, 26]], [14, 17, 24, 27]),
        ([[3, 1, 4, 15, 9, 2]], [6]),
    ):
        _one_pairing(yours, torch.tensor(history), torch.tensor(target))
    passed("pair", "Each item is modulated by the one before it, and the target by the last book of the history.")


def _one_pairing(yours: Pair, history: Tensor, target: Tensor) -> None:
    both = pair_of("pair", answer(yours, history, target), "two tensors: the stream, then the condition")
    for part, ids in zip(("stream", "condition"), both, strict=True):
        is_ids = isinstance(ids, Tensor) and not ids.is_floating_point()
        require(is_ids, f"The {part} should be a tensor of item ids, whole numbers as they were handed in.")
    stream, condition = both
    compare(
        "The stream",
        stream,
        torch.cat([history[:, 1:], target[:, None]], 1),
        {
            "The stream does not end in the target: it is i_2 … i_n and then the target.": history,
            "The target stands first. The stream is in reading order, so the target comes last.": torch.cat(
                [target[:, None], history[:, 1:]], 1
            ),
            "The last book of the history is lost, and the first is still there: the stream is i_2 … i_n and then the "
            "target.": torch.cat([history[:, :-1], target[:, None]], 1),
            "The stream is one too long: leave out i_1, so that stream and condition pair up.": torch.cat(
                [history, target[:, None]], 1
            ),
        },
    )
    known = numbers("The condition", condition, history.shape)
    require(
        not (known[:, -1] == target).all(),
        "The target still stands beside itself: CondLN hands the answer to the network. In use there is no target to "
        "show, so nothing that the network learns here will help it.",
    )
    compare(
        "The condition",
        known,
        history,
        {
            "The condition is two places behind the stream. Each position should be told the item right before it.": (
                F.pad(history, (1, 0))[:, :-1]
            ),
            "The last place of the condition is padding. The target should be told the last item of the history.": (
                F.pad(history[:, 1:], (0, 1))
            ),
            "The condition is reversed: position by position it should be the item before the one in the stream.": (
                history.flip(1)
            ),
        },
    )


@check
def first_gradients(yours: Callable[[], Mapping[str, bool]]) -> None:
    """Exercise 2: `yours()` says which of x, condition, weight and bias have a gradient at a new CondLN."""
    x, condition, weight, bias = truths("first_gradients", answer(yours), PARTS)
    require(x, "x does get a gradient: at the start the layer is a plain layer norm of x, and not a constant.")
    require(
        weight or bias,
        "You say that nothing in the modulation can move, so that the layer would stay a plain layer norm for ever. "
        "A gradient is not zero because the parameter is: shift is added to the output, so d(output)/d(shift) = 1.",
    )
    require(bias, "The bias gets a gradient: shift = … + bias, and shift is added to the output.")
    require(
        weight,
        "The weight gets a gradient: it is the outer product of the gradient that reaches shift and scale with "
        "SiLU(condition), and neither of the two is zero.",
    )
    require(
        not condition,
        "The condition gets none yet: its gradient passes backwards through the weight, and the weight is zero. "
        "Measure again after one step of an optimiser.",
    )
    passed(
        "first_gradients",
        "The weight moves first, and only from the second step on does the condition learn through this layer.",
    )
