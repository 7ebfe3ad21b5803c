"""What all diffusion models share: an item table, a diffusion, and scoring by walking the reverse process.

A subclass says where its reverse process starts and how it denoises (`start`), and what its loss is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn

from diffrec_lite.diffusion import GaussianDiffusion, State
from diffrec_lite.models.base import Recommender, RecommenderSettings
from diffrec_lite.models.seen import SeenBias
from diffrec_lite.models.settings import choice, number
from diffrec_lite.noise import Noise, NormalNoise, mix

Denoise = Callable[[Tensor, int], Tensor]


@dataclass(frozen=True)
class DiffusionSettings(RecommenderSettings):
    """Settings that all diffusion models have.

    - `d` width of the item vectors; `item_std` their initial standard deviation. The papers do not give it and the
      released programs leave PyTorch's 1; 0.05 is our choice, since it decides how fast everything learns.
    - `heads`, `dropout`, `item_dropout`: the Transformer and its dropouts.
    - `schedule`, `T`: the diffusion. `sampling_steps`: denoising steps at inference, T at most (None: all T).
    - `transition`: "posterior", "renoise" or "ddim" (`GaussianDiffusion.reverse`).
    - `samples`: how many seeds are averaged into one score distribution (DiffuRecSys Algorithm 3).
    - `seen_bias`: a learned number is added to the score of what the history holds (`SeenBias`).
    """

    d: int = number(128, at_least=1)
    heads: int = number(4, at_least=1)
    dropout: float = number(0.1, at_least=0, at_most=1)
    item_dropout: float = number(0.3, at_least=0, at_most=1)
    item_std: float = number(0.05, at_least=0)
    schedule: str = choice("trunc_lin", "linear", "scaled_linear", "cosine", "sqrt")
    T: int = number(32, at_least=2)
    sampling_steps: int | None = number(None, at_least=1)
    transition: str = choice("posterior", "renoise", "ddim")
    samples: int = number(1, at_least=1)
    seen_bias: bool = False


class DiffusionRecommender(Recommender):
    """A recommender that denoises the vector of the next item and rounds it to the catalogue."""

    def __init__(self, num_items: int, **settings: Any) -> None:
        super().__init__(num_items, **settings)
        s = self.settings
        self.diffusion = GaussianDiffusion.of(s.schedule, s.T)
        self.sampling_steps = s.T if s.sampling_steps is None else min(s.sampling_steps, s.T)
        self.item_embedding = nn.Embedding(num_items + 1, s.d, padding_idx=0)
        nn.init.normal_(self.item_embedding.weight[1:], std=s.item_std)
        self.seen_bias = SeenBias() if s.seen_bias else None

    def start(self, history: Tensor, noise: NormalNoise, grid: list[int]) -> tuple[Tensor, Denoise]:
        """Where the walk down `grid` starts, x_T, and the denoiser `denoise(x_t, t) -> x0_hat` for these histories."""
        raise NotImplementedError

    def target_of(self, x: Tensor) -> Tensor:
        """The target's vector `(B, d)` within a state of the reverse process."""
        return x

    def rounding(self, x0_hat: Tensor, history: Tensor) -> Tensor:
        """Scores `(B, V)` of all items: the inner product with the predicted vector `(B, d)`, padding at -inf."""
        return self.biased(x0_hat @ self.item_embedding.weight.T, history)

    def biased(self, scores: Tensor, history: Tensor | None) -> Tensor:
        """`scores (B, V)`, changed in place: the bias of what was read is added, the padding gets -inf."""
        if self.seen_bias is not None and history is not None:
            scores = self.seen_bias(scores, history)
        scores[:, 0] = -torch.inf
        return scores

    def item_vectors(self) -> Tensor:
        """The vectors x_0 of all items as the diffusion sees them, `(V, d)`; row 0 is the padding."""
        return self.item_embedding.weight

    def trajectory(
        self,
        history: Tensor,
        steps: int | None = None,
        seed: int = 0,
        users: Sequence[int] | Tensor | None = None,
        transition: str | None = None,
    ) -> Iterator[State]:
        """The reverse process as a generator: every State(t, xt, x0_hat), `(B, d)` each, of the target's vector.

        Defaults are the model's own settings. The same seed gives the same noise at the same step t, so a full and
        a skipped chain can be compared on shared noise. Wrap it in `list` to keep the whole trajectory.
        """
        users = range(len(history)) if users is None else users
        noise = Noise(seed, torch.as_tensor(users, device=history.device))
        grid = self.diffusion.steps(self.sampling_steps if steps is None else steps)
        x_T, denoise = self.start(history, noise, grid)
        for state in self.diffusion.reverse(denoise, x_T, grid, noise, transition or self.settings.transition):
            x0_hat = None if state.x0_hat is None else self.target_of(state.x0_hat)
            yield State(state.t, self.target_of(state.xt), x0_hat)

    def sample(self, history: Tensor, steps: int | None, seed: int, users: Sequence[int] | Tensor | None) -> Tensor:
        """The last state of the trajectory: the predicted vector of the next item, `(B, d)`."""
        for state in self.trajectory(history, steps, seed, users):
            sample = state.xt
        return sample

    def score(
        self, history: Tensor, users: Sequence[int] | Tensor | None = None, steps: int | None = None, seed: int = 0
    ) -> Tensor:
        samples = self.settings.samples
        seeds = [seed, *(mix(seed, i) for i in range(1, samples))]
        draws = (self.rounding(self.sample(history, steps, one, users), history) for one in seeds)
        if samples == 1:
            return next(draws)
        return reduce(torch.logaddexp, (scores.log_softmax(-1) for scores in draws)) - math.log(samples)
