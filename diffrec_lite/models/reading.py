"""What a model reads: histories are checked here, once, for every model and every way in.

A history that is padded on the right, or holds the id of nothing, would be answered like any other.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from diffrec_lite.data import pad
from diffrec_lite.data.batches import whole_numbers


def readable(histories: Tensor | Sequence[Sequence[int]], num_items: int, max_len: int) -> Tensor:
    """What a model reads of histories: `(B, L)` int64, padded with 0 on the left, the last `max_len` items at most.

    Raises ValueError for a history that is empty, holds a 0 behind its first item, or an id that is not in
    1 … num_items; also where the model would not have read that far.
    """
    asked = histories if isinstance(histories, Tensor) else pad(histories)
    whole = pad(asked.cpu())  # an accelerator is waited for once
    low, high = (int(end) for end in whole.aminmax())
    if low < 0 or high > num_items:
        raise ValueError(f"item id {high if high > num_items else low} is not in the catalogue (1 … {num_items})")
    return asked[:, -max_len:].long()


def checking(method: Callable[..., Any]) -> Callable[..., Any]:
    """A model's method of histories and users, which gets no history that is not `readable`, and a user for each.

    What it calls in its turn is not checked again.
    """
    signature = inspect.signature(method)

    @functools.wraps(method)
    def checked(model: Any, history: Tensor, *args: Any, **kwargs: Any) -> Any:
        if model.trusts:
            return method(model, history, *args, **kwargs)
        history = readable(history, model.num_items, model.max_len)
        users = signature.bind(model, history, *args, **kwargs).arguments.get("users")
        if users is not None and whole_numbers(users, "users").shape != (len(history),):
            raise ValueError(f"{len(users)} users for {len(history)} histories; each history needs its own")
        with trusting(model):
            return method(model, history, *args, **kwargs)

    return checked


@contextmanager
def trusting(model: Any) -> Iterator[None]:
    """A model that looks at no history before it reads it, for as long as the context lasts."""
    before, model.trusts = model.trusts, True
    try:
        yield
    finally:
        model.trusts = before
