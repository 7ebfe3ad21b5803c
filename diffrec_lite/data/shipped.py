"""Where the files that come with the course are: beside the package in a checkout, inside it when installed."""

from __future__ import annotations

from pathlib import Path


def shipped(name: str) -> Path:
    """The file or folder `name` under `data`, for example "published/table_1.csv".

    Raises FileNotFoundError when this copy of the course does not have it.
    """
    package = Path(__file__).resolve().parents[1]
    for data in (package.parent / "data", package / "_data"):
        if (data / name).exists():
            return data / name
    raise FileNotFoundError(f"data/{name} does not come with this copy of diffrec-lite; install it again")
