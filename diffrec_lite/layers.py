"""The building blocks of every network here: step embedding, attention, conditional layer norm, Transformer blocks.

Shapes: `B` batch, `L` length, `d` width, `h` heads. A mask broadcasts over `(B, h, L_query, L_key)`: a boolean one says
True where a query may look at a key, one of numbers is added to the scores. Blocks are pre-norm: each sublayer reads a
normalised copy of the stream and adds its answer to it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# ---------------------------------------------------------------- masks and positions


def key_mask(valid: Tensor) -> Tensor:
    """`valid (B, L)`, True on real items -> mask `(B, 1, 1, L)`: nobody looks at padding."""
    return valid[:, None, None, :]


def causal_mask(valid: Tensor) -> Tensor:
    """`valid (B, L)` -> mask `(B, 1, L, L)`: look at real items up to yourself (a padded row sees only itself)."""
    L = valid.shape[1]
    past = torch.ones(L, L, dtype=torch.bool, device=valid.device).tril()
    itself = torch.eye(L, dtype=torch.bool, device=valid.device)
    return (past & valid[:, None, None, :]) | itself


def last_query(mask: Tensor | None) -> Tensor | None:
    """The part of a mask that is about the last query."""
    return mask if mask is None else mask[..., -1:, :]


def row_mask(valid: Tensor) -> Tensor:
    """The released programs' mask, `(B, 1, L, 1)` of numbers to add: it acts on query rows (ledger 9 and 16).

    A padded query gets the same penalty for every key, which tells it nothing about keys. Nothing hides padded keys.
    """
    return torch.zeros(valid.shape, device=valid.device).masked_fill(~valid, -1e9)[:, None, :, None]


class Positions(nn.Module):
    """A learned vector for each position, counted back from the most recent item, so padding never moves anyone."""

    def __init__(self, max_len: int, d: int) -> None:
        super().__init__()
        self.table = nn.Embedding(max_len, d)
        nn.init.normal_(self.table.weight, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """`x (B, L, d)` -> `(L, d)`, to be added to x."""
        recency = torch.arange(x.shape[1] - 1, -1, -1, device=x.device)
        return self.table(recency)


class RelativePositions(nn.Module):
    """A learned number for each head and each distance between a query and a key, to be added to the scores.

    Query j and key k of the same sequence are j - k apart. Nothing depends on where a sequence begins, so a prefix of a
    history is read exactly as it is inside the whole history.
    """

    def __init__(self, heads: int, max_len: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(heads, 2 * max_len + 1))

    def forward(self, mask: Tensor, queries: int, keys: int) -> Tensor:
        """A mask for the last `queries` of `keys` positions, bias included: `(B, h, queries, keys)`."""
        middle = self.table.shape[1] // 2
        place = torch.arange(keys, device=mask.device)
        distance = (place[-queries:, None] - place).clamp(-middle, middle) + middle
        bias = self.table[:, distance]
        return bias.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else bias + mask


# ---------------------------------------------------------------- the step


def sinusoid(t: Tensor, d: int) -> Tensor:
    """Sines and cosines of the step: `t (…)` -> `(…, d)`, d even (Vaswani et al. 2017, Section 3.5)."""
    half = d // 2
    frequency = torch.exp(-math.log(10_000) * torch.arange(half, device=t.device) / half)
    angle = t.float()[..., None] * frequency
    return torch.cat([angle.cos(), angle.sin()], dim=-1)


class StepEmbedding(nn.Module):
    """d_t: the step t as a vector, a sinusoid passed through a small network. `t (…)` -> `(…, d)`."""

    def __init__(self, d: int) -> None:
        super().__init__()
        if d % 2:
            raise ValueError(f"the width must be even for the step embedding, got {d}")
        self.d = d
        self.mlp = nn.Sequential(nn.Linear(d, 4 * d), nn.SiLU(), nn.Linear(4 * d, d))

    def forward(self, t: Tensor) -> Tensor:
        return self.mlp(sinusoid(t, self.d).to(self.mlp[0].weight.dtype))


# ---------------------------------------------------------------- attention


class Heads(nn.Module):
    """What both kinds of attention are made of: four linear maps, and features cut into heads.

    Raises ValueError unless `heads` divides `d`.
    """

    def __init__(self, d: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        if d % heads:
            raise ValueError(f"the width {d} must be a multiple of the number of heads {heads}")
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(d, d) for _ in range(4))
        self.dropout = nn.Dropout(dropout)

    def split(self, x: Tensor) -> Tensor:
        """`(B, L, d)` -> `(B, h, L, d / h)`."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    @staticmethod
    def join(x: Tensor) -> Tensor:
        """`(B, h, L, d / h)` -> `(B, L, d)`."""
        return x.transpose(1, 2).flatten(-2)


