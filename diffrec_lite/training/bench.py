"""How fast the package is, beside the plain way to do the same, on this machine and in one process.

Computers are busy with other things, so the ways take turns (plain, ours, plain, ours, …) and what counts is the
median of the ratios of neighbours. Before anything is timed, both ways have to give the same scores and losses.

Batches differ: readers with short histories are quick. Our ways are therefore timed on a few batches that stand for
all (`pieces_of`); the plain way pads every history to the same length, so one of its batches is like another.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from diffrec_lite.data import Batch, SequenceDataset, Split
from diffrec_lite.data.batches import length_buckets
from diffrec_lite.evaluation import device_of
from diffrec_lite.models.base import Recommender
from diffrec_lite.models.denoiser import DiffusionRecommender
from diffrec_lite.noise import Noise
from diffrec_lite.training import plain as plainly
from diffrec_lite.training.device import choose_device, choose_precision, make_accelerator
from diffrec_lite.training.loop import examples, fit
from diffrec_lite.training.recipe import PRESETS, Recipe
from diffrec_lite.training.record import device_name, versions
from diffrec_lite.training.run import typical
from diffrec_lite.training.timing import Piece, Way, clock, compare, matrix_peaks

TOLERANCE = 1e-4  # how far apart the scores, and relatively the losses, of two ways may be
PIECES = 6  # batches that stand for all
READERS = {"cpu": (16, 256), "cuda": (256, 4096), "mps": (64, 1024)}  # in a batch of inference: at least, at most


def bench(
    model: Recommender, dataset: SequenceDataset, recipe: Recipe, seconds: float = 20.0, device: str = "auto"
) -> dict[str, Any]:
    """Time a model's training and inference against the plain way: a JSON-ready record. The weights are moved.

    Each of the two comparisons takes `seconds`, or three rounds if that is longer. Their rows hold `way`, `steps`,
    `precision`, `per_second` (training examples or readers), `ratio` to the plain way, `gflop` an example,
    `share_of_peak` (of a matrix product's speed in that precision), `peak_memory_mb` and `rounds`. The last row of
    training is how the model trains by default. A model that averages several samples is timed with one.
    Raises ValueError for a model that cannot learn from one prefix by itself, as the plain way does, and for data
    without a test reader; ArithmeticError if two ways disagree.
    """
    name = type(model).__name__.lower()
    if type(model) not in plainly.KINDS:
        known = ", ".join(sorted(kind.__name__.lower() for kind in plainly.KINDS))
        raise ValueError(
            f"{name} does not learn from one prefix by itself, as the plain way does; choose one of {known}"
        )
    if len(dataset.test) == 0:
        raise ValueError(f"{dataset.name}: nobody to be asked; a test reader needs three interactions")
    model.to(choose_device(device))
    if getattr(model.settings, "samples", 1) > 1:
        model = plainly.twin(model, type(model), samples=1)
    stir(model)
    differences = agreement(model, dataset)
    if not all(difference <= TOLERANCE for difference in differences.values()):  # NaN is not
        raise ArithmeticError(f"{name}: the plain way and ours differ: {differences}")
    there = device_of(model)
    peaks = matrix_peaks(there)
    inference = compare(ways_to_score(model, dataset, seconds), seconds, peaks, there)
    training = compare(ways_to_train(model, dataset, recipe), seconds, peaks, there)
    return {
        "model": name,
        "dataset": dataset.name,
        "settings": {**model.settings.as_dict(), **recipe.as_dict()},
        "device": device_name(there),
        "threads": torch.get_num_threads(),
        "versions": versions(),
        "ratios": {
            "training": training[-1]["ratio"],
            "inference_one_step": inference[1]["ratio"] if isinstance(model, DiffusionRecommender) else None,
            "inference_equal_steps": inference[-1]["ratio"],
        },
        "agreement": {**differences, "tolerance": TOLERANCE},
        "peak_gflops": peaks,
        "training": training,
        "inference": inference,
    }


def preset_for(name: str, dataset: SequenceDataset) -> str:
    """The preset of a model that suits the data: "repaired" for real data where the model has it, else "quick"."""
    return "repaired" if dataset.name != "bookshop" and name in PRESETS["repaired"] else "quick"


def stir(model: nn.Module) -> None:
    """Move every weight a little: some are 0 at first, and what hangs on them could not be seen to agree."""
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.02 * torch.randn_like(weight)


# ---------------------------------------------------------------- the same result


@torch.no_grad()
def agreement(model: Recommender, dataset: SequenceDataset, readers: int = 16) -> dict[str, float]:
    """The greatest difference between the two ways, in scores and, relatively, in losses; fp32, the same noise.

    Short, usual and long histories are asked for in batches of their own, as wide as each needs. Under `mask_rows`
    padding is read like an item, so there both ways are asked with the same.
    """
    device, scores, losses = device_of(model), [], []
    prefixes = plainly.of_prefixes(model).eval()
    plain, plain_prefixes = plainly.plain(model).eval(), plainly.plain(prefixes).eval()
    model.eval()
    T = model.diffusion.T if isinstance(model, DiffusionRecommender) else 1
    by_length = dataset.test.positions.argsort(stable=True)
    for third in by_length.tensor_split(min(3, len(by_length))):
        batch = next(dataset.test.take(third[-readers:]).batches(readers, model.max_len, device=device))
        more = 0 if getattr(model.settings, "mask_rows", False) else model.max_len - batch.history.shape[1]
        wide = batch._replace(history=nn.functional.pad(batch.history, (more, 0)))
        for steps in {1, T}:
            ours = model.score(batch.history, batch.users, steps, seed=0)
            theirs = plainly.scores(plain, wide.history, Noise(0, batch.users), steps)
            scores.append((ours - theirs)[:, 1:].abs().max())
        noise = Noise(0, batch.users, batch.positions)
        ours, theirs = prefixes(batch, noise)["loss"], plain_prefixes(wide, noise)["loss"]
        losses.append(((ours - theirs) / theirs).abs())
    return {"scores": float(torch.stack(scores).max()), "losses": float(torch.stack(losses).max())}


# ---------------------------------------------------------------- what is timed


def ways_to_train(model: Recommender, dataset: SequenceDataset, recipe: Recipe) -> list[Way]:
    """The plain way, ours with prefixes, and ours with every position where the model learns from sequences."""
    prefixes, device = plainly.of_prefixes(model), device_of(model)
    slow, accelerator = plainly.plain(prefixes).train(), make_accelerator(device.type)
    adam = torch.optim.Adam(slow.parameters(), lr=recipe.lr)

    def plain_step() -> tuple[int, float]:
        begun = clock(device)
        indices = torch.randint(len(dataset.train), (recipe.batch_size,))
        plainly.train_step(slow, plainly.padded(dataset.train, indices, model.max_len, device), adam, recipe)
        return recipe.batch_size, clock(device) - begun

    ways = [Way("plain", None, "fp32", [Piece(1, plain_step)])]
    ours = {"prefixes": prefixes} | ({"every position": model} if model.learns_from == "sequences" else {})
    for name, one in ours.items():
        split = examples(one, dataset)
        usual = Batch(*(column.to(device) for column in typical(split, recipe.batch_size, one.max_len)))
        how = {"precision": choose_precision("auto", one, usual, accelerator)[0], "accelerator": accelerator}
        step = partial(our_step, one, recipe, {**how, "optimizer": recipe.make_optimizer(one)})
        pieces = pieces_of(split, recipe.batch_size, one.max_len)
        work = [Piece(weight, partial(step, OneBatch(split, batch, one.max_len, device))) for weight, batch in pieces]
        ways.append(Way(name, None, how["precision"], work))
    return ways


class OneBatch:
    """A data set of one batch, for `fit`: it times the step that `fit` takes with it, and then stops the loop."""

    class Enough(Exception):
        """The step is done."""

    def __init__(self, split: Split, indices: Tensor, max_len: int, device: torch.device) -> None:
        batch = split.batch(indices, max_len)
        self.width, self.indices, self.targets = batch.history.shape[1], indices, int(batch.history.count_nonzero())
        self.split = Split(*(x.to(device) for x in (split.items, split.users, split.starts, split.positions)))
        self.train, self.seconds = self, 0.0

    def __len__(self) -> int:
        return len(self.indices)

    def longest(self) -> OneBatch:
        return self

    def batches(self, size: int, max_len: int, seed: int, epoch: int, device: torch.device) -> Iterator[Batch]:
        begun = clock(device)
        yield self.split.batch(self.indices, max_len, self.width)
        self.seconds = clock(device) - begun
        raise self.Enough


def our_step(model: Recommender, recipe: Recipe, how: dict[str, Any], one: OneBatch) -> tuple[int, float]:
    """One step of the package's own loop. A sequence is as many examples as it has targets."""
    with suppress(OneBatch.Enough):
        next(fit(model, one, recipe, **how))
    return one.targets if model.learns_from == "sequences" else len(one), one.seconds


def ways_to_score(model: Recommender, dataset: SequenceDataset, seconds: float) -> list[Way]:
    """The plain way with all T steps, ours with one, and ours with all; a model without steps has one way of ours.

    Batches have the same number of readers in all of them, so many that the plain way takes a tenth of `seconds`.
    """
    device, view = device_of(model), dataset.test
    T = model.diffusion.T if isinstance(model, DiffusionRecommender) else None
    few, many = READERS[device.type]
    slow = plainly.plain(model).eval()

    @torch.inference_mode()
    def plain_scores(size: int, steps: int | None) -> tuple[int, float]:
        begun = clock(device)
        history = plainly.padded(view, torch.randint(len(view), (size,)), model.max_len, device).history
        plainly.scores(slow, history, plainly.PlainNoise(history), steps)
        return size, clock(device) - begun

    @torch.inference_mode()
    def our_scores(steps: int | None, indices: Tensor) -> tuple[int, float]:
        begun = clock(device)
        batch = view.batch(indices, model.max_len)
        model.score(batch.history.to(device), batch.users, steps)
        return len(indices), clock(device) - begun

    begun = time.process_time()  # which runs only while this process does
    plain_scores(few, 1)
    plain_scores(few, 1)
    a_step = (time.process_time() - begun) / 2 / torch.get_num_threads()
    size = min(many, len(view), max(few, int(few * seconds / 10 / (a_step * (T or 1)))))
    pieces = pieces_of(view, size, model.max_len)
    ways = [Way("plain", T, "fp32", [Piece(1, partial(plain_scores, size, T))])]
    for name, steps in {"one step": 1, "all steps": T}.items() if T else [("ours", None)]:
        work = [Piece(weight, partial(our_scores, steps, batch)) for weight, batch in pieces]
        ways.append(Way(name, steps, "fp32", work))
    return ways


def pieces_of(split: Split, batch_size: int, max_len: int, pieces: int = PIECES) -> list[tuple[int, Tensor]]:
    """A few batches that stand for all: `(so many, examples)`.

    All batches, from the shortest histories to the longest, are cut into groups of about the same number of padded
    positions; the middle batch of a group stands for the group.
    """
    batches = length_buckets(split.positions.clamp(max=max_len), batch_size)
    positions = torch.tensor([split.batch(batch, max_len).history.numel() for batch in batches], dtype=torch.float64)
    group = ((positions.cumsum(0) - positions / 2) / positions.sum() * pieces).long()
    members = [(group == number).nonzero().flatten() for number in group.unique()]
    return [(len(some), batches[int(some[len(some) // 2])]) for some in members]
