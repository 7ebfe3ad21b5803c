"""Checks of notebook 03: attention by hand, a mask on the wrong axis, and what order means to the Approximator."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from diffrec_lite.lessons.check import answer, check, close, compare, numbers, passed, require, truths

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
def masked_weights(yours: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Exercise 2: `yours(scores (B, L, L), valid (B, L))` gives weights that no padded key takes part in."""
    generator = torch.Generator().manual_seed(7)
    for B, L, middle, dtype in ((2, 4, 0, torch.float32), (3, 6, 0, torch.float64), (1, 3, -600, torch.float64)):
        valid = _valid(B, L)
        scores = torch.randn(B, L, L, generator=generator, dtype=dtype)
        scores = scores + middle * torch.where(valid, 1, -1)[:, None, :]
        found = numbers("masked_weights(scores, valid)", answer(yours, scores, valid))
        require(
            found.shape == scores.shape, "masked_weights should return one weight for each query and key, (B, L, L)."
        )
        mistakes = _wrong_weights(scores, valid) if middle == 0 else {}
        hidden = (found[(~valid)[:, None, :].expand_as(found)] == 0).all()
        compare(
            "masked_weights(scores, valid)",
            found,
            _weights(scores, valid),
            mistakes | ({} if hidden else {FINITE: found}),
        )
        require(hidden, FINITE)
    passed("masked_weights", "Every row sums to 1, and padded keys get exactly none of it.")


def _wrong_weights(scores: Tensor, valid: Tensor) -> dict[str, Tensor]:
    columns, rows = ~valid[:, None, :], ~valid[:, :, None]
    return {
        "Some weights are NaN: a row had nothing but -inf in it, the row of a padded query. Mask keys and not "
        "queries.": scores.masked_fill(rows, -torch.inf).softmax(-1),
        "Some weights are NaN: a row had nothing but -inf in it, the row of a padded query. Mask the keys alone: "
        "a padded query may attend, nobody reads what it finds.": (
            scores.masked_fill(rows | columns, -torch.inf).softmax(-1)
        ),
        "The row of a padded query holds one and the same number now, so its weight is shared out evenly, over padded "
        "keys too. Mask the keys alone: a padded query may attend, nobody reads what it finds.": (
            scores.masked_fill(rows | columns, -1e9).softmax(-1)
        ),
        "Padded keys still get weight. The penalty stands in the rows of padded queries, where it is the same for "
        "every key, and the softmax cancels it: use valid[:, None, :].": scores.softmax(-1),
        "Padded keys still get weight: only the rows of padded queries changed. The mask belongs on the columns, "
        "the keys: use valid[:, None, :].": scores.masked_fill(rows, -1e9).softmax(-1),
        "The mask comes after the softmax: the weights no longer sum to 1.": scores.softmax(-1) * ~columns,
        "The rows of padded queries hold zeros now. Each row must sum to 1, also that of a padded query: mask the "
        "keys alone.": _weights(scores, valid).masked_fill(rows, 0),
        "A score of 0 is not a weight of 0, since exp(0) = 1. Put -inf where a key is padding.": (
            scores.masked_fill(columns, 0).softmax(-1)
        ),
        "The mask is the wrong way round: hide the keys where valid is False.": _weights(scores, ~valid),
        "The softmax runs over the queries: it belongs on the last axis.": (
            scores.masked_fill(columns, -1e9).softmax(1)
        ),
        "The softmax runs over the queries, and a padded key has nothing but -inf there: it belongs on the last "
        "axis.": scores.masked_fill(columns, -torch.inf).softmax(1),
    }


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
