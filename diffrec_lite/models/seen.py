"""What a reader chose before, and whether to recommend it again: a learned bias on the score of such items."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from diffrec_lite.models.settings import SettingError, Settings


@dataclass(frozen=True)
class SeenSettings(Settings):
    """`seen_bias`: a learned number is added to the score of what the history holds.

    `seen_by_age`: it is a number for each place of the history, counted from its end, and not one for all. Ours.
    """

    seen_bias: bool = False
    seen_by_age: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.seen_by_age and not self.seen_bias:
            raise SettingError("seen_by_age says what kind of seen_bias: set seen_bias=true, too")


class SeenBias(nn.Module):
    """A learned number that is added to the score of an item each time the history holds it.

    Where readers do not come back to what they have read it falls; where they do, it rises. With `ages` there are so
    many numbers: one for the last item, one for the item before it, … It has far to go, so the parameter counts in
    steps of 100.
    """

    def __init__(self, ages: int | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(() if ages is None else ages))

    @classmethod
    def of(cls, settings: Settings, max_len: int) -> SeenBias | None:
        """The bias that a model's settings ask for, None if none; its histories are at most `max_len` long."""
        if not isinstance(settings, SeenSettings) or not settings.seen_bias:
            return None
        return cls(max_len if settings.seen_by_age else None)

    def forward(self, scores: Tensor, history: Tensor) -> Tensor:
        """`scores (B, V)` of the next items and `history (B, L)`, 0 for padding -> `(B, V)`; `scores` is changed."""
        read = history != 0
        weight = self.weight
        if weight.dim():
            age = read.flip(1).cumsum(1).flip(1) - 1  # a prefix has its padding on the right, too
            weight = weight[age.clamp(min=0)]
        return scores.scatter_add_(1, history, read * (100 * weight).to(scores.dtype))
