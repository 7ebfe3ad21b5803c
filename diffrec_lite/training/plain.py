"""The plain way to train and to ask a model: right, short, and without any of this package's savings.

The same network and the same weights. Each prefix is an example by itself, padded to `max_len`; every block computes
every position; noise is torch's own, drawn on the CPU; the clean history is read again at each denoising step;
arithmetic is fp32; the optimizer is torch's Adam as it comes. It is what `bench` compares the package with.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from diffrec_lite.data import Batch, Split
from diffrec_lite.evaluation import device_of
from diffrec_lite.models.base import Recommender
from diffrec_lite.models.dcrec import DCRec
from diffrec_lite.models.denoiser import DiffusionRecommender
from diffrec_lite.models.diffurec import DiffuRec, DiffuRecSys
from diffrec_lite.models.hybrid import Hybrid
from diffrec_lite.models.sequential import GRU4Rec, SASRec
from diffrec_lite.noise import NormalNoise
from diffrec_lite.training.recipe import Recipe


class PlainNoise:
    """Random numbers for B rows, called like `Noise`: torch draws them on the CPU, one after the other."""

    def __init__(self, like: Tensor) -> None:
        self.B, self.device = len(like), like.device

    def __call__(self, like: Tensor, step: int = 0, stream: int = 0) -> Tensor:
        return torch.randn(like.shape).to(like)

    def uniform(self, stream: int = 0, length: int | None = None) -> Tensor:
        return torch.rand(self._shape(length)).to(self.device)

    def integers(self, low: int, high: int, length: int | None = None) -> Tensor:
        return torch.randint(low, high + 1, self._shape(length)).to(self.device)

    def _shape(self, length: int | None) -> tuple[int, ...]:
        return (self.B,) if length is None else (self.B, length)


class ReadsAgain(DCRec):
    """A DCRec, or kin of it, that keeps nothing of the clean history from one denoising step to the next."""

    def read(self, H0: Tensor) -> list:
        return []

    def denoise(
        self, St: Tensor, t: Tensor, H0: Tensor, valid: Tensor, read: list | None = None, last: bool = False
    ) -> Tensor:
        return super().denoise(St, t, H0, valid, super().read(H0), last)


class PlainHybrid(ReadsAgain, Hybrid):
    """The hybrid, reading again."""


class PrefixGRU4Rec(GRU4Rec):
    """GRU4Rec that learns from the last position of each prefix only."""

    learns_from = "prefixes"


def twin(model: Recommender, kind: type[Recommender], **changes: Any) -> Recommender:
    """A model of another kind with the same weights."""
    made = kind(model.num_items, **{**model.settings.as_dict(), **changes})
    made.load_state_dict(model.state_dict())
    return made.to(device_of(model))


# What learns from each prefix by itself, or can be made to.
KINDS = (DiffuRec, DiffuRecSys, DCRec, Hybrid, SASRec, GRU4Rec)


def of_prefixes(model: Recommender) -> Recommender:
    """The same network as a model that learns from each prefix by itself. The model is one of `KINDS`."""
    if isinstance(model, DCRec):
        return twin(model, type(model), causal=False, step_for_each=False)
    if isinstance(model, SASRec):
        return twin(model, SASRec, learns_from="prefixes")
    return twin(model, PrefixGRU4Rec if isinstance(model, GRU4Rec) else type(model))


def plain(model: Recommender) -> Recommender:
    """The same model, without its savings."""
    made = twin(model, {DCRec: ReadsAgain, Hybrid: PlainHybrid}.get(type(model), type(model)))
    for block in getattr(made, "blocks", []):
        block.register_forward_pre_hook(_everywhere, with_kwargs=True)
    return made


def _everywhere(block: nn.Module, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
    """A block's arguments, with every position asked for and not the last alone."""
    return args, {**kwargs, "last": False}


def padded(split: Split, indices: Tensor, max_len: int, device: torch.device) -> Batch:
    """The batch of these examples with every history padded to `max_len`."""
    return Batch(*(column.to(device) for column in split.batch(indices, max_len, width=max_len)))


def train_step(model: Recommender, batch: Batch, optimizer: torch.optim.Optimizer, recipe: Recipe) -> None:
    """One step of training a `plain` model."""
    optimizer.zero_grad()
    model(batch, PlainNoise(batch.history))["loss"].backward()
    nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
    optimizer.step()


def scores(model: Recommender, history: Tensor, noise: NormalNoise, steps: int) -> Tensor:
    """The scores `(B, V)` of a `plain` model after so many denoising steps; a model without them ignores the number."""
    if not isinstance(model, DiffusionRecommender):
        return model.score(history)
    grid = model.diffusion.steps(steps)
    x_T, denoise = model.start(history, noise, grid)
    for state in model.diffusion.reverse(denoise, x_T, grid, noise, model.settings.transition):
        x = state.xt
    return model.rounding(model.target_of(x), history)
