"""The one door through which files come in: whatever goes wrong behind it is a DataError that names the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class DataError(ValueError):
    """Input data that cannot be used; the message says where, what, and what to do about it."""


@contextmanager
def door(path: str | Path, remedy: str = "is it the right file?", doing: str = "read") -> Iterator[None]:
    """Turn every exception raised inside into a DataError about `path`, a file or a name, and keep it as the cause.

    Nothing here lists what a library may raise: gzip, zipfile, pandas and pyarrow each have their own.
    """
    try:
        yield
    except DataError:
        raise
    except FileNotFoundError as problem:
        raise DataError(f"{path}: no such file") from problem
    except Exception as problem:
        name = path.name if isinstance(path, Path) else path
        reason = (str(problem).splitlines() or [""])[0][:200] or type(problem).__name__
        if isinstance(problem, OSError) and problem.strerror:  # about the place, not the content
            name, reason = str(path), problem.strerror
        raise DataError(f"{name}: cannot be {doing} ({reason}); {remedy}") from problem


def expand(path: str | Path) -> Path:
    """A path as its user wrote it, with "~" filled in. Raises DataError for an empty one, and for an unknown user."""
    if not str(path).strip():
        raise DataError("the path is empty; name a file or a folder")
    with door(str(path), remedy="write the path in full"):
        return Path(path).expanduser()
