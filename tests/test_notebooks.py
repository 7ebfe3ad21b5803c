"""The notebooks keep to their anatomy, and their student versions run with only the exercises unsolved."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest
from lint_notebooks import check, course_complaints
from release import release

from notebooks import NOTEBOOKS, WIDGET_VIEW, course, execute, normalise

COURSE = course()
names = pytest.mark.parametrize("path", COURSE, ids=[path.stem for path in COURSE])


@names
def test_a_notebook_keeps_to_the_anatomy(path):
    assert check(path) == []


def test_the_notebooks_fit_together():
    assert course_complaints(COURSE) == []


@pytest.fixture(scope="module")
def students(tmp_path_factory):
    """Every student version, run once with errors allowed, two at a time."""
    pytest.importorskip("nbgrader", reason="student versions need nbgrader")
    folder = tmp_path_factory.mktemp("release")
    paths = release(COURSE, folder)

    def run(path):
        # In the folder of the course, where a learner keeps it, so that relative paths hold.
        return path.stem, execute(nbformat.read(path, as_version=4), NOTEBOOKS, allow_errors=True)

    with ThreadPoolExecutor(2) as pool:
        return dict(pool.map(run, paths))


@names
def test_only_the_exercises_of_the_student_version_fail(path, students):
    source, student = nbformat.read(path, as_version=4), students[path.stem]
    wrong, failed_checks = [], 0
    for index, cell in enumerate(student.cells):
        assert "BEGIN SOLUTION" not in cell.source
        errors = [output for output in cell.get("outputs", []) if output.output_type == "error"]
        grading = cell.metadata.get("nbgrader", {})
        failed_checks += bool(errors) and bool(grading.get("grade"))
        on_purpose = "raises-exception" in cell.metadata.get("tags", [])
        if errors and not (grading.get("grade") or grading.get("solution") or on_purpose):
            wrong.append(f"cell {index}: {errors[0].ename}: {errors[0].evalue}")
        if grading.get("solution"):
            assert "raise NotImplementedError()" in cell.source, f"cell {index} gives nothing to solve"
    assert wrong == []
    checks = [cell for cell in source.cells if cell.metadata.get("nbgrader", {}).get("grade")]
    assert failed_checks == len(checks), "a check passes although its exercise is unsolved"


# The tools themselves, on small notebooks.


def notebook(*cells):
    return nbformat.v4.new_notebook(cells=list(cells))


def code(source, outputs=(), count=1, **metadata):
    return nbformat.v4.new_code_cell(source, outputs=list(outputs), execution_count=count, metadata=metadata)


def shown(data, metadata=None):
    return nbformat.v4.new_output("display_data", data=data, metadata=metadata or {})


def stream(text, name="stdout"):
    return nbformat.v4.new_output("stream", text=text, name=name)


def lint(tmp_path, *cells):
    path = Path(tmp_path, "99_tiny.ipynb")
    path.write_text(nbformat.writes(normalise(notebook(*cells))) + "\n", encoding="utf-8")
    return "\n".join(check(path))


def test_normalising_leaves_one_form_and_twice_is_once():
    view = {WIDGET_VIEW: {"model_id": "abc"}, "text/plain": "Player", "image/png": "aGk="}
    first = notebook(
        code("1", [stream("a"), stream("b"), shown(view)], collapsed=True, tags=["setup"]),
        code("1"),
    )
    first.metadata["widgets"] = {"state": {}}
    once = normalise(first)
    assert [output.get("text") for output in once.cells[0].outputs] == ["ab", None]
    assert set(once.cells[0].outputs[1].data) == {"text/plain", "image/png"}
    assert once.cells[0].metadata == {"tags": ["setup"]}
    assert "widgets" not in once.metadata
    assert once.cells[0].id != once.cells[1].id
    text = nbformat.writes(once)
    assert nbformat.writes(normalise(nbformat.reads(text, as_version=4))) == text


def test_a_widget_without_a_picture_keeps_its_view_and_is_reported(tmp_path):
    assert "a widget without a PNG" in lint(tmp_path, code("1", [shown({WIDGET_VIEW: {"model_id": "a"}})]))


@pytest.mark.parametrize(
    ("cell", "complaint"),
    [
        (code("1", count=None), "was not run from top to bottom"),
        (code(" "), "empty code cell"),
        (code("1", [stream("careful", "stderr")]), "wrote to stderr"),
        (code("1", [stream("/home/someone/data")]), "path or an address"),
        (code("1", [shown({"text/plain": "<object at 0x7f32a1b2c3d4>"})]), "path or an address"),
        (code("1", [nbformat.v4.new_output("error", ename="E", evalue="", traceback=[])]), "stores the error E"),
        (code("1", [shown({"image/png": "aGk="})]), "without alt text"),
        (code("1", tags=["nbval-check-output"]), "unknown tag"),
        (code("### BEGIN SOLUTION\n### END SOLUTION"), "no nbgrader metadata"),
        (code("1", nbgrader={"grade": True}), "lacks the nbgrader key"),
    ],
)
def test_the_lint_reports(tmp_path, cell, complaint):
    assert complaint in lint(tmp_path, cell)
