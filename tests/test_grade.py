"""Grading takes the answers of a submission and nothing else of it."""

import nbformat
import pytest
from grade import grade, kind

from notebooks import NOTEBOOKS

RIGHT = """def step_grid(T, n):
    return [(T * (n - i) + n // 2) // n for i in range(n + 1)]"""
WRONG = "def step_grid(T, n):\n    return [T - i * (T // n) for i in range(n + 1)]"
CHEAT = f"{WRONG}\nlesson.checks.step_grid = lambda function: None"
DEEPER = f"""{WRONG}
import sys
sys.modules["diffrec_lite.lessons.step_skipping.checks"].step_grid = lambda function: None"""


@pytest.fixture(scope="module")
def ours():
    """Notebook 05 cut down to its set-up and its second exercise."""
    notebook = nbformat.read(NOTEBOOKS / "05_step_skipping.ipynb", as_version=4)
    kept = ("05-step-grid", "05-step-grid-check")
    notebook.cells = [c for c in notebook.cells if "setup" in c.metadata.get("tags", []) or kind(c)[1] in kept]
    assert len(notebook.cells) == 3
    return notebook


@pytest.mark.parametrize(
    ("answer", "passes"), [(RIGHT, True), (WRONG, False), (CHEAT, False), (DEEPER, False), ("def step_grid(", False)]
)
def test_an_answer_is_checked_by_the_checks_that_were_handed_out(ours, answer, passes):
    submitted = nbformat.from_dict(ours)
    for cell in submitted.cells:
        cell.source = {"answer": answer, "check": "pass  # edited away"}.get(kind(cell)[0], "raise SystemExit")
    assert grade(ours, submitted) == {"05-step-grid-check": passes}


def test_an_answer_that_is_missing_does_not_pass(ours):
    submitted = nbformat.from_dict(ours)
    submitted.cells = []
    assert grade(ours, submitted) == {"05-step-grid-check": False}
