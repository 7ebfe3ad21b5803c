"""Does everything work here that the course needs? Said in words, with what to do about what does not.

What cannot be imported is said at the import (`diffrec_lite.widgets`).
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from diffrec_lite import models
from diffrec_lite.data import load

FINE = "Everything that the course needs is here. It needs no network and no graphics card."


def data_and_models_work() -> str | None:
    """What is wrong when each model that comes with the course scores a reader's history, or None."""
    try:
        dataset = load("bookshop")
        for name in ("sasrec", "diffurec", "diffurecsys", "dcrec", "hybrid"):
            models.load_checkpoint(name).score(dataset.history(0)[None, :-1])
    except Exception as problem:  # whatever it is, the reader needs the same advice
        return f"The bookshop or a trained model cannot be read: {problem}. Get a fresh copy of the course."
    return None


def answers_can_be_saved() -> str | None:
    """What is wrong when a file is written to the notebook's folder, or None."""
    try:
        tempfile.TemporaryFile(dir=Path.cwd()).close()
    except OSError as problem:
        return (
            f"This folder cannot be written to ({problem.strerror}). You can read and run all, but not keep your "
            "answers: choose File, 'Save Notebook As…' and another folder."
        )
    return None


def environment() -> None:
    """Print what is wrong and what to do about it, one line each, or that all is well."""
    found = [problem for problem in (data_and_models_work(), answers_can_be_saved()) if problem]
    print("\n".join(found) or FINE)
