"""Who handed in what: the notebooks in a folder, and in each the answer to every exercise, whatever became of it.

    SUBMISSIONS/ada/05_step_skipping.ipynb               a folder a student, at any depth below it
    SUBMISSIONS/ada_05_step_skipping.ipynb               flat files, as Moodle and Canvas pack them

Nothing is trusted: a notebook is read as JSON and by hand, links are not followed, and its cells are recognised by
their `grade_id`, or, when that is lost, by the function they define.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from grading.lesson import Exercise, Lesson

LARGEST = 50 * 2**20  # bytes
MOODLE = re.compile(r"_\d+_assignsubmission_file_?$")
CANVAS = re.compile(r"(_LATE)?_(?P<id>\d+)_\d+$")
LESSON = re.compile(r"^(?:(?P<student>.+)_)?(?P<name>\d\d_[a-z][a-z0-9_]*?)([- ]?\(?\d+\)?)?\.ipynb$", re.IGNORECASE)


class UnreadableError(Exception):
    """A file is no notebook. The message says why."""


@dataclass(frozen=True)
class Cell:
    """A code cell of a submission."""

    source: str
    name: str  # its grade_id, or ""


@dataclass(frozen=True)
class Found:
    """What a submission holds for an exercise, and remarks."""

    answer: str | None
    own: tuple[str, ...]  # the learner's own cells above the check, the answer among them; empty where there are none
    notes: tuple[str, ...]


def students(folder: Path) -> dict[str, list[Path]]:
    """The notebooks of every student in `folder`, by what the student is called there.

    Raises FileNotFoundError when there is no such folder, and ValueError when it holds no notebook.
    """
    found: dict[str, list[Path]] = {}
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith((".", "__MACOSX")) or entry.is_symlink():
            continue
        if entry.is_dir():
            found.setdefault(_student(entry.name), []).extend(_notebooks(entry))
        elif match := LESSON.match(entry.name):
            found.setdefault(_student(match["student"] or entry.stem), []).append(entry)
        elif entry.suffix == ".ipynb":
            found.setdefault(entry.stem, []).append(entry)
    if not any(found.values()):
        raise ValueError(f"{folder} holds no notebook; it should hold a folder a student, or STUDENT_NN_name.ipynb")
    return found


def canvas_id(folder: Path, student: str) -> str:
    """The number by which Canvas knows the student, from the names of the files that it packed; "" without one."""
    for entry in folder.iterdir():
        match = LESSON.match(entry.name)
        if match and match["student"] and _student(match["student"]) == student:
            number = CANVAS.search(match["student"])
            return number["id"] if number else ""
    return ""


def _student(name: str) -> str:
    return CANVAS.sub("", MOODLE.sub("", name)) or name


def _notebooks(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*.ipynb")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and not path.is_symlink() and path.is_file():
            yield path


def read(path: Path) -> tuple[list[Cell], list[str]]:
    """The code cells of the notebook at `path`, and remarks. Raises UnreadableError."""
    if path.stat().st_size > LARGEST:
        raise UnreadableError(f"it has more than {LARGEST // 2**20} MB")
    data, notes = path.read_bytes(), []
    if not data.strip():
        raise UnreadableError("it is empty")
    try:
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
        notes.append("The file is not in UTF-8 and was read as Latin-1.")
    try:
        notebook = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise UnreadableError(f"it is not JSON ({str(problem)[:100]})") from None
    try:
        sheets = notebook.get("worksheets") or [notebook]  # format 3 kept cells in worksheets
        return [cell for sheet in sheets for cell in _code(sheet["cells"])], notes
    except (AttributeError, KeyError, TypeError):
        raise UnreadableError("it is JSON, but it has no cells") from None


def _code(cells: list[dict]) -> Iterator[Cell]:
    for cell in cells:
        if cell.get("cell_type") != "code":
            continue
        source = cell.get("source", cell.get("input", ""))
        about = (cell.get("metadata") or {}).get("nbgrader")
        name = about.get("grade_id", "") if isinstance(about, dict) else ""
        lines = source if isinstance(source, list) else [source]
        yield Cell("".join(str(line) for line in lines), name if isinstance(name, str) else "")


def recognise(path: Path, cells: Sequence[Cell], lessons: Sequence[Lesson]) -> tuple[Lesson, list[str]] | None:
    """The lesson that the notebook belongs to, by its cells before its name, and remarks. None: it is of no lesson."""
    match = LESSON.match(path.name)
    named = next((each for each in lessons if match and each.name == match["name"].lower()), None)

    def held(lesson: Lesson) -> tuple[int, bool]:
        return sum(answer_cells(cells, exercise)[0] != [] for exercise in lesson.exercises), lesson is named

    best = max(lessons, key=held)
    if held(best)[0] == 0:
        return (named, []) if named else None
    if best is named or (named and held(named)[0] == held(best)[0]):
        return named or best, []
    return best, [f"It was handed in as {path.name}."]


def answer_cells(cells: Sequence[Cell], exercise: Exercise) -> tuple[list[int], list[str]]:
    """Where the cells of the exercise stand, and remarks."""
    places = [place for place, cell in enumerate(cells) if cell.name == exercise.name]
    if places:
        return places, []
    function = _defined(exercise.stub)[0]
    places = [k for k, cell in enumerate(cells) if not cell.name and function in _defined(cell.source)]
    lost = "Its cell has lost its metadata; it was recognised by the function that it defines."
    return places, [lost] if places else []


def _defined(source: str) -> list[str]:
    try:
        return [node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return re.findall(r"^def +(\w+)", source, re.MULTILINE)


def found(cells: Sequence[Cell], lesson: Lesson, exercise: Exercise) -> Found:
    """What the submission holds for `exercise`."""
    places, notes = answer_cells(cells, exercise)
    checks = [place for place, cell in enumerate(cells) if cell.name == exercise.check_name]
    end = checks[-1] if checks else places[-1] + 1 if places else 0
    if not checks:
        notes = [*notes, "Its checking cell is gone; the course's own was used."]
    elif any(_bare(cells[place].source) != _bare(exercise.check) for place in checks):
        notes = [*notes, "Its checking cell was edited; the course's own was used."]
    if not places:
        return Found(None, (), tuple(notes))
    written = [place for place in places if not is_stub(cells[place].source, exercise)] or places
    if len(places) > 1:
        notes = [*notes, "Its cell is there more than once; the last one that was filled in counts."]
    answer = written[-1]
    given = {_bare(cell) for cell in (lesson.setup, *lesson.cells)}
    given |= {_bare(text) for each in lesson.exercises for text in (each.stub, each.check)}
    checking = {each.check_name for each in lesson.exercises}
    own = [
        place
        for place, cell in enumerate(cells[:end])
        if place not in places and cell.name not in checking and _bare(cell.source) not in given
    ]
    if is_stub(cells[answer].source, exercise):
        # Another cell can only stand in for it when it defines the function.
        own = own if any(_defined(exercise.stub)[0] in _defined(cells[place].source) for place in own) else []
    order = sorted([*own, answer]) if own else []
    return Found(cells[answer].source, tuple(cells[place].source for place in order), tuple(notes))


def is_stub(source: str, exercise: Exercise) -> bool:
    """Whether nothing was written: the cell is empty, or as it was handed out."""
    return _bare(source) in ("", _bare(exercise.stub))


def _bare(source: str) -> str:
    """The source without comments that fill a line, empty lines and blanks at the ends of lines."""
    lines = (line.rstrip() for line in source.splitlines())
    return "\n".join(line for line in lines if line and not line.lstrip().startswith("#"))
