"""Where random numbers come from.

A `Noise` is any callable `noise(like, step, stream=0)` that returns standard normal numbers in the shape of `like`.
Numbers are always drawn on the CPU and moved, so a seed means the same thing on every device.

- `BatchNoise` serves training: one generator, numbers in the order they are asked for.
- `UserNoise` serves inference: the numbers depend on the seed, the user, the step and the stream, and on nothing else.
  A metric therefore does not depend on the batch size, and two samplers that visit the same step see the same noise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Noise = Callable[..., Tensor]

MASK = (1 << 64) - 1


def mix(*numbers: int) -> int:
    """One well-spread 63-bit seed from several integers: equal inputs give equal seeds, near ones unrelated seeds.

    The mixing step is the finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
    """
    state = 0
    for number in numbers:
        state = (state + int(number) + 0x9E3779B97F4A7C15) & MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & MASK
        state ^= state >> 31
    return state >> 1


class BatchNoise:
    """Noise for training: `like`-shaped numbers from one `torch.Generator`, in the order they are asked for."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def __call__(self, like: Tensor, step: int = 0, stream: int = 0) -> Tensor:
        return torch.randn(like.shape, generator=self.generator).to(like)

    def integers(self, low: int, high: int, count: int) -> Tensor:
        """`count` integers, uniform on low … high, both ends included. Used to draw the step t of each example."""
        return torch.randint(low, high + 1, (count,), generator=self.generator)


class UserNoise:
    """Noise for inference: row b depends on (seed, users[b], step, stream) alone.

    `users` holds B integers. `lengths` holds the B unpadded lengths, needed when noise is asked for a left-padded
    sequence `(B, L, d)`: only the last `lengths[b]` rows of user b are drawn and the padding gets zeros, so the
    numbers do not move when the padding does.
    """

    def __init__(self, seed: int, users: Sequence[int] | Tensor, lengths: Sequence[int] | Tensor) -> None:
        self.seed = seed
        self.users = [int(user) for user in users]
        self.lengths = [int(length) for length in lengths]

    def __call__(self, like: Tensor, step: int = 0, stream: int = 0) -> Tensor:
        generator = torch.Generator()
        noise = torch.zeros(like.shape)
        for row, (user, length) in enumerate(zip(self.users, self.lengths, strict=True)):
            generator.manual_seed(mix(self.seed, user, step, stream))
            rows = noise[row, -length:] if like.dim() == 3 else noise[row]
            torch.randn(rows.shape, generator=generator, out=rows)
        return noise.to(like)
