"""What a diffusion model has to beat: popularity, a first-order Markov chain, and a well-trained SASRec."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffrec_lite.data import Batch, SequenceDataset
from diffrec_lite.layers import Positions, TransformerBlock, causal_mask
from diffrec_lite.models.base import Recommender
from diffrec_lite.noise import Noise


class CountModel(Recommender):
    """A recommender that counts and has nothing to train by gradients."""

    learns_from = "counts"

    def fit_counts(self, dataset: SequenceDataset) -> None:
        """Count the training part of `dataset`."""
        raise NotImplementedError


class Popularity(CountModel):
    """Everybody is recommended what most readers chose: the score of an item is its share of the training data."""

    def __init__(self, num_items: int, max_len: int = 50) -> None:
        super().__init__(num_items, max_len)
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


class Markov(CountModel):
    """First-order Markov chain: how often each item followed the last one, backed off to popularity.

    score(j) = (count(i -> j) + backoff * share(j)) / (count(i -> anything) + backoff), a probability for each last
    item i. The transitions are stored sparsely, as parallel vectors of (from, to, count).
    """

    def __init__(self, num_items: int, max_len: int = 50, backoff: float = 1.0) -> None:
        super().__init__(num_items, max_len)
        self.backoff = backoff
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
        scores = self.backoff * self.share.repeat(len(history), 1)
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


class SASRec(Recommender):
    """A causal Transformer that predicts the next item at every position (Kang and McAuley 2018).

    Trained with cross-entropy over the whole catalogue, and not with one sampled negative as in the original: this is
    the difference between a weak baseline and a strong one (Klenitskiy and Vasilev 2023).
    """

    learns_from = "sequences"

    def __init__(
        self,
        num_items: int,
        max_len: int = 50,
        d: int = 128,
        blocks: int = 2,
        heads: int = 4,
        dropout: float = 0.2,
        item_dropout: float = 0.2,
        item_std: float = 0.05,
    ) -> None:
        super().__init__(num_items, max_len)
        self.item_embedding = nn.Embedding(num_items + 1, d, padding_idx=0)
        nn.init.normal_(self.item_embedding.weight[1:], std=item_std)
        self.positions = Positions(max_len, d)
        self.item_dropout = nn.Dropout(item_dropout)
        self.blocks = nn.ModuleList(TransformerBlock(d, heads, dropout) for _ in range(blocks))
        self.norm = nn.LayerNorm(d)

    def encode(self, history: Tensor) -> Tensor:
        """`(B, L)` -> `(B, L, d)`: at each position, all that the history tells so far."""
        e = self.item_embedding(history)
        x = self.item_dropout(e + self.positions(e))
        mask = causal_mask(history != 0)
        for block in self.blocks:
            x = block(x, mask)
        return self.norm(x)

    def logits(self, x: Tensor) -> Tensor:
        """`(N, d)` -> `(N, V)`, padding at -inf."""
        scores = x @ self.item_embedding.weight.T
        return scores.index_fill(1, torch.zeros(1, dtype=torch.long, device=scores.device), -torch.inf)

    def loss(self, batch: Batch, noise: Noise, epoch: float = 0.0) -> dict[str, Tensor]:
        following = torch.cat([batch.history[:, 1:], batch.target[:, None]], dim=1)
        valid = batch.history != 0
        x = self.encode(batch.history)
        return {"loss": F.cross_entropy(self.logits(x[valid]), following[valid])}

    def score(
        self, history: Tensor, users: Sequence[int] | Tensor | None = None, steps: int | None = None, seed: int = 0
    ) -> Tensor:
        return self.logits(self.encode(history)[:, -1])
