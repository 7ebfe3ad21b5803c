"""Training: one readable loop. Hugging Face Accelerate chooses the device, the precision and the number of processes.

Every random number of a step is a function of (seed, step) and of nothing before it. A run that was killed and resumed
therefore goes on exactly as if nothing had happened, and two processes draw the numbers that one would have drawn.
"""

from __future__ import annotations

import math
import os
import shutil
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.state import AcceleratorState
from torch import Tensor
from tqdm.auto import tqdm

from diffrec_lite.data import Batch, SequenceDataset
from diffrec_lite.evaluation import evaluate
from diffrec_lite.metrics import names as metric_names
from diffrec_lite.models.base import Recommender
from diffrec_lite.noise import BatchNoise, mix
from diffrec_lite.training.checkpoint import (
    CHECKPOINT,
    Checkpoint,
    CheckpointError,
    on_cpu,
    optimizer_tensors,
    restore_optimizer,
    write,
    write_model,
)
from diffrec_lite.training.recipe import Recipe
from diffrec_lite.training.run import device_name, fingerprint, write_items

FILES = (CHECKPOINT, "model.safetensors", "config.json", "README.md", "items.csv", "history.csv", "run.json")


class NonFiniteLoss(ArithmeticError):
    """The loss or its gradient became NaN or infinite; the message names the epoch, the step and the readers."""


@dataclass(frozen=True)
class Fit:
    """What `fit` did: a row of `history` an epoch, the best epoch, seconds of training, and where it ran."""

    history: pd.DataFrame
    best_epoch: int
    seconds: float
    device: str
    precision: str
    processes: int
    is_main: bool


def fit(
    model: Recommender,
    dataset: SequenceDataset,
    out: str | Path | None = None,
    *,
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
    **recipe: Any,
) -> Fit:
    """Train `model` in place; it ends with the weights of its best epoch, in evaluation mode. `recipe`: see `Recipe`.

    With a folder `out`, every epoch leaves there the best model so far, `items.csv`, `history.csv` and a checkpoint;
    `resume` goes on from the checkpoint. A folder that holds a run is left alone unless `resume` or `overwrite`.
    `device` is auto, cpu, cuda or mps; `precision` is auto (bf16 on CUDA, fp32 elsewhere), fp32 or bf16.
    Raises NonFiniteLoss, CheckpointError, OSError for a folder that cannot be written, and ValueError.
    """
    recipe = Recipe(**recipe)
    accelerator = make_accelerator(device, precision)
    out = prepare_folder(out, resume, overwrite, accelerator)
    state = Checkpoint(run_settings(model, dataset, recipe, seed))
    if resume and out is not None and (out / CHECKPOINT).exists():
        saved = Checkpoint.load(out / CHECKPOINT)
        saved.belongs_to(state.settings, out / CHECKPOINT)
        state = saved
    if model.learns_from == "counts":
        return _fit_counts(model, dataset, out, state, recipe, accelerator)

    train = dataset.train.longest() if model.learns_from == "sequences" else dataset.train
    if len(train) == 0:
        raise ValueError(f"{dataset.name}: nothing to learn from; nobody has the four interactions that training needs")
    wrapped, optimizer = accelerator.prepare(model, recipe.make_optimizer(model))
    raw_optimizer = optimizer.optimizer
    if state.epoch:
        model.load_state_dict(state.weights)
        restore_optimizer(model, raw_optimizer, state.optimizer)
    steps = math.ceil(len(train) / recipe.batch_size)
    hidden = not (progress and accelerator.is_main_process)
    bar = tqdm(total=recipe.epochs * steps, initial=state.step, unit="step", mininterval=1, disable=hidden)
    try:
        while state.epoch < recipe.epochs and state.epoch - state.best_epoch < recipe.patience:
            begun = time.perf_counter()
            state.epoch += 1
            wrapped.train()
            sums: dict[str, Tensor] = {}
            first_step = state.step
            for batch in train.batches(recipe.batch_size, model.max_len, seed=mix(seed, state.epoch)):
                state.step += 1
                own, noise, weight = share(batch, model, mix(seed, state.step), accelerator)
                torch.manual_seed(mix(seed, state.step, accelerator.process_index))  # for dropout
                losses = wrapped(own, noise, float(state.epoch - 1))
                accelerator.backward(losses["loss"] * weight)
                norm = float(accelerator.clip_grad_norm_(wrapped.parameters(), recipe.clip))
                losses = {name: value.detach() for name, value in losses.items()}
                if not math.isfinite(norm) or not math.isfinite(losses["loss"]):
                    raise NonFiniteLoss(_describe(losses, norm, state, batch))
                for group in raw_optimizer.param_groups:
                    group["lr"] = recipe.lr_at(state.epoch, state.step)
                optimizer.step()
                optimizer.zero_grad()
                for name, value in losses.items():
                    sums[name] = sums.get(name, 0.0) + value * (weight / accelerator.num_processes)
                bar.set_description(f"epoch {state.epoch}/{recipe.epochs}", refresh=False)
                bar.update()
            steps = state.step - first_step
            row = {"epoch": state.epoch, "step": state.step, "lr": recipe.lr_at(state.epoch, state.step)}
            means = {name: accelerator.reduce(total, "sum").item() / steps for name, total in sums.items()}
            metrics = validate(model, dataset, recipe, seed, accelerator)
            state.history.append({**row, **means, **metrics})
            bar.set_postfix(loss=f"{means['loss']:.4f}", **{"NDCG@10": f"{metrics['val NDCG@10']:.4f}"})
            if state.best_epoch == 0 or metrics["val NDCG@10"] > state.history[state.best_epoch - 1]["val NDCG@10"]:
                state.best_epoch, state.best = state.epoch, on_cpu(model.state_dict())
            state.weights = on_cpu(model.state_dict())
            state.optimizer = optimizer_tensors(model, raw_optimizer)
            state.seconds += time.perf_counter() - begun
            save(state, model, dataset, out, accelerator)
    finally:
        bar.close()
        accelerator.unwrap_model(wrapped, keep_fp32_wrapper=False)
        vars(model).pop("forward", None)  # the class's own forward, without autocast, serves again
    model.load_state_dict(state.best)
    model.eval()
    save(state, model, dataset, out, accelerator)
    return _outcome(state, accelerator)


