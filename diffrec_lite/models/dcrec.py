"""DCRec: the history conditions the diffusion twice, noised inside the sequence and clean outside it.

    S_0     = [i_2 … i_n, target]                      the stream: history and target, as vectors
    H_0     = [i_1 … i_n]                              the clean history, each item beside the one that follows it
    S_t     = sqrt(abar_t) S_0 + sqrt(1 - abar_t) eps  implicit condition: the whole stream is noised
    S_0_hat = DCDT(S_t, t, H_0)                        explicit condition: the clean history guides every step
    e_0_hat = S_0_hat, last position

    L   = L_T + (1 - lambda) L_t + lambda L_z
    L_T = mean of S_0_hat²                prior matching: keeps what is noised to step T near N(0, I)
    L_t = mean of (e_0_hat - e_0)²        denoising: the target's vector is found again
    L_z = cross-entropy over the items    ranking: and it is nearer to the target than to any other item

Source: Huang et al., "Dual Conditional Diffusion Models for Sequential Recommendation" (WSDM 2026), Section 4.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffrec_lite.data import Batch
from diffrec_lite.layers import (
    Attention,
    CondLN,
    FeedForward,
    PlainLN,
    Positions,
    StepEmbedding,
    key_mask,
    row_mask,
)
from diffrec_lite.models.base import ModelError
from diffrec_lite.models.denoiser import Denoise, DiffusionRecommender
from diffrec_lite.noise import Noise


class DCDTBlock(nn.Module):
    """One block of the Dual Conditional Diffusion Transformer. Every sublayer adds to the stream `x (B, L, d)`.

    1. CondLN, then self-attention over the noised stream: the implicit condition.
    2. LN, then cross-attention to the clean history `h (B, M, d)`: the explicit condition.
    3. LN, then feed-forward.
    """

    def __init__(self, d: int, heads: int, dropout: float, cond_ln: bool, explicit: bool) -> None:
        super().__init__()
        self.norm1 = CondLN(d) if cond_ln else PlainLN(d)
        self.self_attention = Attention(d, heads, dropout)
        self.explicit = explicit
        if explicit:
            self.norm2, self.norm_history = nn.LayerNorm(d), nn.LayerNorm(d)
            self.cross_attention = Attention(d, heads, dropout)
        self.norm3 = nn.LayerNorm(d)
        self.feed_forward = FeedForward(d, dropout)

    def forward(self, x: Tensor, condition: Tensor, h: Tensor, stream_mask: Tensor, history_mask: Tensor) -> Tensor:
        y = self.norm1(x, condition)
        x = x + self.self_attention(y, y, stream_mask)
        if self.explicit:
            x = x + self.cross_attention(self.norm2(x), self.norm_history(h), history_mask)
        return x + self.feed_forward(self.norm3(x))


class DCRec(DiffusionRecommender):
    """DCRec with every part on a switch.

    - `blocks`, `heads`, `dropout`, `item_dropout`: the DCDT and its dropouts.
    - `implicit`: False leaves the history out of the stream, S_0 = [target] ("explicit only").
    - `explicit`: False removes the clean history, so CondLN sees the step alone ("implicit only").
    - `cond_ln`: False puts a plain layer norm in CondLN's place.
    - `noise_on`: "sequence", or "target", where the history inside the stream stays clean.
    - `delta`: sampling starts from N(0, I) + delta H_0 (Algorithm 2).
    - `positions`: learned positional embeddings, added before the noise.
    - `prior`, `denoising`, `ranking`: the weights of L_T, L_t and L_z; 0 switches a loss off.
    - `lambda_schedule`: "smooth", "decline" or "fix", over `lambda_epochs` epochs; see `lambda_at`.
    - `rounding_by`: "cosine" (the paper) or "inner" (the released program) when items are ranked.
    - Released program: `mask_rows` (ledger 16), `delta_in_training` (adds delta H_0 to the training noise too),
      `transition="posterior"` (17; the paper re-noises).
    """

    def __init__(
        self,
        num_items: int,
        blocks: int = 4,
        heads: int = 4,
        dropout: float = 0.1,
        item_dropout: float = 0.4,
        implicit: bool = True,
        explicit: bool = True,
        cond_ln: bool = True,
        noise_on: str = "sequence",
        delta: float = 0.1,
        positions: bool = True,
        prior: float = 1.0,
        denoising: float = 1.0,
        ranking: float = 1.0,
        lambda_schedule: str = "smooth",
        lambda_epochs: int = 150,
        rounding_by: str = "cosine",
        mask_rows: bool = False,
        delta_in_training: bool = False,
        schedule: str = "scaled_linear",
        T: int = 50,
        transition: str = "renoise",
        **shared: Any,
    ) -> None:
        super().__init__(num_items, schedule=schedule, T=T, transition=transition, **shared)
        _choose("noise_on", noise_on, "sequence", "target")
        _choose("rounding_by", rounding_by, "cosine", "inner")
        _choose("lambda_schedule", lambda_schedule, "smooth", "decline", "fix")
        if not implicit and not explicit:
            raise ModelError("implicit and explicit are both off: nothing would tell the model about the history")
        d = self.item_embedding.embedding_dim
        self.implicit, self.explicit = implicit, explicit
        self.noise_on, self.delta, self.delta_in_training = noise_on, delta, delta_in_training
        self.prior, self.denoising, self.ranking = prior, denoising, ranking
        self.lambda_schedule, self.lambda_epochs = lambda_schedule, lambda_epochs
        self.rounding_by, self.mask_rows = rounding_by, mask_rows
        self.item_dropout = nn.Dropout(item_dropout)
        self.item_norm = nn.LayerNorm(d, elementwise_affine=False)
        self.positions = Positions(self.max_len, d) if positions else None
        self.step_embedding = StepEmbedding(d)
        self.blocks = nn.ModuleList(DCDTBlock(d, heads, dropout, cond_ln, explicit) for _ in range(blocks))
        self.norm = CondLN(d) if cond_ln else PlainLN(d)

    # ------------------------------------------------------------ the network

    def embed(self, items: Tensor) -> Tensor:
        """Items `(B, L)` as the vectors that are noised, `(B, L, d)`: normalised, so noise and signal share a scale.

        The norm has no scale of its own: L_t and L_T would shrink it, and every item vector with it, to nothing.
        """
        e = self.item_embedding(items)
        e = e if self.positions is None else e + self.positions(e)
        return self.item_norm(self.item_dropout(e))

    def denoise(self, St: Tensor, t: Tensor, H0: Tensor, valid: Tensor) -> Tensor:
        """DCDT: S_0_hat `(B, L, d)` from the noised stream S_t, the step t `(B,)` and the clean history H_0.

        `valid (B, L)` is True where the history, and the stream beside it, holds a real item. Without the implicit
        condition the stream is the target alone, `(B, 1, d)`.
        """
        condition = self.condition(t, H0)[:, -St.shape[1] :]
        make_mask = row_mask if self.mask_rows else key_mask
        stream_valid = valid[:, -St.shape[1] :]
        stream_mask = make_mask(stream_valid)
        history_mask = row_mask(stream_valid) if self.mask_rows else key_mask(valid)
        x = St
        for block in self.blocks:
            x = block(x, condition, H0, stream_mask, history_mask)
        return self.norm(x, condition)

    def condition(self, t: Tensor, H0: Tensor) -> Tensor:
        """What CondLN is told, position by position: the step and the clean item beside it, d_t + H_0."""
        d_t = self.step_embedding(t)[:, None, :]
        return d_t + H0 if self.explicit else d_t.expand_as(H0)

    def target_of(self, x: Tensor) -> Tensor:
        return x[:, -1]

    def item_vectors(self) -> Tensor:
        """x_0 of every item as a target, `(V, d)`: embedded at the last position."""
        ids = torch.arange(self.num_items + 1, device=self.item_embedding.weight.device)
        return self.embed(ids[:, None])[:, 0]

    # ------------------------------------------------------------ training

    def loss(self, batch: Batch, noise: Noise, epoch: float = 0.0) -> dict[str, Tensor]:
        history, target = batch.history, batch.target
        valid = history != 0
        following = torch.cat([history[:, 1:], target[:, None]], dim=1)
        S0, H0 = self.embed(following), self.embed(history)
        if not self.implicit:
            S0 = S0[:, -1:]
        t = noise.integers(1, self.diffusion.T, len(S0)).to(S0.device)
        eps = noise(S0)
        if self.delta_in_training:
            eps = eps + self.delta * self.known(history, S0)
        St = self.noised(S0, t, eps)
        S0_hat = self.denoise(St, t, H0, valid)
        e0, e0_hat = S0[:, -1], S0_hat[:, -1]

        lambda_ = self.lambda_at(epoch)
        real = valid[:, -S0_hat.shape[1] :, None]
        prior = (S0_hat.square() * real).sum() / (real.sum() * S0_hat.shape[-1])
        denoising = F.mse_loss(e0_hat, e0)
        ranking = F.cross_entropy(super().rounding(e0_hat), target)
        loss = self.prior * prior + self.denoising * (1 - lambda_) * denoising + self.ranking * lambda_ * ranking
        return {"loss": loss, "prior": prior, "denoising": denoising, "ranking": ranking}

    def noised(self, S0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """S_t: the whole stream noised, or its last position alone (`noise_on="target"`)."""
        St = self.diffusion.q_sample(S0, t, eps)
        if self.noise_on == "target":
            St = torch.cat([S0[:, :-1], St[:, -1:]], dim=1)
        return St

    def lambda_at(self, epoch: float) -> float:
        """lambda, the weight of ranking against denoising; E = `lambda_epochs`.

        smooth: 0.2 (1 - min(epoch, E) / E)^9 + 0.003. decline: a straight line from 0.203 to 0.003 at 80/150 of E.
        fix: 0.1. (DCRec Section 5; the line's ends are read off its figure.)
        """
        if self.lambda_schedule == "fix":
            return 0.1
        progress = min(epoch / self.lambda_epochs, 1.0)
        if self.lambda_schedule == "smooth":
            return 0.2 * (1 - progress) ** 9 + 0.003
        return 0.2 * max(1 - progress * 150 / 80, 0.0) + 0.003

    # ------------------------------------------------------------ inference

    def start(self, history: Tensor, noise: Noise) -> tuple[Tensor, Denoise]:
        """x_T = N(0, I) + delta H_0, the part of the stream that is known (DCRec Algorithm 2)."""
        valid = history != 0
        H0 = self.embed(history)
        stream = H0 if self.implicit else H0[:, -1:]
        known = self.known(history, stream)
        x_T = noise(stream, self.diffusion.T) + self.delta * known

        def denoise(St: Tensor, t: int) -> Tensor:
            if self.noise_on == "target":
                St = torch.cat([known[:, :-1], St[:, -1:]], dim=1)
            times = torch.full((len(St),), t, device=St.device)
            return self.denoise(St, times, H0, valid)

        return x_T, denoise

    def known(self, history: Tensor, stream: Tensor) -> Tensor:
        """The stream as far as the history tells it, shaped like `stream`: [i_2 … i_n, 0]."""
        following = torch.cat([history[:, 1:], torch.zeros_like(history[:, :1])], dim=1)
        vectors = self.embed(following) * (following != 0)[..., None]
        return vectors[:, -stream.shape[1] :]

    def rounding(self, x0_hat: Tensor) -> Tensor:
        if self.rounding_by == "cosine":
            lengths = self.item_embedding.weight.norm(dim=1).clamp(min=1e-8)
            return super().rounding(F.normalize(x0_hat, dim=-1)) / lengths
        return super().rounding(x0_hat)


def _choose(name: str, value: str, *choices: str) -> None:
    if value not in choices:
        raise ModelError(f"{name} must be one of {', '.join(choices)}, got {value!r}")
