"""What every model has to beat: popularity, and a first-order Markov chain. Both count, and neither learns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from diffrec_lite.data import SequenceDataset
from diffrec_lite.models.base import Recommender, RecommenderSettings
from diffrec_lite.models.settings import number


class CountModel(Recommender):
    """A recommender that counts and has nothing to train by gradients."""

    learns_from = "counts"

    def fit_counts(self, dataset: SequenceDataset) -> None:
        """Count the training part of `dataset`."""
        raise NotImplementedError


class Popularity(CountModel):
    """Everybody is recommended what most readers chose: the score of an item is its share of the training data."""

    def __init__(self, num_items: int, **settings: Any) -> None:
        super().__init__(num_items, **settings)
        self.register_buffer("share", torch.zeros(num_items + 1))

    def fit_counts(self, dataset: SequenceDataset) -> None:
        counts = torch.bincount(dataset.train_items(), minlength=self.num_items + 1)
        self.share.copy_(counts / counts.sum())

    def score(
        self, history: Tensor, users: Sequence[int] | Tensor | None = None, steps: int | None = None, seed: int = 0
    ) -> Tensor:
        scores = self.share.expand(len(history), -1).clone()
        scores[:, 0] = -torch.inf
        return scores


@dataclass(frozen=True)
class MarkovSettings(RecommenderSettings):
    """`backoff`: how many observations popularity counts for, beside the transitions of the last item."""

    backoff: float = number(1.0, at_least=0)


class Markov(CountModel):
    """First-order Markov chain: how often each item followed the last one, backed off to popularity.

    score(j) = (count(i -> j) + backoff * share(j)) / (count(i -> anything) + backoff), a probability for each last
    item i. The transitions are stored sparsely, as parallel vectors of (from, to, count).
    """

    Settings = MarkovSettings

    def __init__(self, num_items: int, **settings: Any) -> None:
        super().__init__(num_items, **settings)
        self.register_buffer("share", torch.zeros(num_items + 1))
        for name in ("origin", "arrival", "count"):
            self.register_buffer(name, torch.zeros(0, dtype=torch.long))
        self.register_load_state_dict_pre_hook(_resize_to_saved)

    def fit_counts(self, dataset: SequenceDataset) -> None:
        V = self.num_items + 1
        origin, arrival = dataset.train_transitions()
        pairs, self.count = torch.unique(origin * V + arrival, return_counts=True)
        self.origin, self.arrival = pairs // V, pairs % V
        counts = torch.bincount(dataset.train_items(), minlength=V)
        self.share.copy_(counts / counts.sum())

    def score(
        self, history: Tensor, users: Sequence[int] | Tensor | None = None, steps: int | None = None, seed: int = 0
    ) -> Tensor:
        last = history[:, -1].contiguous()
        scores = self.settings.backoff * self.share.repeat(len(history), 1)
        first, end = torch.searchsorted(self.origin, last), torch.searchsorted(self.origin, last, right=True)
        rows = torch.arange(len(history), device=history.device).repeat_interleave(end - first)
        within = torch.arange(len(rows), device=history.device) - (torch.cumsum(end - first, 0) - (end - first))[rows]
        entries = first[rows] + within
        scores.index_put_((rows, self.arrival[entries]), self.count[entries].float(), accumulate=True)
        scores = scores / scores.sum(1, keepdim=True)
        scores[:, 0] = -torch.inf
        return scores


def _resize_to_saved(model: Markov, state: dict[str, Tensor], prefix: str, *_: Any) -> None:
    """How many transitions there are is known only from the file."""
    for name in ("origin", "arrival", "count"):
        if prefix + name in state:
            setattr(model, name, torch.zeros_like(state[prefix + name]))
