"""Losses that compare the next item with a few others, drawn at random, and not with the whole catalogue.

They are what the first sequential recommenders were trained with. That the whole catalogue does better, and makes a
strong model of a weak one, is the finding of Klenitskiy and Vasilev ("Turning Dross Into Gold Loss", RecSys 2023).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from diffrec_lite.noise import NormalNoise


def draw(noise: NormalNoise, target: Tensor, num_items: int, count: int) -> Tensor:
    """`count` items for each of the `target (B, n)`, uniform among the others: `(B, n, count)`."""
    n = target.shape[1]
    others = noise.integers(1, max(num_items - 1, 1), n * count).unflatten(1, (n, count))
    return others + (others >= target[..., None]) * (num_items > 1)


def mean_over(loss: Tensor, target: Tensor) -> Tensor:
    """The mean of `loss (B, n)` where the target is an item and not padding."""
    real = target != 0
    return torch.where(real, loss, 0.0).sum() / real.sum()


def bce(positive: Tensor, negative: Tensor, target: Tensor) -> Tensor:
    """Is this the next item? `positive (B, n)`, `negative (B, n, count)` (SASRec, Kang and McAuley 2018, Eq. 8)."""
    return mean_over(F.softplus(-positive) + F.softplus(negative).sum(-1), target)


def bpr(positive: Tensor, negative: Tensor, target: Tensor) -> Tensor:
    """The next item before another one, -log sigmoid of the difference (Rendle et al. 2009)."""
    return mean_over(F.softplus(negative - positive[..., None]).mean(-1), target)


def sampled_softmax(positive: Tensor, negative: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy among the next item and those drawn. They are drawn alike, so no correction is needed."""
    scores = torch.cat([positive[..., None], negative], dim=-1)
    return mean_over(scores.logsumexp(-1) - positive, target)
