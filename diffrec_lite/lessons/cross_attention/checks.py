"""Checks of notebook 03: attention by hand, a test that finds bad masks, and what order means to the Approximator."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from diffrec_lite.lessons.check import answer, check, close, compare, numbers, passed, require, truth, truths

Layer = Callable[[Tensor, Tensor], Tensor]  # x (B, L, d), valid (B, L) -> (B, L, d)
CHANGES = ("shuffle all but the last", "swap the last two", "pad on the left", "drop the first book")
# B, L queries, M keys, d. First L = M: there a mask on the wrong axis gives numbers, and so can be named.
SHAPES = ((2, 4, 4, 3, torch.float32), (3, 3, 5, 4, torch.float64), (1, 6, 2, 2, torch.float32))
FINITE = (
    "Padded keys still get some weight. A finite number hides a key only while the real scores lie far above it, and "
    "nobody promised that they do. Put -torch.inf into the scores where a key is padding."
)


def _valid(B: int, M: int) -> Tensor:
    """Padding on the left: one key in the first row, two in the second, none in the third."""
    return torch.stack([torch.arange(M) >= (b + 1) % 3 for b in range(B)])


@check
def attention(yours: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> None:
    """Exercise 1: `yours(q, k, v, valid)` equals PyTorch's scaled_dot_product_attention with padded keys masked."""
    generator = torch.Generator().manual_seed(3)
    name = "attention(q, k, v, valid)"
    for B, L, M, d, dtype in SHAPES:
        q, k, v = (3 * torch.randn(B, n, d, generator=generator, dtype=dtype) for n in (L, M, M))
        valid = _valid(B, M)
        right = F.scaled_dot_product_attention(q, k, v, attn_mask=valid[:, None, :])
        found = numbers(name, answer(yours, q, k, v, valid))
        mistakes = _wrong_attention(q, k, v, valid)
        # What has weight shows when it changes.
        other = numbers(name, answer(yours, q, k, v.masked_fill(~valid[:, :, None], 1e6), valid))
        if found.shape == right.shape and not close(other, found):
            mistakes[FINITE] = found
        compare(name, found, right, mistakes)

    # Real scores near -600, the padded one near 600, and a padded value so large that the smallest weight shows.
    q = 1 + 0.01 * torch.randn(2, 3, 4, generator=generator, dtype=torch.float64)
    k = torch.randn(2, 5, 4, generator=generator, dtype=torch.float64) - 300
    v = torch.randn(2, 5, 4, generator=generator, dtype=torch.float64)
    valid = torch.arange(5).expand(2, 5) > 0
    k[:, 0], v[:, 0] = 300, 1e300
    found = numbers(name, answer(yours, q, k, v, valid))
    require(not (found.isfinite() & (found.abs() > 1e6)).any(), FINITE)
    compare(f"With very small scores, {name}", found, _weights(_scores(q, k), valid) @ v)
    passed("attention", "It equals torch's scaled_dot_product_attention, padding left out.")


def _scores(q: Tensor, k: Tensor) -> Tensor:
    return q @ k.transpose(1, 2) / math.sqrt(q.shape[-1])


def _weights(scores: Tensor, valid: Tensor) -> Tensor:
    return scores.masked_fill(~valid[:, None, :], -torch.inf).softmax(-1)


def _wrong_attention(q: Tensor, k: Tensor, v: Tensor, valid: Tensor) -> dict[str, Tensor]:
    scores, off, root = _scores(q, k), ~valid[:, None, :], math.sqrt(q.shape[-1])
    mistakes = {
        "The scale is missing: divide the scores by sqrt(d).": _weights(scores * root, valid) @ v,
        "You divide by d, and not by its square root.": _weights(scores / root, valid) @ v,
        "You multiply by sqrt(d): divide the scores by it.": _weights(scores * root**2, valid) @ v,
        "The mask is missing: padded keys get weight.": scores.softmax(-1) @ v,
        "The mask is the wrong way round: True means a real book.": _weights(scores, ~valid) @ v,
        "You mask after the softmax, so a row's weights sum to less than 1. Put -inf into the scores before it.": (
            scores.softmax(-1).masked_fill(off, 0) @ v
        ),
        "A score of 0 is not a weight of 0, since exp(0) = 1. Put -inf where a key is padding.": (
            scores.masked_fill(off, 0).softmax(-1) @ v
        ),
        "The softmax runs over the queries. Each query shares out its weight over the keys: it belongs on the last "
        "axis.": scores.masked_fill(off, -1e9).softmax(1) @ v,
        "The softmax runs over the queries, and a padded key has nothing but -inf there. It belongs on the last axis, "
        "the keys.": scores.masked_fill(off, -torch.inf).softmax(1) @ v,
    }
    if scores.shape[1] == scores.shape[2]:
        mistakes |= {
            "The mask lies on the queries. The last axis of the scores is the keys: use valid[:, None, :].": (
                scores.masked_fill(~valid[:, :, None], -1e9).softmax(-1) @ v
            ),
            "The mask lies on the queries, so that some rows hold nothing but -inf and become NaN. The last axis of "
            "the scores is the keys: use valid[:, None, :].": (
                scores.masked_fill(~valid[:, :, None], -torch.inf).softmax(-1) @ v
            ),
        }
    return mistakes


