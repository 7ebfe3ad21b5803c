"""How a check works: it calls the learner's function, compares what comes back, and names the mistake in words.

A check tries a function on several inputs, so that neither a memorised answer nor a hard-coded shape can pass. It
leaves torch's random numbers as it found them, and whatever it is handed, it ends in a pass or in CheckFailed.
"""

from __future__ import annotations

import functools
import inspect
import linecache
import numbers as kinds_of_number
import reprlib
import traceback
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

PACKAGE = __name__.partition(".")[0]
MOST_NUMBERS = 10_000_000


class CheckFailed(AssertionError):
    """An exercise is not solved yet. The message says what is wrong and where to look, and is all a notebook shows."""

    def _render_traceback_(self) -> list[str]:
        """What IPython prints in place of a traceback, whose lines would be the check's own and not the learner's."""
        return [f"CheckFailed: {self}"]


def check(function: Callable[..., None]) -> Callable[..., None]:
    """Decorate a check: every run sees the same random numbers, and torch's own are afterwards as they were."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            function(*args, **kwargs)

    return run


def require(condition: Any, diagnosis: str) -> None:
    """Raise CheckFailed with `diagnosis` unless `condition` holds."""
    if not bool(condition):
        raise CheckFailed(diagnosis)


def answer(function: Callable, *args: Any) -> Any:
    """Call the learner's function on copies of `args` and return what it returns.

    Raises CheckFailed when the function is unsolved, is the package's own, does not take these arguments, stops with
    an exception or by `exit()`, overwrites an argument, or returns None. A torch.Generator is handed over itself, to be
    drawn from.
    """
    require(callable(function), f"Hand the check your function itself; this is {_a(function)}.")
    name = _name(function)
    _refuse_the_packages_own(function, name)
    names = _parameters(function, name, args)
    given = [_copy(value) for value in args]
    try:
        result = function(*given)
    except KeyboardInterrupt:  # the learner's way out of an endless loop
        raise
    except BaseException as problem:  # exit() too, which would leave the notebook without a verdict
        if _is_stub(problem, function):
            raise CheckFailed(f"{name} is still to be written: replace the `raise NotImplementedError` line.") from None
        called = ", ".join(f"{n} {_shape(value)}" for n, value in zip(names, args, strict=True))
        raise CheckFailed(
            f"{name} stopped{_line(problem, function)} with {''.join(traceback.format_exception_only(problem)).strip()}"
            + (f" (called with {called})" if called else "")
        ) from problem
    for parameter, before, after in zip(names, args, given, strict=True):
        require(
            _same(before, after),
            f"{name} overwrites its argument {parameter}, and the caller still needs it. Work on a new one: "
            "`x = a * x` makes one, while `x *= a`, `x[…] = a` and functions that end in _ or say inplace do not.",
        )
    require(result is not None, f"{name} returned None: is there a `return` at its end?")
    return result


def numbers(name: str, value: Any, shape: Sequence[int] | None = None) -> Tensor:
    """The learner's `value` as a float64 tensor without a gradient, of `shape` where one is given.

    Raises CheckFailed for anything that is not real numbers. True and False are not numbers here.
    """
    found = value
    try:
        if not isinstance(found, Tensor):
            is_real = isinstance(found, kinds_of_number.Real) and not isinstance(found, bool)
            found = np.asarray(float(found) if is_real else found)
            require(found.dtype.kind in "fiu", f"{name} should be numbers, but it is {_a(value)}.")
            found = torch.as_tensor(found.astype(np.float64))
        require(
            not found.is_complex() and found.dtype != torch.bool,
            f"{name} should be real numbers, but it is a tensor of {found.dtype}.",
        )
        require(found.numel() <= MOST_NUMBERS, f"{name} has shape {tuple(found.shape)}, which is far too large.")
        found = torch.empty(found.shape, dtype=torch.float64).copy_(found.detach())
    except CheckFailed:
        raise
    except Exception:
        # Whatever an odd object raises when it is read as numbers: it is not numbers.
        raise CheckFailed(f"{name} should be numbers, but it is {_a(value)}.") from None
    if shape is not None and found.shape != tuple(shape):
        wanted = f"it should be {tuple(shape)}" if len(shape) else "it should be a single number"
        raise CheckFailed(f"{name} has shape {tuple(found.shape)}, but {wanted}.")
    return found


def compare(
    name: str, yours: Any, right: Any, mistakes: Mapping[str, Any] | None = None, tolerance: float = 1e-5
) -> None:
    """Raise CheckFailed unless `yours` equals `right`, each number to `tolerance` of its size.

    `mistakes` maps a diagnosis to the value that this mistake would give: where `yours` equals one of them, its
    diagnosis is the message. Otherwise the message names the shape or the largest difference.
    """
    right, found = torch.as_tensor(right, dtype=torch.float64), numbers(name, yours)
    if close(found, right, tolerance):
        return
    for diagnosis, wrong in (mistakes or {}).items():
        if close(found, torch.as_tensor(wrong, dtype=torch.float64), tolerance):
            raise CheckFailed(diagnosis)
    numbers(name, yours, right.shape)
    require(found.isfinite().all(), f"{name} holds NaN or infinity.")
    worst = float((found - right).abs().max())
    raise CheckFailed(f"{name} has the right shape but wrong values; the largest difference is {worst:.3g}.")


def close(a: Tensor, b: Tensor, tolerance: float = 1e-5) -> bool:
    """Whether `a` is `b` to `tolerance` of each number, or to a tenth of that of the largest, which rounding needs."""
    finite = b[b.isfinite()].abs()
    largest = float(finite.max()) if finite.numel() else 0.0
    return a.shape == b.shape and torch.allclose(
        a, b.detach(), rtol=tolerance, atol=tolerance / 10 * (largest or 1.0), equal_nan=True
    )


def pair_of(name: str, value: Any, what: str) -> Sequence[Any]:
    """The learner's `value` when it is two things. Raises CheckFailed, which says that it should be `what`."""
    require(isinstance(value, tuple | list) and len(value) == 2, f"{name} should return {what}.")
    return value


