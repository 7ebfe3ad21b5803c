"""Grade what a class handed in by the checks as they were handed out, whatever became of the notebooks.

    python tools/grade.py submissions --out build/grades     everything, for the whole class
    python tools/grade.py submissions/ada/05_step_skipping.ipynb     only say what passes in one notebook

SUBMISSIONS holds a folder a student, or flat files STUDENT_NN_name.ipynb as Moodle and Canvas pack them. Written are
grades.csv, exercises.csv, canvas.csv, moodle.csv, a page for each student in reports, and nbgrader's course with its
gradebook in nbgrader. Of a submission only the answers are taken; each runs in processes of its own (`grading`).
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from grading import submissions
from grading.gradebook import autograde, marks, safe, student_versions
from grading.lesson import Lesson, lesson
from grading.reports import Student, write
from grading.submissions import UnreadableError
from grading.verdict import Status, Verdict
from grading.workers import Task, grade_all
from tqdm import tqdm

from notebooks import ROOT, course

SECONDS = 30  # for one exercise


class Script:
    """What one student handed in: an answer or a verdict for every exercise, and remarks on the files."""

    def __init__(self, paths: Sequence[Path], lessons: Sequence[Lesson]) -> None:
        self.answers: dict[str, dict[str, str]] = defaultdict(dict)
        self.verdicts = {each.name: {e.name: Verdict(Status.ABSENT) for e in each.exercises} for each in lessons}
        self.tasks: list[Task] = []
        self.remarks: dict[str, tuple[str, ...]] = {}
        self.notes: list[str] = []
        taken: dict[str, Path] = {}
        # A file that bears a lesson's name comes before one that does not.
        for path in sorted(paths, key=lambda path: (path.stem not in self.verdicts, str(path))):
            try:
                cells, notes = submissions.read(path)
                match = submissions.recognise(path, cells, lessons)
            except UnreadableError as problem:
                self.notes.append(f"{path.name} cannot be read: {problem}.")
                if path.stem in self.verdicts and path.stem not in taken:
                    verdict = Verdict(Status.UNREADABLE, f"{path.name}: {problem}.")
                    self.verdicts[path.stem] = dict.fromkeys(self.verdicts[path.stem], verdict)
                continue
            if match is None:
                self.notes.append(f"{path.name} belongs to no notebook of the course.")
            elif match[0].name in taken:
                self.notes.append(f"{path.name} was left out: {taken[match[0].name].name} is the same notebook.")
            else:
                taken[match[0].name] = path
                self._take(cells, match[0], [*notes, *match[1]])

    def _take(self, cells: Sequence[submissions.Cell], of: Lesson, notes: Sequence[str]) -> None:
        self.notes += [f"{of.name}: {note}" for note in notes]
        for exercise in of.exercises:
            found = submissions.found(cells, of, exercise)
            self.remarks[exercise.name] = found.notes
            if found.answer is None:
                self.verdicts[of.name][exercise.name] = Verdict(Status.MISSING, notes=found.notes)
                continue
            self.answers[of.name][exercise.name] = found.answer
            if submissions.is_stub(found.answer, exercise) and not found.own:
                self.verdicts[of.name][exercise.name] = Verdict(Status.UNANSWERED, notes=found.notes)
            else:
                self.tasks.append(Task(of, exercise, found.answer, found.own))


def graded(folder: dict[str, list[Path]], lessons: Sequence[Lesson], seconds: int = SECONDS) -> dict[str, Script]:
    """Every student's script with a verdict on each exercise."""
    scripts = {student: Script(paths, lessons) for student, paths in folder.items()}
    tasks = [(script, task) for script in scripts.values() for task in script.tasks]
    with tqdm(total=len(tasks), unit="answer", disable=None) as bar:
        verdicts = grade_all([task for _, task in tasks], seconds, bar.update)
    for (script, task), verdict in zip(tasks, verdicts, strict=True):
        notes = (*script.remarks[task.exercise.name], *verdict.notes)
        if not verdict.passed and submissions.is_stub(task.answer, task.exercise):
            verdict = Verdict(Status.UNANSWERED)
        script.verdicts[task.lesson.name][task.exercise.name] = Verdict(verdict.status, verdict.words, notes)
    return scripts


def grade_class(folder: Path, out: Path, paths: Sequence[Path], seconds: int = SECONDS) -> list[Student]:
    """Grade the class in `folder` in the notebooks `paths`, and write everything to `out`."""
    course_folder = out / "nbgrader"
    course_folder.mkdir(parents=True, exist_ok=True)
    found = submissions.students(folder)
    lessons = [lesson(p.stem, s) for p, s in zip(paths, student_versions(course_folder, paths), strict=True)]
    scripts = graded(found, lessons, seconds)
    handed_in = {
        name: {each: (script.answers[each], script.verdicts[each]) for each in script.answers}
        for name, script in scripts.items()
    }
    autograde(course_folder, handed_in)
    score = marks(course_folder)
    class_ = [
        Student(
            name,
            submissions.canvas_id(folder, name),
            script.verdicts,
            {each: score[safe(name), each] for each in handed_in[name]},
            script.notes,
        )
        for name, script in scripts.items()
    ]
    write(out, class_, lessons)
    return class_


def main() -> int:
    """Grade a class, or print a line for each exercise of one notebook. Returns 1 for what cannot be read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("submissions", type=Path, help="the class's folder, or one notebook")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "grades")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="the time that one exercise has")
    given = parser.parse_args()
    try:
        if given.submissions.is_file():
            return _one(given.submissions, given.seconds)
        class_ = grade_class(given.submissions, given.out, course(), given.seconds)
    except (OSError, ValueError, RuntimeError) as problem:
        print(problem, file=sys.stderr)
        return 1
    print(f"{len(class_)} students: {given.out / 'grades.csv'}, canvas.csv, moodle.csv, exercises.csv and reports")
    return 0


def _one(path: Path, seconds: int) -> int:
    with TemporaryDirectory() as root:
        versions = student_versions(Path(root), course())
        lessons = [lesson(p.stem, s) for p, s in zip(course(), versions, strict=True)]
        script = graded({path.stem: [path]}, lessons, seconds)[path.stem]
    print(*script.notes, sep="\n", end="\n" if script.notes else "")
    found = [
        (name, v) for each in script.verdicts.values() for name, v in each.items() if v.status is not Status.ABSENT
    ]
    for name, verdict in found:
        print(f"{name}: {verdict.status}. {verdict.words}".strip())
    return 0 if any(verdict.status is not Status.UNREADABLE for _, verdict in found) else 1


if __name__ == "__main__":
    sys.exit(main())
