"""What every model has to beat: popularity, repetition, a Markov chain, pairs at a distance, and one linear regression.

None of them descends a gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from diffrec_lite.data import SequenceDataset
from diffrec_lite.models.base import Recommender, RecommenderSettings
from diffrec_lite.models.settings import number

TINY = torch.finfo(torch.float32).tiny  # in place of a sum of 0, where nothing was counted


class CountModel(Recommender):
    """A recommender that counts and has nothing to train by gradients."""

    learns_from = "counts"

    def fit_counts(self, dataset: SequenceDataset) -> None:
        """Count the training part of `dataset`. Raises ValueError if the model knows other items."""
        self.count(self.learning_from(dataset))

    def count(self, dataset: SequenceDataset) -> None:
        """`fit_counts`, in the numbers of this model."""
        raise NotImplementedError


class Popularity(CountModel):
    """Everybody is recommended what most readers chose: the score of an item is its share of the training data."""

    def __init__(self, num_items: int, **settings: Any) -> None:
        super().__init__(num_items, **settings)
        self.register_buffer("share", torch.zeros(num_items + 1))

    def count(self, dataset: SequenceDataset) -> None:
        counts = torch.bincount(dataset.train_items(), minlength=self.num_items + 1)
        self.share.copy_(counts / counts.sum())

    def score(
        self, history: Tensor, users: Sequence[int] | Tensor | None = None, steps: int | None = None, seed: int = 0
    ) -> Tensor:
        scores = self.share.expand(len(history), -1).clone()
        scores[:, 0] = -torch.inf
        return scores


class Recent(Popularity):
    """Whoever chose an item will choose it again: the items of the history, the latest first, then the popular ones.

    score(j) = 1 + 1 / (how many items back j was chosen last); elsewhere the share of j in the training data.
    """

    def score(
        self, history: Tensor, users: Sequence[int] | Tensor | None = None, steps: int | None = None, seed: int = 0
    ) -> Tensor:
        scores = super().score(history)
        for back in range(history.shape[1], 0, -1):
            scores.scatter_(1, history[:, -back, None], 1 + 1 / back)
        scores[:, 0] = -torch.inf
        return scores


class TransitionModel(CountModel):
    """A count model that keeps a sparse matrix of what follows what: parallel vectors origin, arrival and weight."""

    def __init__(self, num_items: int, **settings: Any) -> None:
        super().__init__(num_items, **settings)
        self.register_buffer("share", torch.zeros(num_items + 1))
        for name in ("origin", "arrival"):
            self.register_buffer(name, torch.zeros(0, dtype=torch.long))
        self.register_buffer("weight", torch.zeros(0))
        self.register_load_state_dict_pre_hook(_resize_to_saved)

    def keep(self, origin: Tensor, arrival: Tensor, weight: Tensor, dataset: SequenceDataset) -> None:
        """Add up the weights of equal pairs and keep them, sorted by origin, and each item's share of the data."""
        V = self.num_items + 1
        pairs, place = torch.unique(origin * V + arrival, return_inverse=True)
        self.origin, self.arrival = pairs // V, pairs % V
        self.weight = torch.zeros(len(pairs)).index_add_(0, place, weight)
        counts = torch.bincount(dataset.train_items(), minlength=V)
        self.share.copy_(counts / counts.sum())

    def add_rows(self, scores: Tensor, items: Tensor, factor: float = 1.0) -> None:
        """Add `factor` times the matrix's row of `items[b]` to `scores[b]`, in place; item 0 has an empty row."""
        items = items.contiguous()
        first, end = torch.searchsorted(self.origin, items), torch.searchsorted(self.origin, items, right=True)
        rows = torch.arange(len(items), device=items.device).repeat_interleave(end - first)
        within = torch.arange(len(rows), device=items.device) - (torch.cumsum(end - first, 0) - (end - first))[rows]
        entries = first[rows] + within
        scores.index_put_((rows, self.arrival[entries]), factor * self.weight[entries], accumulate=True)


@dataclass(frozen=True)
class MarkovSettings(RecommenderSettings):
    """`backoff`: how many observations popularity counts for, beside the transitions of the last item."""

    backoff: float = number(1.0, at_least=0)


class Markov(TransitionModel):
    """First-order Markov chain: how often each item followed the last one, backed off to popularity.

    score(j) = (count(i -> j) + backoff * share(j)) / (count(i -> anything) + backoff), a probability for each last
    item i.
    """

    Settings = MarkovSettings

    def count(self, dataset: SequenceDataset) -> None:
        origin, arrival = dataset.train_transitions()
        self.keep(origin, arrival, torch.ones(len(origin)), dataset)

    def score(
        self, history: Tensor, users: Sequence[int] | Tensor | None = None, steps: int | None = None, seed: int = 0
    ) -> Tensor:
        scores = self.settings.backoff * self.share.repeat(len(history), 1)
        self.add_rows(scores, history[:, -1])
        scores = scores / scores.sum(1, keepdim=True).clamp(min=TINY)
        scores[:, 0] = -torch.inf
        return scores


