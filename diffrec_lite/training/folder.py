"""The folder of a run: whose it is, who is using it, and how its files come to agree.

The checkpoint is the run. It changes in one step, and all else in the folder is made from it, so that a kill at any
moment leaves the older run or the newer one, and a resume mends the rest. The folder is recognised by what only this
program writes into a file, never by a file's name.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pandas as pd
from accelerate import Accelerator
from filelock import FileLock, Timeout

from diffrec_lite.data.whole import write
from diffrec_lite.models.base import CONFIG, WEIGHTS, Recommender
from diffrec_lite.models.packed import about
from diffrec_lite.training.checkpoint import CHECKPOINT, CheckpointError, Progress
from diffrec_lite.training.record import CATALOGUE, RUN, Run, RunError, save_catalogue

HISTORY = "history.csv"
FILES = (CHECKPOINT, WEIGHTS, CONFIG, CATALOGUE, HISTORY, RUN)
LOCK, HOLDER, PROBE = ".lock", ".holder.json", ".probe"


@contextmanager
def claimed(out: str | Path | None, resume: bool, overwrite: bool, accelerator: Accelerator) -> Iterator[Path | None]:
    """The folder of a run, made if need be, and nobody else's as long as the context lasts.

    Nothing in it is changed yet. Raises CheckpointError if another process uses it, or if it holds a run and neither
    `resume` nor `overwrite` is set, or files of somebody else; OSError if it cannot be written.
    """
    if out is None:
        yield None
        return
    out = Path(out)
    lock = _locked(out) if accelerator.is_main_process else None
    try:
        if lock is not None:
            _see_whose_it_is(out, resume, overwrite)
            for name in (*FILES, HOLDER, PROBE):  # of a run that was killed while it wrote
                for left in out.glob(f".{name}.*.partial"):
                    left.unlink(missing_ok=True)
            write(out / PROBE, b"")
            (out / PROBE).unlink()
        accelerator.wait_for_everyone()
        yield out
    finally:
        if lock is not None:
            (out / HOLDER).unlink(missing_ok=True)
            lock.release()


def is_run(folder: str | Path) -> bool:
    """Whether a folder holds a run: a checkpoint, weights or a record of which this program can tell that it is its."""
    if any(about(Path(folder) / name) for name in (CHECKPOINT, WEIGHTS)):
        return True
    try:
        return bool(Run.load(folder))
    except (OSError, RunError):
        return False


def save(state: Progress, model: Recommender, out: Path) -> None:
    """Write the checkpoint of a new epoch, and then what follows from it."""
    state.save(out / CHECKPOINT)
    (out / RUN).unlink(missing_ok=True)  # it tells of the run as it was
    _write_tables(state, model, out)
    if state.best_epoch == state.epoch:
        model.save_files(out, state.best)


def mend(state: Progress, model: Recommender, out: Path) -> None:
    """Make all files that follow from the checkpoint again, for a kill or a mishap may have left others."""
    if not _tells_of(state, out):
        (out / RUN).unlink(missing_ok=True)
    _write_tables(state, model, out)
    model.save_files(out, state.best)


def _write_tables(state: Progress, model: Recommender, out: Path) -> None:
    save_catalogue(model.catalogue, out)
    write(out / HISTORY, pd.DataFrame(state.history).to_csv(index=False, lineterminator="\n"))


def _tells_of(state: Progress, out: Path) -> bool:
    """Whether the record in the folder is that of the checkpoint."""
    try:
        run = Run.load(out)
        told = (run.model, run.seed, run.dataset["fingerprint"], run.history)
    except (OSError, RunError, KeyError, TypeError):
        return False
    known = state.settings
    return told == (known["model"].lower(), known["seed"], known["data"], state.history)


def _locked(out: Path) -> FileLock:
    """Take the folder, or raise CheckpointError that says who has it."""
    out.mkdir(parents=True, exist_ok=True)
    lock = FileLock(out / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise CheckpointError(
            f"{out} is in use by {_holder(out)}; wait for it, stop it, or choose another folder. A process that "
            f"crashes gives its folder back; if none is left, on a network drive for instance, remove {out / LOCK}"
        ) from None
    except NotImplementedError:
        raise CheckpointError(f"{out}: its file system has no locks; choose a folder on another disk") from None
    since = datetime.now().astimezone().isoformat(timespec="seconds")
    try:
        write(out / HOLDER, json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since}))
    except OSError:
        lock.release()
        raise
    return lock


def _holder(out: Path) -> str:
    try:
        holder = json.loads((out / HOLDER).read_text(encoding="utf-8"))
        return f"process {holder['pid']} on {holder['host']} since {holder['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def _see_whose_it_is(out: Path, resume: bool, overwrite: bool) -> None:
    held = [name for name in FILES if (out / name).exists()]
    checkpoint = CHECKPOINT in held
    if resume and checkpoint:
        return  # what is in it will tell
    if not is_run(out):
        if held:
            raise CheckpointError(
                f"{out} holds {', '.join(held)}, and no run of diffrec-lite; move this away, or choose another folder"
            )
    elif resume:
        raise CheckpointError(f"{out} holds a model but no {CHECKPOINT} to go on from; --overwrite trains it anew")
    elif not overwrite:
        raise CheckpointError(f"{out} already holds a run; add --resume to go on with it, or --overwrite to replace it")
