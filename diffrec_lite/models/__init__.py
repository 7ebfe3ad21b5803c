"""The recommenders, by name.

`build("dcrec", num_items=240, d=64)` makes one, `load(folder)` reads a saved one of any kind.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from diffrec_lite.data.shipped import shipped
from diffrec_lite.models.base import ModelError, Recommender, read_config
from diffrec_lite.models.baselines import CountModel, Markov, Popularity, SASRec
from diffrec_lite.models.dcrec import DCRec
from diffrec_lite.models.denoiser import DiffusionRecommender
from diffrec_lite.models.diffurec import DiffuRec, DiffuRecSys

MODELS: dict[str, type[Recommender]] = {
    model.__name__.lower(): model for model in (Popularity, Markov, SASRec, DiffuRec, DiffuRecSys, DCRec)
}

__all__ = [
    "MODELS",
    "CountModel",
    "DCRec",
    "DiffuRec",
    "DiffuRecSys",
    "DiffusionRecommender",
    "Markov",
    "ModelError",
    "Popularity",
    "Recommender",
    "SASRec",
    "build",
    "load",
    "load_checkpoint",
]


def build(name: str, num_items: int, **settings: Any) -> Recommender:
    """Make a model by its lower-case name. Raises ModelError for an unknown name or setting."""
    if name not in MODELS:
        raise ModelError(f"unknown model {name!r}; choose one of {', '.join(MODELS)}")
    known = MODELS[name].settings()
    for setting in settings:
        if setting not in known:
            raise ModelError(f"{name} has no setting {setting!r}; it has {', '.join(sorted(known))}")
    for setting, value in settings.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ModelError(f"{setting} must be a finite number, got {value}")
        if setting in ("d", "heads") and value < 1:
            raise ModelError(f"{setting} must be at least 1, got {value}")
    try:
        return MODELS[name](num_items, **settings)
    except RuntimeError as problem:  # torch's word for a tensor that cannot be made
        raise ModelError(f"{name} cannot be built with these settings: {problem}") from problem


def load(folder: str | Path) -> Recommender:
    """Read a model of any kind from the folder that `save_pretrained` wrote. Raises ModelError when it cannot."""
    name = str(read_config(folder)["model"]).lower()
    if name not in MODELS:
        raise ModelError(f"{folder}: unknown model {name!r}; this version knows {', '.join(MODELS)}")
    return MODELS[name].from_pretrained(folder)


def load_checkpoint(name: str) -> Recommender:
    """A small model trained on the bookshop, shipped with the package: sasrec, diffurec, diffurecsys or dcrec."""
    try:
        return load(shipped(f"checkpoints/{name}"))
    except FileNotFoundError:
        raise ModelError(f"no checkpoint {name!r} is shipped; train one with `diffrec-lite train {name}`") from None