@dataclass(frozen=True)
class GapSettings(RecommenderSettings):
    """How pairs are counted, and how they are used.

    - `gaps`, `fading`: a pair g places apart, g = 1 … gaps, counts for fading^(g - 1).
    - `backward`: what a pair counts for in the other direction, as a share.
    - `smoothing`: added to the sum of each row before it is divided by it.
    - `recall`: the item read a places ago counts for recall^a; 0 uses the last item alone.
    - `popularity`: scores are divided by the count of the item to this power.
    """

    gaps: int = number(10, at_least=1)
    fading: float = number(0.7, at_least=0, at_most=1)
    backward: float = number(0.5, at_least=0)
    smoothing: float = number(1.0, at_least=0)
    recall: float = number(0.0, at_least=0, at_most=1)
    popularity: float = number(0.25, at_least=0)


class Gap(TransitionModel):
    """A counting rule that looks past the next item: pairs at a distance count too, and in both directions.

    score(j) = sum over the history of recall^age * M_ij / (sum_j M_ij + smoothing), divided by count(j)^popularity.
    """

    Settings = GapSettings

    def count(self, dataset: SequenceDataset) -> None:
        s, split = self.settings, dataset.train
        later = split.starts + split.positions
        origins, arrivals, weights = [], [], []
        for g in range(1, s.gaps + 1):
            far_enough = split.positions >= g
            if not far_enough.any():
                break
            earlier, item = dataset.items[later[far_enough] - g], dataset.items[later[far_enough]]
            for a, b, share in ((earlier, item, 1.0), (item, earlier, s.backward)):
                origins.append(a)
                arrivals.append(b)
                weights.append(torch.full((len(a),), share * s.fading ** (g - 1)))
        self.keep(torch.cat(origins), torch.cat(arrivals), torch.cat(weights), dataset)
        total = torch.zeros(self.num_items + 1).index_add_(0, self.origin, self.weight)
        rarity = (self.share * len(dataset.train_items())).clamp(min=1) ** -s.popularity
        self.weight = self.weight / (total + s.smoothing).clamp(min=TINY)[self.origin] * rarity[self.arrival]

    def score(
        self, history: Tensor, users: Sequence[int] | Tensor | None = None, steps: int | None = None, seed: int = 0
    ) -> Tensor:
        scores = 1e-9 * self.share.repeat(len(history), 1)  # popularity orders what was never seen together
        reach = history.shape[1] if self.settings.recall else 1
        for age in range(reach):
            self.add_rows(scores, history[:, -1 - age], self.settings.recall**age)
        scores[:, 0] = -torch.inf
        return scores


@dataclass(frozen=True)
class RidgeSettings(RecommenderSettings):
    """`penalty` on the squared weights; `recall`: the item read a places ago counts for recall^a.

    `keep`: so many weights of each item are kept, the largest: all of them would be as many as the square of the items.
    """

    penalty: float = number(150.0, above=0)
    recall: float = number(0.5, at_least=0, at_most=1)
    keep: int = number(300, at_least=1)


class Ridge(TransitionModel):
    """Linear regression of the next item on the items that were read: W = (X'X + penalty I)^-1 X'Y.

    A row of X holds recall^age for each item of a training prefix, the same row of Y a one at the item that follows.
    Score: x W. (EASE, Steck 2019, is its kin without order.)
    """

    Settings = RidgeSettings

    def count(self, dataset: SequenceDataset) -> None:
        s, V = self.settings, self.num_items + 1
        try:
            XX, XY = torch.zeros(V * V), torch.zeros(V * V)
        except RuntimeError:
            gigabytes = 8 * V * V / 1e9
            raise ValueError(
                f"ridge solves for {self.num_items:,} items at once and needs {gigabytes:,.0f} GB of memory and more; "
                "take gap or markov"
            ) from None
        for batch in dataset.train.batches(4096, s.max_len):
            L = batch.history.shape[1]
            x = s.recall ** torch.arange(L - 1.0, -1.0, -1.0) * (batch.history != 0)
            XX.index_add_(
                0,
                (batch.history[:, :, None] * V + batch.history[:, None, :]).flatten(),
                (x[:, :, None] * x[:, None, :]).flatten(),
            )
            XY.index_add_(0, (batch.history * V + batch.target[:, None]).flatten(), x.flatten())
        XX, XY = XX.view(V, V), XY.view(V, V)
        XX.diagonal().add_(s.penalty)
        W = torch.cholesky_solve(XY, torch.linalg.cholesky(XX))[1:, 1:]
        del XX, XY
        best = W.abs().topk(min(s.keep, self.num_items)).indices
        origin = torch.arange(1, V).repeat_interleave(best.shape[1])
        self.keep(origin, best.flatten() + 1, W.gather(1, best).flatten(), dataset)

    def score(
        self, history: Tensor, users: Sequence[int] | Tensor | None = None, steps: int | None = None, seed: int = 0
    ) -> Tensor:
        scores = 1e-9 * self.share.repeat(len(history), 1)  # popularity orders what never followed
        for age in range(history.shape[1]):
            self.add_rows(scores, history[:, -1 - age], self.settings.recall**age)
        scores[:, 0] = -torch.inf
        return scores


def _resize_to_saved(model: TransitionModel, state: dict[str, Tensor], prefix: str, *_: Any) -> None:
    """How many transitions there are is known only from the file."""
    for name in ("origin", "arrival", "weight"):
        if prefix + name in state:
            setattr(model, name, torch.zeros_like(state[prefix + name]))
