"""The record of a run: what was trained on what, by which command, with which versions, how long, and how well."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
import subprocess
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import torch

import diffrec_lite
from diffrec_lite.data import SequenceDataset
from diffrec_lite.data.whole import write
from diffrec_lite.evaluation import Evaluation, evaluate_both
from diffrec_lite.models.base import Recommender
from diffrec_lite.models.catalogue import Catalogue

RUN, CATALOGUE = "run.json", "items.csv"


class RunError(ValueError):
    """A record that is missing or damaged; the message names the file."""


@dataclass
class Run:
    """All that somebody needs to repeat a run and to compare with it, one JSON object.

    `config` holds every setting of the model and of training; `seconds` are those of training with its validations,
    `evaluation_seconds` those of the four evaluations, each a flat `Evaluation` ("HR@5", "HR@5 low", …, "coverage@10");
    `history` has a row an epoch.
    """

    model: str
    dataset: dict[str, Any]
    seed: int
    command: str
    config: dict[str, Any]
    device: str
    precision: str
    precision_reason: str
    processes: int
    seconds: float
    evaluation_seconds: float
    best_epoch: int
    val: dict[str, Any]
    val_filtered: dict[str, Any]
    test: dict[str, Any]
    test_filtered: dict[str, Any]
    history: list[dict[str, float]]
    versions: dict[str, str] = field(default_factory=lambda: versions())
    commit: str | None = field(default_factory=lambda: commit())

    def save(self, folder: Path) -> None:
        """Write `run.json`. Raises ValueError for a number that JSON does not have (NaN, infinity)."""
        write(folder / RUN, json.dumps(asdict(self), indent=2, allow_nan=False) + "\n")

    @classmethod
    def load(cls, folder: str | Path) -> Run:
        """Read `run.json`. Raises RunError when it is missing or damaged."""
        path = Path(folder) / RUN
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise RunError(f"{path}: no such file; the run did not finish, go on with train --resume") from None
        except (TypeError, ValueError) as problem:
            raise RunError(f"{path}: not the record of a run ({problem})") from None


def evaluations(model: Recommender, dataset: SequenceDataset) -> dict[str, Evaluation]:
    """The four results that a record holds: val and test, unfiltered and seen-filtered, at the model's own steps."""
    found = {}
    for split in ("val", "test"):
        found[split], found[f"{split}_filtered"] = evaluate_both(model, dataset, split)
    return found


def describe(dataset: SequenceDataset) -> dict[str, Any]:
    """A data set by its name, how it was read, its size, its parts, its ties, and a fingerprint of its content.

    It was read from `source`, by options of `load` where any were given; data from a table have no source.
    `without_history` counts the readers whom a part does not ask because nothing comes before their target,
    `repeated_targets` those who chose it before.
    """
    moments = dataset.cut.moments
    return {
        "name": dataset.name,
        **dataset.read_by,
        "users": dataset.num_users,
        "items": dataset.num_items,
        "interactions": dataset.num_interactions,
        "fingerprint": fingerprint(dataset),
        "split": dataset.cut.name,
        **({"moments": list(moments)} if moments else {}),
        "train": {"examples": len(dataset.train), "interactions": len(dataset.train_items())},
        **{name: _part(dataset, name) for name in ("val", "test")},
        "ties": _ties(dataset),
    }


def _part(dataset: SequenceDataset, name: str) -> dict[str, int]:
    part, (_, alone) = getattr(dataset, name), dataset.cut.asked(name, dataset.lengths)
    known = torch.bincount(dataset.train_items(), minlength=dataset.num_items + 1) > 0
    unknown = int((~known[part.targets]).sum())
    asked = {"readers": len(part), "without_history": int(alone.sum())}
    return {**asked, "unknown_targets": unknown, "repeated_targets": int(part.repeated.sum())}


def _ties(dataset: SequenceDataset) -> dict[str, Any]:
    """How many interactions, and how many targets, share their reader's time with a neighbour, and what orders them."""
    if dataset.tied is None:
        return {"interactions": 0, "order": "positions in the source, which has no times"}
    targets = {name: getattr(dataset, name) for name in ("val", "test")}
    found = {f"{name}_targets": int(dataset.tied[x.starts + x.positions].sum()) for name, x in targets.items()}
    return {"interactions": int(dataset.tied.sum()), **found, "order": "time, then the order of the source's rows"}


def fingerprint(dataset: SequenceDataset) -> str:
    """16 hexadecimal digits that change whenever a sequence, its temporal cuts or an item's name does (SHA-256)."""
    digest = hashlib.sha256()
    cuts = () if dataset.cuts is None else (dataset.cuts.before_val, dataset.cuts.before_test)
    for tensor in (dataset.items, dataset.offsets, *cuts):
        digest.update(tensor.numpy().astype("<i8").tobytes())
    digest.update("\n".join(str(token) for token in dataset.item_tokens).encode())
    return digest.hexdigest()[:16]


def save_catalogue(catalogue: Catalogue, folder: Path) -> None:
    """`items.csv` with item,token,title, for people: the model itself carries its catalogue with its weights."""
    ids = range(1, len(catalogue.tokens))
    table = {"item": ids, "token": catalogue.tokens[1:], "title": [catalogue.title(i) for i in ids]}
    write(folder / CATALOGUE, pd.DataFrame(table).to_csv(index=False, lineterminator="\n"))


def device_name(device: torch.device) -> str:
    """ "cuda: NVIDIA H200", "cpu: x86_64", …"""
    if device.type == "cuda":
        return f"cuda: {torch.cuda.get_device_name(device)}"
    return f"{device.type}: {platform.machine()}"


def versions() -> dict[str, str]:
    found = {package: importlib.metadata.version(package) for package in ("accelerate", "safetensors", "numpy")}
    python, ours = platform.python_version(), diffrec_lite.__version__
    return {"python": python, "diffrec-lite": ours, "torch": torch.__version__, **found}


def commit() -> str | None:
    """The git commit of this program, with "+changes" where files differ from it; None outside its repository."""
    package = Path(__file__).resolve().parents[1]

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(package), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")).resolve() != package.parent:
            return None
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", "--", str(package)) else "")
    except (OSError, subprocess.SubprocessError):
        return None
