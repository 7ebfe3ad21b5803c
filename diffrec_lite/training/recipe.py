"""The settings of training, and what they mean."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True)
class Recipe:
    """How to train. Raises ValueError for a setting that makes no sense.

    - `epochs` at most; `patience`: stop after so many epochs without a better NDCG@10 on the validation items.
    - `batch_size` examples a step, over all processes together.
    - `optimizer` "adamw" or "adam" (weight decay as an L2 penalty), `lr`, `weight_decay`.
    - `clip`: the greatest norm of the gradient. `warmup`: steps until the learning rate is reached.
    - `lr_decay`: the learning rate's factor for each epoch after `lr_decay_from`.
    - `val_users`: validate on so many readers (None: all), with `val_steps` denoising steps (None: the model's own).
    """

    epochs: int = 20
    batch_size: int = 256
    lr: float = 1e-3
    weight_decay: float = 0.0
    optimizer: str = "adamw"
    clip: float = 5.0
    warmup: int = 0
    lr_decay: float = 1.0
    lr_decay_from: int = 0
    patience: int = 5
    val_users: int | None = None
    val_steps: int | None = None

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "lr", "clip", "lr_decay", "patience", "val_users", "val_steps"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ValueError(f"{name} must be a finite number greater than 0, got {value}")
        for name in ("weight_decay", "warmup", "lr_decay_from"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be a finite number, at least 0, got {getattr(self, name)}")
        if self.optimizer not in ("adam", "adamw"):
            raise ValueError(f"optimizer must be adam or adamw, got {self.optimizer!r}")

    def make_optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        kind = torch.optim.AdamW if self.optimizer == "adamw" else torch.optim.Adam
        return kind(model.parameters(), lr=self.lr, weight_decay=self.weight_decay)

    def lr_at(self, epoch: int, step: int) -> float:
        """The learning rate of a step, both counted from 1."""
        warm = min(1.0, step / self.warmup) if self.warmup else 1.0
        return self.lr * warm * self.lr_decay ** max(0, epoch - self.lr_decay_from)

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        return {field.name: field.default for field in fields(cls)}
