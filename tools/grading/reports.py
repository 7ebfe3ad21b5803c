"""What becomes of the verdicts: tables for the gradebooks of Canvas and Moodle, and a page for each student.

Canvas reads `Student, ID, SIS User ID, SIS Login ID, Section`, a column an assignment, and below the header a row
`Points Possible`. Moodle asks which column holds the student and which an activity, and wants nothing else of them.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from grading.gradebook import safe
from grading.lesson import Lesson
from grading.verdict import Status, Verdict


@dataclass(frozen=True)
class Student:
    """One student's results: verdicts by lesson and exercise, marks by lesson, and remarks on the files."""

    name: str
    canvas_id: str
    verdicts: Mapping[str, Mapping[str, Verdict]]
    marks: Mapping[str, float]
    notes: Sequence[str]


def write(out: Path, class_: Sequence[Student], lessons: Sequence[Lesson]) -> None:
    """Write grades.csv, exercises.csv, canvas.csv, moodle.csv and reports/STUDENT.md to the folder `out`."""
    names = [lesson.name for lesson in lessons]
    points = {lesson.name: sum(each.points for each in lesson.exercises) for lesson in lessons}
    most = _number(sum(points.values()))
    scores = {s.name: [_number(s.marks.get(name, 0.0)) for name in names] for s in class_}
    total = {s.name: _number(sum(s.marks.get(name, 0.0) for name in names)) for s in class_}
    _table(
        out / "grades.csv",
        ["student", *names, "total", "out of"],
        [[s.name, *scores[s.name], total[s.name], most] for s in class_],
    )
    _table(
        out / "exercises.csv",
        ["student", "notebook", "exercise", "out of", "status", "words", "remarks"],
        [
            [s.name, lesson.name, each.name, _number(each.points), *_told(s.verdicts[lesson.name][each.name])]
            for s in class_
            for lesson in lessons
            for each in lesson.exercises
        ],
    )
    blank = [""] * 4
    _table(
        out / "canvas.csv",
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", *names],
        [
            ["    Points Possible", *blank, *(_number(points[name]) for name in names)],
            *([s.name, s.canvas_id, "", "" if s.canvas_id else s.name, "", *scores[s.name]] for s in class_),
        ],
    )
    _table(
        out / "moodle.csv",
        ["Username", "Email address", *names],
        [[s.name, s.name if "@" in s.name else "", *scores[s.name]] for s in class_],
    )
    reports = out / "reports"
    reports.mkdir(exist_ok=True)
    for student in class_:
        page = _page(student, lessons, total[student.name], most)
        (reports / f"{safe(student.name)}.md").write_text(page, encoding="utf-8")


def harmless(text: str) -> str:
    """The text as a spreadsheet takes it for text: what begins like a formula gets an apostrophe before it."""
    text = "".join(each if each.isprintable() else " " for each in text)
    return f"'{text}" if text.lstrip()[:1] in ("=", "+", "-", "@") else text


def _table(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    # Spaces before "Points Possible" are Canvas's own, and numbers are written here.
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([[harmless(cell) for cell in row] for row in rows])


def _number(value: float) -> str:
    return f"{value:g}"


def _told(verdict: Verdict) -> list[str]:
    return [verdict.status, verdict.words, " ".join(verdict.notes)]


def _page(student: Student, lessons: Sequence[Lesson], total: str, most: str) -> str:
    lines = [f"# {_escaped(student.name)}: {total} of {most} points", ""]
    for note in student.notes:
        lines += [f"- {_escaped(note)}"]
    for lesson in lessons:
        verdicts = student.verdicts[lesson.name]
        points = _number(sum(each.points for each in lesson.exercises))
        lines += ["", f"## {lesson.name}: {_number(student.marks.get(lesson.name, 0.0))} of {points}", ""]
        if all(verdict.status is Status.ABSENT for verdict in verdicts.values()):
            lines += [f"{Status.ABSENT.capitalize()}."]
            continue
        for exercise in lesson.exercises:
            verdict = verdicts[exercise.name]
            lines += [f"- {exercise.title} (`{exercise.name}`): **{verdict.status}**"]
            lines += [f"  > {_escaped(line)}" for line in verdict.words.splitlines()]
            lines += [f"  - {_escaped(note)}" for note in verdict.notes]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    """The text as Markdown and HTML show it: a message may hold what a learner wrote."""
    return re.sub(r"([\\`*_\[\]<>&#|])", r"\\\1", harmless(text) if text[:1] in "=+-@" else text)
