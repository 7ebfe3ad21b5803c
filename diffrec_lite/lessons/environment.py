"""Is everything here that the course needs? Said in words, with what to do about what is missing."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch

from diffrec_lite import models
from diffrec_lite.data import load

FINE = "Everything that the course needs is here. It needs no network and no graphics card."


def torch_counts() -> str | None:
    twos = torch.full((2, 4), 2.0)
    if torch.equal(twos @ twos.T, torch.full((2, 2), 16.0)):
        return None
    return (
        f"PyTorch {torch.__version__} gets 2·2 + 2·2 + 2·2 + 2·2 wrong. Its build does not fit this processor: install "
        "another one (README, 'Which torch you get')."
    )


def explorers_show() -> str | None:
    missing = [name for name in ("ipywidgets", "anywidget") if importlib.util.find_spec(name) is None]
    if not missing:
        return None
    return (
        f"{' and '.join(missing)} cannot be found, so explorers will not move. Install: pip install "
        "'diffrec-lite[course]', in the Python that this notebook runs in, and open the notebook again."
    )


def data_and_models_load() -> str | None:
    try:
        dataset = load("bookshop")
        for name in ("sasrec", "diffurec", "diffurecsys", "dcrec", "hybrid"):
            models.load_checkpoint(name).score(dataset.history(0)[None, :-1])
    except Exception as problem:  # whatever it is, the reader needs the same advice
        return f"The bookshop or a trained model cannot be read: {problem}. Get a fresh copy of the course."
    return None


def answers_can_be_saved() -> str | None:
    try:
        tempfile.TemporaryFile(dir=Path.cwd()).close()
    except OSError as problem:
        return (
            f"This folder cannot be written to ({problem.strerror}). You can read and run all, but not keep your "
            "answers: choose File, 'Save Notebook As…' and another folder."
        )
    return None


CHECKS: tuple[Callable[[], str | None], ...] = (
    torch_counts,
    explorers_show,
    data_and_models_load,
    answers_can_be_saved,
)


def environment() -> None:
    """Print what is missing and what to do about it, one line each, or that all is here."""
    found = [problem for check in CHECKS if (problem := check())]
    print("\n".join(found) or FINE)