def share(batch: Batch, model: Recommender, seed: int, accelerator: Accelerator) -> tuple[Batch, ShareNoise, float]:
    """This process's rows of a batch, their noise, and a weight that makes their mean the batch's mean.

    Process r of n takes rows r, r + n, …. A model that learns from sequences has a target at every position, so its
    rows weigh as many targets as they hold. A process without a row gets the first one, at weight 0.
    """
    rank, processes = accelerator.process_index, accelerator.num_processes
    rows = torch.arange(len(batch.users))[rank::processes]
    empty = len(rows) == 0
    rows = torch.zeros(1, dtype=torch.long) if empty else rows
    targets = (batch.history != 0).sum(1) if model.learns_from == "sequences" else torch.ones(len(batch.users))
    weight = 0.0 if empty else float(targets[rows].sum() / targets.sum()) * processes
    own = Batch(
        batch.users[rows], batch.history[rows].to(accelerator.device), batch.target[rows].to(accelerator.device)
    )
    return own, ShareNoise(seed, len(batch.users), rows), weight if processes > 1 else 1.0


class ShareNoise(BatchNoise):
    """The noise of some `rows` of a batch of `size`: drawn for the whole batch, so that it is the same in any share."""

    def __init__(self, seed: int, size: int, rows: Tensor) -> None:
        super().__init__(seed)
        self.size, self.rows = size, rows

    def __call__(self, like: Tensor, step: int = 0, stream: int = 0) -> Tensor:
        return super().__call__(torch.empty(self.size, *like.shape[1:]))[self.rows].to(like)

    def integers(self, low: int, high: int, count: int) -> Tensor:
        return super().integers(low, high, self.size)[self.rows]


def validate(
    model: Recommender, dataset: SequenceDataset, recipe: Recipe, seed: int, accelerator: Accelerator
) -> dict[str, float]:
    """Unfiltered metrics on the validation items. The main process ranks, the others are told the result."""
    names = [f"val {name}" for name in metric_names()]
    values = torch.zeros(len(names), dtype=torch.float64 if accelerator.device.type != "mps" else torch.float32)
    if accelerator.is_main_process:
        found = evaluate(model, dataset, "val", steps=recipe.val_steps, users=recipe.val_users, seed=seed).metrics
        values = torch.tensor(list(found.values()), dtype=values.dtype)
    if accelerator.num_processes > 1:
        values = accelerator.reduce(values.to(accelerator.device), "sum")
    return dict(zip(names, values.tolist(), strict=True))


# ---------------------------------------------------------------- where a run lives


