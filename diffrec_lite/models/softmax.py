"""Cross-entropy over a whole catalogue, without ever holding a score for every position and every item at once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

SCORES_AT_ONCE = 40_000_000  # numbers in one piece, 160 MB; a smaller job is one piece


def cross_entropy(
    score: Callable[[Tensor, Tensor | None], Tensor],
    vectors: Tensor,
    target: Tensor,
    history: Tensor | None,
    V: int,
    at_once: int = SCORES_AT_ONCE,
) -> Tensor:
    """The mean of -log softmax(score(vector))[target] over all positions whose target is not 0.

    `score (N, d), (N, L) -> (N, V)` is called on pieces of `vectors (B, n, d)` and `history (B, n, L)`, None where the
    scores do not depend on it; `target` is `(B, n)`. If there are several pieces, each is computed again on the way
    back instead of being kept, so memory does not grow with B n. Value and gradient are those of a single softmax.
    """
    vectors, target = vectors.flatten(0, 1), target.flatten()
    history = None if history is None else history.flatten(0, 1)

    def total(x: Tensor, wanted: Tensor, seen: Tensor | None) -> Tensor:
        scores = score(x, seen)
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
        return F.cross_entropy(scores, wanted, ignore_index=0, reduction="sum")

    rows = max(1, at_once // V)
    if len(vectors) <= rows:
        return total(vectors, target, history) / (target != 0).sum()
    xs, wanted = vectors.split(rows), target.split(rows)
    seen = [None] * len(xs) if history is None else history.split(rows)
    parts = (checkpoint(total, *piece, use_reentrant=False) for piece in zip(xs, wanted, seen, strict=True))
    return sum(parts) / (target != 0).sum()


def prefixes(history: Tensor, n: int) -> Tensor:
    """What each of the last n positions of `history (B, L)` has read so far, its own item included: `(B, n, L)`."""
    L = history.shape[1]
    past = torch.ones(L, L, dtype=torch.bool, device=history.device).tril()[-n:]
    return history[:, None, :] * past
