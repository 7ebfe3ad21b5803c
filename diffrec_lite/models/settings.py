"""Settings that know their ranges: a frozen dataclass whose fields say what they may be.

    @dataclass(frozen=True)
    class MarkovSettings(Settings):
        max_len: int = number(50, at_least=1)
        backoff: float = number(1.0, at_least=0)

A model's settings, or those of training, then stand in one place. A value that makes no sense is refused when the
settings are made, before anything is built or trained.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields
from typing import Any


class SettingError(ValueError):
    """A setting that does not exist or cannot have this value; the message names it and says what it may be."""


def number(default: float | None, at_least: float | None = None, above: float | None = None, at_most=None) -> Any:
    """A number with a range. Where the default is None, None is allowed too."""
    return field(default=default, metadata={"at_least": at_least, "above": above, "at_most": at_most})


def choice(default: str, *others: str) -> Any:
    """One of a few words."""
    return field(default=default, metadata={"choices": (default, *others)})


@dataclass(frozen=True)
class Settings:
    """The base of all settings. Raises SettingError for a value of the wrong type or outside its range."""

    def __post_init__(self) -> None:
        for one in fields(self):
            value, rule = getattr(self, one.name), one.metadata
            if isinstance(one.default, float) and type(value) is int:
                value = _as_float(value)
                object.__setattr__(self, one.name, value)
            elif not _has_type(value, one):
                raise SettingError(f"{one.name} must be {_described(one)}, got {value!r}")
            if value is None:
                continue
            if isinstance(value, float) and not math.isfinite(value):
                raise SettingError(f"{one.name} must be a finite number, got {value}")
            if rule.get("choices") and value not in rule["choices"]:
                raise SettingError(f"{one.name} must be one of {', '.join(rule['choices'])}, got {value!r}")
            low, above, high = rule.get("at_least"), rule.get("above"), rule.get("at_most")
            if low is not None and value < low:
                raise SettingError(f"{one.name} must be at least {low}, got {value}")
            if above is not None and value <= above:
                raise SettingError(f"{one.name} must be greater than {above}, got {value}")
            if high is not None and value > high:
                raise SettingError(f"{one.name} must be at most {high}, got {value}")

    def as_dict(self) -> dict[str, Any]:
        """Every setting by name, JSON-ready."""
        return asdict(self)

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Every setting's default value by name."""
        return {one.name: one.default for one in fields(cls)}

    @classmethod
    def of(cls, what: str, **values: Any) -> Settings:
        """Make settings from names and values. Raises SettingError for a name that `what` does not have."""
        known = cls.defaults()
        for name in values:
            if name not in known:
                raise SettingError(f"{what} has no setting {name!r}; it has {', '.join(sorted(known))}")
        return cls(**values)


def _as_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _has_type(value: Any, one: Any) -> bool:
    optional = one.default is None or "None" in str(one.type)
    if value is None:
        return optional
    for kind in (bool, str, int):
        if kind.__name__ in str(one.type):
            return type(value) is kind
    return type(value) in (int, float)


def _described(one: Any) -> str:
    for kind, text in (("bool", "true or false"), ("str", "a word"), ("int", "a whole number")):
        if kind in str(one.type):
            return text
    return "a number"
