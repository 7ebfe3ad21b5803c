"""Checks of notebook 03: attention by hand, a mask on the wrong axis, and what order means to the Approximator."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from diffrec_lite.lessons.check import answer, compare, passed, require

CHANGES = ("shuffle all but the last", "swap the last two", "pad on the left", "drop the first book")


def _tensors() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    q = 3 * torch.randn(2, 3, 4, generator=generator)
    k, v = (3 * torch.randn(2, 5, 4, generator=generator) for _ in range(2))
    valid = torch.tensor([[False, False, True, True, True], [True] * 5])
    return q, k, v, valid


def attention(yours: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> None:
    """Exercise 1: `yours(q, k, v, valid)` equals PyTorch's scaled_dot_product_attention with padded keys masked."""
    q, k, v, valid = _tensors()
    scores, off = q @ k.transpose(1, 2), ~valid[:, None, :]
    scaled = scores / math.sqrt(q.shape[-1])
    compare(
        "attention(q, k, v, valid)",
        answer(yours, q, k, v, valid),
        F.scaled_dot_product_attention(q, k, v, attn_mask=valid[:, None, :]),
        {
            "The scale is missing: divide the scores by sqrt(d).": scores.masked_fill(off, -torch.inf).softmax(-1) @ v,
            "You divide by d, and not by its square root.": (scores / q.shape[-1])
            .masked_fill(off, -torch.inf)
            .softmax(-1)
            @ v,
            "The mask is missing: padded keys get weight.": scaled.softmax(-1) @ v,
            "The mask is the wrong way round: True means a real book.": scaled.masked_fill(~off, -torch.inf).softmax(-1)
            @ v,
            "You mask after the softmax, so a row's weights sum to less than 1. Put -inf into the scores before it.": (
                scaled.softmax(-1).masked_fill(off, 0) @ v
            ),
            "A score of 0 is not a weight of 0, since exp(0) = 1. Put -inf where a key is padding.": (
                scaled.masked_fill(off, 0).softmax(-1) @ v
            ),
            "The softmax runs over the queries. Each query shares out its weight over the keys: the last axis.": (
                scaled.masked_fill(off, -1e9).softmax(1) @ v
            ),
        },
    )
    passed("attention", "It equals torch's scaled_dot_product_attention, padding left out.")


def masked_weights(yours: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Exercise 2: `yours(scores (B, L, L), valid (B, L))` gives weights that no padded key takes part in."""
    generator = torch.Generator().manual_seed(7)
    scores = torch.randn(2, 4, 4, generator=generator)
    valid = torch.tensor([[False, True, True, True], [True] * 4])
    found = answer(yours, scores.clone(), valid)
    right = scores.masked_fill(~valid[:, None, :], -torch.inf).softmax(-1)
    require(
        isinstance(found, Tensor) and found.shape == scores.shape,
        "masked_weights should return one weight for each query and key, (B, L, L).",
    )
    require(
        not bool(found.isnan().any()),
        "Some weights are NaN: a row had nothing but -inf in it, the row of a padded query. Mask keys and not queries.",
    )
    compare(
        "masked_weights(scores, valid)",
        found,
        right,
        {
            "Padded keys still get weight. The penalty stands in the rows of padded queries, where it is the same for "
            "every key, and the softmax cancels it: use valid[:, None, :].": scores.softmax(-1),
            "Padded keys still get weight: only the rows of padded queries changed. The mask belongs on the columns, "
            "the keys: use valid[:, None, :].": scores.masked_fill(~valid[:, :, None], -1e9).softmax(-1),
            "The mask comes after the softmax: the weights no longer sum to 1.": scores.softmax(-1) * valid[:, None, :],
            "The mask is the wrong way round: hide the keys where valid is False.": scores.masked_fill(
                valid[:, None, :], -1e9
            ).softmax(-1),
            "The softmax runs over the queries: it belongs on the last axis.": scores.masked_fill(
                ~valid[:, None, :], -1e9
            ).softmax(1),
        },
    )
    passed("masked_weights", "Every row sums to 1, and padded keys get exactly none of it.")


def unchanged(yours: Callable[[], Mapping[str, bool]]) -> None:
    """Exercise 3: `yours()` says which changes leave the scores of a DiffuRec without positions as they are."""
    result = answer(yours)
    require(
        isinstance(result, Mapping) and set(result) == set(CHANGES),
        f"unchanged should return a dictionary with the keys {', '.join(CHANGES)}.",
    )
    shuffled, swapped, padded, dropped = (bool(result[change]) for change in CHANGES)
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
