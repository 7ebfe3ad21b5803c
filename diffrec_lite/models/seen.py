"""What a reader chose before, and whether to recommend it again."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SeenBias(nn.Module):
    """A learned number that is added to the score of an item each time the history holds it.

    Where readers do not come back to what they have read it falls; where they do, it rises. It has far to go, so the
    parameter counts in steps of 100.
    """

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, scores: Tensor, history: Tensor) -> Tensor:
        """`scores (B, V)` of the next items and `history (B, L)`, 0 for padding -> `(B, V)`; `scores` is changed."""
        bias = (100 * self.weight).to(scores.dtype)
        return scores.scatter_add_(1, history, (history != 0) * bias)
