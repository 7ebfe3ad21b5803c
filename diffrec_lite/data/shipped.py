"""Where the files that come with the course are: beside the package in a checkout, inside it when installed."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
INSTALLED = PACKAGE / "_data"


def shipped(name: str) -> Path:
    """The file or folder `name` under `data`, for example "published/table_1.csv".

    Raises FileNotFoundError when this copy of the course does not have it.
    """
    for data in (PACKAGE.parent / "data", INSTALLED):
        if (data / name).exists():
            return data / name
    raise FileNotFoundError(f"data/{name} does not come with this copy of diffrec-lite; install it again")


def notebooks() -> list[Path]:
    """The course: its notebooks, 00 first, and its page of symbols.

    Raises FileNotFoundError when this copy of the course does not have them.
    """
    # The installed ones first: beside an installed package, "notebooks" may be anybody's.
    for folder in (INSTALLED / "notebooks", PACKAGE.parent / "notebooks"):
        found = [*sorted(folder.glob("[0-9][0-9]_*.ipynb")), folder / "notation.md"]
        if all(path.is_file() for path in found) and len(found) > 1:
            return found
    raise FileNotFoundError("the notebooks do not come with this copy of diffrec-lite; install it again")
