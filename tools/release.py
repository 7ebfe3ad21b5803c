"""The student version of the notebooks, to be read without a kernel as well, and the solved one beside it.

nbgrader takes the solutions out and locks the checks. Whatever does not hang on the learner's answers keeps its
outputs. The folder `solutions` holds the solved notebooks with each solution folded: a teacher leaves it out.

python tools/release.py                                     all notebooks, to build/release
python tools/release.py notebooks/01_forward_noising.ipynb     only this one
"""

from __future__ import annotations

import argparse
import ast
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbgrader.apps import NbGraderAPI
from notation import PAGE
from traitlets.config import Config

from notebooks import ROOT, course, normalise

ASSIGNMENT = "course"
STUCK = "**Stuck, after both hints?** The solution stands, folded, in [solutions/{0}](solutions/{0})."


def release(paths: Sequence[Path], out: Path) -> list[Path]:
    """Write the student version of each notebook to the folder `out`, and the solved ones to `solutions` in it.

    Returns the paths of the student versions. Raises RuntimeError where nbgrader refuses.
    """
    solutions = out / "solutions"
    solutions.mkdir(parents=True, exist_ok=True)
    for folder in (out, solutions):
        shutil.copy(PAGE, folder)
    # nbgrader calls a program of this environment by its bare name, also where the environment is not activated.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "source", ASSIGNMENT)
        source.mkdir(parents=True)
        for path in paths:
            shutil.copy(path, source)
        config = Config()
        config.CourseDirectory.root = folder
        config.NbGraderAPI.log_level = logging.ERROR
        result = NbGraderAPI(config=config).generate_assignment(ASSIGNMENT, force=True, create=True)
        if not result["success"]:
            raise RuntimeError(f"nbgrader could not make the student version:\n{result.get('log') or result}")
        written = []
        for path in paths:
            solved = nbformat.read(path, as_version=4)
            student = nbformat.read(Path(folder, "release", ASSIGNMENT, path.name), as_version=4)
            written.append(out / path.name)
            nbformat.write(normalise(with_solutions_near(with_outputs(student, solved), path.name)), written[-1])
            nbformat.write(folded(normalise(solved)), solutions / path.name)
    return written


def with_outputs(student: NotebookNode, solved: NotebookNode) -> NotebookNode:
    """The student version with the outputs of the solved one where no learner's answer has a part in them, in place."""
    answers: set[str] = set()  # the names whose values hang on what the learner writes
    for cell, same in zip(student.cells, solved.cells, strict=True):
        if cell.cell_type != "code":
            continue
        used, made = _names(same.source)
        if "nbgrader" in same.metadata or used & answers:
            answers |= made
        else:
            answers -= made
            cell.outputs, cell.execution_count = same.outputs, same.execution_count
    return student


def _names(source: str) -> tuple[set[str], set[str]]:
    """The names that a cell reads, and those that it leaves behind; what a function keeps to itself is in neither."""
    tree = ast.parse(source)
    read = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    left, inner = set(), [tree]
    while inner:
        for node in ast.iter_child_nodes(inner.pop()):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                left.add(node.name)
            elif isinstance(node, ast.alias):
                left.add(node.asname or node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                left.add(node.id)
            else:
                inner.append(node)
    return read, left


def with_solutions_near(student: NotebookNode, name: str) -> NotebookNode:
    """The student version with a line below each check that says where the solution stands, in place."""
    cells = []
    for cell in student.cells:
        cells.append(cell)
        if cell.metadata.get("nbgrader", {}).get("grade"):
            cells.append(nbformat.v4.new_markdown_cell(STUCK.format(name)))
    student.cells = cells
    return student


def folded(solved: NotebookNode) -> NotebookNode:
    """The solved notebook with its solution cells folded, as JupyterLab reads it from their metadata, in place."""
    for cell in solved.cells:
        if cell.metadata.get("nbgrader", {}).get("solution"):
            cell.metadata["jupyter"] = {"source_hidden": True}
    return solved


def main() -> int:
    """Write the student versions of the notebooks named on the command line, or of all."""
    parser = argparse.ArgumentParser(description="Write the student version of notebooks.")
    parser.add_argument("notebooks", nargs="*", type=Path, help="paths of notebooks; without one, the whole course")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "release")
    arguments = parser.parse_args()
    for path in release(arguments.notebooks or course(), arguments.out):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
