"""How a check speaks: it compares an answer with the right one and says in words which mistake it looks like."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor


class CheckFailed(AssertionError):
    """An exercise is not solved yet. The message says what is wrong and where to look."""


def require(condition: Any, diagnosis: str) -> None:
    """Raise CheckFailed with `diagnosis` unless `condition` holds."""
    if not bool(condition):
        raise CheckFailed(diagnosis)


def answer(function: Callable, *args: Any, **kwargs: Any) -> Any:
    """Call the learner's function. Raises CheckFailed when it is unsolved, crashes or returns nothing."""
    name = getattr(function, "__name__", "your function")
    try:
        result = function(*args, **kwargs)
    except NotImplementedError:
        raise CheckFailed(f"{name} is still to be written: replace the `raise NotImplementedError` line.") from None
    except Exception as problem:
        raise CheckFailed(f"{name} stopped with {type(problem).__name__}: {problem}") from problem
    require(result is not None, f"{name} returned None: is there a `return` at its end?")
    return result


def compare(
    name: str, yours: Any, right: Any, mistakes: Mapping[str, Any] | None = None, tolerance: float = 1e-5
) -> None:
    """Raise CheckFailed unless `yours` equals `right` within `tolerance` (absolute and relative).

    `mistakes` maps a diagnosis to the value that this mistake would give: where `yours` equals one of them, its
    diagnosis is the message. Otherwise the message names the shape or the largest difference.
    """
    right = torch.as_tensor(right, dtype=torch.float64)
    try:
        yours = torch.as_tensor(yours, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError):
        raise CheckFailed(f"{name} should be numbers, but it is a {type(yours).__name__}.") from None
    yours = yours.detach()
    if _close(yours, right, tolerance):
        return
    for diagnosis, wrong in (mistakes or {}).items():
        if _close(yours, torch.as_tensor(wrong, dtype=torch.float64), tolerance):
            raise CheckFailed(diagnosis)
    require(
        yours.shape == right.shape, f"{name} has shape {tuple(yours.shape)}, but it should be {tuple(right.shape)}."
    )
    require(
        bool(torch.isfinite(yours).all()) or not bool(torch.isfinite(right).all()), f"{name} holds NaN or infinity."
    )
    worst = (yours - right).abs().nan_to_num(0).max()
    raise CheckFailed(f"{name} has the right shape but wrong values; the largest difference is {float(worst):.3g}.")


def _close(a: Tensor, b: Tensor, tolerance: float) -> bool:
    return a.shape == b.shape and torch.allclose(a, b.detach(), rtol=tolerance, atol=tolerance)


def passed(name: str, what: str) -> None:
    """Say that a check passed, and what this shows."""
    print(f"{name}: correct. {what}")
