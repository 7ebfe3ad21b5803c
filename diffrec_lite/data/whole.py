"""Files that survive a kill and a power cut: each appears whole or not at all, and is on the disk when it is there."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path


def write(path: str | Path, data: bytes | str) -> None:
    """Replace a file in one step: whoever reads `path`, at any moment, finds the old content or the new one.

    Several may write the same file at once; the last one wins. What is left over where the disk is full is removed.
    """
    write_all({Path(path): data})


def write_all(files: Mapping[Path, bytes | str]) -> None:
    """Replace several files, each in one step, and none before all are written beside their places."""
    drafts = {path: path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.partial") for path in files}
    try:
        for path, data in files.items():
            with open(drafts[path], "xb") as file:
                file.write(data.encode() if isinstance(data, str) else data)
                file.flush()
                os.fsync(file.fileno())
        for path, draft in drafts.items():
            os.replace(draft, path)
    except BaseException as problem:
        for path, draft in drafts.items():
            draft.unlink(missing_ok=True)
            if isinstance(problem, OSError) and problem.filename == str(draft):
                problem.filename = str(path)  # nobody has heard of the draft
        raise
    for folder in {path.parent for path in files}:
        flush(folder)


def flush(folder: Path) -> None:
    """Have the names in a folder on the disk too, not just the files behind them. Windows does so by itself."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
