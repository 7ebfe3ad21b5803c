"""Settings: what training can be told (`Recipe`), and presets for every model.

A preset is a starting point; `--set key=value` changes any setting of the model or of training.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import nn

from diffrec_lite.models import MODELS
from diffrec_lite.models.settings import SettingError, Settings, choice, number


@dataclass(frozen=True)
class Recipe(Settings):
    """How to train. Raises SettingError for a setting that makes no sense.

    - `epochs` at most; `patience`: stop after so many epochs without a better NDCG@10 on the validation items.
    - `batch_size` examples a step, over all processes together.
    - `optimizer` "adamw" or "adam" (weight decay as an L2 penalty), `lr`, `weight_decay`.
    - `clip`: the greatest norm of the gradient. `warmup`: steps until the learning rate is reached.
    - `lr_decay`: the learning rate's factor for each epoch after `lr_decay_from`.
    - `val_users`: validate on so many readers, always the same (None: all), with `val_steps` denoising steps (None: the
      model's own number). One step is the cheapest, and none was better on our data (notebook 05).
    """

    epochs: int = number(20, at_least=1)
    batch_size: int = number(256, at_least=1)
    lr: float = number(1e-3, above=0)
    weight_decay: float = number(0.0, at_least=0)
    optimizer: str = choice("adamw", "adam")
    clip: float = number(5.0, above=0)
    warmup: int = number(0, at_least=0)
    lr_decay: float = number(1.0, above=0, at_most=1)
    lr_decay_from: int = number(0, at_least=0)
    patience: int = number(5, at_least=1)
    val_users: int | None = number(None, at_least=1)
    val_steps: int | None = number(1, at_least=1)

    def make_optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """Adam or AdamW over the model's weights, in one fused kernel where torch has one (5 times faster on a CPU)."""
        kind = torch.optim.AdamW if self.optimizer == "adamw" else torch.optim.Adam
        weights = list(model.parameters())
        fused = all(weight.device.type in ("cpu", "cuda") for weight in weights)
        return kind(weights, lr=self.lr, weight_decay=self.weight_decay, fused=fused)

    def steps(self, examples: int) -> int:
        """The steps of an epoch over so many examples."""
        return -(-examples // self.batch_size)

    def lr_at(self, epoch: int, step: int) -> float:
        """The learning rate of a step, both counted from 1."""
        warm = min(1.0, step / self.warmup) if self.warmup else 1.0
        return self.lr * warm * self.lr_decay ** max(0, epoch - self.lr_decay_from)

    def set_lr(self, optimizer: torch.optim.Optimizer, epoch: int, step: int) -> None:
        """Give an optimizer the learning rate of a step."""
        for group in optimizer.param_groups:
            group["lr"] = self.lr_at(epoch, step)


# "quick" finishes within two minutes on two CPU cores with the bookshop: small and strongly regularised, since the
# bookshop is small. Positions are on, since neighbours in a series are read in order, and so is the bias on what was
# read, since nobody buys a book twice.
# "paper" is what each paper prints. SASRec's are ours, and so is what no paper states ("lr_decay").
# "repaired" is ours for real data: DCRec with its repairs, each measured in data/runs/dcrec_repairs.csv, and beside it
# the others at the same width, most with the bias on what was read; dropout and batches as they did best
# on short histories. On MovieLens-1M DiffuRecSys does better with far less (ml-1m_diffurecsys_repaired_light_0).
# "narrow" is "repaired" at half the width, trained for longer. By validation readers SASRec and DiffuRecSys are better
# for it, on Toys the hybrid too, and DCRec is not (RESULTS.md).
# A preset need not know every model.
SMALL: dict[str, Any] = {
    "d": 32,
    "blocks": 2,
    "heads": 2,
    "T": 32,
    "sampling_steps": 1,
    "item_dropout": 0.2,
    "seen_bias": True,
    "epochs": 12,
    "lr": 3e-3,
}
REPAIRS: dict[str, Any] = {
    "detach_target": True,
    "share_at_T": 0.8,
    "stream": "guess",
    "signal": 0.1,
    "slot": True,
    "positions": "after",
    "seen_bias": True,
    "rounding_by": "inner",
    "lambda_schedule": "fix",
    "prior": 0.0,
    "denoising": 1.0,
    "ranking": 10.0,
}
REAL: dict[str, Any] = {
    "d": 128,
    "item_dropout": 0.5,
    "dropout": 0.2,
    "seen_bias": True,
    "epochs": 18,
    "batch_size": 512,
    "lr_decay": 0.92,
}
STRONGER: dict[str, Any] = {
    "item_dropout": 0.6,
    "dropout": 0.4,
    "epochs": 14,
}  # more dropout, where validation readers are better served so
NARROW: dict[str, Any] = {"d": 64, "heads": 2, "epochs": 40, "lr_decay": 0.97, "patience": 8}
FUSED: dict[str, Any] = {"blocks": 1, "positions": True, "sampling_steps": 1, "input_norm": True}
PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "quick": {
        "popularity": {},
        "recent": {},
        "markov": {},
        "gap": {},
        "ridge": {},
        "bprmf": {"d": 32, "epochs": 40, "batch_size": 128, "lr": 5e-3},
        "bert4rec": {"d": 64, "seen_bias": True, "epochs": 60, "batch_size": 128, "lr": 2e-3, "patience": 10},
        "sasrec": {
            "d": 64,
            "dropout": 0.2,
            "item_dropout": 0.2,
            "seen_bias": True,
            "epochs": 40,
            "batch_size": 128,
            "lr": 2e-3,
        },
        "gru4rec": {"d": 64, "item_dropout": 0.4, "seen_bias": True, "epochs": 30, "batch_size": 128, "lr": 5e-3},
        "diffurec": {**SMALL, "positions": True},
        "diffurecsys": {**SMALL, "positions": True},
        "adrec": {**SMALL, "blocks": 1, "denoiser_blocks": 1, "epochs": 40, "batch_size": 128, "lr": 2e-3},
        "dcrec": {**SMALL, **REPAIRS},
        "hybrid": {**SMALL, **REPAIRS},
    },
    "repaired": {
        "bprmf": {"d": 128, "item_dropout": 0.5, "epochs": 60, "batch_size": 64},
        "gru4rec": {**REAL, "batch_size": 64},
        "bert4rec": {**REAL, "batch_size": 64, "epochs": 60, "lr_decay": 0.97},
        "sasrec": {**REAL, **STRONGER, "blocks": 1, "learns_from": "prefixes", "input_norm": True},
        "adrec": {**REAL, "blocks": 1, "denoiser_blocks": 1, "batch_size": 64, "sampling_steps": 1, "input_norm": True},
        "diffurec": {**REAL, **STRONGER, **FUSED},
        "diffurecsys": {**REAL, **STRONGER, **FUSED},
        "dcrec": {**REAL, **STRONGER, "blocks": 1, **REPAIRS, "copies": True, "lr": 2e-3, "epochs": 16},
        "hybrid": {**REAL, **STRONGER, "blocks": 1, **REPAIRS, "lr": 2e-3},
    },
    "paper": {
        "popularity": {},
        "recent": {},
        "markov": {},
        "sasrec": {
            "d": 128,
            "blocks": 2,
            "heads": 4,
            "max_len": 50,
            "dropout": 0.5,
            "item_dropout": 0.5,
            "epochs": 100,
            "batch_size": 256,
            "patience": 10,
        },
        "diffurec": {
            "d": 128,
            "blocks": 4,
            "heads": 4,
            "T": 32,
            "max_len": 50,
            "dropout": 0.1,
            "item_dropout": 0.3,
            "optimizer": "adam",
            "epochs": 100,
            "batch_size": 512,
            "patience": 5,
        },
        "diffurecsys": {
            "d": 128,
            "blocks": 4,
            "heads": 4,
            "T": 32,
            "max_len": 100,
            "dropout": 0.1,
            "item_dropout": 0.3,
            "optimizer": "adam",
            "weight_decay": 1e-4,
            "epochs": 41,
            "lr_decay_from": 30,
            "lr_decay": 0.8,  # the paper says that it decays, not how much
            "batch_size": 1024,
            "patience": 41,
        },
        "dcrec": {
            "d": 128,
            "blocks": 4,
            "heads": 4,
            "T": 50,
            "max_len": 50,
            "dropout": 0.1,
            "item_dropout": 0.4,
            "optimizer": "adam",
            "lr": 4e-3,
            "epochs": 150,
            "batch_size": 512,
            "patience": 5,
        },
    },
}
PRESETS["narrow"] = {
    model: {**PRESETS["repaired"][model], **NARROW} for model in ("sasrec", "diffurecsys", "dcrec", "hybrid")
}


def settings(
    model: str, preset: str = "quick", changes: list[str] | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings of a model and of its training, from a preset and from changes written as "key=value".

    A rule that counts has no training to set. Raises SettingError for an unknown model, preset or key, and for a value
    of the wrong type.
    """
    model = one_of("model", model, MODELS)
    preset = one_of(f"preset of {model}", preset, [name for name in PRESETS if model in PRESETS[name]])
    of_model, of_training = ({one.name: one.type for one in fields(kind)} for kind in (MODELS[model].Settings, Recipe))
    if MODELS[model].learns_from == "counts":
        of_training = {}
    wanted = dict(PRESETS[preset][model])
    for change in changes or []:
        key, equals, text = change.partition("=")
        if not equals:
            raise SettingError(f"--set needs key=value, got {change!r}")
        key = one_of(f"setting of {model}", key.strip(), [*of_model, *of_training])
        wanted[key] = parse(key, text.strip(), str({**of_training, **of_model}[key]))
    return (
        {key: value for key, value in wanted.items() if key in of_model},
        {key: value for key, value in wanted.items() if key in of_training},
    )


def parse(key: str, text: str, kind: str) -> Any:
    """A value of a kind such as "int | None": parse("d", "64", "int") is 64, and "none" stands for None."""
    if "None" in kind and text.lower() == "none":
        return None
    if "bool" in kind:
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        raise SettingError(f"{key} must be true or false, got {text!r}")
    if "str" in kind:
        return text
    try:
        return int(text) if "int" in kind else float(text)
    except ValueError:
        article = "a whole number" if "int" in kind else "a number"
        raise SettingError(f"{key} must be {article}, got {text!r}") from None


def one_of(what: str, name: str, choices: Any) -> str:
    """`name` if it is among the choices, else a SettingError that lists them and guesses what was meant."""
    if name in choices:
        return name
    near = difflib.get_close_matches(name, list(choices), n=1)
    guess = f"did you mean {near[0]!r}? " if near else ""
    raise SettingError(f"unknown {what} {name!r}; {guess}there is {', '.join(sorted(choices))}")
