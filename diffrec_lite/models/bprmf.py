"""BPR-MF: a reader is one vector, an item another, and the order of the history does not matter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from diffrec_lite.models import negatives
from diffrec_lite.models.sequential import SequentialRecommender, TableSettings
from diffrec_lite.models.settings import number
from diffrec_lite.noise import NormalNoise


@dataclass(frozen=True)
class BPRMFSettings(TableSettings):
    """`decay`: how much less an item counts than the one read after it, as a factor; 1 forgets the order.

    `negatives`: with so many other items the next one is compared.
    """

    decay: float = number(1.0, above=0, at_most=1)
    negatives: int = number(1, at_least=1)


class BPRMF(SequentialRecommender):
    """Matrix factorisation by Bayesian personalised ranking (Rendle et al. 2009).

    A reader's vector is made of what was read, the mean of a second table of item vectors (Koren 2008, Section 4.2),
    and not stored for each reader: so readers who were never trained on have one too.
    """

    Settings = BPRMFSettings

    def __init__(self, num_items: int, **settings: Any) -> None:
        super().__init__(num_items, **settings)
        self.output = self.table()
        self.popularity = nn.Parameter(torch.zeros(num_items + 1, 1))
        self.norm = nn.Identity()

    def encode(self, history: Tensor, last: bool = False) -> Tensor:
        L, decay = history.shape[1], self.settings.decay
        age = torch.arange(L, device=history.device)
        age = age[-1 if last else 0 :, None] - age  # how long ago a place was, seen from each place; below 0: to come
        e = self.item_dropout(self.item_embedding(history))
        weight = torch.where(age >= 0, decay ** age.clamp(min=0), 0.0).to(e.dtype) * (history != 0)[:, None]
        mean = weight @ e / weight.sum(-1, keepdim=True).clamp(min=1e-9)
        return torch.cat([mean, torch.ones_like(mean[..., :1])], dim=-1)

    def compared(self) -> Tensor:
        return torch.cat([self.output.weight, self.popularity], dim=1)

    def compare(self, x: Tensor, target: Tensor, read: Tensor | None, noise: NormalNoise) -> Tensor:
        others = negatives.draw(noise, target, self.num_items, self.settings.negatives)
        e = self.compared()
        return negatives.bpr((x * e[target]).sum(-1), (e[others] @ x[..., None])[..., 0], target)
