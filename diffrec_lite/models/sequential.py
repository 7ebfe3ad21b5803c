"""Models without a diffusion: what they share, and SASRec and GRU4Rec, which predict at every position at once.

By default these two learn by cross-entropy over the whole catalogue, and not with a sampled negative or two as in the
originals: this is the difference between a weak baseline and a strong one (Klenitskiy and Vasilev 2023). The other
losses are there to be compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from diffrec_lite.data import Batch
from diffrec_lite.layers import Positions, RelativePositions, TransformerBlock, causal_mask
from diffrec_lite.models import negatives
from diffrec_lite.models.base import Recommender, RecommenderSettings
from diffrec_lite.models.seen import SeenBias
from diffrec_lite.models.settings import SettingError, choice, number
from diffrec_lite.models.softmax import cross_entropy, prefixes
from diffrec_lite.noise import NormalNoise


@dataclass(frozen=True)
class TableSettings(RecommenderSettings):
    """The item table: its width `d`, `item_dropout`, and `item_std`, its vectors' initial standard deviation."""

    d: int = number(128, at_least=1)
    item_dropout: float = number(0.2, at_least=0, at_most=1)
    item_std: float = number(0.05, at_least=0)


@dataclass(frozen=True)
class EncoderSettings(TableSettings):
    """What networks have besides: `dropout`, and `seen_bias`, a number added to what was read (`SeenBias`)."""

    dropout: float = number(0.2, at_least=0, at_most=1)
    seen_bias: bool = False


class SequentialRecommender(Recommender):
    """An encoder that sees the past of each position, and an item table that its output is compared with.

    A subclass writes `encode`. Its settings are `TableSettings`, for most `EncoderSettings`.
    """

    learns_from = "sequences"

    def __init__(self, num_items: int, **settings: Any) -> None:
        super().__init__(num_items, **settings)
        s = self.settings
        self.item_embedding = self.table()
        self.item_dropout = nn.Dropout(s.item_dropout)
        self.norm = nn.LayerNorm(s.d)
        self.seen_bias = SeenBias() if getattr(s, "seen_bias", False) else None

    def table(self) -> nn.Embedding:
        """A vector for each item and, at 0, none for the padding."""
        table = nn.Embedding(self.num_items + 1, self.settings.d, padding_idx=0)
        nn.init.normal_(table.weight[1:], std=self.settings.item_std)
        return table

    def encode(self, history: Tensor, last: bool = False) -> Tensor:
        """`(B, L)` -> `(B, L, d)`: at each position, all that the history tells so far; with `last`, the last alone."""
        raise NotImplementedError

    def compared(self) -> Tensor:
        """The vectors of all items, `(V, d)`, with which the encoder's output is compared."""
        return self.item_embedding.weight

    def logits(self, x: Tensor, history: Tensor | None) -> Tensor:
        """`(N, d)` and what each has read, `(N, L)` -> `(N, V)`, padding at -inf."""
        scores = x @ self.compared().T
        if self.seen_bias is not None:
            scores = self.seen_bias(scores, history)
        scores[:, 0] = -torch.inf
        return scores

    def loss(self, batch: Batch, noise: NormalNoise, epoch: float = 0.0) -> dict[str, Tensor]:
        history, n = batch.history, batch.history.shape[1] if self.learns_from == "sequences" else 1
        following = (torch.cat([history[:, 1:], batch.target[:, None]], dim=1) * (history != 0))[:, -n:]
        read = prefixes(history, n) if self.seen_bias is not None else None
        return {"loss": self.compare(self.encode(history, last=n == 1)[:, -n:], following, read, noise)}

    def compare(self, x: Tensor, target: Tensor, read: Tensor | None, noise: NormalNoise) -> Tensor:
        """The loss of the outputs `x (B, n, d)` whose next items are `target (B, n)`: over the whole catalogue."""
        return cross_entropy(self.logits, x, target, read, self.num_items + 1)

    def score(
        self, history: Tensor, users: Sequence[int] | Tensor | None = None, steps: int | None = None, seed: int = 0
    ) -> Tensor:
        return self.logits(self.encode(history, last=True)[:, -1], history)


