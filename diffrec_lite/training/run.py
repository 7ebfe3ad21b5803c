"""A whole run: the loop, and around it a folder, a checkpoint an epoch, the best epoch, a bar and a record."""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from accelerate import Accelerator
from tqdm.auto import tqdm

from diffrec_lite.data import Batch, SequenceDataset, Split
from diffrec_lite.evaluation import Evaluation
from diffrec_lite.models.base import Recommender
from diffrec_lite.training.checkpoint import (
    CHECKPOINT,
    CheckpointError,
    Progress,
    on_cpu,
    optimizer_tensors,
    restore_optimizer,
    write,
    write_model,
)
from diffrec_lite.training.device import choose_device, choose_precision, device_of, make_accelerator
from diffrec_lite.training.loop import examples, fit
from diffrec_lite.training.recipe import Recipe
from diffrec_lite.training.record import (
    CATALOGUE,
    RUN,
    Run,
    describe,
    device_name,
    evaluations,
    fingerprint,
    save_catalogue,
)

HISTORY = "history.csv"
FILES = (CHECKPOINT, "model.safetensors", "config.json", "README.md", CATALOGUE, HISTORY, RUN)
GOAL = "val NDCG@10"  # what the best epoch is best in


@dataclass(frozen=True)
class Outcome:
    """What `train` did: a row of `history` an epoch, the best epoch, seconds of training, and where it ran.

    `evaluations` has val, val_filtered, test and test_filtered if there is a folder that records them. Of several
    processes only the main one has them.
    """

    history: pd.DataFrame
    best_epoch: int
    seconds: float
    device: str
    precision: str
    processes: int
    evaluations: dict[str, Evaluation]


def train(
    model: Recommender,
    dataset: SequenceDataset,
    out: str | Path | None = None,
    *,
    seed: int = 0,
    device: str = "auto",
    precision: str = "fp32",
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
    source: str | None = None,
    command: str = "train()",
    **recipe: Any,
) -> Outcome:
    """Train `model` in place; it ends with the weights of its best epoch, in evaluation mode. `recipe`: see `Recipe`.

    With a folder `out`, every epoch leaves there the best model so far, `items.csv`, `history.csv` and a checkpoint,
    and the end leaves `run.json`, a record that names the data by `source` and the caller by `command`. `resume` goes
    on from the checkpoint. A folder that holds a run is left alone unless `resume` or `overwrite`.
    `device` is auto, cpu, cuda or mps. `precision` is fp32, bf16 or auto, which times both and says which it took.
    Raises NonFiniteLoss, CheckpointError, OSError for a folder that cannot be written, and ValueError.
    """
    recipe, accelerator = Recipe.of("training", **recipe), make_accelerator(device)
    main = accelerator.is_main_process
    out = prepare_folder(out, resume, overwrite, accelerator)
    state = Progress(run_settings(model, dataset, recipe, seed))
    if resume and out is not None and (out / CHECKPOINT).exists():
        saved = Progress.load(out / CHECKPOINT)
        saved.belongs_to(state.settings, out / CHECKPOINT)
        state = saved
    model.to(accelerator.device if accelerator.num_processes > 1 else choose_device(device))
    settle_precision(state, precision, model, dataset, recipe, accelerator)
    optimizer = None if model.learns_from == "counts" else recipe.make_optimizer(model)
    if state.epoch:
        model.load_state_dict(state.weights)
    if state.optimizer:
        restore_optimizer(model, optimizer, state.optimizer)

    total = recipe.epochs * recipe.steps(len(examples(model, dataset))) if optimizer else 1
    bar = tqdm(total=total, initial=state.step, unit="step", mininterval=1, disable=not (progress and main))
    how = {"seed": seed, "precision": state.precision, "accelerator": accelerator, "optimizer": optimizer}
    rows = fit(model, dataset, recipe, **how, done=state.epoch, on_step=lambda step: bar.update())
    try:
        while state.epoch - state.best_epoch < recipe.patience:
            bar.set_description(f"epoch {min(state.epoch + 1, recipe.epochs)}/{recipe.epochs}", refresh=False)
            begun = time.perf_counter()
            row = next(rows, None)
            if row is None:
                break
            take(state, row, model, optimizer)
            state.seconds += time.perf_counter() - begun
            bar.set_postfix({name: f"{row[name]:.4f}" for name in ("loss", GOAL) if name in row})
            if main and out is not None:
                save(state, model, dataset, out)
    finally:
        bar.close()
        if state.best:
            model.load_state_dict(state.best)
        model.eval()
    where = {"device": device_name(device_of(model)), "precision": state.precision}
    where["processes"] = accelerator.num_processes
    found = {}
    if main and out is not None:
        save(state, model, dataset, out, finished=True)
        about = {"seed": seed, "command": command, "dataset": describe(dataset, source or dataset.name), **where}
        found = record(state, model, dataset, recipe, out, about)
    return Outcome(pd.DataFrame(state.history), state.best_epoch, state.seconds, **where, evaluations=found)


