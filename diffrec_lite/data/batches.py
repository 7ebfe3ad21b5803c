"""Batches of examples: who is asked, what they read before, and what they read next.

An example is a pair (user, position): the target is the item at that position, the history is everything before it.
Sequences stay ragged, as one flat vector of items; padded matrices exist only inside a batch. A batch holds histories
of similar length, because most readers have read little: padding all of them to the longest would waste most of the
work. Histories are padded with 0 on the left, so that the last column is always the latest item.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

WIDTH_STEP = 8  # a few widths only: torch on a CPU keeps memory for every shape that it has met


class Batch(NamedTuple):
    """B examples: `users (B,)`, `history (B, L)` padded with 0 on the left, `target (B,)`; all int64."""

    users: Tensor
    history: Tensor
    target: Tensor

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device."""
        return Batch(*(tensor.to(device) for tensor in self))


def pad(histories: Tensor | Sequence[Sequence[int] | Tensor], max_len: int | None = None) -> Tensor:
    """Histories of any lengths as one matrix `(B, L)`, padded with 0 on the left; the last `max_len` items are kept.

    A tensor `(B, L)` counts as padded already and is only cut. Raises ValueError for an empty history, by its number.
    """
    if max_len is not None and max_len < 1:
        raise ValueError(f"max_len must be at least 1, got {max_len}")
    if isinstance(histories, Tensor):
        if histories.dim() != 2:
            raise ValueError(f"a tensor of histories must be (B, L), got {tuple(histories.shape)}")
        matrix = histories.long()
        empty = (matrix != 0).sum(1) == 0
    else:
        rows = [torch.as_tensor(history, dtype=torch.long) for history in histories]
        if any(row.dim() != 1 for row in rows):
            raise ValueError("histories must be a list of lists of item ids, one list a reader")
        lengths = torch.tensor([len(row) for row in rows], dtype=torch.long)
        empty = lengths == 0
        if len(rows) and not bool(empty.any()):
            flat, ends = torch.cat(rows), lengths.cumsum(0)
            matrix = _gather(flat, ends - lengths, lengths, int(lengths.max()))
    if len(empty) == 0:
        raise ValueError("there is no history to pad")
    if bool(empty.any()):
        raise ValueError(f"history {int(empty.nonzero()[0])} is empty; a model needs at least one item")
    return matrix if max_len is None else matrix[:, -max_len:]


def _gather(items: Tensor, starts: Tensor, lengths: Tensor, width: int) -> Tensor:
    """Rows `items[start : start + length]`, each one's last `width` items, padded with 0 on the left."""
    column = torch.arange(width) - width + lengths[:, None]  # position in the row; below 0 it is padding
    rows = items[(starts[:, None] + column).clamp(min=0)]
    return rows.masked_fill_(column < 0, 0)


