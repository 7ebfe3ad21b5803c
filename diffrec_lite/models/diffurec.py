"""DiffuRec, and DiffuRecSys = DiffuRec + cross-attention + offset noise.

The target's vector x_0 is noised to x_t. The noised vector and the step are laid over every item of the history,
and a Transformer (the Approximator) reads the result and predicts x_0:

    x_t     = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps
    u_i     = lambda_i * (x_t + d_t)                       lambda_i ~ N(delta, delta), elementwise
    z_i     = e_i + u_i                                    DiffuRec: additive fusion
    z_i     = e_i + CrossAttention(e_i, u_1 … u_n)         DiffuRecSys: queries e_i; keys and values u
    x0_hat  = Transformer(z_1 … z_n), last position
    loss    = cross-entropy of x0_hat · E^T against the target

Sources: DiffuRec (Li, Sun, Li 2023), Section 4; DiffuRecSys (Zolghadr, Winther, Jeha 2024), Section 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffrec_lite.data import Batch
from diffrec_lite.diffusion import offset_noise
from diffrec_lite.layers import (
    Attention,
    EfficientAttention,
    Positions,
    StepEmbedding,
    TransformerBlock,
    key_mask,
    row_mask,
)
from diffrec_lite.models.denoiser import Denoise, DiffusionRecommender, DiffusionSettings
from diffrec_lite.models.settings import choice, number
from diffrec_lite.noise import NormalNoise

LAMBDA = 1  # the noise streams: 0 is the diffusion's own
OFFSET = 2


@dataclass(frozen=True)
class DiffuRecSettings(DiffusionSettings):
    """DiffuRec, with DiffuRecSys's two additions on switches.

    - `blocks`: the Approximator.
    - `delta`: mean and standard deviation of lambda. 0 leaves a plain Transformer over the history, no diffusion.
    - `positions`: learned positional embeddings. Neither paper has them and neither released program uses them;
      without them only the last item's place matters (ledger 10).
    - `input_norm`: a layer norm on the vectors of the history. No paper prints one, and the released programs have it
      (ledger 40): without it the blocks' answers drown the item vectors, which begin short.
    - `cross_attention`: "none" (additive fusion), "efficient" (linear attention, DiffuRecSys Figure 2) or "softmax".
    - `residual`: keep e_i beside the cross-attention. As printed, z_i = CrossAttention(e_i, u), without e_i. Then the
      history reaches the Transformer only as a weighting of the noised target; we add it back by default.
    - `offset_mean`, `offset_strength`: the two forms of offset noise, in training only (`offset_noise`).
    - Released programs: `mask_rows` (ledger 9), `only_last_block` (1), `key_softmax_over_heads` (2),
      `query_from_target` (4: the noised target asks, the history answers).
    """

    blocks: int = number(4, at_least=1)
    delta: float = number(0.001, at_least=0)
    positions: bool = False
    input_norm: bool = False
    cross_attention: str = choice("none", "efficient", "softmax")
    residual: bool = True
    offset_mean: float = number(0.0)
    offset_strength: float = number(0.0, at_least=0)
    mask_rows: bool = False
    only_last_block: bool = False
    key_softmax_over_heads: bool = False
    query_from_target: bool = False


@dataclass(frozen=True)
class DiffuRecSysSettings(DiffuRecSettings):
    """DiffuRec with cross-attention and offset noise (V2 of the paper; `offset_mean=0` gives V1).

    eps ~ N(0.1 delta_c, I) and delta_c is stated nowhere; offset_mean = 0.1, delta_c = 1, is our choice.
    """

    cross_attention: str = choice("efficient", "none", "softmax")
    offset_mean: float = number(0.1)


class DiffuRec(DiffusionRecommender):
    """The noised target is laid over the history, and a Transformer predicts the target's vector."""

    Settings = DiffuRecSettings

    def __init__(self, num_items: int, **settings) -> None:
        super().__init__(num_items, **settings)
        s = self.settings
        self.item_dropout = nn.Dropout(s.item_dropout)
        self.step_embedding = StepEmbedding(s.d)
        self.positions = Positions(s.max_len, s.d) if s.positions else None
        self.input_norm = nn.LayerNorm(s.d) if s.input_norm else nn.Identity()
        if s.cross_attention == "none":
            self.cross_attention = None
        elif s.cross_attention == "efficient":
            key_softmax = "heads" if s.key_softmax_over_heads else "positions"
            self.cross_attention = EfficientAttention(s.d, s.heads, s.dropout, key_softmax)
        else:
            self.cross_attention = Attention(s.d, s.heads, s.dropout)
        self.blocks = nn.ModuleList(TransformerBlock(s.d, s.heads, s.dropout) for _ in range(s.blocks))
        self.norm = nn.LayerNorm(s.d)

    # ------------------------------------------------------------ the network

    def embed(self, history: Tensor) -> Tensor:
        """e_1 … e_n `(B, L, d)`, with dropout, and with positions and a norm where they are switched on."""
        e = self.item_embedding(history)
        e = e if self.positions is None else e + self.positions(e)
        return self.item_dropout(self.input_norm(e))

    def fuse(self, e: Tensor, xt: Tensor, t: Tensor, valid: Tensor, noise: NormalNoise, step: int = 0) -> Tensor:
        """z `(B, L, d)`: the noised target x_t `(B, d)` and the step t `(B,)` laid over the history e `(B, L, d)`."""
        lambda_ = self.settings.delta * (1 + noise(e, step, LAMBDA))
        u = lambda_ * (xt + self.step_embedding(t))[:, None, :]
        if self.cross_attention is None:
            return e + u
        query, context = (u, e) if self.settings.query_from_target else (e, u)
        mask = valid if isinstance(self.cross_attention, EfficientAttention) else key_mask(valid)
        attended = self.cross_attention(query, context, mask)
        return e + attended if self.settings.residual else attended

    def approximate(self, z: Tensor, valid: Tensor) -> Tensor:
        """The Transformer: z `(B, L, d)` -> x0_hat `(B, d)`, read off at the last position."""
        mask = row_mask(valid) if self.settings.mask_rows else key_mask(valid)
        if not self.settings.only_last_block:
            for block in self.blocks[:-1]:
                z = block(z, mask)
        z = self.blocks[-1](z, mask, last=True)
        return self.norm(z[:, -1])

    # ------------------------------------------------------------ training

    def loss(self, batch: Batch, noise: NormalNoise, epoch: float = 0.0) -> dict[str, Tensor]:
        valid = batch.history != 0
        x0 = self.item_embedding(batch.target)
        t = noise.integers(1, self.diffusion.T)
        s = self.settings
        draw = noise(x0[:, :1], 0, OFFSET) if s.offset_strength else None
        eps = offset_noise(noise(x0), s.offset_mean, s.offset_strength, draw)
        xt = self.diffusion.q_sample(x0, t, eps)
        z = self.fuse(self.embed(batch.history), xt, t, valid, noise)
        loss = F.cross_entropy(self.rounding(self.approximate(z, valid), batch.history), batch.target)
        return {"loss": loss}

    # ------------------------------------------------------------ inference

    def start(self, history: Tensor, noise: NormalNoise, grid: list[int]) -> tuple[Tensor, Denoise]:
        valid = history != 0
        e = self.embed(history)
        x_T = noise(e[:, -1], self.diffusion.T)

        def denoise(xt: Tensor, t: int) -> Tensor:
            times = torch.full((len(xt),), t, device=xt.device)
            return self.approximate(self.fuse(e, xt, times, valid, noise, t), valid)

        return x_T, denoise


class DiffuRecSys(DiffuRec):
    """DiffuRec with cross-attention and offset noise."""

    Settings = DiffuRecSysSettings
