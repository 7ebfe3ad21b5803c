"""What DiffuRec, DiffuRecSys and DCRec share: an item table, a diffusion, and scoring by walking the reverse process.

A subclass says where its reverse process starts and how it denoises (`start`), and what its loss is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import get_args

import torch
from torch import Tensor, nn

from diffrec_lite.diffusion import GaussianDiffusion, State, Transition
from diffrec_lite.models.base import ModelError, Recommender
from diffrec_lite.noise import Noise, UserNoise

Denoise = Callable[[Tensor, int], Tensor]


class DiffusionRecommender(Recommender):
    """A recommender that denoises the vector of the next item and rounds it to the catalogue.

    - `d` width of the item vectors; `item_std` their initial standard deviation. The papers do not give it and the
      released programs leave PyTorch's 1; 0.05 is our choice, since it decides how fast everything learns.
    - `schedule`, `T`: the diffusion. `sampling_steps`: denoising steps at inference, T at most (None: all T).
    - `transition`: "posterior", "renoise" or "ddim" (`GaussianDiffusion.reverse`).
    - `samples`: how many seeds are averaged into one score distribution (DiffuRecSys Algorithm 3).
    """

    def __init__(
        self,
        num_items: int,
        max_len: int = 50,
        d: int = 128,
        item_std: float = 0.05,
        schedule: str = "trunc_lin",
        T: int = 32,
        sampling_steps: int | None = None,
        transition: str = "posterior",
        samples: int = 1,
    ) -> None:
        super().__init__(num_items, max_len)
        self.diffusion = GaussianDiffusion.of(schedule, T)
        if transition not in get_args(Transition):
            raise ModelError(f"transition must be one of {', '.join(get_args(Transition))}, got {transition!r}")
        if samples < 1 or (sampling_steps is not None and sampling_steps < 1):
            raise ModelError(f"samples and sampling_steps must be at least 1, got {samples} and {sampling_steps}")
        self.sampling_steps = T if sampling_steps is None else min(sampling_steps, T)
        self.transition = transition
        self.samples = samples
        self.item_embedding = nn.Embedding(num_items + 1, d, padding_idx=0)
        nn.init.normal_(self.item_embedding.weight[1:], std=item_std)

    def start(self, history: Tensor, noise: Noise) -> tuple[Tensor, Denoise]:
        """Where the reverse process starts, x_T, and the denoiser `denoise(x_t, t) -> x0_hat` for these histories."""
        raise NotImplementedError

    def target_of(self, x: Tensor) -> Tensor:
        """The target's vector `(B, d)` within a state of the reverse process."""
        return x

    def rounding(self, x0_hat: Tensor) -> Tensor:
        """Score every item by its inner product with the predicted vector: `(B, d)` -> `(B, V)`, padding at -inf."""
        scores = x0_hat @ self.item_embedding.weight.T
        return scores.index_fill(1, torch.zeros(1, dtype=torch.long, device=scores.device), -torch.inf)

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
        noise = UserNoise(seed, users, (history != 0).sum(1))
        x_T, denoise = self.start(history, noise)
        grid = self.diffusion.steps(self.sampling_steps if steps is None else steps)
        for state in self.diffusion.reverse(denoise, x_T, grid, noise, transition or self.transition):
            x0_hat = None if state.x0_hat is None else self.target_of(state.x0_hat)
            yield State(state.t, self.target_of(state.xt), x0_hat)

    def sample(self, history: Tensor, steps: int | None, seed: int, users) -> Tensor:
        """The last state of the trajectory: the predicted vector of the next item, `(B, d)`."""
        for state in self.trajectory(history, steps, seed, users):
            sample = state.xt
        return sample

    def score(
        self, history: Tensor, users: Sequence[int] | Tensor | None = None, steps: int | None = None, seed: int = 0
    ) -> Tensor:
        if self.samples == 1:
            return self.rounding(self.sample(history, steps, seed, users))
        draws = (self.rounding(self.sample(history, steps, seed + i, users)) for i in range(self.samples))
        return (sum(scores.softmax(-1) for scores in draws) / self.samples).log()
