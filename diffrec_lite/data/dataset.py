"""Interaction logs as data sets: every user's items in order of time, split by leave-one-out.

The last item of a user is the test target, the one before it the validation target, and everything earlier is for
training. When the test target is asked for, the validation item belongs to the history. Users with fewer than three
interactions are only trained on.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from diffrec_lite.data import archives
from diffrec_lite.data.batches import Batch, LengthBuckets, Split, pad
from diffrec_lite.data.files import LOG_ENDINGS, DataError, catalogue_beside, is_table, read_log, stem
from diffrec_lite.data.prepare import in_order, k_core, number_tokens
from diffrec_lite.data.shipped import shipped

__all__ = ["Batch", "DataError", "LengthBuckets", "SequenceDataset", "Split", "load", "pad"]

TITLE_COLUMNS = ("title", "movie_title", "name", "item_name")


@dataclass(frozen=True, eq=False)
class SequenceDataset:
    """Ragged sequences as two flat vectors.

    - `items (num_interactions,)` int64: all sequences one after the other; item ids are 1 … num_items, 0 is padding.
    - `offsets (num_users + 1,)`: user u owns `items[offsets[u] : offsets[u + 1]]`, oldest first.
    - `user_tokens`, `item_tokens`: the names that the source uses. `item_tokens[i]` belongs to item i, "[PAD]" to 0.
    - `titles`: like `item_tokens`, "" for the padding; None where the source has no titles.
    - `item_features`: a row for each item, its index the item id; None where the source has none.
    """

    name: str
    items: Tensor
    offsets: Tensor
    user_tokens: list[str] = field(repr=False)
    item_tokens: list[str] = field(repr=False)
    titles: list[str] | None = field(default=None, repr=False)
    item_features: pd.DataFrame | None = field(default=None, repr=False)

    @classmethod
    def from_log(
        cls, log: pd.DataFrame, name: str = "log", catalogue: pd.DataFrame | None = None, duplicates: str = "keep"
    ) -> SequenceDataset:
        """A data set from a log with the columns `user`, `item` and `timestamp`, in any order of rows.

        `catalogue` describes items: its index is their tokens, and a column `title` (or `movie_title`, `name`) their
        titles. `duplicates` is "keep", "first" or "last" (see `preparation.in_order`). Users and items are numbered
        in the natural order of their tokens. Raises DataError for an empty log or a missing column.
        """
        missing = [column for column in ("user", "item", "timestamp") if column not in log]
        if missing:
            raise DataError(f"{name}: the log has no column {missing[0]!r}; it needs user, item and timestamp")
        if log.empty:
            raise DataError(f"{name}: no interactions are left; check the source and the k-core filter")
        log = in_order(log, duplicates)
        users, user_tokens = number_tokens(log["user"])
        items, item_tokens = number_tokens(log["item"])
        items = items[np.argsort(users, kind="stable")] + 1
        offsets = np.concatenate([[0], np.cumsum(np.bincount(users, minlength=len(user_tokens)))])
        titles = features = None
        if catalogue is not None:
            features = catalogue.reindex(item_tokens).set_axis(range(1, len(item_tokens) + 1)).rename_axis("item")
            named = [column for column in TITLE_COLUMNS if column in features]
            if named:
                known = features[named[0]].astype(object)
                titles = ["", *known.where(known.notna() & (known != ""), pd.Series(item_tokens, known.index))]
        return cls(
            name,
            torch.from_numpy(items.astype(np.int64)),
            torch.from_numpy(offsets.astype(np.int64)),
            user_tokens,
            ["[PAD]", *item_tokens],
            titles,
            features,
        )

    @property
    def num_users(self) -> int:
        return len(self.offsets) - 1

    @property
    def num_items(self) -> int:
        return len(self.item_tokens) - 1

    @property
    def num_interactions(self) -> int:
        return len(self.items)

    @property
    def lengths(self) -> Tensor:
        """How many items each user has, `(num_users,)`."""
        return self.offsets.diff()

    def __repr__(self) -> str:
        return (
            f"SequenceDataset({self.name!r}: {self.num_users:,} users, {self.num_items:,} items, "
            f"{self.num_interactions:,} interactions)"
        )

    def title(self, item: int) -> str:
        """The title of an item, or its token where titles are unknown. Raises ValueError for an unknown id."""
        item = int(item)
        if not 0 < item <= self.num_items:
            raise ValueError(f"item id {item} is not in {self.name} (1 … {self.num_items})")
        return self.item_tokens[item] if self.titles is None else self.titles[item]

    def history(self, user: int) -> Tensor:
        """All items of a user, oldest first. Raises ValueError for an unknown user."""
        if not 0 <= user < self.num_users:
            raise ValueError(f"user {user} is not in {self.name} (0 … {self.num_users - 1})")
        return self.items[self.offsets[user] : self.offsets[user + 1]]

    @cached_property
    def train(self) -> Split:
        """Every prefix of the training part: what comes next after 1, 2, 3 … items."""
        examples = (self._train_lengths() - 1).clamp(min=0)
        users = torch.arange(self.num_users).repeat_interleave(examples)
        first = examples.cumsum(0) - examples
        positions = torch.arange(len(users)) - first[users] + 1
        return Split(self.items, users, self.offsets[users], positions)

    @cached_property
    def val(self) -> Split:
        """The second last item of everyone with at least three."""
        return self._held_out(2)

    @cached_property
    def test(self) -> Split:
        """The last item of everyone with at least three; the validation item is part of the history."""
        return self._held_out(1)

    def train_items(self) -> Tensor:
        """All items of the training part, user after user: what may be counted."""
        return self.items[self._in_train()]

    def train_transitions(self) -> tuple[Tensor, Tensor]:
        """All neighbours in the training part, as two vectors: the earlier item of each pair, and the later."""
        split = self.train
        later = split.starts + split.positions
        return self.items[later - 1], self.items[later]

    def _train_lengths(self) -> Tensor:
        return torch.where(self.lengths < 3, self.lengths, self.lengths - 2)

    def _in_train(self) -> Tensor:
        users = torch.arange(self.num_users).repeat_interleave(self.lengths)
        position = torch.arange(len(users)) - self.offsets[users]
        return position < self._train_lengths()[users]

    def _held_out(self, from_end: int) -> Split:
        users = (self.lengths >= 3).nonzero().flatten()
        return Split(self.items, users, self.offsets[users], self.lengths[users] - from_end)


def load(
    source: str | Path,
    *,
    data_dir: str | Path | None = None,
    k: int = 0,
    duplicates: str = "keep",
    columns: dict[str, str] | None = None,
) -> SequenceDataset:
    """A data set by name or from a file.

    - "bookshop": the embedded one.
    - "beauty", "toys", "ml-1m", "yelp": from `data_dir`, else `$DIFFREC_DATA`, else where `diffrec-lite data prepare`
      puts them.
    - a path: a RecBole `.inter` file (also `.gz`), a CSV or a parquet file, or a folder that holds one of them. A
      `.item` file of the same name beside it gives titles and features.

    `k` > 0 applies the k-core filter, `duplicates` is "keep", "first" or "last", and `columns` maps "user", "item" and
    "timestamp" to the file's own names. Raises DataError, which says what is wrong and what to do.
    """
    path, name = _find(str(source), data_dir)
    log = read_log(path, columns)
    if k:
        log = k_core(log, k)
    return SequenceDataset.from_log(log, name, catalogue_beside(path), duplicates)


def _find(source: str, data_dir: str | Path | None) -> tuple[Path, str]:
    """The file behind a name or a path, and the data set's name."""
    if source == "bookshop":
        return shipped("bookshop") / "bookshop.inter", source
    if source in archives.CATALOGUE:
        folders = [Path(data_dir)] if data_dir else []
        if not folders and os.environ.get("DIFFREC_DATA"):
            folders.append(Path(os.environ["DIFFREC_DATA"]))
        if not data_dir:
            folders.append(archives.prepared_folder())
        for folder in folders:
            for place in (folder, folder / source):
                for ending in (".inter", ".inter.gz"):
                    if (place / (source + ending)).is_file():
                        return place / (source + ending), source
        looked = " and ".join(str(folder) for folder in folders)
        raise DataError(
            f"{source} is not prepared (looked in {looked}); run `diffrec-lite data prepare {source}`, "
            f"or set DIFFREC_DATA to the folder that holds {source}.inter"
        )
    path = Path(source).expanduser()
    if path.is_dir():
        found = sorted(file for file in path.iterdir() if is_table(file) and file.is_file())
        found = [file for file in found if ".inter" in file.name] or found
        if len(found) != 1:
            many = f"holds several data sets ({', '.join(file.name for file in found)}); name one of them"
            none = f"holds no data set; it needs one file ending in {', '.join(LOG_ENDINGS)}"
            raise DataError(f"{path}: the folder {many if found else none}")
        return found[0], stem(found[0])
    if path.exists():
        return path, stem(path)
    known = ", ".join(["bookshop", *archives.CATALOGUE])
    raise DataError(f"{source}: no such file, and no data set of that name; choose {known}, or give a path")