def make_accelerator(device: str = "auto", precision: str = "auto") -> Accelerator:
    """An Accelerator for the device and precision asked for. Raises ValueError when this machine lacks them."""
    present = {"auto": True, "cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device not in present:
        raise ValueError(f"unknown device {device!r}; choose one of {', '.join(present)}")
    if not present[device]:
        raise ValueError(f"this machine, or this build of torch, has no {device}; use --device auto")
    if precision not in ("auto", "fp32", "bf16"):
        raise ValueError(f"unknown precision {precision!r}; choose auto, fp32 or bf16")
    on_cuda = present["cuda"] and device in ("auto", "cuda")
    if precision == "auto":
        precision = "bf16" if on_cuda and torch.cuda.is_bf16_supported() else "fp32"
    several = int(os.environ.get("WORLD_SIZE", 1)) > 1
    if not several:  # a notebook may have trained on another device before
        AcceleratorState._reset_state(reset_partial_state=True)
    # A model with a switched-off part has parameters that get no gradient; DDP must be told to expect them.
    warnings.filterwarnings("ignore", message=".*find_unused_parameters=True was specified.*")
    return Accelerator(
        cpu=device == "cpu" or (several and not present["cuda"]),  # else Accelerate would not join the processes
        mixed_precision="no" if precision == "fp32" else precision,
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )


def prepare_folder(
    out: str | Path | None, resume: bool, overwrite: bool, accelerator: Accelerator | None = None
) -> Path | None:
    """Make the folder of a run and see that it can be written. Raises CheckpointError if it holds another run."""
    if out is None:
        return None
    out = Path(out)
    if accelerator is None or accelerator.is_main_process:
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
    if accelerator is not None:
        accelerator.wait_for_everyone()
    return out


def run_settings(model: Recommender, dataset: SequenceDataset, recipe: Recipe, seed: int) -> dict[str, Any]:
    """What a resumed run must have in common with its beginning; the number of epochs and the patience may grow."""
    training = {name: value for name, value in asdict(recipe).items() if name not in ("epochs", "patience")}
    return {**model.config, **training, "seed": seed, "dataset": dataset.name, "data": fingerprint(dataset)}


def save(
    state: Checkpoint, model: Recommender, dataset: SequenceDataset, out: Path | None, accelerator: Accelerator
) -> None:
    """Write the checkpoint first, since the other files can be made from it, then what a reader of the folder wants."""
    if out is None or not accelerator.is_main_process:
        return
    if state.weights:
        state.save(out / CHECKPOINT)
    if not (out / "items.csv").exists():
        write_items(dataset, out / "items.csv")
    write(out / "history.csv", pd.DataFrame(state.history).to_csv(index=False, lineterminator="\n"))
    if state.best_epoch == state.epoch or not model.training:
        write_model(model, out)


def _fit_counts(
    model: Recommender,
    dataset: SequenceDataset,
    out: Path | None,
    state: Checkpoint,
    recipe: Recipe,
    accelerator: Accelerator,
) -> Fit:
    begun = time.perf_counter()
    model.fit_counts(dataset)
    model.eval()
    state.epoch = state.best_epoch = 1
    state.history = [{"epoch": 1, "step": 1, **validate(model, dataset, recipe, 0, accelerator)}]
    state.seconds = time.perf_counter() - begun
    save(state, model, dataset, out, accelerator)
    return _outcome(state, accelerator)


def _outcome(state: Checkpoint, accelerator: Accelerator) -> Fit:
    return Fit(
        history=pd.DataFrame(state.history),
        best_epoch=state.best_epoch,
        seconds=state.seconds,
        device=device_name(accelerator.device),
        precision={"no": "fp32"}.get(accelerator.mixed_precision, accelerator.mixed_precision),
        processes=accelerator.num_processes,
        is_main=accelerator.is_main_process,
    )


def _describe(losses: dict[str, Tensor], norm: float, state: Checkpoint, batch: Batch) -> str:
    values = ", ".join(f"{name} {float(value):.4g}" for name, value in losses.items())
    users = ", ".join(str(user) for user in batch.users[:5].tolist()) + (", …" if len(batch.users) > 5 else "")
    return (
        f"the training loss is not finite in epoch {state.epoch}, step {state.step}: {values}, gradient norm "
        f"{norm:.4g}; batch of {len(batch.users)} readers, ids {users}. Earlier epochs are kept; "
        "try a smaller lr or clip"
    )
