"""The recommenders, by name.

`build("dcrec", num_items=240, d=64)` makes one, `load(folder)` reads a saved one of any kind.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diffrec_lite.data.shipped import shipped
from diffrec_lite.models.adrec import ADRec
from diffrec_lite.models.base import ModelError, Recommender, read_config
from diffrec_lite.models.baselines import CountModel, Gap, Markov, Popularity, Recent, Ridge
from diffrec_lite.models.bert4rec import BERT4Rec
from diffrec_lite.models.bprmf import BPRMF
from diffrec_lite.models.dcrec import DCRec
from diffrec_lite.models.denoiser import DiffusionRecommender
from diffrec_lite.models.diffurec import DiffuRec, DiffuRecSys
from diffrec_lite.models.hybrid import Hybrid
from diffrec_lite.models.sequential import GRU4Rec, SASRec, SequentialRecommender
from diffrec_lite.models.settings import SettingError, Settings

COUNTS = (Popularity, Recent, Markov, Gap, Ridge)
WITHOUT_DIFFUSION = (BPRMF, GRU4Rec, BERT4Rec, SASRec)
DIFFUSIONS = (DiffuRec, DiffuRecSys, DCRec, ADRec, Hybrid)
MODELS: dict[str, type[Recommender]] = {
    model.__name__.lower(): model for model in (*COUNTS, *WITHOUT_DIFFUSION, *DIFFUSIONS)
}

__all__ = [
    "BPRMF",
    "COUNTS",
    "DIFFUSIONS",
    "MODELS",
    "WITHOUT_DIFFUSION",
    "ADRec",
    "BERT4Rec",
    "CountModel",
    "DCRec",
    "DiffuRec",
    "DiffuRecSys",
    "DiffusionRecommender",
    "GRU4Rec",
    "Gap",
    "Hybrid",
    "Markov",
    "ModelError",
    "Popularity",
    "Recent",
    "Recommender",
    "Ridge",
    "SASRec",
    "SequentialRecommender",
    "SettingError",
    "Settings",
    "build",
    "load",
    "load_checkpoint",
]


def build(name: str, num_items: int, **settings: Any) -> Recommender:
    """Make a model by its lower-case name. Raises ModelError for an unknown name, SettingError for a setting."""
    if name not in MODELS:
        raise ModelError(f"unknown model {name!r}; choose one of {', '.join(MODELS)}")
    try:
        return MODELS[name](num_items, **settings)
    except SettingError:
        raise
    except (RuntimeError, ValueError) as problem:  # torch's for a tensor that cannot be made, a layer's for its width
        raise ModelError(f"{name} cannot be built with these settings: {problem}") from problem


def load(folder: str | Path) -> Recommender:
    """Read a model of any kind from the folder that `save_pretrained` wrote. Raises ModelError when it cannot."""
    name = str(read_config(folder)["model"]).lower()
    if name not in MODELS:
        raise ModelError(f"{folder}: unknown model {name!r}; this version knows {', '.join(MODELS)}")
    return MODELS[name].from_pretrained(folder)


def load_checkpoint(name: str) -> Recommender:
    """A small model trained on the bookshop, shipped with the package: sasrec, diffurec, diffurecsys, dcrec, hybrid."""
    try:
        return load(shipped(f"checkpoints/{name}"))
    except FileNotFoundError:
        raise ModelError(f"no checkpoint {name!r} is shipped; train one with `diffrec-lite train {name}`") from None
