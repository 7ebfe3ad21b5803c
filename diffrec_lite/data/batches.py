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

# The widths of a batch. Few, because torch on a CPU keeps memory for every shape that it has met; close together where
# most histories are, because what is added to reach the next one is wasted work.
WIDTHS = (2, 4, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 64, 80, 96, 128, 160, 200)


class Batch(NamedTuple):
    """B examples: `users (B,)`, `history (B, L)` padded with 0 on the left, `target (B,)`; all int64.

    `positions (B,)` is the place of each target in its reader's sequence: with the user it names the example.
    """

    users: Tensor
    history: Tensor
    target: Tensor
    positions: Tensor


def pad(histories: Tensor | Sequence[Sequence[int] | Tensor], max_len: int | None = None) -> Tensor:
    """Histories of any lengths as one matrix `(B, L)`, padded with 0 on the left; the last `max_len` items are kept.

    A tensor `(B, L)` counts as padded already and is only cut. Raises ValueError, with the number of the history, for
    one that is empty, holds a 0, is padded on the right, or consists of anything but whole numbers.
    """
    if max_len is not None and max_len < 1:
        raise ValueError(f"max_len must be at least 1, got {max_len}")
    if isinstance(histories, Tensor):
        if histories.dim() != 2:
            raise ValueError(f"a tensor of histories must be (B, L), got {tuple(histories.shape)}")
        matrix = whole_numbers(histories, "a tensor of histories")
        lengths = (matrix != 0).long().cumsum(1).ne(0).sum(1)  # from the first item on
        empty = lengths == 0
        _refuse_gaps(matrix, lengths)
    else:
        rows = [whole_numbers(history, f"history {i}") for i, history in enumerate(histories)]
        if any(row.dim() != 1 for row in rows):
            raise ValueError("histories must be a list of lists of item ids, one list a reader")
        lengths = torch.tensor([len(row) for row in rows], dtype=torch.long)
        empty = lengths == 0
        if len(rows) and not bool(empty.any()):
            flat, ends = torch.cat(rows), lengths.cumsum(0)
            matrix = _gather(flat, ends - lengths, lengths, int(lengths.max()))
            _refuse_gaps(matrix, lengths)
    if len(empty) == 0:
        raise ValueError("there is no history to pad")
    if bool(empty.any()):
        raise ValueError(f"history {int(empty.nonzero()[0])} is empty; a model needs at least one item")
    return matrix if max_len is None else matrix[:, -max_len:]


def whole_numbers(values: Tensor | Sequence[int], what: str) -> Tensor:
    """Ids as int64. Raises ValueError, naming `what` they are, where rounding would have to make an id of something."""
    try:
        ids = torch.as_tensor(values)
    except (TypeError, ValueError, RuntimeError, OverflowError) as problem:
        raise ValueError(f"{what} does not consist of ids: {problem}") from None
    if ids.numel() and (ids.is_floating_point() or ids.is_complex() or ids.dtype == torch.bool):
        raise ValueError(f"{what} holds {str(ids.dtype).removeprefix('torch.')} numbers; ids are whole numbers")
    return ids.long()


def _refuse_gaps(matrix: Tensor, lengths: Tensor) -> None:
    """Raise ValueError where one of the last `lengths[b]` entries of row b is 0, which stands for padding only."""
    inside = torch.arange(matrix.shape[1], device=matrix.device) >= matrix.shape[1] - lengths[:, None]
    gaps = ((matrix == 0) & inside).any(1)
    if bool(gaps.any()):
        raise ValueError(
            f"history {int(gaps.nonzero()[0])} has a 0 behind its first item; 0 is padding and stands on the left only"
        )