class Attention(Heads):
    """Multi-head attention: queries from `x (B, L, d)`, keys and values from `context (B, M, d)` -> `(B, L, d)`.

    softmax(Q K^T / sqrt(d / h)) V, head by head. Self-attention is `attention(x, x, mask)`. Dropout acts on the
    output and not on the weights, which keeps PyTorch's fused kernels in use on a CPU.
    """

    def forward(self, x: Tensor, context: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.look_up(x, self.read(context), mask)

    def begin_as_copy(self) -> None:
        """Let value and output begin as the identity: each head then averages its share of the context's features."""
        for linear in (self.value, self.out):
            nn.init.eye_(linear.weight)
            nn.init.zeros_(linear.bias)

    def read(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of `context`, each `(B, h, M, d / h)`: what can be kept while the queries change."""
        return self.split(self.key(context)), self.split(self.value(context))

    def look_up(self, x: Tensor, keys_and_values: tuple[Tensor, Tensor], mask: Tensor | None = None) -> Tensor:
        """What `forward` does, with a context that was read before."""
        q, (k, v) = self.split(self.query(x)), keys_and_values
        if q.dtype == torch.bfloat16 and q.device.type == "cpu":  # the fused kernel's way back is up to 10 times slower
            y = attention_map(q, k, mask).to(v.dtype) @ v
        else:
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=like_scores(mask, q))
        return self.dropout(self.out(self.join(y)))

    def weights(self, x: Tensor, context: Tensor, mask: Tensor | None = None) -> Tensor:
        """The attention map `(B, h, L, M)`: every row sums to 1."""
        return attention_map(self.split(self.query(x)), self.split(self.key(context)), mask)


def attention_map(q: Tensor, k: Tensor, mask: Tensor | None = None) -> Tensor:
    """softmax(Q K^T / sqrt(d / h)), `(B, h, L, M)`, from queries `(B, h, L, d / h)` and keys `(B, h, M, d / h)`."""
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask
    return scores.softmax(-1)


def like_scores(mask: Tensor | None, q: Tensor) -> Tensor | None:
    """An additive mask must have the dtype of the scores; a boolean one serves as it is."""
    return mask if mask is None or mask.dtype == torch.bool else mask.to(q.dtype)


class EfficientAttention(Heads):
    """Linear attention: the keys and values are first summed into one small matrix, then every query reads from it.

    G = softmax(K)^T V, over positions; Y = softmax(Q) G, over features (Shen et al. 2021; DiffuRecSys, Figure 2).
    Cost grows with L instead of L². `key_softmax="heads"` takes the keys' softmax over the heads, as the released
    program does (ledger 2).
    """

    def __init__(self, d: int, heads: int, dropout: float = 0.0, key_softmax: str = "positions") -> None:
        super().__init__(d, heads, dropout)
        if key_softmax not in ("positions", "heads"):
            raise ValueError(f"key_softmax must be 'positions' or 'heads', got {key_softmax!r}")
        self.key_softmax = key_softmax

    def forward(self, x: Tensor, context: Tensor, valid: Tensor | None = None) -> Tensor:
        """As `Attention`, but the mask is `valid (B, M)`, True on real items of the context."""
        G = self.summary(context, valid)
        y = self.split(self.query(x)).softmax(-1) @ G
        return self.dropout(self.out(self.join(y)))

    def summary(self, context: Tensor, valid: Tensor | None = None) -> Tensor:
        """G `(B, h, d / h, d / h)`: all that a query can ever learn about the context."""
        k, v = self.split(self.key(context)), self.split(self.value(context))
        real = torch.ones_like(k[:, :1, :, :1], dtype=torch.bool) if valid is None else valid[:, None, :, None]
        if self.key_softmax == "heads":
            k = k.softmax(1) * real
        else:
            k = k.masked_fill(~real, -torch.inf).softmax(-2)
        return k.transpose(-1, -2) @ v


# ---------------------------------------------------------------- normalisation


class CondLN(nn.Module):
    """Conditional layer norm: the condition, and not a fixed parameter, sets the scale and shift.

    LN(x) * (1 + scale) + shift, (shift, scale) = Linear(SiLU(condition)), zero at first, so that a new layer is a
    plain layer norm (DCRec Eqs. 15-16; Peebles and Xie 2023). `x` and `condition` are `(B, L, d)`, or the condition
    broadcasts over x.
    """

    def __init__(self, d: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(d, elementwise_affine=False)
        self.modulation = nn.Sequential(nn.SiLU(), nn.Linear(d, 2 * d))
        nn.init.zeros_(self.modulation[-1].weight)
        nn.init.zeros_(self.modulation[-1].bias)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        shift, scale = self.fields(condition)
        return self.norm(x) * (1 + scale) + shift

    def fields(self, condition: Tensor) -> tuple[Tensor, Tensor]:
        """The shift and the scale that `condition` asks for, each shaped like it."""
        shift, scale = self.modulation(condition).chunk(2, dim=-1)
        return shift, scale


class PlainLN(nn.LayerNorm):
    """Layer norm that takes a condition and ignores it: what CondLN is compared with."""

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        return super().forward(x)


# ---------------------------------------------------------------- blocks


class FeedForward(nn.Sequential):
    """Two linear maps with a GELU between them, four times as wide inside, position by position."""

    def __init__(self, d: int, dropout: float = 0.0) -> None:
        super().__init__(nn.Linear(d, 4 * d), nn.GELU(), nn.Dropout(dropout), nn.Linear(4 * d, d), nn.Dropout(dropout))


class TransformerBlock(nn.Module):
    """Self-attention, then feed-forward: `x (B, L, d)` -> `(B, L, d)`."""

    def __init__(self, d: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.attention = Attention(d, heads, dropout)
        self.feed_forward = FeedForward(d, dropout)

    def forward(self, x: Tensor, mask: Tensor | None = None, last: bool = False) -> Tensor:
        """With `last`, only the last position is computed, `(B, 1, d)`: what the last block of a stack is asked for."""
        h = self.norm1(x)
        if last:
            x, asked, mask = x[:, -1:], h[:, -1:], last_query(mask)
        else:
            asked = h
        x = x + self.attention(asked, h, mask)
        return x + self.feed_forward(self.norm2(x))
