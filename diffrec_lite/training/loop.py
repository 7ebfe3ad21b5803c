"""Training: one readable loop, a generator that yields a row an epoch.

Every random number of a step is a function of (seed, step) and of nothing before it: the order of the examples, the
noise, the dropout. A run that was killed and resumed therefore goes on exactly as if nothing had happened, and two
processes draw the noise that one would have drawn. What surrounds the loop (folder, checkpoint, early stopping, the
record of a run) stands in `run.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from diffrec_lite.data import Batch, SequenceDataset, Split
from diffrec_lite.evaluation import device_of, evaluate
from diffrec_lite.metrics import names as metric_names
from diffrec_lite.models.base import Recommender
from diffrec_lite.noise import Noise, mix
from diffrec_lite.training.device import in_precision, make_accelerator
from diffrec_lite.training.recipe import Recipe

LOOK_EVERY = 50  # steps between two looks at the losses; each look makes an accelerator wait


class NonFiniteLoss(ArithmeticError):
    """The loss or its gradient became NaN or infinite; the message names the epoch, the step and each loss."""


def fit(
    model: Recommender,
    dataset: SequenceDataset,
    recipe: Recipe | None = None,
    *,
    seed: int = 0,
    precision: str = "fp32",
    accelerator: Accelerator | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    done: int = 0,
    on_step: Callable[[int], object] = lambda step: None,
) -> Iterator[dict[str, float]]:
    """Train `model` in place, on the device where it is, and yield one row an epoch.

    A row holds epoch, step, lr, the epoch's mean of each loss and of the gradient's norm, and the validation metrics
    ("val HR@5", …). The model is in evaluation mode whenever a row is out. Nobody has to take all rows.
    To go on after `done` epochs, bring the weights and the `optimizer` of that moment. `precision` is fp32 or bf16.
    `on_step(step)` is called after each step. Raises NonFiniteLoss, and ValueError for another precision, when there
    is nothing to learn from, or when the model knows other items.
    """
    recipe, accelerator = recipe or Recipe(), accelerator or make_accelerator()
    if isinstance(dataset, SequenceDataset):  # the bench brings a single batch, which has no names
        dataset = model.learning_from(dataset)
    if model.learns_from == "counts":
        yield from [] if done else [count(model, dataset, recipe, accelerator)]
        return
    train, device = examples(model, dataset), device_of(model)
    wrapped, optimizer = accelerator.prepare(model), optimizer or recipe.make_optimizer(model)
    step = done * recipe.steps(len(train))
    for epoch in range(done + 1, recipe.epochs + 1):
        wrapped.train()
        means = Means(epoch, step)
        for batch in train.batches(recipe.batch_size, model.max_len, seed=seed, epoch=epoch, device=device):
            step += 1
            torch.manual_seed(mix(seed, step, accelerator.process_index))  # for dropout
            own, weight = part(batch, model, accelerator)
            noise = Noise(mix(seed, step), own.users, own.positions)
            with in_precision(precision, device):
                losses = wrapped(own, noise, float(epoch - 1))
            (weight * losses["loss"]).backward()
            norm = clip_grad_norm_(model.parameters(), recipe.clip)
            recipe.set_lr(optimizer, epoch, step)
            optimizer.step()
            optimizer.zero_grad()
            means.add(losses, norm, weight)
            on_step(step)
        row = {"epoch": epoch, "step": step, "lr": recipe.lr_at(epoch, step), **means.over_all(accelerator)}
        yield {**row, **validate(model.eval(), dataset, recipe, accelerator)}


def examples(model: Recommender, dataset: SequenceDataset) -> Split:
    """The training examples that a model learns from. Raises ValueError when there are none."""
    if len(dataset.train) == 0:
        raise ValueError(f"{dataset.name}: nothing to learn from; nobody has the four interactions that training needs")
    return dataset.train.longest() if model.learns_from == "sequences" else dataset.train


def count(model: Recommender, dataset: SequenceDataset, recipe: Recipe, accelerator: Accelerator) -> dict[str, float]:
    """The one row of a model that only counts."""
    model.fit_counts(dataset)
    return {"epoch": 1, "step": 1, **validate(model.eval(), dataset, recipe, accelerator)}


def part(batch: Batch, model: Recommender, accelerator: Accelerator) -> tuple[Batch, Tensor | float]:
    """This process's rows of a batch, and the weight that makes the mean over processes the batch's mean.

    Process r of n takes rows r, r + n, …. A model that learns from sequences has a target at every position, so its
    rows weigh as many targets as they hold. A process without a row gets the first one, at weight 0.
    """
    rank, processes = accelerator.process_index, accelerator.num_processes
    if processes == 1:
        return batch, 1.0
    ones = torch.ones_like(batch.users)
    targets = (batch.history != 0).sum(1) if model.learns_from == "sequences" else ones
    rows = slice(rank, None, processes) if rank < len(ones) else slice(0, 1)
    weight = targets[rank::processes].sum() / targets.sum() * processes
    return Batch(*(column[rows] for column in batch)), weight


class Means:
    """The means of an epoch's losses, kept on the device. Every 50 steps they are looked at: are they still numbers?"""

    def __init__(self, epoch: int, step: int) -> None:
        self.epoch, self.first, self.seen = epoch, step, step
        self.names: list[str] = []
        self.rows: list[Tensor] = []
        self.total: Tensor | float = 0.0

    def add(self, losses: dict[str, Tensor], norm: Tensor, weight: Tensor | float) -> None:
        """Take the scalars of one step: this process's losses with their weight, and the norm that all have."""
        self.names = [*losses, "gradient norm"]
        self.rows.append(torch.stack([weight * loss.detach().float() for loss in losses.values()] + [norm]))
        if len(self.rows) == LOOK_EVERY:
            self.look()

    def look(self) -> None:
        """Add up what has come since the last look. Raises NonFiniteLoss at the first step that is not finite."""
        table = torch.stack(self.rows)  # (steps, losses)
        if not bool(table.isfinite().all()):
            row = int((~table.isfinite()).any(1).nonzero()[0])
            values = ", ".join(
                f"{name} {value:.4g}" for name, value in zip(self.names, table[row].tolist(), strict=True)
            )
            raise NonFiniteLoss(
                f"the training loss is not finite in epoch {self.epoch}, step {self.seen + row + 1}: {values}. "
                "Earlier epochs are kept; try a smaller lr or clip"
            )
        self.total, self.seen, self.rows = self.total + table.sum(0), self.seen + len(table), []

    def over_all(self, accelerator: Accelerator) -> dict[str, float]:
        """The means by name, over all steps and processes."""
        if self.rows:
            self.look()
        total = accelerator.reduce(self.total, "mean") / (self.seen - self.first)
        return dict(zip(self.names, total.tolist(), strict=True))


def validate(
    model: Recommender, dataset: SequenceDataset, recipe: Recipe, accelerator: Accelerator
) -> dict[str, float]:
    """Unfiltered metrics on the validation items, always of the same readers and with the same noise.

    The main process ranks, the others are told the result.
    """
    names = [f"val {name}" for name in metric_names()]
    values = torch.zeros(len(names), dtype=torch.float64)
    if accelerator.is_main_process:
        found = evaluate(model, dataset, "val", steps=recipe.val_steps, users=recipe.val_users, seed=0).metrics
        values = torch.tensor(list(found.values()), dtype=torch.float64)
    if accelerator.num_processes > 1:
        values = accelerator.reduce(values.to(accelerator.device), "sum")
    return dict(zip(names, values.tolist(), strict=True))
