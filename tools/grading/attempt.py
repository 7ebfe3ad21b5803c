"""One answer against its check. No line of the answer ever runs in the process that holds the check.

The check runs in one process. Whenever it calls the learner's function, that process forks; the child, fenced in, runs
the learner's cell, calls the function there, and hands back what it returned. So an answer may replace checks, patch
torch or end its process: the check sees values alone, and the next exercise sees nothing of it.
"""

from __future__ import annotations

import contextlib
import io
import linecache
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from diffrec_lite.lessons import check as real
from diffrec_lite.lessons.check import CheckFailed
from grading.child import EndedError, OutOfTimeError, in_child
from grading.confine import confine
from grading.values import pack, unpack
from grading.verdict import Status, Verdict

LONGEST = 2000  # letters of a message
STUB = "is still to be written"
FULL = ("MemoryError", "can't allocate memory", "Cannot allocate memory", "bad allocation")


class Stopped(Exception):
    """The answer ended in something else than a value: a status and its words."""

    def __init__(self, status: Status, words: str) -> None:
        super().__init__(words)
        self.status = status


class Remote:
    """The name of a function that lives in the answer's own processes."""

    def __init__(self, name: str) -> None:
        self.name = name


class Answer:
    """The learner's cells, in a namespace that is there already. Everything it is asked runs in a fenced child."""

    def __init__(self, cells: Sequence[str], namespace: dict[str, Any], folder: Path, seconds: int) -> None:
        self.cells, self.namespace, self.folder = cells, namespace, folder
        self.seconds, self.deadline = seconds, time.monotonic() + seconds

    def values(self, wanted: Sequence[str]) -> dict[str, Any]:
        """What the cells bind of the names `wanted`, functions as Remote. Raises Stopped."""
        return {name: Remote(name) if call else value for name, (call, value) in self._ask(self._named, wanted).items()}

    def call(self, function: Any, *args: Any) -> Any:
        """`check.answer` of a function that is elsewhere. Raises CheckFailed as it does, or Stopped."""
        if not isinstance(function, Remote):
            return real.answer(function, *args)
        result, slopes, states = self._ask(self._called, function.name, args)
        for arg, state in zip(args, states, strict=True):
            _restore(arg, state)
        return _with_gradient(result, args, slopes)

    def _ask(self, work: Callable[..., Any], *about: Any) -> Any:
        def answer(pipe: int) -> bytes:
            confine(self.folder, pipe, self.seconds)
            return pack(self._guarded(work, *about))

        try:
            kind, reply, random = unpack(in_child(answer, self.deadline - time.monotonic()))
            if kind == "value":
                torch.set_rng_state(random)
                return reply
            status, words = Status(reply[0]), str(reply[1])[:LONGEST]
        except OutOfTimeError:
            raise Stopped(Status.TIME, f"It did not end within {self.seconds} seconds.") from None
        except EndedError as problem:
            raise Stopped(Status.ENDED, f"Instead of an answer {problem}.") from None
        except (ValueError, TypeError, RuntimeError):
            raise Stopped(Status.ENDED, "Instead of an answer there came something that cannot be read.") from None
        if kind == "failed" and status is Status.FAILED:
            raise CheckFailed(words)
        raise Stopped(status, words)

    # From here on in the child.

    def _guarded(self, work: Callable[..., Any], *about: Any) -> tuple[str, Any, Any]:
        try:
            return "value", work(*about), torch.get_rng_state()
        except CheckFailed as problem:
            return "failed", (_status(problem.__cause__, str(problem)), str(problem)), None
        except BaseException as problem:  # whatever it is, it is the answer's
            return "stopped", (_status(problem, str(problem)), _said(problem)), None

    def _run(self) -> tuple[dict[str, Any], BaseException | None]:
        """The namespace after the cells, and what the last one raised: a function may be there all the same."""
        namespace, raised = dict(self.namespace), None
        for place, cell in enumerate(self.cells):
            file = f"<cell {place + 1}>"
            linecache.cache[file] = (len(cell), None, cell.splitlines(keepends=True), file)
            try:
                exec(_compiled(cell, file), namespace)
            except BaseException as problem:  # exit() too
                raised = problem
        return namespace, raised

    def _named(self, wanted: Sequence[str]) -> dict[str, tuple[bool, Any]]:
        before = dict(self.namespace)
        namespace, raised = self._run()
        new = [name for name in wanted if name in namespace and namespace[name] is not before.get(name)]
        if raised is not None and len(new) < len(wanted):
            raise raised
        return {name: (True, None) if callable(namespace[name]) else (False, namespace[name]) for name in new}

    def _called(self, name: str, args: tuple) -> tuple[Any, list, list]:
        result = real.answer(self._run()[0][name], *args)
        return result, _slopes(result, args), [_state(arg) for arg in args]


