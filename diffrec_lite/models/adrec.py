"""ADRec: every position of a history is a target with a step of its own, and only the last one is ever denoised.

    c_p     = Encoder(e_1 … e_p)                      a causal Transformer reads the clean history
    x_t^p   = sqrt(abar_t) x_0^p + sqrt(1 - abar_t) eps   x_0^p = e_{p+1}, and t is drawn for each position by itself
    z_p     = c_p + lambda * (x_t^p + d_t^p)
    x0_hat  = Denoiser(z_1 … z_p)                     a second causal Transformer
    loss    = cross-entropy of x0_hat · E^T + weight * mean of (x0_hat - x_0)²

At inference earlier targets are known, so they stand in their places clean (t = 0), and the last one is denoised.

Source: Chen, Xu and Jiang, "Unlocking the Power of Diffusion Models in Sequential Recommendation" (KDD 2025). The paper
starts from the item vectors of a trained SASRec; ours start at random, as all others here do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from diffrec_lite.data import Batch
from diffrec_lite.layers import Positions, StepEmbedding, TransformerBlock, causal_mask
from diffrec_lite.models.denoiser import Denoise, DiffusionRecommender, DiffusionSettings
from diffrec_lite.models.negatives import mean_over
from diffrec_lite.models.settings import number
from diffrec_lite.models.softmax import cross_entropy, prefixes
from diffrec_lite.noise import NormalNoise


@dataclass(frozen=True)
class ADRecSettings(DiffusionSettings):
    """What all diffusion models have, and:

    - `blocks`, `denoiser_blocks`: the two Transformers.
    - `quiet`: lambda, how loud the noised target is beside what the encoder says.
    - `input_norm`: a layer norm on the vectors of the history.
    - `denoising`: the weight of the squared error beside the cross-entropy.
    """

    blocks: int = number(2, at_least=1)
    denoiser_blocks: int = number(2, at_least=1)
    input_norm: bool = False
    quiet: float = number(0.001, at_least=0)
    denoising: float = number(1.0, at_least=0)


class ADRec(DiffusionRecommender):
    """Auto-regressive diffusion: a causal encoder, and a causal denoiser with a step for each position."""

    Settings = ADRecSettings
    learns_from = "sequences"

    def __init__(self, num_items: int, **settings: Any) -> None:
        super().__init__(num_items, **settings)
        s = self.settings
        self.item_dropout = nn.Dropout(s.item_dropout)
        self.positions = Positions(s.max_len, s.d)
        self.input_norm = nn.LayerNorm(s.d) if s.input_norm else nn.Identity()
        self.step_embedding = StepEmbedding(s.d)
        self.encoder = nn.ModuleList(TransformerBlock(s.d, s.heads, s.dropout) for _ in range(s.blocks))
        self.denoiser = nn.ModuleList(TransformerBlock(s.d, s.heads, s.dropout) for _ in range(s.denoiser_blocks))
        self.encoded, self.norm = nn.LayerNorm(s.d), nn.LayerNorm(s.d)

    def encode(self, history: Tensor) -> Tensor:
        """c `(B, L, d)`: at each position, what the clean history tells so far."""
        e, mask = self.item_embedding(history), causal_mask(history != 0)
        c = self.item_dropout(self.input_norm(e + self.positions(e)))
        for block in self.encoder:
            c = block(c, mask)
        return self.encoded(c)

    def denoise(self, c: Tensor, xt: Tensor, t: Tensor, valid: Tensor, last: bool = False) -> Tensor:
        """x0_hat `(B, L, d)` from c and x_t, `(B, L, d)`, and a step for each position, t `(B, L)`."""
        z, mask = c + self.settings.quiet * (xt + self.step_embedding(t)), causal_mask(valid)
        for block in self.denoiser[:-1]:
            z = block(z, mask)
        return self.norm(self.denoiser[-1](z, mask, last=last))

    def loss(self, batch: Batch, noise: NormalNoise, epoch: float = 0.0) -> dict[str, Tensor]:
        history, valid = batch.history, batch.history != 0
        n = history.shape[1]
        target = torch.cat([history[:, 1:], batch.target[:, None]], dim=1) * valid
        x0 = self.item_embedding(target)
        t = noise.integers(1, self.diffusion.T, n)
        x0_hat = self.denoise(self.encode(history), self.diffusion.q_sample(x0, t, noise(x0)), t, valid)
        read = prefixes(history, n) if self.seen_bias is not None else None
        ranking = cross_entropy(self.rounding, x0_hat, target, read, self.num_items + 1)
        denoising = mean_over((x0_hat - x0).square().mean(-1), target)
        loss = ranking + self.settings.denoising * denoising
        return {"loss": loss, "ranking": ranking, "denoising": denoising}

    def start(self, history: Tensor, noise: NormalNoise, grid: list[int]) -> tuple[Tensor, Denoise]:
        valid, c = history != 0, self.encode(history)
        known = self.item_embedding(history[:, 1:])  # the targets of all positions but the last

        def denoise(xt: Tensor, t: int) -> Tensor:
            times = torch.zeros_like(history)
            times[:, -1] = t
            return self.denoise(c, torch.cat([known, xt[:, None]], dim=1), times, valid, last=True)[:, -1]

        return noise(c[:, -1], self.diffusion.T), denoise
