"""What a class gets: the course without solutions, as a folder and as a zip, the same bytes whenever it is made.

nbgrader takes the solutions and hidden tests out of the notebooks and locks the checks. Whatever does not hang on the
learner's answers keeps its outputs, so a notebook can be read without a kernel. Beside it, in build/solutions, the
solved notebooks are kept with each solution folded, to hand out later.

    python tools/student.py                                     build/student, build/student.zip and build/solutions
    python tools/student.py notebooks/01_forward_noising.ipynb     with this notebook only
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import nbformat
from address import without_links
from grading.gradebook import student_versions
from names import names
from nbformat import NotebookNode
from notation import PAGE

from notebooks import ROOT, course, normalise, takes_notebooks

BUILD = ROOT / "build"
# What a learner needs to start, beside the notebooks.
FILES = ("diffrec_lite", "data", "experiments", "RESULTS.md", "pyproject.toml", "environment.yml", "LICENSE")
TOOLS = ("tools/install_torch.py", "tools/jupyterlab.json")
README = """# diffrec-lite, for students

With Python 3.11 or newer and make, `make lab` opens the first notebook; it installs what it needs into `.venv`.
With conda: `conda env create -f environment.yml`, `conda activate diffrec-lite`, `jupyter lab notebooks`.
Write each answer into the exercise's own cell and run the check below it; it says what is wrong, as often as you like.
Hand in the notebooks themselves, under their own names, with the cells of the exercises and checks where they are.
"""
TARGETS = ("lab", "clean", ".venv/torch", ".venv/course")  # of the Makefile; the others need what is not handed out
MOMENT = (1980, 1, 1, 0, 0, 0)  # the first that a zip can hold


def student(paths: Sequence[Path], out: Path) -> list[Path]:
    """Write the student's folder `out` with the notebooks `paths`; whatever was there goes.

    Returns the notebooks in it. Raises RuntimeError where nbgrader refuses.
    """
    shutil.rmtree(out, ignore_errors=True)
    for name in _tracked():
        target = out / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target)
    (out / "README.md").write_text(README, encoding="utf-8")
    (out / "Makefile").write_text(for_learners((ROOT / "Makefile").read_text(encoding="utf-8")), encoding="utf-8")
    notebooks = out / "notebooks"
    notebooks.mkdir()
    shutil.copyfile(PAGE, notebooks / PAGE.name)
    written = []
    with tempfile.TemporaryDirectory() as folder:
        for path, handed_out in zip(paths, student_versions(Path(folder), paths), strict=True):
            solved = nbformat.read(path, as_version=4)
            written.append(notebooks / path.name)
            nbformat.write(normalise(without_links(with_outputs(handed_out, solved))), written[-1])
    return written


def _tracked() -> list[str]:
    """The files under FILES and TOOLS that git knows; without git, all but what Python compiled."""
    wanted = (*FILES, *TOOLS)
    listed = subprocess.run(["git", "ls-files", "--", *wanted], cwd=ROOT, capture_output=True, text=True)
    found = listed.stdout.splitlines() if listed.returncode == 0 else []
    if not found:
        every = (path for name in wanted for path in [ROOT / name, *(ROOT / name).rglob("*")])
        found = [str(path.relative_to(ROOT)) for path in every if path.is_file() and "__pycache__" not in path.parts]
    return sorted(name for name in found if (ROOT / name).is_file())


def for_learners(makefile: str) -> str:
    """The Makefile with no targets but TARGETS, each a paragraph, and without the number of tests at a time."""
    kept = []
    for part in re.sub(r"# .*\nJOBS .*\n", "", makefile).rstrip("\n").split("\n\n"):
        target = re.search(r"^((?:\.venv/)?\w+):( |$)", part, re.MULTILINE)
        if not target or target[1] in TARGETS:
            kept.append(part)
    phony = " ".join(target for target in TARGETS if not target.startswith("."))
    text = re.sub(r"^(\.PHONY:).*$", rf"\1 {phony}", "\n\n".join(kept) + "\n", flags=re.MULTILINE)
    return re.sub(r"^# .*`make test`.*$", "# `make lab` opens the course.", text, flags=re.MULTILINE)


def solutions(paths: Sequence[Path], out: Path) -> None:
    """Write the solved notebooks to the folder `out`, each solution folded."""
    out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(PAGE, out / PAGE.name)
    for path in paths:
        nbformat.write(folded(normalise(nbformat.read(path, as_version=4))), out / path.name)


def zipped(folder: Path, target: Path) -> None:
    """Pack `folder` into the zip `target` in the order of names, without times and owners."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(f"diffrec-lite/{path.relative_to(folder).as_posix()}", MOMENT)
            entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, 3, 0o644 << 16
            archive.writestr(entry, path.read_bytes())


def with_outputs(student: NotebookNode, solved: NotebookNode) -> NotebookNode:
    """The student version with the outputs of the solved one where no learner's answer has a part in them, in place."""
    answers: set[str] = set()  # the names whose values hang on what the learner writes
    for cell, same in zip(student.cells, solved.cells, strict=True):
        if cell.cell_type != "code":
            continue
        used, made = names(same.source)
        if "nbgrader" in same.metadata or used & answers:
            answers |= made
        else:
            answers -= made
            cell.outputs, cell.execution_count = same.outputs, same.execution_count
    return student


def folded(solved: NotebookNode) -> NotebookNode:
    """The solved notebook with its solution cells folded, as JupyterLab reads it from their metadata, in place."""
    for cell in solved.cells:
        if cell.metadata.get("nbgrader", {}).get("solution"):
            cell.metadata["jupyter"] = {"source_hidden": True}
    return solved


def main() -> int:
    """Write the student's folder and zip, and the solved notebooks apart."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    takes_notebooks(parser)
    parser.add_argument("--build", type=Path, default=BUILD, help="the folder to write to")
    given = parser.parse_args()
    paths = given.notebooks or course()
    student(paths, given.build / "student")
    zipped(given.build / "student", given.build / "student.zip")
    solutions(paths, given.build / "solutions")
    print(given.build / "student.zip")
    return 0


if __name__ == "__main__":
    sys.exit(main())
