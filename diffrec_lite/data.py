"""Interaction log → leave-one-out split → length-bucketed batches.

Sequences are ragged and held as two flat tensors, never as padded lists. Item 0 is padding; real items are
1 … num_items. A batch is padded on the left, so its last column is the most recent item.

An example is a user and a position: the target is the item there, the history is everything before it. For a user
with n >= 3 items, position n - 1 is the test example, n - 2 the validation example, and 1 … n - 3 train. A user with
fewer items only trains.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from diffrec_lite.noise import mix
from diffrec_lite.readers import DataError, read_items, read_log

__all__ = ["Batch", "DataError", "LengthBuckets", "SequenceDataset", "Split", "load", "pad"]

BUCKET = 8


class Batch(NamedTuple):
    """`users (B,)`, `history (B, L)` padded with 0 on the left, `target (B,)`; all int64."""

    users: Tensor
    history: Tensor
    target: Tensor


@dataclass(frozen=True)
class SequenceDataset:
    """Every user's items in time order: user u has `items[offsets[u]:offsets[u + 1]]`.

    `items (num_interactions,)` and `offsets (num_users + 1,)` are int64. `user_tokens[u]`, `item_tokens[i]` and
    `titles[i]` name users and items as the file does; entry 0 of the last two is the padding. `item_features` is
    indexed by item id.
    """

    name: str
    items: Tensor
    offsets: Tensor
    user_tokens: list[str]
    item_tokens: list[str]
    titles: list[str] | None = None
    item_features: pd.DataFrame | None = None

    @classmethod
    def from_log(cls, log: pd.DataFrame, name: str = "log", catalogue: pd.DataFrame | None = None) -> SequenceDataset:
        """Build from a log with columns user, item, timestamp; equal timestamps keep the order of the rows.

        `catalogue` has a column `item`, and perhaps `title` and features. Ids follow the natural order of the tokens.
        Raises DataError for an empty log.
        """
        if log.empty:
            raise DataError(f"{name}: the data set is empty; there is nothing to learn from")
        user_tokens, item_tokens = natural_order(log["user"]), natural_order(log["item"])
        users = pd.Categorical(log["user"].astype(str), categories=user_tokens).codes.astype(np.int64)
        items = pd.Categorical(log["item"].astype(str), categories=item_tokens).codes.astype(np.int64) + 1
        order = np.lexsort((np.arange(len(log)), log["timestamp"].to_numpy(), users))
        counts = np.bincount(users, minlength=len(user_tokens))
        item_tokens = ["[PAD]", *item_tokens]
        titles = features = None
        if catalogue is not None:
            features = catalogue.assign(item=catalogue["item"].astype(str)).drop_duplicates("item").set_index("item")
            features = features.reindex(item_tokens)
            features.index = pd.RangeIndex(len(item_tokens), name="item_id")
            if "title" in features:
                titles = [
                    token if pd.isna(title) else str(title)
                    for token, title in zip(item_tokens, features["title"], strict=True)
                ]
                titles[0] = ""
        return cls(
            name=name,
            items=torch.from_numpy(items[order]),
            offsets=torch.from_numpy(np.concatenate([[0], np.cumsum(counts)])),
            user_tokens=user_tokens,
            item_tokens=item_tokens,
            titles=titles,
            item_features=features,
        )

    @property
    def num_users(self) -> int:
        return len(self.user_tokens)

    @property
    def num_items(self) -> int:
        return len(self.item_tokens) - 1

    @property
    def num_interactions(self) -> int:
        return len(self.items)

    def title(self, item: int) -> str:
        """The title of an item, or its token where the data has no titles."""
        return (self.titles or self.item_tokens)[int(item)]

    def history(self, user: int) -> Tensor:
        """All items of a user, oldest first."""
        return self.items[self.offsets[user] : self.offsets[user + 1]]

    # ------------------------------------------------------------ leave-one-out

    @cached_property
    def lengths(self) -> Tensor:
        """How many items each user has, `(num_users,)`."""
        return self.offsets.diff()

    @cached_property
    def train_lengths(self) -> Tensor:
        """How many of them are the training part: all but the last two, or all of fewer than three."""
        return torch.where(self.lengths >= 3, self.lengths - 2, self.lengths)

    @cached_property
    def train(self) -> Split:
        """Every prefix of every training part, with the item that follows it."""
        return self._split(torch.ones_like(self.lengths), self.train_lengths - 1)

    @cached_property
    def val(self) -> Split:
        """The second last item of every user, after all that came before."""
        return self._split(self.lengths - 2, (self.lengths >= 3).long())

    @cached_property
    def test(self) -> Split:
        """The last item of every user, after all that came before, the validation item included."""
        return self._split(self.lengths - 1, (self.lengths >= 3).long())

    def _split(self, first: Tensor, count: Tensor) -> Split:
        users = torch.arange(self.num_users).repeat_interleave(count)
        positions = first[users] + _within(count)
        return Split(self.items, users, positions, self.offsets[users])

    def train_items(self) -> Tensor:
        """Every item of the training part, flat."""
        users = torch.arange(self.num_users).repeat_interleave(self.train_lengths)
        return self.items[self.offsets[users] + _within(self.train_lengths)]

    def train_transitions(self) -> tuple[Tensor, Tensor]:
        """Every pair (item, the item after it) of the training part, as two flat tensors."""
        target = self.train.starts + self.train.positions
        return self.items[target - 1], self.items[target]


def _within(counts: Tensor) -> Tensor:
    """0 … counts[0] - 1, 0 … counts[1] - 1, and so on, flat."""
    return torch.arange(int(counts.sum())) - (counts.cumsum(0) - counts).repeat_interleave(counts)


class Split:
    """Examples over a data set's flat `items`: users, positions and starts of the user's items, each `(N,)`."""

    def __init__(self, items: Tensor, users: Tensor, positions: Tensor, starts: Tensor) -> None:
        self.items, self.users, self.positions, self.starts = items, users, positions, starts

    def __len__(self) -> int:
        return len(self.users)

    @property
    def targets(self) -> Tensor:
        return self.items[self.starts + self.positions]

    def longest(self) -> Split:
        """One example a user, the longest: enough for a model that learns from every position at once."""
        last = torch.ones(len(self), dtype=torch.bool)
        last[:-1] = self.users[1:] != self.users[:-1]
        return self[last]

    def __getitem__(self, which: Tensor | slice) -> Split:
        return Split(self.items, self.users[which], self.positions[which], self.starts[which])

    def batch(self, indices: Tensor | Sequence[int], max_len: int) -> Batch:
        """The examples `indices (B,)` as one batch, padded to the longest rounded up to a multiple of 8.

        Only the last `max_len` items of a history are kept.
        """
        indices = torch.as_tensor(indices, dtype=torch.long)
        positions, starts = self.positions[indices], self.starts[indices]
        lengths = positions.clamp(max=max_len)
        L = min(-(-int(lengths.max()) // BUCKET) * BUCKET, max_len)
        columns = torch.arange(-L, 0)
        real = columns >= -lengths[:, None]
        flat = torch.where(real, (starts + positions)[:, None] + columns, 0)
        history = torch.where(real, self.items[flat], 0)
        return Batch(self.users[indices], history, self.items[starts + positions])

    def batches(self, batch_size: int, max_len: int, seed: int | None = None) -> Iterator[Batch]:
        """All examples once, in batches of similar length; in fixed order, or shuffled by `seed`."""
        for indices in LengthBuckets(self, batch_size, max_len, seed):
            yield self.batch(indices, max_len)

    def loader(self, batch_size: int, max_len: int, seed: int, epoch: int) -> DataLoader:
        """A DataLoader of `Batch`es whose order is a pure function of (seed, epoch)."""
        sampler = LengthBuckets(self, batch_size, max_len, mix(seed, epoch))
        return DataLoader(_Examples(self, max_len), batch_sampler=sampler, collate_fn=_as_it_is)


class LengthBuckets:
    """A batch sampler: shuffle, sort by length, cut into batches, shuffle the batches.

    Examples of similar length share a batch, so little is wasted on padding. `seed=None` shuffles nothing.
    """

    drop_last = False

    def __init__(self, split: Split, batch_size: int, max_len: int, seed: int | None = None) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        self.lengths = split.positions.clamp(max=max_len)
        self.batch_size, self.seed = batch_size, seed

    def __len__(self) -> int:
        return -(-len(self.lengths) // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        order = torch.arange(len(self.lengths))
        generator = None
        if self.seed is not None:
            generator = torch.Generator().manual_seed(self.seed)
            order = torch.randperm(len(order), generator=generator)
        order = order[self.lengths[order].argsort(stable=True)]
        batches = order.split(self.batch_size)
        turns = range(len(batches)) if generator is None else torch.randperm(len(batches), generator=generator).tolist()
        for turn in turns:
            yield batches[turn].tolist()


class _Examples:
    """What a DataLoader fetches from: a whole batch at a time."""

    def __init__(self, split: Split, max_len: int) -> None:
        self.split, self.max_len = split, max_len

    def __len__(self) -> int:
        return len(self.split)

    def __getitems__(self, indices: list[int]) -> Batch:
        return self.split.batch(indices, self.max_len)


def _as_it_is(batch: Batch) -> Batch:
    return batch


def pad(histories: Tensor | Sequence[Sequence[int]], max_len: int | None = None) -> Tensor:
    """Histories as one left-padded tensor `(B, L)`, int64, cut to their last `max_len` items.

    Raises ValueError for an empty history, or for no history at all.
    """
    if isinstance(histories, Tensor):
        padded = histories.long()
        if padded.dim() != 2 or not padded.numel():
            raise ValueError(f"histories must be a non-empty (B, L) tensor, got shape {tuple(padded.shape)}")
        padded = padded if max_len is None else padded[:, -max_len:]
    else:
        rows = [torch.as_tensor(list(history), dtype=torch.long)[-(max_len or len(history)) :] for history in histories]
        if not rows:
            raise ValueError("no history was given")
        padded = torch.zeros(len(rows), max(max(map(len, rows)), 1), dtype=torch.long)
        for row, items in enumerate(rows):
            padded[row, padded.shape[1] - len(items) :] = items
    empty = (padded[:, -1] == 0).nonzero().flatten().tolist()
    if empty:
        raise ValueError(f"history {empty[0]} is empty; a recommendation needs at least one item")
    return padded


def natural_order(tokens: pd.Series) -> list[str]:
    """Distinct tokens as text: whole numbers first, by value, then the rest alphabetically."""
    distinct = pd.Series(tokens.astype(str).unique())
    numbers = pd.to_numeric(distinct.where(distinct.str.fullmatch(r"\d{1,15}")), errors="coerce")
    return distinct.iloc[np.lexsort((distinct.to_numpy(dtype=str), numbers.fillna(np.inf)))].tolist()


# ---------------------------------------------------------------- loading by name

NAMED = ("beauty", "toys", "ml-1m", "yelp")


def load(name_or_path: str | Path, data_dir: str | Path | None = None) -> SequenceDataset:
    """A data set by name, or from a file (.inter, .csv, .parquet; .gz too) or a folder that holds one .inter file.

    "bookshop" comes with the package. "beauty", "toys", "ml-1m" and "yelp" are looked for in `data_dir`, in the folder
    that the environment variable DIFFREC_DATA names, and where `diffrec-lite data prepare` puts them. Titles and
    features come from an .item file beside the log. Raises DataError when nothing is found or the file is malformed.
    """
    if str(name_or_path) == "bookshop":
        return _load_file(_embedded() / "bookshop.inter", "bookshop")
    path = Path(name_or_path)
    if str(name_or_path) in NAMED and not path.is_file():
        return _load_file(_find(str(name_or_path), data_dir), str(name_or_path))
    if path.is_dir():
        found = sorted([*path.glob("*.inter"), *path.glob("*.inter.gz")])
        if len(found) != 1:
            raise DataError(f"{path}: holds {len(found)} .inter files; name the file instead")
        path = found[0]
    if not path.exists():
        raise DataError(
            f"{name_or_path}: no such data set or file; the named data sets are bookshop, {', '.join(NAMED)}"
        )
    return _load_file(path, path.name.split(".")[0])


def prepared_folder() -> Path:
    """Where `diffrec-lite data prepare` puts data sets unless told otherwise."""
    import pooch

    return Path(pooch.os_cache("diffrec-lite"))


def _find(name: str, data_dir: str | Path | None) -> Path:
    places = [data_dir] if data_dir else [os.environ.get("DIFFREC_DATA"), prepared_folder()]
    candidates = [
        Path(p) / sub for p in places if p for sub in (f"{name}.inter", f"{name}.inter.gz", f"{name}/{name}.inter")
    ]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise DataError(
        f"{name}: not found; run `diffrec-lite data prepare {name}`, "
        f"or set DIFFREC_DATA to the folder that holds {name}.inter.gz"
    )


def _embedded() -> Path:
    """The bookshop's folder: in a checkout, or inside an installed wheel."""
    here = Path(__file__).parent
    checkout = here.parent / "data" / "bookshop"
    return checkout if checkout.is_dir() else here / "_data" / "bookshop"


def _load_file(path: Path, name: str) -> SequenceDataset:
    return SequenceDataset.from_log(read_log(path), name, read_items(path))
