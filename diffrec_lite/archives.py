"""The real data sets: where they come from, and how their official archives become atomic files."""

from __future__ import annotations

from pathlib import Path

CATALOGUE: dict = {"beauty": None, "toys": None, "ml-1m": None, "yelp": None}


def prepared_folder() -> Path:
    """Where prepared data sets are kept: the user's cache folder."""
    import pooch

    return Path(pooch.os_cache("diffrec-lite"))
