"""Interaction logs as data sets: every user's items in order of time, cut into training, validation and test.

By leave-one-out, the last item of a user is the test target, the one before it the validation target, and everything
earlier is for training; users with fewer than three interactions are only trained on. A temporal split cuts all
sequences at the same two moments. Both stand in `splitting.py`. When the test target is asked for, what comes before it
belongs to the history, the validation item too.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from diffrec_lite.data import archives
from diffrec_lite.data.batches import Split
from diffrec_lite.data.door import DataError, door, expand
from diffrec_lite.data.files import LOG_ENDINGS, catalogue_beside, is_table, read_log, stem
from diffrec_lite.data.log import as_catalogue, as_log, one_line
from diffrec_lite.data.prepare import in_order, k_core, number_tokens
from diffrec_lite.data.shipped import shipped
from diffrec_lite.data.splitting import LEAVE_ONE_OUT, Cuts, cuts_of, leave_one_out, positions_only, tied

TITLE_COLUMNS = ("title", "movie_title", "name", "item_name")


@dataclass(frozen=True, eq=False)
class SequenceDataset:
    """Ragged sequences as two flat vectors.

    - `items (num_interactions,)` int64: all sequences one after the other; item ids are 1 … num_items, 0 is padding.
    - `offsets (num_users + 1,)`: user u owns `items[offsets[u] : offsets[u + 1]]`, oldest first.
    - `user_tokens`, `item_tokens`: the names that the source uses. `item_tokens[i]` belongs to item i, "[PAD]" to 0.
    - `titles`: like `item_tokens`, "" for the padding; None where the source has no titles.
    - `item_features`: a row for each item, its index the item id; None where the source has none.
    - `cuts`: where the sequences are cut for validation and test; by default leave-one-out.
    - `tied (num_interactions,)` bool: what happened at the same time as its neighbour in the sequence; None where the
      source has no times but positions. Events that are tied stand in the order of the source's rows.
    - `read_by`: how `load` was asked for it, so that a record can tell; empty for a data set from a table.
    """

    name: str
    items: Tensor
    offsets: Tensor
    user_tokens: list[str] = field(repr=False)
    item_tokens: list[str] = field(repr=False)
    titles: list[str] | None = field(default=None, repr=False)
    item_features: pd.DataFrame | None = field(default=None, repr=False)
    cuts: Cuts | None = field(default=None, repr=False)
    tied: Tensor | None = field(default=None, repr=False)
    read_by: dict[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def from_log(
        cls,
        log: pd.DataFrame,
        name: str = "log",
        catalogue: pd.DataFrame | None = None,
        duplicates: str = "keep",
        split: str = LEAVE_ONE_OUT,
    ) -> SequenceDataset:
        """A data set from a table of events: see `log.as_log` for its columns, and for what a token and a time may be.

        `catalogue` describes items: its index, or its column `item_id`, are their tokens, and a column `title` (or
        `movie_title`, `name`) their titles. `duplicates` is "keep", "first" or "last" (see `prepare.in_order`), and
        `split` "leave-one-out" or "temporal" (see `splitting`). Users and items are numbered in the natural order of
        their tokens. Raises DataError for a table that cannot be used.
        """
        catalogue = None if catalogue is None else as_catalogue(catalogue, f"{name}, catalogue")
        return cls._from_clean(as_log(log, name), name, catalogue, duplicates, split)

    @classmethod
    def _from_clean(
        cls, log: pd.DataFrame, name: str, catalogue: pd.DataFrame | None, duplicates: str, split: str, k: int = 0
    ) -> SequenceDataset:
        # Asked before any filter, which would leave gaps in positions.
        timed = not positions_only(pd.factorize(log["user"])[0], log["timestamp"].to_numpy())
        log = in_order(log, duplicates)
        if k:
            log = k_core(log, k)
        if log.empty:
            raise DataError(f"{name}: no interactions are left; check the source and the k-core filter")
        users, user_tokens = number_tokens(log["user"])
        items, item_tokens = number_tokens(log["item"])
        by_user = np.argsort(users, kind="stable")
        users, items, times = users[by_user], items[by_user] + 1, log["timestamp"].to_numpy()[by_user]
        offsets = np.concatenate([[0], np.cumsum(np.bincount(users, minlength=len(user_tokens)))])
        titles = features = None
        if catalogue is not None:
            if catalogue.index.isin(item_tokens).sum() == 0:
                raise DataError(
                    f"{name}: the catalogue describes none of the items, {item_tokens[0]!r} for instance; "
                    "give it the same tokens, or take it away"
                )
            features = catalogue.reindex(item_tokens).set_axis(range(1, len(item_tokens) + 1)).rename_axis("item")
            named = [column for column in TITLE_COLUMNS if column in features]
            if named:
                known = features[named[0]].astype(object)
                known = known.where(known.notna(), "").map(one_line)
                titles = ["", *known.where(known != "", pd.Series(item_tokens, known.index))]
        return cls(
            name,
            torch.from_numpy(items.astype(np.int64)),
            torch.from_numpy(offsets.astype(np.int64)),
            user_tokens,
            ["[PAD]", *item_tokens],
            titles,
            features,
            cuts_of(split, users, times, timed, name),
            tied(users, times) if timed else None,
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
    def cut(self) -> Cuts:
        """Where the sequences are cut: as `cuts` says, or else by leave-one-out."""
        return self.cuts or leave_one_out(self.lengths)

    @cached_property
    def train(self) -> Split:
        """Every prefix of the training part: what comes next after 1, 2, 3 … items."""
        examples = (self.cut.before_val - 1).clamp(min=0)
        users = torch.arange(self.num_users).repeat_interleave(examples)
        first = examples.cumsum(0) - examples
        positions = torch.arange(len(users)) - first[users] + 1
        return Split(self.items, users, self.offsets[users], positions)

    @cached_property
    def val(self) -> Split:
        """The first item after the first cut, of everyone who has one and a history."""
        return self._held_out("val", self.cut.before_val)

    @cached_property
    def test(self) -> Split:
        """The first item after the second cut; what lies between the cuts is part of the history."""
        return self._held_out("test", self.cut.before_test)

    def train_items(self) -> Tensor:
        """All items of the training part, user after user: what may be counted."""
        return self.items[self._in_train()]

    def train_transitions(self) -> tuple[Tensor, Tensor]:
        """All neighbours in the training part, as two vectors: the earlier item of each pair, and the later."""
        split = self.train
        later = split.starts + split.positions
        return self.items[later - 1], self.items[later]

    def _in_train(self) -> Tensor:
        users = torch.arange(self.num_users).repeat_interleave(self.lengths)
        position = torch.arange(len(users)) - self.offsets[users]
        return position < self.cut.before_val[users]

    def _held_out(self, split: str, positions: Tensor) -> Split:
        users = self.cut.asked(split, self.lengths)[0].nonzero().flatten()
        return Split(self.items, users, self.offsets[users], positions[users])


def load(
    source: str | Path,
    *,
    data_dir: str | Path | None = None,
    k: int = 0,
    duplicates: str = "keep",
    columns: dict[str, str] | None = None,
    split: str = LEAVE_ONE_OUT,
) -> SequenceDataset:
    """A data set by name or from a file.

    - "bookshop": the embedded one.
    - "beauty", "toys", "ml-1m", "yelp": from `data_dir`, else `$DIFFREC_DATA`, else where `diffrec-lite data prepare`
      puts them.
    - a path: a RecBole `.inter` file (also `.gz`), a CSV or a parquet file, or a folder that holds one of them. A
      `.item` file of the same name beside it gives titles and features.

    `k` > 0 applies the k-core filter, `duplicates` is "keep", "first" or "last", and `columns` maps "user", "item" and
    "timestamp" to the file's own names. `split` is "leave-one-out", or "temporal" for sources with real times. Raises
    DataError, which says what is wrong and what to do.
    """
    if not isinstance(k, int) or k < 0:
        raise DataError(f"k must be a whole number, 0 or more, got {k!r}")
    path, name = find(source, data_dir)
    data = SequenceDataset._from_clean(read_log(path, columns), name, catalogue_beside(path), duplicates, split, k)
    asked = {"columns": columns, "k": k, "duplicates": duplicates if duplicates != "keep" else None}
    where = name if str(source) in ("bookshop", *archives.CATALOGUE) else str(path.resolve())
    data.read_by.update(source=where, **{option: value for option, value in asked.items() if value})
    return data


def find(source: str | Path, data_dir: str | Path | None = None) -> tuple[Path, str]:
    """The file behind a name or a path, and the data set's name. Raises DataError where there is none."""
    source = str(source)
    if source == "bookshop":
        return shipped("bookshop") / "bookshop.inter", source
    if source in archives.CATALOGUE:
        return _find_prepared(source, data_dir), source
    path = expand(source)
    with door(path, remedy="give the path of a file"):
        if path.is_dir():
            path = _only_table(path)
        if path.exists():
            return path, stem(path)
    known = ", ".join(["bookshop", *archives.CATALOGUE])
    raise DataError(f"{source}: no such file, and no data set of that name; choose {known}, or give a path")


def _find_prepared(name: str, data_dir: str | Path | None) -> Path:
    if data_dir is not None:
        folders = [expand(data_dir)]
    else:
        set_by_user = os.environ.get("DIFFREC_DATA")
        folders = [*([expand(set_by_user)] if set_by_user else []), archives.prepared_folder()]
    for folder in folders:
        for place in (folder, folder / name):
            for ending in (".inter", ".inter.gz"):
                if (place / (name + ending)).is_file():
                    return place / (name + ending)
    looked = " and ".join(str(folder) for folder in folders)
    raise DataError(
        f"{name} is not prepared (looked in {looked}); run `diffrec-lite data prepare {name}`, "
        f"or set DIFFREC_DATA to the folder that holds {name}.inter"
    )


def _only_table(folder: Path) -> Path:
    found = sorted(file for file in folder.iterdir() if is_table(file) and file.is_file())
    found = [file for file in found if ".inter" in file.name] or found
    if len(found) != 1:
        many = f"holds several data sets ({', '.join(file.name for file in found)}); name one of them"
        none = f"holds no data set; it needs one file ending in {', '.join(LOG_ENDINGS)}"
        raise DataError(f"{folder}: the folder {many if found else none}")
    return found[0]
