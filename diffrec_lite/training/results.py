"""What the recorded runs say: one `Family` for all the runs that differ in seed or precision alone, and its scores.

A record is the run.json that `diffrec-lite train` writes; those that come with the course lie in data/runs and are made
by `experiments/full_scale.py`.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from diffrec_lite.data.shipped import shipped
from diffrec_lite.training import recipe

NARROW = tuple(f"{key}={value}" for key, value in recipe.NARROW.items())  # `narrow`, asked for by its changes
UNFILTERED, FILTERED = "test", "test_filtered"  # the whole catalogue, or without what the reader has read


@dataclass(frozen=True)
class Score:
    """One metric over the seeds: its mean, its standard deviation (None with one seed), and an interval.

    With one seed the interval is the 95 % bootstrap interval over the readers. With several it reaches from the lowest
    end to the highest one, so that two scores whose intervals do not meet differ in every pair of runs.
    """

    value: float
    sd: float | None
    low: float
    high: float
    seeds: int

    def __str__(self) -> str:
        if self.sd is None:
            return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"
        return f"{self.value:.4f} ± {self.sd:.4f} ({self.seeds} seeds)"


@dataclass(frozen=True)
class Family:
    """The runs of one model with one preset and the same `changes` to it on one data set, by seed."""

    dataset: str
    model: str
    preset: str
    changes: tuple[str, ...]
    names: tuple[str, ...]
    runs: tuple[dict[str, Any], ...]

    @cached_property
    def label(self) -> str:
        """The model with what was changed: "diffurec, delta=0.0"."""
        return ", ".join([self.model, *self.changes])

    @property
    def title(self) -> str:
        """The label with its preset: "diffurec, delta=0.0 (repaired)"."""
        return f"{self.label} ({self.preset})"

    def score(self, metric: str, protocol: str = UNFILTERED) -> Score:
        """A metric of the test readers, "HR@5" … "MRR", under one of the two protocols."""
        found = [run[protocol] for run in self.runs]
        values = [one[metric] for one in found]
        return Score(
            mean(values),
            stdev(values) if len(values) > 1 else None,
            min(one[f"{metric} low"] for one in found),
            max(one[f"{metric} high"] for one in found),
            len(values),
        )

    def validation(self, metric: str = "NDCG@10") -> float:
        """The mean of a metric of the validation readers, on whom settings and models are chosen."""
        return mean(run["val"][metric] for run in self.runs)

    def seconds(self, of: str = "seconds") -> dict[str, float]:
        """The mean seconds on each device: of training, or of all evaluations at its end ("evaluation_seconds")."""
        return {device: mean(run[of] for run in self.runs if run["device"] == device) for device in self.devices}

    @property
    def precision(self) -> str:
        """In which precision the runs were trained, "bf16, fp32" where they differ."""
        return ", ".join(sorted({run["precision"] for run in self.runs}))

    @property
    def devices(self) -> list[str]:
        """What the runs were made on."""
        return sorted({run["device"] for run in self.runs})


def recorded(folder: Path | None = None) -> list[Family]:
    """All records of a folder (default: data/runs) as families, in the order of their names.

    A file that records no training, such as a measurement of speed, is passed over.
    """
    groups: dict[tuple, list[tuple[str, dict[str, Any]]]] = {}
    for path in sorted((folder or shipped("runs")).glob("*.json")):
        run = json.loads(path.read_text(encoding="utf-8"))
        if UNFILTERED in run:
            key = (run["dataset"]["name"], run["model"], *_asked(run["command"], run["model"]))
            groups.setdefault(key, []).append((path.stem, run))
    families = []
    for key, found in groups.items():
        names, runs = zip(*sorted(found, key=lambda one: one[1]["seed"]), strict=True)
        families.append(Family(*key, names, runs))
    return families


def find(families: list[Family], dataset: str, model: str, preset: str, changes: Iterable[str] = ()) -> Family | None:
    """The family of a preset with just these changes, by default with none, or None."""
    wanted = (dataset, model, preset, tuple(sorted(changes)))
    return next((f for f in families if (f.dataset, f.model, f.preset, f.changes) == wanted), None)


def _asked(command: str, model: str) -> tuple[str, tuple[str, ...]]:
    """The preset and the changes to it in a `diffrec-lite train` command; `repaired` with NARROW is `narrow`."""
    words = shlex.split(command)
    given = {"--preset": "quick", "--epochs": None, "--split": None}
    changes = []
    for i, word in enumerate(words):
        name, equals, value = word.partition("=")
        value = value if equals else next(iter(words[i + 1 : i + 2]), "")
        if name == "--set":
            changes.append(value)
        elif name in given:
            given[name] = value
    changes += [f"{name[2:]}={given[name]}" for name in ("--epochs", "--split") if given[name] is not None]
    if given["--preset"] == "repaired" and set(NARROW) <= set(changes) and model in recipe.PRESETS["narrow"]:
        given["--preset"], changes = "narrow", [change for change in changes if change not in NARROW]
    return given["--preset"], tuple(sorted(changes))