@dataclass(frozen=True)
class SASRecSettings(EncoderSettings):
    """`blocks`, `heads`: the Transformer.

    - `positions`: "recency", a vector for each place counted from the end (the original's), or "relative", a bias on
      the attention, for which a prefix is like a whole history.
    - `learns_from`: "sequences", every position at once, or "prefixes", one example for each.
    - `loss`: "softmax" over the catalogue, "sampled" (softmax among `negatives` items), or "bce" (the original's, with
      `negatives` = 1).
    - `tied`: the item vectors that are read are also those that are compared. Untied, there are two tables.
    - `input_norm`: a layer norm on the vectors that are read. Without it the blocks' answers drown the item vectors,
      which begin short.
    """

    blocks: int = number(2, at_least=1)
    heads: int = number(4, at_least=1)
    positions: str = choice("recency", "relative")
    learns_from: str = choice("sequences", "prefixes")
    loss: str = choice("softmax", "sampled", "bce")
    negatives: int = number(1, at_least=1)
    tied: bool = True
    input_norm: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.loss != "softmax" and self.seen_bias:
            raise SettingError("seen_bias needs loss='softmax': a few items drawn are hardly ever what was read")


class SASRec(SequentialRecommender):
    """A causal Transformer (Kang and McAuley 2018)."""

    Settings = SASRecSettings

    def __init__(self, num_items: int, **settings: Any) -> None:
        super().__init__(num_items, **settings)
        s = self.settings
        self.learns_from = s.learns_from
        self.output = None if s.tied else self.table()
        self.input_norm = nn.LayerNorm(s.d) if s.input_norm else nn.Identity()
        by_recency = s.positions == "recency"
        self.positions = Positions(s.max_len, s.d) if by_recency else None
        self.relative = None if by_recency else RelativePositions(s.heads, s.max_len)
        self.blocks = nn.ModuleList(TransformerBlock(s.d, s.heads, s.dropout) for _ in range(s.blocks))

    def encode(self, history: Tensor, last: bool = False) -> Tensor:
        e, mask = self.item_embedding(history), causal_mask(history != 0)
        if self.positions is not None:
            e = e + self.positions(e)
        else:
            mask = self.relative(mask, *mask.shape[2:])
        x = self.item_dropout(self.input_norm(e))
        for block in self.blocks[:-1]:
            x = block(x, mask)
        return self.norm(self.blocks[-1](x, mask, last=last))

    def compared(self) -> Tensor:
        return self.item_embedding.weight if self.output is None else self.output.weight

    def compare(self, x: Tensor, target: Tensor, read: Tensor | None, noise: NormalNoise) -> Tensor:
        s = self.settings
        if s.loss == "softmax":
            return super().compare(x, target, read, noise)
        others = negatives.draw(noise, target, self.num_items, s.negatives)
        e = self.compared()
        positive, negative = (x * e[target]).sum(-1), (e[others] @ x[..., None])[..., 0]
        return (negatives.sampled_softmax if s.loss == "sampled" else negatives.bce)(positive, negative, target)


@dataclass(frozen=True)
class GRU4RecSettings(EncoderSettings):
    """`layers` of GRU cells, with `dropout` between them and before the output."""

    layers: int = number(1, at_least=1)


class GRU4Rec(SequentialRecommender):
    """A recurrent network (Hidasi et al. 2016). Histories are moved to the left, so that it never reads padding."""

    Settings = GRU4RecSettings

    def __init__(self, num_items: int, **settings: Any) -> None:
        super().__init__(num_items, **settings)
        s = self.settings
        between = s.dropout if s.layers > 1 else 0.0
        self.gru = nn.GRU(s.d, s.d, s.layers, batch_first=True, dropout=between)
        self.dropout = nn.Dropout(s.dropout)

    def encode(self, history: Tensor, last: bool = False) -> Tensor:
        L = history.shape[1]
        padding = L - (history != 0).sum(1, keepdim=True)
        place = torch.arange(L, device=history.device)
        e = self.item_dropout(self.item_embedding(history.gather(1, (place + padding) % L)))
        back = ((place - padding) % L)[:, -1:] if last else (place - padding) % L
        x = self.gru(e)[0].gather(1, back[..., None].expand(-1, -1, e.shape[-1]))
        return self.norm(self.dropout(x))
