"""Checks of notebook 04: conditional layer norm, the pairing of stream and condition, the first step of training."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from diffrec_lite.layers import CondLN
from diffrec_lite.lessons.check import answer, compare, passed, require

Pair = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def cond_ln(yours: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> None:
    """Exercise 1: `yours(x, condition, weight, bias)` equals `layers.CondLN` with this weight and bias."""
    B, L, d = 2, 3, 8
    draw = torch.Generator().manual_seed(4)
    x = 3 * torch.randn(B, L, d, generator=draw) + 1
    condition = torch.randn(B, L, d, generator=draw)
    layer = CondLN(d)
    linear = layer.modulation[-1]
    torch.nn.init.normal_(linear.weight, std=0.3, generator=draw)
    torch.nn.init.normal_(linear.bias, std=0.3, generator=draw)
    weight, bias = linear.weight.detach(), linear.bias.detach()

    with torch.no_grad():
        norm = F.layer_norm(x, (d,))
        shift, scale = layer.fields(condition)
        raw_shift, raw_scale = F.linear(condition, weight, bias).chunk(2, dim=-1)
        unbiased = (x - x.mean(-1, keepdim=True)) / x.std(-1, keepdim=True)
        over_positions = (x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True, correction=0) + 1e-5).sqrt()
        right = layer(x, condition)
        mistakes = {
            "You multiply by scale alone. At the start scale is zero, and the layer would return nothing but its "
            "shift: multiply by 1 + scale.": norm * scale + shift,
            "Shift and scale are swapped: the first half of the linear map's output is the shift.": norm * (1 + shift)
            + scale,
            "The condition reaches the linear map without its SiLU.": norm * (1 + raw_scale) + raw_shift,
            "x is scaled and shifted but never normalised.": x * (1 + scale) + shift,
            "The layer norm comes last and undoes the scale and the shift: normalise x first.": F.layer_norm(
                x * (1 + scale) + shift, (d,)
            ),
            "The statistics run over the positions. Every position has a mean and variance of its own, over its d "
            "features (the last axis).": over_positions * (1 + scale) + shift,
            "The variance divides by d - 1. A layer norm divides by d: use correction=0.": unbiased * (1 + scale)
            + shift,
            "The shift is missing.": norm * (1 + scale),
        }
        compare("cond_ln(x, condition, weight, bias)", answer(yours, x, condition, weight, bias), right, mistakes)
        start = answer(yours, x, condition, torch.zeros_like(weight), torch.zeros_like(bias))
        compare("With weight and bias at zero your layer", start, norm)
    passed("cond_ln", "It equals layers.CondLN, and with zero weights it is a plain layer norm.")


def pair(yours: Pair) -> None:
    """Exercise 2: `yours(history, target)` gives stream and condition, aligned and without a leak."""
    history = torch.tensor([[0, 0, 3, 8, 5], [7, 2, 9, 4, 6]])
    target = torch.tensor([1, 10])
    result = answer(yours, history, target)
    require(
        isinstance(result, tuple) and len(result) == 2,
        "pair should return two tensors: the stream, then the condition.",
    )
    stream, condition = result
    compare(
        "The stream",
        stream,
        torch.tensor([[0, 3, 8, 5, 1], [2, 9, 4, 6, 10]]),
        {
            "The stream does not end in the target: it is i_2 … i_n and then the target.": history,
            "The target stands first. The stream is in reading order, so the target comes last.": torch.cat(
                [target[:, None], history[:, 1:]], 1
            ),
            "The stream is one too long: leave out i_1, so that stream and condition pair up.": torch.cat(
                [history, target[:, None]], 1
            ),
        },
    )
    require(
        not bool((torch.as_tensor(condition)[:, -1] == target).all()),
        "The target still stands beside itself: CondLN hands the answer to the network. In use there is no target to "
        "show, so nothing that the network learns here will help it.",
    )
    compare(
        "The condition",
        condition,
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
    passed("pair", "Each item is modulated by the one before it, and the target by the last book of the history.")


PARTS = ("x", "condition", "weight", "bias")


def first_gradients(yours: Callable[[], Mapping[str, bool]]) -> None:
    """Exercise 3: `yours()` says which of x, condition, weight and bias have a gradient at a new CondLN."""
    result = answer(yours)
    require(
        isinstance(result, Mapping) and set(result) == set(PARTS),
        f"first_gradients should return a dictionary with the keys {', '.join(PARTS)}.",
    )
    said = {part: bool(result[part]) for part in PARTS}
    require(
        said["x"],
        "x does get a gradient: at the start the layer is a plain layer norm of x, and not a constant.",
    )
    require(
        said["weight"] or said["bias"],
        "You say that nothing in the modulation can move, so that the layer would stay a plain layer norm for ever. "
        "A gradient is not zero because the parameter is: shift is added to the output, so d(output)/d(shift) = 1.",
    )
    require(
        said["bias"],
        "The bias gets a gradient: shift = … + bias, and shift is added to the output.",
    )
    require(
        said["weight"],
        "The weight gets a gradient: it is the outer product of the gradient that reaches shift and scale with "
        "SiLU(condition), and neither of the two is zero.",
    )
    require(
        not said["condition"],
        "The condition gets none yet: its gradient passes backwards through the weight, and the weight is zero. "
        "Measure again after one step of an optimiser.",
    )
    passed(
        "first_gradients",
        "The weight moves first, and only from the second step on does the condition learn through this layer.",
    )
