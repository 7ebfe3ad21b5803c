"""Tensors and JSON in one safetensors file, which cannot disagree with itself. No code of the file's author is run.

Files are read as bytes, for safetensors itself opens no path that is not Unicode. A checksum over all of them tells a
damaged file from a whole one, where a changed bit in a weight would only give other results.
"""

from __future__ import annotations

import json
import re
from hashlib import sha256
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

ABOUT = "diffrec_lite"  # the entry of the file's metadata that only this program writes
SEAL = "sha256"  # its first key: the checksum of the file in which these 64 digits are zeros
SEALED = re.compile(rb'(?<=\\"sha256\\": \\").{64}', re.DOTALL)
UNSEALED = "0" * 64
LONGEST_HEADER = 100_000_000  # bytes, safetensors' own limit


class PackError(ValueError):
    """A file that is no safetensors file, or a damaged one; the message says why."""


def pack(tensors: dict[str, Tensor], about: dict[str, Any]) -> bytes:
    """The content of a file. Raises ValueError for a number that JSON does not have."""
    on_cpu = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    data = save(on_cpu, metadata={ABOUT: json.dumps({SEAL: UNSEALED, **about}, allow_nan=False)})
    return SEALED.sub(sha256(data).hexdigest().encode(), data, count=1)


def unpack(path: str | Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What was packed: the JSON, {} in a file of another program, and the tensors. Raises OSError and PackError."""
    data = Path(path).read_bytes()
    try:
        header = data[8 : 8 + int.from_bytes(data[:8], "little")]
        seal = SEALED.search(header)
        if seal and sha256(SEALED.sub(UNSEALED.encode(), data, count=1)).hexdigest().encode() != seal[0]:
            raise PackError("it is damaged: its checksum is not that of its content")
        return _about(header), load(data)
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
    except (AttributeError, TypeError, ValueError, RecursionError) as problem:
        raise ValueError(f"its header is damaged: {problem}") from None
    if not isinstance(found, dict):
        raise ValueError(f"its entry {ABOUT} is damaged")
    return {key: value for key, value in found.items() if key != SEAL}
