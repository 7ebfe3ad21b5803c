"""A notebook of the course as grading sees it: without solutions, a set-up, cells, and exercises with their checks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from names import behind, names
from nbformat import NotebookNode


@dataclass(frozen=True)
class Exercise:
    """One exercise: a cell that a learner fills in and the cell that checks it, each with its `grade_id`."""

    name: str
    check_name: str
    title: str
    points: float
    stub: str  # the learner's cell as it is handed out
    check: str
    place: int  # how many code cells stand before the learner's

    @property
    def wanted(self) -> list[str]:
        """What the check takes from the learner's cell: a function, and sometimes the letter of a choice."""
        return sorted(names(self.check)[0] - {"lesson"})


@dataclass(frozen=True)
class Lesson:
    """One notebook: its name, the sources of its code cells, "" for each cell of an exercise, and its exercises."""

    name: str
    setup: str
    cells: tuple[str, ...]
    exercises: tuple[Exercise, ...]

    def before(self, exercise: Exercise, answer: Sequence[str]) -> list[str]:
        """The cells of the course, in order, that bind or change a name which the check or cells `answer` read."""
        read = names(exercise.check)[0].union(*map(_read, answer))
        return [self.cells[place] for place in behind(self.cells[: exercise.place], read)]


def _read(answer: str) -> set[str]:
    try:
        return names(answer)[0]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()


def lesson(name: str, student: NotebookNode) -> Lesson:
    """The lesson `name` from its student version."""
    code = [cell for cell in student.cells if cell.cell_type == "code"]
    exercises = []
    for place, (cell, after) in enumerate(pairwise(code)):
        if not cell.metadata.get("nbgrader", {}).get("solution"):
            continue
        ours, check = cell.metadata.nbgrader, after.metadata.nbgrader
        title = _title(student, cell) or ours.grade_id
        exercises.append(
            Exercise(ours.grade_id, check.grade_id, title, float(check.points), cell.source, after.source, place)
        )
    setup = next(cell.source for cell in code if "setup" in cell.metadata.get("tags", []))
    plain = tuple("" if "nbgrader" in cell.metadata or cell.source == setup else cell.source for cell in code)
    return Lesson(name, setup, plain, tuple(exercises))


def _title(student: NotebookNode, cell: NotebookNode) -> str:
    """The last heading "Exercise 2: a grid that arrives" above the cell."""
    above = "\n".join(each.source for each in student.cells[: student.cells.index(cell)] if each.cell_type != "code")
    found = re.findall(r"^#+ (Exercise \d+: .+)$", above, re.MULTILINE)
    return found[-1] if found else ""
