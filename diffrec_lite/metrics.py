"""How good a ranking is: ranks, hit rate, NDCG, MRR, and how far chance could have moved them.

Each reader has one target, so every metric is a function of one number: the target's rank in the whole catalogue,
counted from 1. With that rank known, nothing else of the model is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from torch import Tensor

KS = (5, 10, 20)


def ranks(scores: Tensor, target: Tensor) -> Tensor:
    """The rank of each target: `scores (B, V)`, `target (B,)` item ids -> `(B,)` int64 in 1 … V - 1.

    Ties count against the model: the rank is the number of items whose score is at least the target's. A model that
    scores everything alike is therefore ranked last, and not first. Column 0 is the padding and never counts.
    Raises ValueError for a score that is not a number, naming the row, and for a target that is no item.
    """
    if scores.dim() != 2 or target.shape != scores.shape[:1]:
        raise ValueError(f"scores must be (B, V) and target (B,), got {tuple(scores.shape)} and {tuple(target.shape)}")
    bad = scores.isnan().any(dim=1)
    if bool(bad.any()):
        raise ValueError(f"row {int(bad.nonzero()[0])} of the scores holds NaN; the model's weights are not usable")
    outside = (target < 1) | (target >= scores.shape[1])
    if bool(outside.any()):
        row = int(outside.nonzero()[0])
        raise ValueError(f"row {row}: target {int(target[row])} is not an item id (1 … {scores.shape[1] - 1})")
    own = scores.gather(1, target[:, None])
    return (scores[:, 1:] >= own).sum(dim=1)


def hit_rate(ranks: Tensor, k: int) -> float:
    """HR@k: the share of readers whose target is among the first k."""
    return float((ranks <= k).double().mean())


def ndcg(ranks: Tensor, k: int) -> float:
    """NDCG@k with one target: the mean of 1 / log2(rank + 1) where rank <= k, else 0."""
    return float(_gain(ranks.double(), k).mean())


def mrr(ranks: Tensor) -> float:
    """Mean reciprocal rank: the mean of 1 / rank."""
    return float((1 / ranks.double()).mean())


def _gain(ranks: Tensor, k: int) -> Tensor:
    return torch.where(ranks <= k, 1 / torch.log2(ranks + 1), 0.0)


def names(ks: Sequence[int] = KS) -> list[str]:
    """The metrics in the order in which every table shows them: HR@5, …, NDCG@5, …, MRR."""
    return [f"HR@{k}" for k in ks] + [f"NDCG@{k}" for k in ks] + ["MRR"]


def per_rank(ranks: Tensor, ks: Sequence[int] = KS) -> Tensor:
    """What one reader with each rank adds to each metric: `(N,)` -> `(N, 2 len(ks) + 1)` float64."""
    r = ranks.double()
    columns = [(r <= k).double() for k in ks] + [_gain(r, k) for k in ks] + [1 / r]
    return torch.stack(columns, dim=1)


def summary(ranks: Tensor, ks: Sequence[int] = KS) -> dict[str, float]:
    """All metrics of `ranks (N,)` as means over the N readers (never as means of batch means).

    Raises ValueError when there is no reader.
    """
    if len(ranks) == 0:
        raise ValueError("there is no reader to evaluate; the data set has nobody with three or more interactions")
    return dict(zip(names(ks), per_rank(ranks, ks).mean(dim=0).tolist(), strict=True))


def bootstrap(
    ranks: Tensor, ks: Sequence[int] = KS, level: float = 0.95, draws: int = 1000, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """Percentile bootstrap intervals: what the metrics would be with N other readers like these.

    Readers are drawn with replacement. Only how often each rank was drawn matters, and those counts are multinomial,
    so one draw costs as much as there are different ranks. Source: Efron and Tibshirani 1993, Chapter 13.
    """
    if len(ranks) == 0:
        raise ValueError("there is no reader to draw")
    if not 0 < level < 1 or draws < 1:
        raise ValueError(f"level must lie in (0, 1) and draws be at least 1, got {level} and {draws}")
    values, counts = torch.unique(ranks.cpu(), return_counts=True)
    gains = per_rank(values, ks).numpy()
    share = counts.numpy() / len(ranks)
    rng = np.random.default_rng(seed)
    means = []
    at_once = max(1, 2_000_000 // len(values))  # at most 16 MB of counts in memory
    for done in range(0, draws, at_once):
        drawn = rng.multinomial(len(ranks), share, size=min(at_once, draws - done))
        means.append(drawn @ gains / len(ranks))
    low, high = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2], axis=0)
    return {name: (float(a), float(b)) for name, a, b in zip(names(ks), low, high, strict=True)}


def by_group(ranks: Tensor, groups: Sequence | Tensor, ks: Sequence[int] = KS) -> pd.DataFrame:
    """The metrics of each group of readers: one row a group, sorted, with the column `readers` first.

    `groups (N,)` holds a label for each rank: the length of the history, the popularity of the target (`binned`).
    """
    labels = pd.Series(groups.tolist() if isinstance(groups, Tensor) else list(groups), name="group")
    if len(labels) != len(ranks):
        raise ValueError(f"{len(ranks)} ranks but {len(labels)} group labels")
    table = pd.DataFrame(per_rank(ranks.cpu(), ks).numpy(), columns=names(ks))
    table.insert(0, "readers", 1.0)
    grouped = table.groupby(labels)
    return grouped.mean().assign(readers=grouped.size())


def binned(values: Tensor, edges: Sequence[int]) -> list[str]:
    """Name the interval that each value falls into: edges (5, 10) give "01: up to 5", "02: 6 to 10", "03: over 10".

    The number in front keeps the groups in order when they are sorted.
    """
    texts = [f"up to {edges[0]}"] + [f"{a + 1} to {b}" for a, b in pairwise(edges)]
    texts.append(f"over {edges[-1]}")
    where = torch.bucketize(values.cpu(), torch.tensor(edges))
    return [f"{i + 1:02}: {texts[i]}" for i in where.tolist()]
