"""Grade a submitted notebook: which of its exercises pass the checks as they were handed out.

    python tools/grade.py submission/05_step_skipping.ipynb

Of the submission only the answers are taken, the cells that a learner fills in, and put into the course's own notebook
of that name. So it does not matter what became of the checking cells. Before each of them the lessons are loaded anew:
an answer that puts something else in the place of `checks` is checked by the real one all the same. An answer that does
not end is interrupted.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from notebooks import NOTEBOOKS, execute

ANEW = """import sys as _sys
for _name in [name for name in _sys.modules if name.startswith("diffrec_lite.lessons")]:
    del _sys.modules[_name]
"""


def kind(cell: NotebookNode) -> tuple[str, str]:
    """What nbgrader calls a cell, "answer", "check" or "", and its id."""
    about = cell.metadata.get("nbgrader", {})
    is_a = "answer" if about.get("solution") else "check" if about.get("grade") else ""
    return is_a, about.get("grade_id", "")


def assembled(ours: NotebookNode, submitted: NotebookNode) -> NotebookNode:
    """Our notebook with the submitted answers; an answer that is missing is empty."""
    answers = {name: cell.source for cell in submitted.cells for is_a, name in [kind(cell)] if is_a == "answer"}
    lines = [line for cell in ours.cells for line in cell.source.splitlines()]
    lesson = next(line for line in lines if line.startswith("from diffrec_lite.lessons "))
    notebook = nbformat.from_dict(ours)
    for cell in notebook.cells:
        is_a, name = kind(cell)
        if is_a == "answer":
            cell.source = answers.get(name, "")
        elif is_a == "check":
            cell.source = f"{ANEW}{lesson}\n{cell.source}"
    return notebook


def grade(ours: NotebookNode, submitted: NotebookNode, timeout: int = 120) -> dict[str, bool]:
    """Which checks pass, by the id of their cell."""
    done = execute(assembled(ours, submitted), NOTEBOOKS, allow_errors=True, timeout=timeout)
    checks = [(kind(cell)[1], cell) for cell in done.cells if kind(cell)[0] == "check"]
    return {
        name: cell.execution_count is not None and all(output.output_type != "error" for output in cell.outputs)
        for name, cell in checks
    }


def main() -> int:
    """Print a line for each check. Returns 1 when one does not pass."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("submission", type=Path, help="a notebook that is named like one of the course")
    given = parser.parse_args().submission
    found = grade(nbformat.read(NOTEBOOKS / given.name, as_version=4), nbformat.read(given, as_version=4))
    for name, passed in found.items():
        print(f"{name}: {'passed' if passed else 'not passed'}")
    return int(not all(found.values()))


if __name__ == "__main__":
    sys.exit(main())
