"""BERT4Rec: a Transformer that sees both sides, and learns to fill in what was hidden from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from diffrec_lite.data import Batch
from diffrec_lite.layers import Positions, TransformerBlock, key_mask
from diffrec_lite.models.sequential import EncoderSettings, SequentialRecommender
from diffrec_lite.models.settings import number
from diffrec_lite.models.softmax import cross_entropy
from diffrec_lite.noise import NormalNoise

HIDDEN = 1  # the noise stream that says which items are hidden


@dataclass(frozen=True)
class BERT4RecSettings(EncoderSettings):
    """`blocks`, `heads`: the Transformer. `hidden`: so many of the items are hidden in training."""

    blocks: int = number(2, at_least=1)
    heads: int = number(4, at_least=1)
    hidden: float = number(0.3, above=0, at_most=1)


class BERT4Rec(SequentialRecommender):
    """A Transformer in which every place sees every other (Sun et al. 2019).

    In training a share of a whole history is hidden, and its last item if nothing else is; at inference one hidden
    place stands after the history.
    """

    Settings = BERT4RecSettings

    def __init__(self, num_items: int, **settings: Any) -> None:
        super().__init__(num_items, **settings)
        s = self.settings
        self.unknown = nn.Parameter(s.item_std * torch.randn(s.d))
        self.positions = Positions(s.max_len + 1, s.d)
        self.blocks = nn.ModuleList(TransformerBlock(s.d, s.heads, s.dropout) for _ in range(s.blocks))

    def fill(self, items: Tensor, hidden: Tensor, last: bool = False) -> Tensor:
        """`items (B, L)`, those at `hidden (B, L)` unseen -> what stands there, as vectors `(B, L, d)`."""
        mask = key_mask((items != 0) | hidden)
        e = torch.where(hidden[..., None], self.unknown, self.item_embedding(items))
        x = self.item_dropout(e + self.positions(e))
        for block in self.blocks[:-1]:
            x = block(x, mask)
        return self.norm(self.blocks[-1](x, mask, last=last))

    def encode(self, history: Tensor, last: bool = True) -> Tensor:
        """`(B, L)` -> `(B, 1, d)`: what comes after the history. There is no such answer for each place."""
        items = torch.cat([history, torch.zeros_like(history[:, :1])], dim=1)
        hidden = torch.zeros_like(items, dtype=torch.bool)
        hidden[:, -1] = True
        return self.fill(items, hidden, last=True)

    def loss(self, batch: Batch, noise: NormalNoise, epoch: float = 0.0) -> dict[str, Tensor]:
        items = torch.cat([batch.history, batch.target[:, None]], dim=1)
        hidden = (noise.uniform(HIDDEN, items.shape[1]) < self.settings.hidden) & (items != 0)
        nothing = ~hidden.any(1)
        hidden = torch.cat([hidden[:, :-1], (hidden[:, -1] | nothing)[:, None]], dim=1)
        seen = (items * ~hidden)[:, None].expand(-1, items.shape[1], -1) if self.seen_bias is not None else None
        mean = cross_entropy(self.logits, self.fill(items, hidden), items * hidden, seen, self.num_items + 1)
        expected = self.settings.hidden * (batch.history != 0).sum()  # so that a position weighs alike in every batch
        return {"loss": mean * hidden.sum() / expected}
