"""What can become of an exercise."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Status(StrEnum):
    """The one word for it, as it stands in the reports and in exercises.csv."""

    PASSED = "passed"
    FAILED = "not passed"
    UNANSWERED = "not answered"
    TIME = "ran out of time"
    MEMORY = "ran out of memory"
    FORBIDDEN = "tried what is not allowed"
    ENDED = "ended its process"
    MISSING = "cell missing"
    UNREADABLE = "file cannot be read"
    ABSENT = "not handed in"
    BROKEN = "could not be graded"


@dataclass(frozen=True)
class Verdict:
    """The status of one exercise, the check's own words, and what was found about its cells."""

    status: Status
    words: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def passed(self) -> bool:
        return self.status is Status.PASSED