@check
def hides_padding(yours: Callable[[Layer, Tensor, Tensor], bool]) -> None:
    """Exercise 2: `yours(layer, x, valid)` says whether padding takes no part in the answers at real places."""
    generator = torch.Generator().manual_seed(7)
    name = "hides_padding(layer, x, valid)"
    for B, L, d, dtype in ((3, 5, 4, torch.float32), (3, 6, 8, torch.float64)):
        x, valid = torch.randn(B, L, d, generator=generator, dtype=dtype), _valid(B, L)
        for layer, hides, diagnosis in LAYERS:
            require(truth(name, answer(yours, layer, x, valid)) == hides, diagnosis)
    good = sum(hides for _, hides, _ in LAYERS)
    passed("hides_padding", f"It tells {good} layers that hide padding from {len(LAYERS) - good} that do not.")


def _layer(weights: Callable[[Tensor, Tensor], Tensor]) -> Layer:
    """Self-attention of one head without matrices of its own; `weights(scores, valid)` does the masking."""
    return lambda x, valid: weights(_scores(x, x), valid) @ x


def _at_real_places(layer: Layer) -> Layer:
    return lambda x, valid: layer(x, valid) * valid[:, :, None]


def _without_contents(layer: Layer) -> Layer:
    return lambda x, valid: layer(x * valid[:, :, None], valid)


# What stands first is asked first: a message may rely on what the ones before it have shown.
LAYERS: tuple[tuple[Layer, bool, str], ...] = (
    (
        _at_real_places(_layer(_weights)),
        True,
        "You find fault with a layer whose keys are masked by -inf, and which answers 0 at padded places. Change "
        "padded places alone, and compare each real place with itself: places put in front move all others to the "
        "right. Use torch.allclose, for two right answers may differ by rounding; and put no NaN or infinity anywhere.",
    ),
    (
        _layer(_weights),
        True,
        "You find fault with a layer whose keys are masked by -inf. It answers something at padded places too, which "
        "nobody reads: compare the answers at real places alone.",
    ),
    (
        _layer(lambda scores, valid: scores.softmax(-1)),
        False,
        "You let a layer pass that has no mask at all. Compare its answers before and after you disturb the padding.",
    ),
    (
        _layer(lambda scores, valid: scores.masked_fill(~valid[:, :, None], -1e9).softmax(-1)),
        False,
        "You let a layer pass whose mask lies on the rows of padded queries. The rows of real queries have no mask "
        "there, so padding has weight in them.",
    ),
    (
        _layer(lambda scores, valid: scores.masked_fill(~valid[:, None, :], -3).softmax(-1)),
        False,
        "You let a layer pass whose padded keys get the score -3, which leaves them some weight. Disturb more, or "
        "allow less difference: rounding is about a millionth.",
    ),
    (
        _layer(lambda scores, valid: scores.softmax(-1).masked_fill(~valid[:, None, :], 0)),
        False,
        "You let a layer pass that masks after the softmax. Padded keys are gone from its sum, but what they held "
        "still says how much is left for the real ones.",
    ),
    (
        _without_contents(_layer(lambda scores, valid: scores.softmax(-1))),
        False,
        "You let a layer pass that puts 0 into the padded places and then counts them as keys. What they hold changes "
        "nothing there; how many there are does. Disturb that too.",
    ),
    (
        _layer(lambda scores, valid: _weights(scores, valid[:1].expand_as(valid))),
        False,
        "You let a layer pass that uses the first reader's mask for everybody. More padding for all changes nothing "
        "there; what the other readers' padding holds does. Disturb that too.",
    ),
)


@check
def unchanged(yours: Callable[[], Mapping[str, bool]]) -> None:
    """Exercise 3: `yours()` says which changes leave the scores of a DiffuRec without positions as they are."""
    shuffled, swapped, padded, dropped = truths("unchanged", answer(yours), CHANGES)
    require(
        shuffled,
        "Shuffle them and measure with torch.allclose: attention is a weighted sum over a set of books, and a sum does "
        "not know the order of its terms.",
    )
    require(
        not swapped,
        "The last place does matter: x0_hat is read off there, so swapping changes which book asks the question.",
    )
    require(padded, "With keys masked, padding gets no weight, and so it cannot change a score.")
    require(not dropped, "A book that is gone takes its value out of the sum: the scores change.")
    passed("unchanged", "Without positions a history is a set of books with one of them marked as the last.")
