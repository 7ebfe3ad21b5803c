"""A whole run: the loop, and around it a folder, a checkpoint an epoch, the best epoch, a bar and a record."""

from __future__ import annotations

import copy
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
from diffrec_lite.evaluation import Evaluation, device_of, evaluate
from diffrec_lite.models.base import Recommender
from diffrec_lite.models.catalogue import Catalogue
from diffrec_lite.noise import Noise
from diffrec_lite.training.checkpoint import (
    CHECKPOINT,
    CheckpointError,
    Progress,
    on_cpu,
    optimizer_tensors,
)
from diffrec_lite.training.device import choose_device, choose_precision, in_precision, make_accelerator
from diffrec_lite.training.folder import claimed, mend, save
from diffrec_lite.training.loop import examples, fit
from diffrec_lite.training.recipe import Recipe
from diffrec_lite.training.record import Run, describe, device_name, evaluations, fingerprint

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
    command: str = "train()",
    **recipe: Any,
) -> Outcome:
    """Train `model` in place; it ends with the weights of its best epoch, in evaluation mode. `recipe`: see `Recipe`.

    With a folder `out`, every epoch leaves there the best model so far, `items.csv`, `history.csv` and a checkpoint,
    and the end leaves `run.json`, a record that says how the data were read, and names the caller by `command`.
    `resume` goes on from the checkpoint. A folder that holds a run is left alone unless `resume` or `overwrite`, and an
    old run is there until the first epoch of the new one is over.
    `device` is auto, cpu, cuda or mps. `precision` is fp32, bf16 or auto, which times both and says which it took.
    Raises NonFiniteLoss, CheckpointError, OSError for a folder that cannot be written, and ValueError.
    """
    recipe, accelerator = Recipe.of("training", **recipe), make_accelerator(device)
    with claimed(out, resume, overwrite, accelerator) as folder:
        state, dataset = begin(model, dataset, recipe, seed, folder if resume else None)
        about = describe(dataset)
        model.to(accelerator.device if accelerator.num_processes > 1 else choose_device(device))
        settle_precision(state, precision, model, dataset, recipe, accelerator)
        optimizer = None if model.learns_from == "counts" else recipe.make_optimizer(model)
        writes = accelerator.is_main_process and folder is not None
        if state.epoch:
            state.restore(model, optimizer, folder / CHECKPOINT)
            if writes:
                model.trained_on = about
                mend(state, model, folder)
        else:
            note_what_is_cut_off(model, dataset)
            rehearse(model, dataset, recipe, state.precision)
        total = recipe.epochs * recipe.steps(len(examples(model, dataset))) if optimizer else 1
        show = progress and accelerator.is_main_process
        bar = tqdm(total=total, initial=state.step, unit="step", mininterval=1, disable=not show)
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
                model.trained_on = about
                if writes:
                    save(state, model, folder)
        finally:
            bar.close()
            if state.best:
                model.load_state_dict(state.best)
            model.eval()
        where = {"device": device_name(device_of(model)), "precision": state.precision}
        where["processes"] = accelerator.num_processes
        run = {"seed": seed, "command": command, "dataset": about, **where}
        found = record(state, model, dataset, recipe, folder, run) if writes else {}
        return Outcome(pd.DataFrame(state.history), state.best_epoch, state.seconds, **where, evaluations=found)


def begin(
    model: Recommender, dataset: SequenceDataset, recipe: Recipe, seed: int, folder: Path | None
) -> tuple[Progress, SequenceDataset]:
    """The state of a new run, or that of the checkpoint in `folder`; and the data in the model's numbers.

    Raises CheckpointError, naming what differs, for a checkpoint of another model, of other settings or other data.
    """
    path = None if folder is None else folder / CHECKPOINT
    if path is None or not path.exists():
        dataset = model.learning_from(dataset)
        return Progress(run_settings(model, dataset, recipe, seed), tokens=model.catalogue.tokens), dataset
    state = Progress.load(path)
    try:
        dataset = Catalogue(state.tokens).numbered(dataset)
    except ValueError as problem:
        raise CheckpointError(f"{path} is of another run: {problem}") from None
    state.belongs_to(run_settings(model, dataset, recipe, seed), path)
    if recipe.epochs < state.epoch:
        done = f"{state.epoch} epochs are done, and epochs is {recipe.epochs}"
        raise CheckpointError(f"{path}: {done}; ask for as many at least, or train anew with --overwrite")
    model.catalogue = Catalogue.of(dataset)
    return state, dataset


def note_what_is_cut_off(model: Recommender, dataset: SequenceDataset) -> None:
    """Say how many targets a model that learns from sequences never meets, since its `max_len` cuts them off."""
    if model.learns_from != "sequences":
        return
    met, all_ = int(examples(model, dataset).positions.clamp(max=model.max_len).sum()), len(dataset.train)
    if met < all_:
        print(
            f"note: {met:,} of {all_:,} training targets are learned, those among the last {model.max_len} items of "
            "each reader; a larger max_len learns more",
            file=sys.stderr,
        )


def rehearse(model: Recommender, dataset: SequenceDataset, recipe: Recipe, precision: str) -> None:
    """Validate on a few readers and take one step with a copy of the model, so that what cannot work fails at once."""
    if model.learns_from == "counts":  # it counts and is validated before anything is written
        return
    device = device_of(model)
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        evaluate(model, dataset, "val", steps=recipe.val_steps, users=8)
        twin = copy.deepcopy(model).to(device).train()  # a copied GRU lies in pieces until it is moved
        optimizer = recipe.make_optimizer(twin)
        batch = typical(examples(model, dataset), recipe.batch_size, model.max_len)
        batch = Batch(*(column.to(device) for column in batch))
        with in_precision(precision, device):
            loss = twin(batch, Noise(0, batch.users, batch.positions), 0.0)["loss"]
        loss.backward()
        optimizer.step()


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
    """What a resumed run must have in common with its beginning; epochs and patience may differ."""
    training = {name: value for name, value in recipe.as_dict().items() if name not in ("epochs", "patience")}
    split = {} if dataset.cuts is None else {"split": dataset.cuts.name}
    return {**model.config, **training, "seed": seed, "dataset": dataset.name, **split, "data": fingerprint(dataset)}


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
