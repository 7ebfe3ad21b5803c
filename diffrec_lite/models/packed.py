"""Tensors and JSON in one safetensors file, which cannot disagree with itself. No code of the file's author is run.

Files are read as bytes, for safetensors itself opens no path that is not Unicode.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

ABOUT = "diffrec_lite"  # the entry of the file's metadata that only this program writes
LONGEST_HEADER = 100_000_000  # bytes, safetensors' own limit


class PackError(ValueError):
    """A file that is no safetensors file; the message says why."""


def pack(tensors: dict[str, Tensor], about: dict[str, Any]) -> bytes:
    """The content of a file. Raises ValueError for a number that JSON does not have."""
    on_cpu = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    return save(on_cpu, metadata={ABOUT: json.dumps(about, allow_nan=False)})


def unpack(path: str | Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What was packed: the JSON, {} in a file of another program, and the tensors. Raises OSError and PackError."""
    data = Path(path).read_bytes()
    try:
        return _about(data[8 : 8 + int.from_bytes(data[:8], "little")]), load(data)
    except (SafetensorError, ValueError) as problem:
        raise PackError(str(problem)) from None


def about(path: str | Path) -> dict[str, Any]:
    """The JSON in a file; {} in a file of another program, and where there is none."""
    try:
        with open(path, "rb") as file:
            return _about(file.read(min(int.from_bytes(file.read(8), "little"), LONGEST_HEADER)))
    except (OSError, ValueError):
        return {}


def _about(header: bytes) -> dict[str, Any]:
    try:
        found = json.loads(json.loads(header).get("__metadata__", {}).get(ABOUT, "{}"))
    except (AttributeError, TypeError, RecursionError) as problem:
        raise ValueError(f"its header is damaged: {problem}") from None
    if not isinstance(found, dict):
        raise ValueError(f"its entry {ABOUT} is damaged")
    return found
