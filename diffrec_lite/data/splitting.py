"""Where each reader's sequence is cut into what is trained on, the validation target, and the test target.

Two cuts a reader say it all: so many interactions come before validation, and so many before the test. The target is
the first interaction after a cut, and its history is everything before it:

    leave-one-out   1 2 3 4 5 | 6 | 7            the last but one, and the last
    temporal        1 2 3 | 4 5 | 6 7            two moments, the same for all readers: what is asked for are 4 and 6

*Leave-one-out* asks everybody, and at different times: what a model learns from one reader may have happened after what
it is asked about another. *Temporal* rules that out. It is the global temporal split of Gusak et al. 2025, "Time to
Split" (arXiv 2507.16289), who show that it can change which model is best.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from diffrec_lite.data.door import DataError

LEAVE_ONE_OUT, TEMPORAL = "leave-one-out", "temporal"
SPLITS = (LEAVE_ONE_OUT, TEMPORAL)


@dataclass(frozen=True, eq=False)
class Cuts:
    """How many interactions each of U readers has before validation and before the test, both `(U,)` int64.

    `moments` are the times of a temporal split, None for leave-one-out.
    """

    before_val: Tensor
    before_test: Tensor
    moments: tuple[float, float] | None = None

    @property
    def name(self) -> str:
        """Which of `SPLITS` made them."""
        return LEAVE_ONE_OUT if self.moments is None else TEMPORAL

    def asked(self, split: str, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Who has a target in "val" or "test", `(U,)` bool, and who lacks one only because nothing comes before it."""
        before, after = (self.before_val, self.before_test) if split == "val" else (self.before_test, lengths)
        target = before < after
        return target & (before > 0), target & (before == 0)


def cuts_of(split: str, readers: np.ndarray, times: np.ndarray, timed: bool, source: str) -> Cuts | None:
    """The cuts of a split by its name, None for leave-one-out, which sequences need no times for.

    Raises ValueError for an unknown name, and DataError where times are needed and the source has only positions.
    """
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}; choose {' or '.join(SPLITS)}")
    if split == LEAVE_ONE_OUT:
        return None
    if not timed:
        raise DataError(
            f"{source}: its timestamps are positions (0, 1, 2 … for every reader), which tell nothing about the order "
            "between readers; a temporal split needs real times, so take leave-one-out, or a file that has them"
        )
    return temporal(readers, times, source)


def leave_one_out(lengths: Tensor) -> Cuts:
    """The cuts before the last two interactions of sequences of these `lengths (U,)`; none below three."""
    long = lengths >= 3
    return Cuts(torch.where(long, lengths - 2, lengths), torch.where(long, lengths - 1, lengths))


def temporal(readers: np.ndarray, times: np.ndarray, source: str) -> Cuts:
    """The cuts at two moments that are the same for all readers; `readers` (0 … U - 1) and `times`, one an interaction.

    The second moment leaves the latest tenth of all interactions for the test, the first leaves the tenth before it for
    validation. What happens at a moment belongs to what follows, so tied times can make the later parts larger. Trained
    on is what happened before the first moment, and nothing else.

    A reader is asked for the first interaction after each moment. So a history ends where the moment is, as it does for
    a model in use, and somebody who comes back often counts once; the price is that later interactions are not asked
    for. Who has no history by then, or does not come back, is not asked. Items that nobody met before the first moment
    stay candidates and targets, as under leave-one-out: a model that cannot know them misses them.
    Raises DataError, naming it, for a part that is left empty.
    """
    lengths, many = np.bincount(readers), len(times) // 10
    latest = np.sort(times)[::-1]
    first, second = latest[max(2 * many - 1, 0)], latest[max(many - 1, 0)]
    before = (np.bincount(readers[times < moment], minlength=len(lengths)) for moment in (first, second))
    cuts = Cuts(*map(torch.from_numpy, before), moments=(first.item(), second.item()))
    parts = {name: cuts.asked(name, torch.from_numpy(lengths))[0].any() for name in ("val", "test")}
    empty = [name for name, anybody in {"train": (cuts.before_val > 1).any(), **parts}.items() if not anybody]
    if empty:
        raise DataError(
            f"{source}: a temporal split at {first} and {second} leaves nothing in its part {empty[0]}; it needs "
            "readers who come back later, so take leave-one-out or more data"
        )
    return cuts


def positions_only(readers: np.ndarray, times: np.ndarray) -> bool:
    """Whether the times of every reader are 0, 1, 2 … or, of every reader, 1, 2, 3 …: an order, but no times."""
    lengths, start = np.bincount(readers), times.min()
    if start not in (0, 1) or times.max() - start >= lengths.max():  # the quick answer for real times
        return False
    position = np.arange(len(times)) - (lengths.cumsum() - lengths).repeat(lengths)
    return bool((times[np.lexsort((times, readers))] == start + position).all())


def tied(readers: np.ndarray, times: np.ndarray) -> Tensor:
    """Which interactions `(N,)` bool, in order, share their reader's time with the one before or after."""
    same = (readers[1:] == readers[:-1]) & (times[1:] == times[:-1])
    return torch.from_numpy(np.append(same, False) | np.append(False, same))
