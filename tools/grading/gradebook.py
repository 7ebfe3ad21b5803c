"""nbgrader's part: the student version, and the gradebook in which all marks stand.

nbgrader makes the student version, whose cells and points all grading goes by. It then autogrades a clean copy of each
submission, the student version with the answers put in, and keeps the marks in its database, where its formgrader shows
them and adds marks by hand. Its step that runs notebooks is replaced by the verdicts that are there already: it would
run all answers in one kernel, beside the checks and with the rights of whoever grades.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import nbformat
from nbconvert.exporters.exporter import ResourcesDict
from nbformat import NotebookNode
from nbgrader.api import Gradebook
from nbgrader.apps import NbGraderAPI
from nbgrader.converters import Autograde
from nbgrader.preprocessors import AssignLatePenalties, CheckCellMetadata, NbGraderPreprocessor, SaveAutoGrades
from traitlets.config import Config

from grading.verdict import Status, Verdict

Verdicts = Mapping[str, Verdict]  # by the grade_id of the answer


def api(root: Path) -> NbGraderAPI:
    """nbgrader for a course in the folder `root`."""
    # nbgrader calls a program of this environment by its bare name, also where the environment is not activated.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    config = Config()
    config.CourseDirectory.root = str(root)
    config.NbGraderAPI.log_level = logging.ERROR
    return NbGraderAPI(config=config)


def student_versions(root: Path, paths: Sequence[Path]) -> list[NotebookNode]:
    """The student version of each notebook, each an assignment of the course in `root` that is called like it.

    Raises RuntimeError where nbgrader refuses.
    """
    course, released = api(root), []
    for path in paths:
        source = root / "source" / path.stem
        source.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, source)
        result = course.generate_assignment(path.stem, force=True, create=True)
        if not result["success"]:
            raise RuntimeError(f"nbgrader could not make the student version:\n{result.get('log') or result}")
        released.append(nbformat.read(root / "release" / path.stem / path.name, as_version=4))
    return released


def safe(student: str) -> str:
    """What nbgrader calls the student: folders and addresses are made of it."""
    plain = re.sub(r"[^A-Za-z0-9_.@-]+", "-", student).strip("-.")
    return student if plain == student else f"{plain}-{hashlib.sha256(student.encode()).hexdigest()[:6]}"


def autograde(root: Path, found: Mapping[str, Mapping[str, tuple[Mapping[str, str], Verdicts]]]) -> None:
    """Put the verdicts into the gradebook of the course in `root`.

    `found` maps a student to lessons, and a lesson to the answers and the verdicts, both by the answer's grade_id.
    """
    course, known, lessons = api(root), {}, set()
    shutil.rmtree(root / "submitted", ignore_errors=True)
    for student, of_lesson in found.items():
        for lesson, (answers, verdicts) in of_lesson.items():
            notebook = nbformat.read(root / "release" / lesson / f"{lesson}.ipynb", as_version=4)
            for cell in notebook.cells:
                name = cell.metadata.get("nbgrader", {}).get("grade_id")
                cell.source = answers.get(name, cell.source)
            target = root / "submitted" / safe(student) / lesson
            target.mkdir(parents=True)
            nbformat.write(notebook, target / f"{lesson}.ipynb")
            known[safe(student), lesson] = verdicts
            lessons.add(lesson)
    PutVerdicts.known = known
    for lesson in sorted(lessons):
        course.coursedir.assignment_id, course.coursedir.student_id = lesson, "*"
        app = Autograde(coursedir=course.coursedir, parent=course)
        app.force = True
        app.autograde_preprocessors = [PutVerdicts, SaveAutoGrades, AssignLatePenalties, CheckCellMetadata]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # nbgrader's own, about its database
            app.start()


class PutVerdicts(NbGraderPreprocessor):
    """Give each checking cell the output that it would have: what the check printed, or its error."""

    known: ClassVar[dict[tuple[str, str], Verdicts]] = {}

    def preprocess(self, nb: NotebookNode, resources: ResourcesDict) -> tuple[NotebookNode, ResourcesDict]:
        about = resources["nbgrader"]
        verdicts = self.known[about["student"], about["notebook"]]
        answer = ""
        for cell in nb.cells:
            ours = cell.metadata.get("nbgrader", {})
            answer = ours["grade_id"] if ours.get("solution") else answer
            if ours.get("grade"):
                cell.execution_count = 1
                cell.outputs = [_output(verdicts.get(answer, Verdict(Status.MISSING)))]
        return nb, resources


def _output(verdict: Verdict) -> Any:
    if verdict.passed:
        return nbformat.v4.new_output("stream", text=verdict.words, name="stdout")
    words = f"{verdict.status}: {verdict.words}"
    return nbformat.v4.new_output("error", ename="CheckFailed", evalue=words, traceback=[words])


def marks(root: Path) -> dict[tuple[str, str], float]:
    """The score of every student in every lesson, with what was added by hand, by nbgrader's names of both."""
    with Gradebook(f"sqlite:///{root / 'gradebook.db'}") as book:
        return {
            (submission.student.id, assignment.name): float(submission.score)
            for assignment in book.assignments
            for submission in assignment.submissions
        }
