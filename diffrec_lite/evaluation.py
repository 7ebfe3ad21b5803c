"""Evaluation on the whole catalogue: score every item for every reader, in chunks, and rank the true one.

Two protocols differ in their candidates only. *Unfiltered*, the protocol of DiffuRec, DiffuRecSys and DCRec: every item
of the catalogue. *Seen-filtered*, the protocol of many SASRec papers: items of the reader's history are taken out.
One pass gives the ranks under both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import pandas as pd
import torch
from torch import Tensor
from tqdm.auto import tqdm

from diffrec_lite import metrics
from diffrec_lite.data import SequenceDataset, Split

SCORES_AT_ONCE = (4_000_000, 200_000_000)  # numbers in one chunk of scores: 16 MB, on a CUDA device 800 MB
TOP = 10  # how long the lists are that `coverage` looks at


class Scorer(Protocol):
    """What can be evaluated: a `Recommender`, or anything else with its `score`."""

    def score(self, history: Tensor, users: Tensor | None, steps: int | None, seed: int) -> Tensor: ...


class Oracle:
    """A scorer made of a function from one whole history to the odds `(V,)` of every next item.

    `Oracle(bookshop.next_item_odds)` is the best that any model can do on the bookshop.
    """

    def __init__(self, odds: Callable[[list[int]], Tensor]) -> None:
        self.odds = odds

    def score(self, history: Tensor, users: Any = None, steps: int | None = None, seed: int = 0) -> Tensor:
        return torch.stack([torch.as_tensor(self.odds([i for i in row if i])) for row in history.tolist()])


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """A model in evaluation mode, without dropout, for as long as the context lasts; its mode is restored."""
    training = getattr(model, "training", False)
    if training:
        model.eval()
    try:
        yield
    finally:
        if training:
            model.train()


@dataclass(frozen=True)
class Evaluation:
    """The outcome for N readers. `users`, `targets`, `lengths` (of the history) and `ranks` are `(N,)` int64.

    `popularity (N,)` says how often each target occurs in the training part, `coverage` which share of the catalogue
    is among anybody's ten best. `protocol` says how it was asked; its `unknown_targets` never occur in training.
    """

    protocol: dict[str, Any]
    users: Tensor
    targets: Tensor
    lengths: Tensor
    ranks: Tensor
    popularity: Tensor
    coverage: float

    @cached_property
    def metrics(self) -> dict[str, float]:
        """HR@5, HR@10, HR@20, NDCG@5, NDCG@10, NDCG@20 and MRR."""
        return metrics.summary(self.ranks)

    @cached_property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """The 95 % bootstrap interval of each metric."""
        return metrics.bootstrap(self.ranks, seed=self.protocol["seed"])

    @cached_property
    def long_tail(self) -> dict[str, float]:
        """What a model does beyond the popular items: coverage@10, and the debiased NDCG@10 with its 95 % interval."""
        low, high = metrics.bootstrap_debiased(self.ranks, self.popularity, seed=self.protocol["seed"])
        debiased = metrics.debiased_ndcg(self.ranks, self.popularity)
        ends = {f"{metrics.DEBIASED} low": low, f"{metrics.DEBIASED} high": high}
        return {metrics.COVERAGE: self.coverage, metrics.DEBIASED: debiased, **ends}

    def flat(self) -> dict[str, Any]:
        """One flat, JSON-ready object: each metric, the ends of its interval ("HR@5 low"), and the protocol."""
        found = dict(self.metrics)
        for name, (low, high) in self.intervals.items():
            found[f"{name} low"], found[f"{name} high"] = low, high
        return {**found, **self.long_tail, **self.protocol}

    def table(self) -> pd.DataFrame:
        """One row a reader: user, target, length, popularity, rank. `metrics.by_group` slices it."""
        columns = {"user": self.users, "target": self.targets, "length": self.lengths}
        columns |= {"popularity": self.popularity, "rank": self.ranks}
        return pd.DataFrame({name: column.numpy() for name, column in columns.items()})


def evaluate(
    model: Scorer,
    dataset: SequenceDataset,
    split: str = "test",
    steps: int | None = None,
    filter_seen: bool = False,
    batch_size: int | None = None,
    seed: int = 0,
    users: int | None = None,
    progress: bool = False,
) -> Evaluation:
    """Rank the target of every reader of a split ("val" or "test") among all items of the catalogue.

    - `steps` denoising steps (None: the model's own choice); `seed` of the sampler's noise, which depends on the
      reader and never on the batch.
    - `filter_seen` takes the items of the whole history out of the ranking, also those that the model's `max_len` cut
      off. A target that the reader has met before stays a candidate: it is the right answer.
    - `users` evaluates only so many readers, drawn with `seed`.
    - `batch_size` only trades memory for speed (None: what suits the catalogue).

    The model runs where it is, without gradients, in evaluation mode and in full precision; its mode is restored.
    A model that knows its items (`Recommender.numbered`) is asked in its own numbers; the targets in the result are
    the data set's. Raises ValueError for an unknown or empty split, other items, and scores that are not numbers.
    """
    return _rank(model, dataset, split, steps, batch_size, seed, users, progress)[filter_seen]


def evaluate_both(model: Scorer, dataset: SequenceDataset, split: str = "test", **settings: Any) -> list[Evaluation]:
    """`evaluate`, unfiltered and seen-filtered, from one scoring pass; `settings` as for `evaluate`."""
    defaults = {"steps": None, "batch_size": None, "seed": 0, "users": None, "progress": False}
    return list(_rank(model, dataset, split, **{**defaults, **settings}))


@torch.inference_mode()
def _rank(
    model: Scorer,
    dataset: SequenceDataset,
    split: str,
    steps: int | None,
    batch_size: int | None,
    seed: int,
    users: int | None,
    progress: bool,
) -> tuple[Evaluation, Evaluation]:
    """The evaluation of both protocols: unfiltered, seen-filtered."""
    if split not in ("val", "test"):
        raise ValueError(f"unknown split {split!r}; choose val or test")
    given: Split = getattr(dataset, split)
    if hasattr(model, "numbered"):
        dataset = model.numbered(dataset)
    elif getattr(model, "num_items", dataset.num_items) != dataset.num_items:
        raise ValueError(f"the model knows {model.num_items} items, the data set {dataset.name} {dataset.num_items}")
    view: Split = getattr(dataset, split)
    if len(view) == 0:
        raise ValueError(f"{dataset.name}: nobody has the three interactions that the {split} split needs")
    for name, number in (("users", users), ("batch_size", batch_size)):
        if number is not None and number < 1:
            raise ValueError(f"{name} must be at least 1, got {number}")
    chosen = torch.arange(len(view))
    if users is not None and users < len(view):
        chosen = torch.randperm(len(view), generator=torch.Generator().manual_seed(seed))[:users].sort().values
    max_len = getattr(model, "max_len", int(view.positions.max()))
    device = device_of(model)
    at_once = SCORES_AT_ONCE[device.type == "cuda"]
    batch_size = batch_size or max(1, min(at_once // 8_000, at_once // (dataset.num_items + 1)))

    by_length = chosen[view.positions[chosen].argsort(stable=True)]
    place = torch.empty(len(view), dtype=torch.long)
    place[chosen] = torch.arange(len(chosen))
    found = torch.zeros(2, len(chosen), dtype=torch.long)
    best = torch.zeros(2, len(chosen), TOP, dtype=torch.long)
    with evaluating(model):
        chunks = by_length.split(batch_size)
        for indices in tqdm(chunks, desc=f"evaluate {split}", unit="batch", disable=not progress, leave=False):
            batch = view.batch(indices, max_len)
            scores = model.score(batch.history.to(device), users=batch.users, steps=steps, seed=seed)
            try:
                ranks, items = _both(scores, batch.target, *view.take(indices).read())
                found[:, place[indices]], best[:, place[indices], : items.shape[-1]] = ranks.cpu(), items.cpu()
            except ValueError as problem:
                raise ValueError(f"readers {batch.users.tolist()[:3]} …: {problem}") from None
    readers = {
        "users": given.users[chosen],
        "targets": given.targets[chosen],
        "lengths": view.positions[chosen].clone(),
        "popularity": torch.bincount(dataset.train_items(), minlength=dataset.num_items + 1)[view.targets[chosen]],
    }
    protocol = {
        "dataset": dataset.name,
        "held_out": dataset.cut.name,
        "split": split,
        "seen_filtered": False,
        "candidates": dataset.num_items,
        "ties": "against the model",
        "steps": steps if steps is not None else getattr(model, "sampling_steps", None),
        "seed": seed,
        "users": len(chosen),
        "unknown_targets": int((readers["popularity"] == 0).sum()),
    }
    covered = [metrics.coverage(items, dataset.num_items) for items in best]
    return (
        Evaluation(protocol, **readers, ranks=found[0], coverage=covered[0]),
        Evaluation({**protocol, "seen_filtered": True}, **readers, ranks=found[1], coverage=covered[1]),
    )


def _both(scores: Tensor, target: Tensor, rows: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Ranks `(2, B)` and the best items `(2, B, 10)`, with all candidates and with item `seen[i]` out of `rows[i]`."""
    target, rows, seen = target.to(scores.device), rows.to(scores.device), seen.to(scores.device)
    scores = scores if scores.is_floating_point() else scores.double()  # whole numbers have no infinity
    ranks, best = metrics.ranks(scores, target), _best(scores)
    own = scores.gather(1, target[:, None])
    scores = scores.index_put((rows, seen), scores.new_tensor(-torch.inf)).scatter(1, target[:, None], own)
    return torch.stack([ranks, metrics.ranks(scores, target)]), torch.stack([best, _best(scores)])


def _best(scores: Tensor) -> Tensor:
    """The ten best items of each row, 0 where fewer are candidates."""
    values, items = scores[:, 1:].topk(min(TOP, scores.shape[1] - 1))
    return torch.where(values > -torch.inf, items + 1, 0)


def device_of(model: Scorer) -> torch.device:
    """Where a model is; the CPU for a scorer that holds no tensor."""
    state: Sequence[Tensor] = list(model.state_dict().values()) if isinstance(model, torch.nn.Module) else []
    return state[0].device if state else torch.device("cpu")