def settle_precision(
    state: Progress,
    wanted: str,
    model: Recommender,
    dataset: SequenceDataset,
    recipe: Recipe,
    accelerator: Accelerator,
) -> None:
    """Decide the precision of a new run; a resumed one keeps its own. Raises CheckpointError when told otherwise."""
    if state.epoch:
        if wanted not in ("auto", state.precision):
            raise CheckpointError(f"precision was {state.precision}, is {wanted}; resume with the same settings")
        return
    batch = None
    if wanted == "auto" and model.learns_from != "counts":
        batch = typical(examples(model, dataset), recipe.batch_size, model.max_len)
        batch = Batch(*(column.to(device_of(model)) for column in batch))
    state.precision, state.precision_reason = choose_precision(wanted, model, batch, accelerator)
    if batch is not None and accelerator.is_main_process:
        print(f"precision {state.precision}; {state.precision_reason}", file=sys.stderr)


def typical(split: Split, batch_size: int, max_len: int) -> Batch:
    """A full batch of the examples whose histories have the most usual lengths, those around the median."""
    start = max(0, (len(split) - batch_size) // 2)
    return split.batch(split.positions.argsort(stable=True)[start : start + batch_size], max_len)


def take(state: Progress, row: dict[str, float], model: Recommender, optimizer: torch.optim.Optimizer | None) -> None:
    """Bring a run's state to the end of the epoch that `row` tells of."""
    state.epoch, state.step = row["epoch"], row["step"]
    state.history.append(row)
    state.weights = on_cpu(model.state_dict())
    state.optimizer = optimizer_tensors(model, optimizer) if optimizer else {}
    if state.best_epoch == 0 or row[GOAL] > state.history[state.best_epoch - 1][GOAL]:
        state.best_epoch, state.best = state.epoch, on_cpu(model.state_dict())


def run_settings(model: Recommender, dataset: SequenceDataset, recipe: Recipe, seed: int) -> dict[str, Any]:
    """What a resumed run must have in common with its beginning; the number of epochs and the patience may grow."""
    training = {name: value for name, value in recipe.as_dict().items() if name not in ("epochs", "patience")}
    return {**model.config, **training, "seed": seed, "dataset": dataset.name, "data": fingerprint(dataset)}


# ---------------------------------------------------------------- the folder


def prepare_folder(out: str | Path | None, resume: bool, overwrite: bool, accelerator: Accelerator) -> Path | None:
    """Make the folder of a run and see that it can be written. Raises CheckpointError if it holds another run."""
    if out is None:
        return None
    out = Path(out)
    if accelerator.is_main_process:
        held = [name for name in FILES if (out / name).exists()]
        if held and overwrite and not resume:
            for name in held:
                (out / name).unlink()
        elif held and not resume:
            raise CheckpointError(
                f"{out} already holds a run; add --resume to go on with it, or --overwrite to lose it"
            )
        out.mkdir(parents=True, exist_ok=True)
        for left in out.glob(".model-*"):  # of a run that was killed while it wrote
            shutil.rmtree(left, ignore_errors=True)
        write(out / ".probe", b"")
        (out / ".probe").unlink()
    accelerator.wait_for_everyone()
    return out


def save(state: Progress, model: Recommender, dataset: SequenceDataset, out: Path, finished: bool = False) -> None:
    """Write the checkpoint first, since the other files can be made from it, then what a reader of the folder wants."""
    state.save(out / CHECKPOINT)
    if not (out / CATALOGUE).exists():
        save_catalogue(dataset, out)
    write(out / HISTORY, pd.DataFrame(state.history).to_csv(index=False, lineterminator="\n"))
    if finished or state.best_epoch == state.epoch:  # the model then has the weights of the best epoch
        write_model(model, out)


def record(
    state: Progress,
    model: Recommender,
    dataset: SequenceDataset,
    recipe: Recipe,
    out: Path,
    about: dict[str, Any],
) -> dict[str, Evaluation]:
    """Evaluate the best weights and write `run.json`. The results are at the model's own number of steps."""
    begun = time.perf_counter()
    found = evaluations(model, dataset)
    config = {name: value for name, value in model.config.items() if name != "model"}
    Run(
        model=type(model).__name__.lower(),
        config={**config, **(recipe.as_dict() if model.learns_from != "counts" else {})},
        precision_reason=state.precision_reason,
        seconds=round(state.seconds, 2),
        best_epoch=state.best_epoch,
        history=state.history,
        **{name: rounded(result.flat()) for name, result in found.items()},
        evaluation_seconds=round(time.perf_counter() - begun, 2),
        **about,
    ).save(out)
    return found


def rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 6) if isinstance(value, float) else value for name, value in values.items()}