def truths(name: str, value: Any, keys: Sequence[str]) -> list[bool]:
    """The learner's `value`, a dictionary from `keys` to True or False, in the order of `keys`."""
    expected = f"{name} should return a dictionary with the keys {', '.join(keys)}"
    require(isinstance(value, dict), f"{expected}; it returned {_a(value)}.")
    require(set(value) == set(keys), f"{expected}; yours has {reprlib.repr(list(value))}.")
    return [truth(f'"{key}"', value[key]) for key in keys]


def truth(name: str, value: Any) -> bool:
    """The learner's `value` when it is True or False, of Python, NumPy or torch."""
    is_truth = isinstance(value, bool | np.bool_) or (isinstance(value, Tensor) and value.dtype == torch.bool)
    require(
        is_truth and (not isinstance(value, Tensor) or value.numel() == 1),
        f"{name} should be True or False, but it is {_a(value)}.",
    )
    return bool(value)


def letter(name: str, given: Any, right: str, wrong: Mapping[str, str]) -> None:
    """Raise CheckFailed unless the learner chose `right`; `wrong` says to each other letter why it is not it.

    "b", "B", " b " and "(b)" are the same choice.
    """
    chosen = given.strip(" \t\n().:\"'").lower() if isinstance(given, str) else None
    if chosen in wrong:
        raise CheckFailed(wrong[chosen])
    letters = ", ".join(f'"{each}"' for each in sorted({right, *wrong}))
    require(chosen == right, f"{name} should be one of the letters {letters}; it is {reprlib.repr(given)}.")


def passed(name: str, what: str) -> None:
    """Say that a check passed, and what this shows."""
    print(f"{name}: correct. {what}")


# What a call of the learner's function needs to know about the function.


def _inner(function: Callable) -> Callable:
    """The function inside a partial, a decorator or an object that can be called."""
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function)
    return function if hasattr(function, "__code__") else type(function).__call__


def _code(function: Callable) -> Any:
    return getattr(_inner(function), "__code__", None)


def _name(function: Callable) -> str:
    name = str(getattr(function, "__name__", "<lambda>"))
    return "Your function" if name == "<lambda>" else name


def _refuse_the_packages_own(function: Callable, name: str) -> None:
    whole = function
    while isinstance(whole, functools.partial):
        whole = whole.func
    for part in (whole, _inner(whole)):
        home = str(getattr(part, "__module__", "")).partition(".")[0]
        require(
            home != PACKAGE,
            f"{name} is the package's own function, and of course it is right. Write yours: the exercise is for you.",
        )


def _parameters(function: Callable, name: str, args: Sequence[Any]) -> list[str]:
    """What the function calls its arguments. Raises CheckFailed when it cannot be called with that many."""
    try:
        bound = inspect.signature(function).bind(*args)
    except TypeError:
        raise CheckFailed(
            f"{name} cannot be called with {len(args)} argument{'s' * (len(args) != 1)}: leave its first line, "
            "`def …`, as the exercise has it."
        ) from None
    except ValueError:
        # A function written in C may have no signature to read.
        return [f"number {place}" for place in range(1, len(args) + 1)]
    names = []
    for parameter, value in bound.arguments.items():
        several = bound.signature.parameters[parameter].kind is inspect.Parameter.VAR_POSITIONAL
        names += [f"{parameter}[{place}]" for place in range(len(value))] if several else [parameter]
    return names


def _is_stub(problem: BaseException, function: Callable) -> bool:
    """Whether the learner's function itself raised the bare NotImplementedError that stands for the solution."""
    *_, (frame, _line_number) = traceback.walk_tb(problem.__traceback__)
    return type(problem) is NotImplementedError and not problem.args and frame.f_code is _code(function)


def _line(problem: BaseException, function: Callable) -> str:
    """ " in line 3, `x = y`": the last line of the learner's own cell on the way to the exception."""
    file = getattr(_code(function), "co_filename", None)
    lines = [line for frame, line in traceback.walk_tb(problem.__traceback__) if frame.f_code.co_filename == file]
    if not lines:
        return ""
    text = linecache.getline(file, lines[-1]).strip()
    return f" in line {lines[-1]}, `{text}`," if text else f" in line {lines[-1]}"


# What it needs to know about values.


def _copy(value: Any) -> Any:
    if isinstance(value, torch.Generator):
        return value
    return value.clone() if isinstance(value, Tensor) else deepcopy(value)


def _same(before: Any, after: Any) -> bool:
    if isinstance(before, torch.Generator):
        return True
    if isinstance(before, Tensor):
        return before.dtype == after.dtype and torch.equal(before, after)
    if isinstance(before, pd.DataFrame):
        return before.equals(after)
    return before == after


def _shape(value: Any) -> str:
    if isinstance(value, Tensor):
        return str(tuple(value.shape))
    return f"= {value}" if isinstance(value, int | float) else f"a {type(value).__name__}"


def _a(value: Any) -> str:
    """What kind of thing an answer is, in words."""
    if value is None or isinstance(value, bool):
        return str(value)
    return f"{reprlib.repr(value)}, a string" if isinstance(value, str) else f"a {type(value).__name__}"
