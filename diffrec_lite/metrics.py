"""How good a ranking is: ranks, hit rate, NDCG, MRR, how far chance could have moved them, and which of two is better.

Each reader has one target, so every metric is a function of one number: the target's rank in the whole catalogue,
counted from 1. With that rank known, nothing else of the model is needed. Only two numbers want more: the debiased NDCG
asks also how popular each target is, and `coverage` looks at the lists and not at the targets.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from torch import Tensor

KS = (5, 10, 20)
COVERAGE, DEBIASED = "coverage@10", "NDCG@10 debiased"


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
    means = np.concatenate([drawn @ gains for drawn in _draws(counts, draws, seed)]) / len(ranks)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return {name: (float(a), float(b)) for name, a, b in zip(names(ks), low, high, strict=True)}


def _draws(counts: Tensor, draws: int, seed: int) -> Iterator[np.ndarray]:
    """Draw as many readers as there are, again and again, from K kinds of which there are `counts (K,)`.

    Yields matrices `(some draws, K)`, how many of each kind were drawn, of at most 16 MB.
    """
    readers, share, rng = int(counts.sum()), counts.numpy() / int(counts.sum()), np.random.default_rng(seed)
    at_once = max(1, 2_000_000 // len(share))
    for done in range(0, draws, at_once):
        yield rng.multinomial(readers, share, size=min(at_once, draws - done))


# ---------------------------------------------------------------- beyond the popular


def coverage(best: Tensor, num_items: int) -> float:
    """The share of the catalogue that occurs in anybody's list: `best (N, k)` item ids, 0 where a list ends early."""
    return float((torch.bincount(best.flatten(), minlength=num_items + 1)[1:] > 0).double().mean())


def weights(popularity: Tensor) -> Tensor:
    """What each reader weighs in a debiased metric, `(N,)` float64: 1 / how often its target occurs in training.

    A target that never occurs counts as if it had occurred once.
    """
    return 1 / popularity.double().clamp(min=1)


def debiased_ndcg(ranks: Tensor, popularity: Tensor, k: int = 10) -> float:
    """NDCG@k as it would be if every item were asked for equally often: the mean with the `weights` of the readers.

    `popularity (N,)` says how often each reader's target occurs in the training part. Popular items are met
    more often than others that are liked as much; a weight that is the inverse of how likely a target was to be met
    takes that out again. That likelihood is taken to be proportional to the popularity itself, with exponent 1 (gamma
    = 1 in Yang et al. 2018, "Unbiased Offline Recommender Evaluation for Missing-Not-At-Random Implicit Feedback"), and
    the weights are divided by their sum (the self-normalised estimator of Schnabel et al. 2016).
    """
    w = weights(popularity)
    return float(w @ _gain(ranks.double(), k) / w.sum())


def bootstrap_debiased(
    ranks: Tensor, popularity: Tensor, k: int = 10, level: float = 0.95, draws: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """The percentile bootstrap interval of `debiased_ndcg`; readers are drawn with replacement, as in `bootstrap`."""
    pairs = torch.stack([_gain(ranks.double(), k), weights(popularity)], dim=1).cpu()
    kinds, counts = torch.unique(pairs, dim=0, return_counts=True)
    gain, w = kinds.T
    sums = torch.stack([gain * w, w], dim=1).numpy()
    found = np.concatenate([drawn @ sums for drawn in _draws(counts, draws, seed)])
    low, high = np.quantile(found[:, 0] / found[:, 1], [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


# ---------------------------------------------------------------- two models


def compare(
    a: Tensor,
    b: Tensor,
    popularity: Tensor | None = None,
    ks: Sequence[int] = KS,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Two models on the same readers: ranks `a` and `b`, `(N,)` or a row a training `(S, N)`, whose gains are averaged.

    One row a metric, with these columns:

    - `A`, `B` and `difference`, A - B. What makes a reader easy or hard hits both, and cancels in the difference.
    - `low`, `high`: the percentile bootstrap interval of the difference; each draw takes the same readers for both.
    - `p`: how often so large a difference would come by chance, two-sided. It is the bootstrap interval turned round:
      twice the share of draws on the rarer side of zero, (1 + number) / (1 + draws), at most 1, and never below
      2 / (1 + draws). Where the interval excludes zero, p is below 1 - `level`, or above it by a few draws.

    The `popularity (N,)` of the targets in training adds the debiased NDCG@10. Readers count as independent.
    Raises ValueError when the readers differ in number, or there are none, or fewer than trainings.
    Source: Efron and Tibshirani 1993, Chapters 13 and 15.
    """
    a, b = torch.atleast_2d(a.cpu()), torch.atleast_2d(b.cpu())
    readers = a.shape[-1]
    popular = torch.ones(readers, dtype=torch.long) if popularity is None else popularity.cpu()
    if not (readers == b.shape[-1] == len(popular)) or readers == 0:
        asked = f"{readers} and {b.shape[-1]}" + ("" if popularity is None else f", popularity of {len(popular)}")
        raise ValueError(f"a comparison needs the same readers, at least one, got {asked}")
    if any(side.dim() != 2 or not 0 < len(side) <= readers for side in (a, b)):
        raise ValueError(f"ranks are (readers,) or (trainings, readers), got {tuple(a.shape)} and {tuple(b.shape)}")
    kinds, counts = torch.unique(torch.cat([a, b, popular[None]]), dim=1, return_counts=True)
    a, b, popular = kinds.split([len(a), len(b), 1])
    rows, one, other = names(ks), *(torch.stack([per_rank(r, ks) for r in side]).mean(0) for side in (a, b))
    w = torch.ones_like(one)
    if popularity is not None:
        rows.append(DEBIASED)
        one, other = (torch.cat([x, _gain(r.double(), 10).mean(0)[:, None]], 1) for x, r in ((one, a), (other, b)))
        w = torch.cat([w, weights(popular[0])[:, None]], 1)

    def means(drawn: np.ndarray, gains: Tensor) -> np.ndarray:  # (draws, K), (K, metrics) -> (draws, metrics)
        return drawn @ (w * gains).numpy() / (drawn @ w.numpy())

    drawn = np.concatenate([means(some, one - other) for some in _draws(counts, draws, seed)])
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
    rarer = np.minimum((drawn <= 0).sum(0), (drawn >= 0).sum(0))
    found = {name: means(counts[None].numpy(), gains)[0] for name, gains in (("A", one), ("B", other))}
    found |= {"difference": found["A"] - found["B"], "low": low, "high": high}
    found["p"] = np.minimum(1, 2 * (1 + rarer) / (1 + draws))
    return pd.DataFrame(found, index=pd.Index(rows, name="metric"))


# ---------------------------------------------------------------- groups of readers


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