def _gather(items: Tensor, starts: Tensor, lengths: Tensor, width: int) -> Tensor:
    """Rows `items[start : start + length]`, each one's last `width` items, padded with 0 on the left."""
    column = (
        torch.arange(width, device=items.device) - width + lengths[:, None]
    )  # position in the row; below 0 it is padding
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

    def read(self) -> tuple[Tensor, Tensor]:
        """The whole histories as two flat vectors, oldest first: whose it is, as a number below N, and the item."""
        rows = torch.arange(len(self)).repeat_interleave(self.positions)
        within = torch.arange(len(rows)) - (self.positions.cumsum(0) - self.positions)[rows]
        return rows, self.items[self.starts[rows] + within]

    @property
    def repeated(self) -> Tensor:
        """Whether each target stands in its history already, `(N,)`."""
        rows, items = self.read()
        return torch.bincount(rows[items == self.targets[rows]], minlength=len(self)) > 0

    def longest(self) -> Split:
        """One example a user, the longest: for models that learn from every position of a sequence at once.

        `batch` cuts its history to the last `max_len` items, so such a model never meets the earlier targets.
        """
        by_user = torch.from_numpy(np.lexsort((self.positions.numpy(), self.users.numpy())))
        users = self.users[by_user]
        last = torch.ones(len(users), dtype=torch.bool)
        last[:-1] = users[:-1] != users[1:]
        return self.take(by_user[last])

    def take(self, indices: Tensor | Sequence[int]) -> Split:
        """The split of these examples alone."""
        indices = torch.as_tensor(indices, dtype=torch.long)
        return Split(self.items, self.users[indices], self.starts[indices], self.positions[indices])

    def batch(self, indices: Tensor | Sequence[int], max_len: int, width: int | None = None) -> Batch:
        """The batch of these examples, each history cut to its last `max_len` items.

        L is `width`, or else the first of `WIDTHS` that holds the longest of them, and at most `max_len`.
        """
        if max_len < 1:
            raise ValueError(f"max_len must be at least 1, got {max_len}")
        indices = torch.as_tensor(indices, dtype=torch.long).to(self.items.device)
        starts, positions = self.starts[indices], self.positions[indices]
        if width is None:
            width = _width(int(positions.max()) if len(positions) else 1, max_len)
        history = _gather(self.items, starts, positions, width)
        return Batch(self.users[indices], history, self.items[starts + positions], positions)

    def batches(
        self,
        batch_size: int,
        max_len: int,
        seed: int | None = None,
        epoch: int = 0,
        device: torch.device | str = "cpu",
    ) -> Iterator[Batch]:
        """Every example once, in length-bucketed batches: shuffled by `(seed, epoch)`, or in a fixed order (None).

        The sequences and the order are moved to `device` once, and batches are made there.
        """
        there = Split(*(x.to(device) for x in (self.items, self.users, self.starts, self.positions)))
        lengths = self.positions.clamp(max=max_len)
        order = length_buckets(lengths, batch_size, seed, epoch)
        widths = [_width(int(lengths[indices].max()), max_len) for indices in order]
        moved = torch.cat(order).to(device).split([len(indices) for indices in order]) if order else ()
        for indices, width in zip(moved, widths, strict=True):
            yield there.batch(indices, max_len, width)


def _width(longest: int, max_len: int) -> int:
    wide_enough = next((width for width in WIDTHS if width >= longest), -(-longest // 64) * 64)
    return min(max_len, wide_enough)


def length_buckets(lengths: Tensor, batch_size: int, seed: int | None = None, epoch: int = 0) -> list[Tensor]:
    """Example numbers in batches of similar length, given the `lengths (N,)` of their histories.

    A random permutation of all examples is sorted, stably, by the width that a length is padded to, cut into batches of
    `batch_size`, and the batches are shuffled. What is left over, less than a batch, is taken from a random place. With
    `seed` None nothing is shuffled: shortest first, ties in example order. The order is a function of `(seed, epoch)`
    alone.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    n = len(lengths)
    if seed is None or n == 0:
        return list(lengths.argsort(stable=True).split(batch_size)) if n else []
    state = np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)
    generator = torch.Generator().manual_seed(int(state[0]) >> 1)
    order = torch.randperm(n, generator=generator)
    order = order[torch.bucketize(lengths[order], torch.tensor(WIDTHS)).argsort(stable=True)]
    full, rest = divmod(n, batch_size)
    cut = batch_size * int(torch.randint(full + 1, (), generator=generator))
    others = torch.cat([order[:cut], order[cut + rest :]]).split(batch_size) if full else ()
    batches = [*others, order[cut : cut + rest]] if rest else list(others)
    return [batches[i] for i in torch.randperm(len(batches), generator=generator)]