@dataclass(frozen=True, eq=False)
class Split:
    """N examples over the flat `items` of a data set: `users`, `starts`, `positions`, each `(N,)` int64.

    Example i: `starts[i]` is where its user's sequence begins in `items`, and `positions[i] >= 1` is the place of its
    target in that sequence, which is also the length of its history.
    """

    items: Tensor
    users: Tensor
    starts: Tensor
    positions: Tensor

    def __len__(self) -> int:
        return len(self.users)

    @property
    def targets(self) -> Tensor:
        """The item that each example asks for, `(N,)`."""
        return self.items[self.starts + self.positions]

    def longest(self) -> Split:
        """One example a user, the longest: for models that learn from every position of a sequence at once."""
        by_user = torch.from_numpy(np.lexsort((self.positions.numpy(), self.users.numpy())))
        users = self.users[by_user]
        last = torch.ones(len(users), dtype=torch.bool)
        last[:-1] = users[:-1] != users[1:]
        return self.take(by_user[last])

    def take(self, indices: Tensor | Sequence[int]) -> Split:
        """The split of these examples alone."""
        indices = torch.as_tensor(indices, dtype=torch.long)
        return Split(self.items, self.users[indices], self.starts[indices], self.positions[indices])

    def batch(self, indices: Tensor | Sequence[int], max_len: int) -> Batch:
        """The batch of these examples, each history cut to its last `max_len` items.

        L is the longest of them rounded up to a multiple of 8, and at most `max_len`.
        """
        if max_len < 1:
            raise ValueError(f"max_len must be at least 1, got {max_len}")
        indices = torch.as_tensor(indices, dtype=torch.long)
        starts, positions = self.starts[indices], self.positions[indices]
        longest = int(positions.max()) if len(positions) else 1
        width = min(max_len, -(-longest // WIDTH_STEP) * WIDTH_STEP)
        history = _gather(self.items, starts, positions, width)
        return Batch(self.users[indices], history, self.items[starts + positions])

    def batches(self, batch_size: int, max_len: int, seed: int | None = None, epoch: int = 0) -> Iterator[Batch]:
        """Every example once, in length-bucketed batches: shuffled by `(seed, epoch)`, or in a fixed order (None)."""
        for indices in LengthBuckets(self.positions.clamp(max=max_len), batch_size, seed, epoch):
            yield self.batch(indices, max_len)

    def loader(self, batch_size: int, max_len: int, seed: int | None = None, epoch: int = 0) -> DataLoader:
        """`batches` as a DataLoader, for Accelerate to prepare. Its order is a function of `(seed, epoch)` alone."""
        buckets = LengthBuckets(self.positions.clamp(max=max_len), batch_size, seed, epoch)
        return DataLoader(_Examples(self, max_len), batch_sampler=buckets, collate_fn=_as_it_is)


class LengthBuckets:
    """A batch sampler: lists of example numbers, each of examples of similar length.

    A random permutation of all examples is sorted, stably, by rounded length, cut into batches of `batch_size`, and the
    batches are shuffled. If the last cut leaves a short batch it is taken from a random place and comes last, which
    is where Accelerate looks for it. With `seed` None nothing is shuffled: shortest first, ties in example order.
    """

    drop_last = False

    def __init__(self, lengths: Tensor, batch_size: int, seed: int | None = None, epoch: int = 0) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        self.lengths, self.batch_size, self.seed, self.epoch = lengths, batch_size, seed, epoch

    def __len__(self) -> int:
        return -(-len(self.lengths) // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        return iter([batch.tolist() for batch in self.order()])

    def order(self) -> list[Tensor]:
        """The example numbers of every batch, in turn."""
        n, size = len(self.lengths), self.batch_size
        if self.seed is None:
            return list(self.lengths.argsort(stable=True).split(size)) if n else []
        state = np.random.SeedSequence([self.seed, self.epoch]).generate_state(1, np.uint64)
        generator = torch.Generator().manual_seed(int(state[0] >> 1))
        order = torch.randperm(n, generator=generator)
        rounded = (self.lengths[order] + WIDTH_STEP - 1) // WIDTH_STEP
        order = order[rounded.argsort(stable=True)]
        full, rest = divmod(n, size)
        cut = size * int(torch.randint(full + 1, (), generator=generator))
        short = order[cut : cut + rest]
        others = torch.cat([order[:cut], order[cut + rest :]]).view(full, size)
        batches = list(others[torch.randperm(full, generator=generator)])
        return [*batches, short] if rest else batches


class _Examples:
    """A split as a map-style data set that answers whole batches (`__getitems__`), as a DataLoader asks for them."""

    def __init__(self, split: Split, max_len: int) -> None:
        self.split, self.max_len = split, max_len

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> Batch:
        return self.split.batch([index], self.max_len)

    def __getitems__(self, indices: list[int]) -> Batch:
        return self.split.batch(indices, self.max_len)


def _as_it_is(batch: Batch) -> Batch:
    return batch
