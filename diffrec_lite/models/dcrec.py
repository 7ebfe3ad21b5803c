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
from diffrec_lite.layers import CondLN, PlainLN, Positions, StepEmbedding
from diffrec_lite.models.dcdt import DCDTBlock, Masks
from diffrec_lite.models.dcrec_settings import DCRecSettings
from diffrec_lite.models.denoiser import Denoise, DiffusionRecommender
from diffrec_lite.models.softmax import cross_entropy, prefixes
from diffrec_lite.noise import NormalNoise

AT_T = 1  # the noise stream that decides which examples are noised to step T; 0 is the diffusion's own


class DCRec(DiffusionRecommender):
    """The dual conditional diffusion model: the network is the DCDT, the loss has three parts."""

    Settings = DCRecSettings

    def __init__(self, num_items: int, **settings: Any) -> None:
        super().__init__(num_items, **settings)
        s = self.settings
        self.learns_from = "sequences" if s.causal else "prefixes"
        self.item_dropout = nn.Dropout(s.item_dropout)
        self.item_norm = nn.LayerNorm(s.d, elementwise_affine=False)
        self.positions = Positions(s.max_len, s.d) if s.positions in ("before", "after") else None
        self.slot = nn.Parameter(0.02 * torch.randn(s.d)) if s.slot else None
        self.step_embedding = StepEmbedding(s.d)
        how = "rows" if s.mask_rows else "keys" if not s.causal else "causal" if s.implicit else "alone"
        self.masks = Masks(how, s.positions == "relative", s.heads, s.max_len)
        self.blocks = nn.ModuleList(
            DCDTBlock(s.d, s.heads, s.dropout, s.cond_ln, s.explicit, s.copies) for _ in range(s.blocks)
        )
        self.norm = CondLN(s.d) if s.cond_ln else PlainLN(s.d)

    # ------------------------------------------------------------ what the network is given

    def embed(self, items: Tensor) -> Tensor:
        """Items `(B, L)` as vectors `(B, L, d)`: normalised, so noise and signal share a scale.

        The norm has no scale of its own: L_t and L_T would shrink it, and every item vector with it, to nothing.
        """
        e = self.item_embedding(items)
        e = e + self.positions(e) if self.settings.positions == "before" else e
        return self.item_norm(self.item_dropout(e))

    def clean(self, history: Tensor) -> Tensor:
        """H_0 `(B, L, d)`, the explicit condition."""
        H0 = self.embed(history)
        return H0 + self.positions(H0) if self.settings.positions == "after" else H0

    def condition(self, t: Tensor, H0: Tensor) -> Tensor:
        """What CondLN is told, position by position: the step and the clean item beside it, d_t + H_0."""
        d_t = self.step_embedding(t if t.dim() == 2 else t[:, None])
        return d_t + H0 if self.settings.explicit else d_t.expand_as(H0)

    def enter(self, St: Tensor, t: Tensor) -> Tensor:
        """The stream as it enters the network `(B, L, d)`: S_t itself, or the best linear guess of S_0 from it."""
        s, x = self.settings, St
        if s.stream == "guess":
            t_history, t_slot = (t[:, :-1], t[:, -1:]) if t.dim() == 2 else (t, t)
            history, slot = St[:, :-1], self.diffusion.linear_guess(St[:, -1:], t_slot, s.signal**2)
            if s.noise_on == "sequence":
                shift = s.delta / s.signal if s.delta_in_training else 0.0
                history = self.diffusion.linear_guess(history, t_history, s.signal**2, shift)
            x = torch.cat([history, slot], dim=1) / s.signal
        if s.positions == "after":
            x = x + F.pad(self.positions(x)[1:], (0, 0, 0, 1))  # the slot has no item, and so no place in the history
        if self.slot is not None:
            x = x + self.slot if s.causal else torch.cat([x[:, :-1], x[:, -1:] + self.slot], dim=1)
        return x

    def fuse(self, x: Tensor, H0: Tensor) -> Tensor:
        """Stream and clean history in one. DCRec keeps them apart: `x` stays as it is."""
        return x

    # ------------------------------------------------------------ the network

    def denoise(
        self, St: Tensor, t: Tensor, H0: Tensor, valid: Tensor, read: list | None = None, last: bool = False
    ) -> Tensor:
        """DCDT: S_0_hat `(B, L, d)` from the stream S_t, the step t `(B,)` or `(B, L)`, and the clean history H_0.

        `valid (B, L)` is True where the history, and the stream beside it, holds a real item. Without the implicit
        condition the stream is the target alone, `(B, 1, d)`. `read` holds what `self.read(H0)` gave, so that the
        history is read once for many steps. With `last` only the target's position is returned, `(B, 1, d)`.
        """
        condition = self.condition(t, H0)[:, -St.shape[1] :]
        masks = self.masks(valid, St.shape[1])
        x = self.fuse(self.enter(St, t), H0)
        for n, (block, history) in enumerate(zip(self.blocks, read or self.read(H0), strict=True), start=1):
            x = block(x, condition, history, *masks, last=last and n == len(self.blocks))
        return self.settings.signal * self.norm(x, condition[:, -x.shape[1] :])

    def read(self, H0: Tensor) -> list[tuple[Tensor, Tensor] | None]:
        """The clean history as each block reads it; it is the same at every step."""
        return [block.read(H0) for block in self.blocks]

    def target_of(self, x: Tensor) -> Tensor:
        return x[:, -1]

    def item_vectors(self) -> Tensor:
        """x_0 of every item as a target, `(V, d)`: embedded at the last position."""
        ids = torch.arange(self.num_items + 1, device=self.item_embedding.weight.device)
        return self.settings.signal * self.embed(ids[:, None])[:, 0]

    # ------------------------------------------------------------ training

    def loss(self, batch: Batch, noise: NormalNoise, epoch: float = 0.0) -> dict[str, Tensor]:
        s, history, valid = self.settings, batch.history, batch.history != 0
        following = torch.cat([history[:, 1:], batch.target[:, None]], dim=1)
        n = history.shape[1] if s.causal else 1  # so many positions, counted from the end, are targets
        S0 = s.signal * self.embed(following)[:, -(history.shape[1] if s.implicit else n) :]
        H0 = self.clean(history)
        t = self.draw_steps(noise, n)
        eps = noise(S0)
        if s.delta_in_training:
            eps = eps + s.delta / s.signal * self.known(history, S0)
        St = self.noised(S0, t, eps)
        S0_hat = self.denoise(St, t, H0, valid, last=s.prior == 0 and n == 1)

        lambda_, real, target = self.lambda_at(epoch), valid[:, -n:], (following * valid)[:, -n:]
        e0, e0_hat = S0[:, -n:], S0_hat[:, -n:]
        prior = self.mean(S0_hat.square(), valid[:, -S0_hat.shape[1] :])
        denoising = self.mean((e0_hat - (e0.detach() if s.detach_target else e0)).square(), real)
        read = prefixes(history, n) if s.seen_bias else None
        ranking = cross_entropy(self.inner, e0_hat, target, read, self.num_items + 1)
        loss = s.prior * prior + s.denoising * (1 - lambda_) * denoising + s.ranking * lambda_ * ranking
        return {"loss": loss, "prior": prior, "denoising": denoising, "ranking": ranking}

    def mean(self, x: Tensor, real: Tensor) -> Tensor:
        """The mean of `x (B, L, d)` where `real (B, L)` holds; all prefixes weigh alike, or all positions if causal."""
        x = x.mean(-1) * real
        return x.sum() / real.sum() if self.settings.causal else (x.sum(1) / real.sum(1)).mean()

    def draw_steps(self, noise: NormalNoise, n: int) -> Tensor:
        """The step of each example, `(B,)`, or of each of its n positions `(B, n)`: T for a share, else uniform."""
        s = self.settings
        length = n if s.step_for_each else None
        t = noise.integers(1, s.T, length)
        return torch.where(noise.uniform(AT_T, length) < s.share_at_T, s.T, t) if s.share_at_T else t

    def noised(self, S0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """S_t: the whole stream noised, or its last position alone (`noise_on="target"`)."""
        St = self.diffusion.q_sample(S0, t, eps)
        if self.settings.noise_on == "target":
            St = torch.cat([S0[:, :-1], St[:, -1:]], dim=1)
        return St

    def lambda_at(self, epoch: float) -> float:
        """lambda, the weight of ranking against denoising; E = `lambda_epochs`.

        smooth: 0.2 (1 - min(epoch, E) / E)^9 + 0.003. decline: a straight line from 0.203 to 0.003 at 80/150 of E.
        fix: 0.1. (DCRec Section 5; the line's ends are read off its figure.)
        """
        if self.settings.lambda_schedule == "fix":
            return 0.1
        progress = min(epoch / self.settings.lambda_epochs, 1.0)
        if self.settings.lambda_schedule == "smooth":
            return 0.2 * (1 - progress) ** 9 + 0.003
        return 0.2 * max(1 - progress * 150 / 80, 0.0) + 0.003

    # ------------------------------------------------------------ inference

    def start(self, history: Tensor, noise: NormalNoise, grid: list[int]) -> tuple[Tensor, Denoise]:
        """x_T = N(0, I) + delta H_0, the part of the stream that is known (DCRec Algorithm 2)."""
        s, valid, H0 = self.settings, history != 0, self.clean(history)
        known = self.known(history, H0 if s.implicit else H0[:, -1:])
        read = self.read(H0)

        def denoise(St: Tensor, t: int) -> Tensor:
            if s.noise_on == "target":
                St = torch.cat([known[:, :-1], St[:, -1:]], dim=1)
            times, final = torch.full((len(St),), t, device=St.device), t == grid[-2]
            S0_hat = self.denoise(St, times, H0, valid, read, last=final)
            if s.project and not final:
                target = s.signal * s.d**0.5 * F.normalize(S0_hat[:, -1:], dim=-1)
                S0_hat = torch.cat([known[:, :-1], target], dim=1)
            return S0_hat

        return noise(known, s.T) + s.delta / s.signal * known, denoise

    def known(self, history: Tensor, stream: Tensor) -> Tensor:
        """The stream as far as the history tells it, shaped like `stream`: [i_2 … i_n, 0]."""
        following = torch.cat([history[:, 1:], torch.zeros_like(history[:, :1])], dim=1)
        vectors = self.settings.signal * self.embed(following) * (following != 0)[..., None]
        return vectors[:, -stream.shape[1] :]

    def inner(self, x0_hat: Tensor, history: Tensor | None = None) -> Tensor:
        """Scores `(N, V)` by inner product with the item table, whose lengths hold popularity."""
        return self.biased(x0_hat / self.settings.signal @ self.item_embedding.weight.T, history)

    def rounding(self, x0_hat: Tensor, history: Tensor) -> Tensor:
        if self.settings.rounding_by == "inner":
            return self.inner(x0_hat, history)
        lengths = self.item_embedding.weight.norm(dim=1).clamp(min=1e-8)
        return self.biased(F.normalize(x0_hat, dim=-1) @ self.item_embedding.weight.T / lengths, history)
