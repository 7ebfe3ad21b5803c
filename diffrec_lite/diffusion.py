"""Gaussian diffusion on item vectors: noise goes in step by step, and a denoiser takes it out again.

Steps run t = 0 … T. Step 0 is clean data and step T is almost pure noise. Every array below is indexed by t, so
`abar[t]` in the code is abar_t on paper, and `abar[0] = 1`.

    q(x_t | x_0)        = N(sqrt(abar_t) x_0, (1 - abar_t) I)            forward, in one jump
    q(x_s | x_t, x_0)   = N(posterior mean, posterior variance I)        backward, from t to any earlier s
    abar_t              = (1 - beta_1) (1 - beta_2) … (1 - beta_t)

Nothing here knows of networks. A denoiser is any function `denoise(x_t, t) -> x0_hat`.
Source: Ho, Jain, Abbeel (2020), Eqs. 4, 6 and 7; Song, Meng, Ermon (2021), Eq. 12.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from diffrec_lite.noise import NormalNoise

Transition = Literal["posterior", "renoise", "ddim"]
SCHEDULES = ("linear", "cosine", "sqrt", "trunc_lin", "scaled_linear")


def schedule(name: str, T: int) -> Tensor:
    """The noise schedule beta_1 … beta_T, float64 `(T,)`, every beta in (0, 1).

    - `linear`: 0.0001 to 0.02 whatever T is (Ho et al. 2020, made for T = 1000).
    - `scaled_linear`: the same line times 1000 / T, so that few steps destroy as much (DCRec).
    - `trunc_lin`: the scaled line raised by 0.01 (DiffuRec, DiffuRecSys). The released programs let its last beta drop
      where it would pass 1, so at T <= 20 they end at abar_T near 0.5 (ledger 39); here it is clamped like the others.
    - `cosine`: abar falls like a squared cosine (Nichol and Dhariwal 2021).
    - `sqrt`: abar falls like 1 - sqrt(t / T) (Li et al. 2022, Diffusion-LM).

    Raises ValueError for an unknown name or T < 2: a line needs both its ends. Where T is small a scaled line would
    pass 1: betas stop at 0.999.
    """
    if T < 2:
        raise ValueError(f"a schedule needs T >= 2 steps, got {T}")
    scale = 1000 / T
    time = torch.arange(T + 1, dtype=torch.float64) / T
    if name == "linear":
        beta = torch.linspace(1e-4, 0.02, T, dtype=torch.float64)
    elif name == "scaled_linear":
        beta = torch.linspace(scale * 1e-4, scale * 0.02, T, dtype=torch.float64)
    elif name == "trunc_lin":
        beta = torch.linspace(scale * 1e-4 + 0.01, scale * 0.02 + 0.01, T, dtype=torch.float64)
    elif name == "cosine":
        beta = _betas_from_abar(torch.cos((time + 0.008) / 1.008 * math.pi / 2) ** 2)
    elif name == "sqrt":
        beta = _betas_from_abar(1 - torch.sqrt(time + 1e-4))
    else:
        raise ValueError(f"unknown schedule {name!r}; choose one of {', '.join(SCHEDULES)}")
    return beta.clamp(max=0.999)


def _betas_from_abar(abar: Tensor) -> Tensor:
    return 1 - abar[1:] / abar[:-1]


def offset_noise(eps: Tensor, mean: float = 0.0, strength: float = 0.0, draw: Tensor | None = None) -> Tensor:
    """Shift standard normal `eps (B, …, d)` in one of the two ways that are both called offset noise.

    - `mean`: the same constant for every number, so eps ~ N(mean, I). This is what DiffuRecSys prints, with
      mean = 0.1 * delta_c.
    - `strength`: one extra random number for each example, shared by all its features,
      `eps + strength * draw` with `draw (B,)` standard normal. This is the trick of image generation.

    Raises ValueError when `strength` is set and `draw` is missing.
    """
    if strength and draw is None:
        raise ValueError("offset noise per example needs `draw`, one standard normal number for each example")
    eps = eps + mean
    if strength:
        eps = eps + strength * draw.reshape(-1, *[1] * (eps.dim() - 1))
    return eps


class State(NamedTuple):
    """One state of the reverse process: the step `t`, the vector `xt (B, …, d)` and the prediction that led to it."""

    t: int
    xt: Tensor
    x0_hat: Tensor | None


class GaussianDiffusion:
    """The forward process, its exact posterior, and the reverse process as a generator of states.

    `beta (T,)` holds beta_1 … beta_T, each in (0, 1). Raises ValueError otherwise.
    """

    def __init__(self, beta: Tensor) -> None:
        beta = torch.as_tensor(beta, dtype=torch.float64)
        if beta.dim() != 1 or len(beta) == 0 or not bool(((beta > 0) & (beta < 1)).all()):
            raise ValueError("beta must be a non-empty vector of numbers strictly between 0 and 1")
        self.T = len(beta)
        self.beta = torch.cat([torch.zeros(1, dtype=torch.float64), beta])
        self.alpha = 1 - self.beta
        self.abar = self.alpha.cumprod(0)
        self._copies: dict[torch.device, Tensor] = {}  # of abar

    @classmethod
    def of(cls, name: str, T: int) -> GaussianDiffusion:
        """The diffusion of a named schedule."""
        return cls(schedule(name, T))

    def q_sample(self, x0: Tensor, t: Tensor | int, eps: Tensor) -> Tensor:
        """Noise `x0 (B, …, d)` to step t: x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps.

        `t` is a number, `(B,)`, or `(B, L)` where every position of a sequence has a step of its own.
        """
        abar = self._abar(t, x0)
        return abar.sqrt() * x0 + (1 - abar).sqrt() * eps

    def linear_guess(self, xt: Tensor, t: Tensor | int, variance: float = 1.0, shift: float = 0.0) -> Tensor:
        """The best linear guess of x_0 from `xt (B, …, d)` alone, where x_0 has this variance and mean 0.

        With x_t = k x_0 + sqrt(1 - abar_t) eps it is k v / (k² v + 1 - abar_t) x_t: all of x_t at t = 0, next to
        nothing at t = T. k is sqrt(abar_t), plus shift * sqrt(1 - abar_t) if the noise was shifted by `shift` x_0.
        """
        abar = self._abar(t, xt)
        k = abar.sqrt() + shift * (1 - abar).sqrt()
        return k * variance / (k.square() * variance + 1 - abar) * xt

    def snr(self, t: Tensor | int) -> Tensor:
        """Signal-to-noise ratio abar_t / (1 - abar_t), float64; infinite at t = 0."""
        abar = self.abar[t]
        return abar / (1 - abar)

    def posterior(
        self, x0: Tensor, xt: Tensor, t: Tensor | int, s: Tensor | int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Mean `(B, …, d)` and variance (broadcastable) of q(x_s | x_t, x_0) for an earlier step, 0 <= s < t <= T.

        The default s = t - 1 gives Ho et al. Eq. 7. A smaller s skips steps (DCRec Eq. 26). With
        a = abar_t / abar_s, the share of signal that survives from s to t:

            mean     = sqrt(abar_s) (1 - a) / (1 - abar_t) x_0 + sqrt(a) (1 - abar_s) / (1 - abar_t) x_t
            variance = (1 - abar_s) (1 - a) / (1 - abar_t)
        """
        s = t - 1 if s is None else s
        abar_t, abar_s = self._abar(t, x0), self._abar(s, x0)
        a = abar_t / abar_s
        mean = abar_s.sqrt() * (1 - a) / (1 - abar_t) * x0 + a.sqrt() * (1 - abar_s) / (1 - abar_t) * xt
        return mean, (1 - abar_s) * (1 - a) / (1 - abar_t)

    def steps(self, n: int | None = None) -> list[int]:
        """A grid of n moves from T down to 0: n + 1 steps, strictly decreasing, evenly spread, both ends included.

        The denoiser is called once for each move. The default n = T is the full chain T, T - 1, …, 1, 0.
        Raises ValueError unless 1 <= n <= T.
        """
        n = self.T if n is None else n
        if not 1 <= n <= self.T:
            raise ValueError(f"the number of steps must lie in 1 … {self.T}, got {n}")
        return [math.floor(self.T * (n - i) / n + 0.5) for i in range(n + 1)]

    def reverse(
        self,
        denoise: Callable[[Tensor, int], Tensor],
        x_T: Tensor,
        grid: Sequence[int],
        noise: NormalNoise,
        transition: Transition = "posterior",
    ) -> Iterator[State]:
        """Walk down `grid` from `x_T (B, …, d)` and yield every state; the last one, at t = 0, is the sample.

        At each step the denoiser predicts x_0, and `transition` says how to move to the next step s:

        - `posterior`: draw from q(x_s | x_t, x0_hat), which keeps part of x_t (DiffuRec; DCRec's program).
        - `renoise`: draw from q(x_s | x0_hat), which forgets x_t (DCRec Algorithm 2).
        - `ddim`: keep the noise that x0_hat implies is in x_t, and draw nothing (Song et al. Eq. 12, sigma = 0).

        `noise(x, s)` gives the noise of arriving at step s. When the first state is asked for, raises ValueError for an
        unknown transition or a grid that is not strictly decreasing to 0.
        """
        if any(t <= s for t, s in pairwise(grid)) or grid[-1] != 0:
            raise ValueError(f"a grid must fall strictly and end at 0, got {list(grid)}")
        if transition not in get_args(Transition):
            raise ValueError(f"unknown transition {transition!r}; choose one of {', '.join(get_args(Transition))}")
        xt = x_T
        yield State(grid[0], xt, None)
        for t, s in pairwise(grid):
            x0_hat = denoise(xt, t)
            if s == 0:
                xt = x0_hat
            elif transition == "posterior":
                mean, variance = self.posterior(x0_hat, xt, t, s)
                xt = mean + variance.sqrt() * noise(xt, s)
            elif transition == "renoise":
                xt = self.q_sample(x0_hat, s, noise(xt, s))
            else:
                xt = self.q_sample(x0_hat, s, self.implied_noise(x0_hat, xt, t))
            yield State(s, xt, x0_hat)

    def implied_noise(self, x0: Tensor, xt: Tensor, t: Tensor | int) -> Tensor:
        """The eps for which q_sample(x0, t, eps) gives `xt`."""
        abar = self._abar(t, x0)
        return (xt - abar.sqrt() * x0) / (1 - abar).sqrt()

    def _abar(self, t: Tensor | int, like: Tensor) -> Tensor:
        """abar_t shaped to broadcast over `like`: a number, or with one axis of size 1 for each that t lacks."""
        if isinstance(t, Tensor) and t.dim():
            picked = self._abar_on(like.device)[t]
            return picked.reshape(*t.shape, *[1] * (like.dim() - t.dim())).to(like.dtype)
        return self.abar[int(t)].to(like)

    def _abar_on(self, device: torch.device) -> Tensor:
        """abar on a device, copied there once: looking a step up never waits for the device."""
        if device not in self._copies:
            self._copies[device] = self.abar.to(device, torch.float32 if device.type == "mps" else torch.float64)
        return self._copies[device]