def attempt(
    cells: Sequence[str], check: str, wanted: Sequence[str], namespace: dict, folder: Path, seconds: int
) -> Verdict:
    """What `check`, the source of a checking cell, says to the answer in `cells`, of which it takes the names `wanted`.

    `namespace` holds what the course's cells before it have left, and is changed: call this in a child.
    """
    answer, said = Answer(cells, namespace, folder, seconds), io.StringIO()
    namespace["lesson"].checks.answer = answer.call
    try:
        found = answer.values(wanted)
        missing = [name for name in wanted if name not in found]
        if missing:
            return Verdict(Status.FAILED, f"The cell defines no {' and no '.join(missing)}.")
        with contextlib.redirect_stdout(said):
            exec(check, {**namespace, **found})
    except Stopped as problem:
        return Verdict(problem.status, str(problem))
    except CheckFailed as problem:
        return Verdict(Status.UNANSWERED if STUB in str(problem) else Status.FAILED, str(problem)[:LONGEST])
    return Verdict(Status.PASSED, said.getvalue().strip())


def _compiled(cell: str, file: str) -> Any:
    """The cell's code; lines such as `%matplotlib inline` or `!pip` count as nothing where they are in the way."""
    try:
        return compile(cell, file, "exec")
    except SyntaxError:
        lines = [_without_magic(line) for line in cell.splitlines()]
        return compile("\n".join(lines), file, "exec")


def _without_magic(line: str) -> str:
    bare = line.lstrip()
    return " " * (len(line) - len(bare)) + "pass" if bare.startswith(("%", "!")) else line


def _status(problem: BaseException | None, words: str) -> str:
    if isinstance(problem, PermissionError):
        return Status.FORBIDDEN.value
    if isinstance(problem, MemoryError) or any(sign in words for sign in FULL):
        return Status.MEMORY.value
    if isinstance(problem, NotImplementedError) and not problem.args:
        return Status.UNANSWERED.value
    return Status.FAILED.value


def _said(problem: BaseException) -> str:
    """The exception in a line, with the line of the learner's cell."""
    lines = [n for frame, n in traceback.walk_tb(problem.__traceback__) if frame.f_code.co_filename.startswith("<cell")]
    where = f" in line {lines[-1]}" if lines else ""
    try:
        what = traceback.format_exception_only(problem)[-1].strip()
    except BaseException:  # an exception that cannot say what it is
        what = type(problem).__name__
    return f"The cell stops{where} with {what}"


# What a value cannot carry by itself: where its gradient goes, and what a function did to what it was handed.


def _slopes(result: Any, args: tuple) -> list:
    """The gradient of the sum of `result` at each argument that wants one; None for the others."""
    leaves = [arg for arg in args if isinstance(arg, Tensor) and arg.requires_grad]
    if not (leaves and isinstance(result, Tensor) and result.requires_grad):
        return []
    try:
        found = iter(torch.autograd.grad(result.sum(), leaves, allow_unused=True))
    except RuntimeError:
        return [None] * len(args)
    return [next(found) if any(arg is leaf for leaf in leaves) else None for arg in args]


def _with_gradient(result: Any, args: tuple, slopes: list) -> Any:
    """`result` with the same value, and the same gradient of its sum at each argument."""
    if not slopes or not isinstance(result, Tensor):
        return result
    moved = torch.zeros((), dtype=result.dtype).requires_grad_()
    for arg, slope in zip(args, slopes, strict=True):
        if slope is not None:
            moved = moved + ((arg - arg.detach()) * slope).sum()
    return result + moved / max(1, result.numel())


def _state(arg: Any) -> Any:
    if isinstance(arg, torch.Generator):
        return arg.get_state()
    if isinstance(arg, nn.Module):
        return dict(arg.state_dict())
    return list(arg) if isinstance(arg, list) else None


def _restore(arg: Any, state: Any) -> None:
    if isinstance(arg, torch.Generator):
        arg.set_state(state)
    elif isinstance(arg, nn.Module):
        arg.load_state_dict(state)
    elif isinstance(arg, list) and isinstance(state, list):
        arg[:] = state
