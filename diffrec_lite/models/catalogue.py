"""The items that a model knows. An id means nothing without the list of names that it counts in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch

from diffrec_lite.data import SequenceDataset


@dataclass(frozen=True)
class Catalogue:
    """`tokens[i]` is what the source calls item i, `titles[i]` its title, if titles are known; 0 is the padding."""

    tokens: list[str]
    titles: list[str] | None = None

    @classmethod
    def of(cls, dataset: SequenceDataset) -> Catalogue:
        """The items of a data set."""
        return cls([str(token) for token in dataset.item_tokens], dataset.titles)

    @cached_property
    def ids(self) -> dict[str, int]:
        """The id of each token."""
        return {token: i for i, token in enumerate(self.tokens) if i}

    def title(self, item: int) -> str:
        """The title of an item, "" where titles are unknown."""
        return "" if self.titles is None else self.titles[item]

    def numbered(self, dataset: SequenceDataset) -> SequenceDataset:
        """`dataset` with its items numbered as they are here.

        Raises ValueError, naming the first token that only one of them has, for another set of items.
        """
        theirs = [str(token) for token in dataset.item_tokens]
        if theirs == self.tokens:
            return dataset
        missing, unknown = _first(self.tokens, theirs), _first(theirs, self.tokens)
        if missing is not None or unknown is not None:
            parts = [f"item {missing!r} of the model is not among the data"] if missing is not None else []
            parts += [f"item {unknown!r} of the data is unknown to the model"] if unknown is not None else []
            raise ValueError(
                f"{dataset.name} has other items than the model was trained on: {', and '.join(parts)}; "
                "name the data that it was trained on, or train another model"
            )
        if len(self.ids) != len(self.tokens) - 1:
            raise ValueError(f"{dataset.name}: two of its items have the same token; give each its own")
        return _renumbered(dataset, torch.tensor([0, *(self.ids[token] for token in theirs[1:])]))

    @classmethod
    def from_dict(cls, value: Any) -> Catalogue:
        """What `as_dict` gave. Raises ValueError for anything else."""
        match value:
            case {"tokens": [*tokens], "titles": [*titles]} if len(titles) == len(tokens):
                names = [*tokens, *titles]
            case {"tokens": [*tokens], "titles": None}:
                titles, names = None, tokens
            case _:
                raise ValueError("its catalogue of items is damaged")
        if not all(isinstance(name, str) for name in names):
            raise ValueError("its catalogue of items holds what is no text")
        return cls(tokens, titles)

    def as_dict(self) -> dict[str, Any]:
        """The catalogue, JSON-ready."""
        return {"tokens": self.tokens, "titles": self.titles}


def _first(tokens: Sequence[str], others: Sequence[str]) -> str | None:
    """The first of `tokens` that occurs more often than among `others`."""
    more = Counter(tokens) - Counter(others)
    return next((token for token in tokens if token in more), None)


def _renumbered(dataset: SequenceDataset, new: torch.Tensor) -> SequenceDataset:
    """The data set in which item i is called `new[i]`."""
    old = new.argsort().tolist()
    features = dataset.item_features
    return replace(
        dataset,
        items=new[dataset.items],
        item_tokens=[dataset.item_tokens[i] for i in old],
        titles=None if dataset.titles is None else [dataset.titles[i] for i in old],
        item_features=None if features is None else features.loc[old[1:]].set_axis(features.index),
    )
