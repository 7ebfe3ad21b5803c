"""The training checkpoint.

It is one safetensors file, so that weights, optimizer and history can never disagree. Reading it runs no code that the
file could bring along (no pickle).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from diffrec_lite.data.whole import write
from diffrec_lite.models.packed import PackError, pack, unpack

CHECKPOINT = "checkpoint.safetensors"
KINDS = {"settings": dict, "epoch": int, "step": int, "best_epoch": int, "seconds": int | float}
KINDS |= {"precision": str, "precision_reason": str, "history": list, "tokens": list}


class CheckpointError(ValueError):
    """A checkpoint that cannot be read, or that belongs to another run; the message says why."""


@dataclass
class Progress:
    """All that training needs to go on: where it is, what it has seen, and every number it has learnt.

    `settings` is what must not change between the start and a resume; `history` has one row an epoch; `seconds` is
    the time spent so far; `precision` was settled at the start; `tokens` names the items.
    `weights` and `best` are state dicts on the CPU, `optimizer` is the state of each parameter as "name/key" -> tensor.
    """

    settings: dict[str, Any]
    epoch: int = 0
    step: int = 0
    best_epoch: int = 0
    seconds: float = 0.0
    precision: str = "fp32"
    precision_reason: str = ""
    history: list[dict[str, float]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    weights: dict[str, Tensor] = field(default_factory=dict)
    best: dict[str, Tensor] = field(default_factory=dict)
    optimizer: dict[str, Tensor] = field(default_factory=dict)

    GROUPS = ("weights", "best", "optimizer")

    def save(self, path: Path) -> None:
        """Write the file in one step. Raises OSError when the disk is full or read-only; the old file then stays."""
        tensors = {f"{group}|{name}": x for group in self.GROUPS for name, x in getattr(self, group).items()}
        counters = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in self.GROUPS}
        write(path, pack(tensors, counters))

    @classmethod
    def load(cls, path: Path) -> Progress:
        """Read the file that `save` wrote. Raises CheckpointError when it is damaged or something else."""
        groups: dict[str, dict[str, Tensor]] = {group: {} for group in cls.GROUPS}
        try:
            counters, tensors = unpack(path)
            for name, value in counters.items():
                if not isinstance(value, KINDS[name]):
                    raise ValueError(f"{name} cannot be {value!r}")
            for key, tensor in tensors.items():
                group, name = key.split("|", 1)
                groups[group][name] = tensor
            state = cls(**counters, **groups)
        except (PackError, KeyError, TypeError, ValueError) as problem:
            raise CheckpointError(
                f"{path}: not a checkpoint of this version of diffrec-lite ({problem}); --overwrite trains anew"
            ) from None
        if not state.tokens:
            raise CheckpointError(
                f"{path} does not name its items, for an older version wrote it; --overwrite trains anew"
            )
        return state

    def belongs_to(self, settings: dict[str, Any], path: Path) -> None:
        """Raise CheckpointError, naming what differs, unless the run was started with these settings."""
        wanted = json.loads(json.dumps(settings))
        changed = [key for key in sorted({*wanted, *self.settings}) if wanted.get(key) != self.settings.get(key)]
        if changed:
            then_now = "; ".join(f"{key} was {self.settings.get(key)!r}, is {wanted.get(key)!r}" for key in changed)
            raise CheckpointError(f"{path} is of another run: {then_now}; resume with the same settings")

    def restore(self, model: nn.Module, optimizer: torch.optim.Optimizer | None, path: Path) -> None:
        """Give a model and its optimizer back what they had learnt. Raises CheckpointError where it does not fit."""
        try:
            for weights in (self.best, self.weights):
                model.load_state_dict(weights)
            if self.optimizer:
                restore_optimizer(model, optimizer, self.optimizer)
        except (RuntimeError, KeyError, TypeError, ValueError, AttributeError) as problem:
            raise CheckpointError(
                f"{path} does not fit this version of diffrec-lite ({problem}); --overwrite trains anew"
            ) from None


def on_cpu(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A copy of a state dict that training cannot change any more."""
    return {name: tensor.detach().cpu().clone().contiguous() for name, tensor in state.items()}


def optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's memory of every parameter, as "parameter/key" -> tensor, for instance the moments of Adam."""
    return on_cpu(
        {f"{name}/{key}": x for name, p in model.named_parameters() for key, x in optimizer.state.get(p, {}).items()}
    )


def restore_optimizer(model: nn.Module, optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Give an optimizer the memory that `optimizer_tensors` took from its twin."""
    state = optimizer.state_dict()
    numbers = {name: i for i, (name, _) in enumerate(model.named_parameters())}
    for key, tensor in tensors.items():
        name, field_name = key.rsplit("/", 1)
        state["state"].setdefault(numbers[name], {})[field_name] = tensor
    optimizer.load_state_dict(state)
