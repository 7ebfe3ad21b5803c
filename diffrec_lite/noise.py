"""Where random numbers come from: each is a function of what it is for, and of nothing that was drawn before it.

    noise = Noise(seed, users)          # one user a row
    noise(x, step, stream)              # standard normal, shaped like x: (B, d) or (B, L, d)

The number for (seed, user, target's position, step, stream, recency, feature) is a hash of these seven, made normal
by Box and Muller's transform. So a metric does not depend on the batch, padding moves nothing, two samplers that visit
the same step see the same noise, and a resumed run goes on as if it had never stopped. All of it is tensor arithmetic
on the device of the data: no generator to carry along, no loop over users, no copy from the CPU.

Recency counts back from the latest item, 0 in the last column; a row `(B, d)` has recency 0 as well.
Sources: counter-based generators, Salmon et al. (SC 2011); the mixing steps are the finalisers of MurmurHash3
(Appleby 2011) and, for whole numbers on the Python side, of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

NormalNoise = Callable[..., Tensor]  # anything that is called like `Noise`

STEPS, UNIFORMS = 1 << 20, 1 << 21  # streams of their own, far from those that models number 0, 1, 2 …


def mix(*numbers: int) -> int:
    """One well-spread 63-bit seed from several integers: equal inputs give equal seeds, near ones unrelated seeds."""
    state = 0
    for number in numbers:
        state = (state + int(number) + 0x9E3779B97F4A7C15) & (1 << 64) - 1
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & (1 << 64) - 1
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & (1 << 64) - 1
        state ^= state >> 31
    return state >> 1


class Noise:
    """Random numbers for B rows. `users (B,)` and `positions (B,)` say which reader and which target a row is about.

    At inference `positions` is 0: a reader has one noise, whatever is known of the history.
    """

    def __init__(self, seed: int, users: Sequence[int] | Tensor, positions: Tensor | int = 0) -> None:
        self.seed = seed
        users = torch.as_tensor(users, dtype=torch.int64)
        positions = torch.as_tensor(positions, dtype=torch.int64, device=users.device)
        self.rows = _absorb(_absorb(torch.zeros_like(users), users), positions)

    def __call__(self, like: Tensor, step: int = 0, stream: int = 0) -> Tensor:
        """Standard normal numbers in the shape, type and device of `like`, `(B, d)` or `(B, L, d)`."""
        key = self._key(step, stream).to(like.device)
        recency = torch.arange(like[0, ..., 0].numel() - 1, -1, -1, device=like.device)
        key = _absorb(key.reshape(-1, *[1] * (like.dim() - 2)), recency if like.dim() == 3 else recency[0])
        low, high = _signed(key)[..., None], _signed(key >> 32)[..., None]
        counter = torch.arange((like.shape[-1] + 1) // 2, dtype=torch.int32, device=like.device)
        bits = _scramble(_scramble(low + counter * 0x1E3779B1) ^ high)
        radius = torch.sqrt(-2 * torch.log(_uniform(bits)))
        angle = 2 * math.pi * _uniform(_scramble(bits ^ high))
        normal = torch.cat([radius * torch.cos(angle), radius * torch.sin(angle)], dim=-1)
        return normal[..., : like.shape[-1]].to(like.dtype)

    def uniform(self, stream: int = UNIFORMS, length: int | None = None) -> Tensor:
        """One number a row, uniform on (0, 1), `(B,)` float32; or one for each of `length` positions, `(B, length)`."""
        key = self._key(0, stream)
        if length is not None:
            key = _absorb(key[:, None], torch.arange(length - 1, -1, -1, device=key.device))
        return _uniform(_scramble(_signed(key)))

    def integers(self, low: int, high: int, length: int | None = None) -> Tensor:
        """Whole numbers, uniform on low … high, both ends included: `(B,)` or `(B, length)`, int64."""
        return low + (self.uniform(STEPS, length) * (high - low + 1)).long().clamp(max=high - low)

    def _key(self, step: int, stream: int) -> Tensor:
        return _absorb(self.rows, mix(self.seed, step, stream))


def _absorb(state: Tensor, number: Tensor | int) -> Tensor:
    """Mix one more whole number into a 64-bit state: int64 tensors that broadcast (SplitMix64; arithmetic wraps)."""
    x = state + number - 0x61C8864680B583EB
    x = (x ^ _shifted(x, 30, 64)) * -0x40A7B892E31B1A47
    x = (x ^ _shifted(x, 27, 64)) * -0x6B2FB644ECCEEE15
    return x ^ _shifted(x, 31, 64)


def _scramble(x: Tensor) -> Tensor:
    """Every bit of an int32 moves half of the bits of the result (MurmurHash3; arithmetic wraps)."""
    x = (x ^ _shifted(x, 16, 32)) * -0x7A143595
    x = (x ^ _shifted(x, 13, 32)) * -0x3D4D51CB
    return x ^ _shifted(x, 16, 32)


def _shifted(x: Tensor, bits: int, width: int) -> Tensor:
    """A right shift that fills with zeros, as for unsigned numbers."""
    return (x >> bits) & ((1 << (width - bits)) - 1)


def _uniform(bits: Tensor) -> Tensor:
    """Uniform on (0, 1), never 0 or 1, from the upper 23 of 32 bits: with 24, float32 would round the last one to 1."""
    return (_shifted(bits, 9, 32).float() + 0.5) * 2.0**-23


def _signed(x: Tensor) -> Tensor:
    """The lower 32 bits of int64 numbers as int32."""
    return ((x & 0xFFFFFFFF) - ((x & 0x80000000) << 1)).to(torch.int32)
