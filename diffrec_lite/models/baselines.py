"""What a diffusion model has to beat: popularity, a first-order Markov chain, and a well-trained SASRec."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from diffrec_lite.data import Batch, SequenceDataset
from diffrec_lite.layers import Positions, SeenBias, TransformerBlock, causal_mask
from diffrec_lite.models.base import Recommender, RecommenderSettings
from diffrec_lite.models.settings import Settings, number
from diffrec_lite.models.softmax import cross_entropy, prefixes
from diffrec_lite.noise import NormalNoise


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


@dataclass(frozen=True)
class SASRecSettings(Settings):
    """`blocks`, `heads`, `dropout`, `item_dropout`, `item_std` as in `DiffuRec`; `seen_bias`: see `SeenBias`."""

    max_len: int = number(50, at_least=1)
    d: int = number(128, at_least=1)
    blocks: int = number(2, at_least=1)
    heads: int = number(4, at_least=1)
    dropout: float = number(0.2, at_least=0, at_most=1)
    item_dropout: float = number(0.2, at_least=0, at_most=1)
    item_std: float = number(0.05, at_least=0)
    seen_bias: bool = False


class SASRec(Recommender):
    """A causal Transformer that predicts the next item at every position (Kang and McAuley 2018).

    Trained with cross-entropy over the whole catalogue, and not with one sampled negative as in the original: this is
    the difference between a weak baseline and a strong one (Klenitskiy and Vasilev 2023).
    """

    Settings = SASRecSettings
    learns_from = "sequences"

    def __init__(self, num_items: int, **settings: Any) -> None:
        super().__init__(num_items, **settings)
        s = self.settings
        self.item_embedding = nn.Embedding(num_items + 1, s.d, padding_idx=0)
        nn.init.normal_(self.item_embedding.weight[1:], std=s.item_std)
        self.positions = Positions(s.max_len, s.d)
        self.item_dropout = nn.Dropout(s.item_dropout)
        self.blocks = nn.ModuleList(TransformerBlock(s.d, s.heads, s.dropout) for _ in range(s.blocks))
        self.norm = nn.LayerNorm(s.d)
        self.seen_bias = SeenBias() if s.seen_bias else None

    def encode(self, history: Tensor, last: bool = False) -> Tensor:
        """`(B, L)` -> `(B, L, d)`: at each position, all that the history tells so far; with `last`, the last alone."""
        e = self.item_embedding(history)
        x = self.item_dropout(e + self.positions(e))
        mask = causal_mask(history != 0)
        for block in self.blocks[:-1]:
            x = block(x, mask)
        return self.norm(self.blocks[-1](x, mask, last=last))

    def logits(self, x: Tensor, history: Tensor | None) -> Tensor:
        """`(N, d)` and what each has read, `(N, L)` -> `(N, V)`, padding at -inf."""
        scores = x @ self.item_embedding.weight.T
        if self.seen_bias is not None:
            scores = self.seen_bias(scores, history)
        scores[:, 0] = -torch.inf
        return scores

    def loss(self, batch: Batch, noise: NormalNoise, epoch: float = 0.0) -> dict[str, Tensor]:
        history = batch.history
        following = torch.cat([history[:, 1:], batch.target[:, None]], dim=1) * (history != 0)
        read = prefixes(history, history.shape[1]) if self.seen_bias is not None else None
        return {"loss": cross_entropy(self.logits, self.encode(history), following, read, self.num_items + 1)}

    def score(
        self, history: Tensor, users: Sequence[int] | Tensor | None = None, steps: int | None = None, seed: int = 0
    ) -> Tensor:
        return self.logits(self.encode(history, last=True)[:, -1], history)
