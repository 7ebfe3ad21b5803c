"""What a class gets starts the course, holds no solution, and is the same whenever it is made."""

import json
import re
import subprocess
import sys
import zipfile

import nbformat
import pytest

pytest.importorskip("nbgrader", reason="student versions need nbgrader")

from student import FILES, README, TOOLS, for_learners, solutions, student, zipped

from notebooks import ROOT, course

COURSE = course()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two folders in which everything was made, one after the other."""
    folders = [tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")]
    for build in folders:
        student(COURSE, build / "student")
        zipped(build / "student", build / "student.zip")
    return folders


@pytest.fixture(scope="module")
def handed_out(made):
    """The text of every file in the zip, by its name."""
    with zipfile.ZipFile(made[0] / "student.zip") as archive:
        return {name: archive.read(name).decode("utf-8", "replace") for name in archive.namelist()}


def solved_lines(notebook):
    """The blocks of lines between the marks of a solution, without indentation and comments."""
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("solution"):
            for part in cell.source.split("### BEGIN SOLUTION")[1:]:
                lines = (line.split("  # ")[0].strip() for line in part.split("### END SOLUTION")[0].splitlines())
                yield [line for line in lines if line and not line.startswith("#")]


def outside(notebook):
    """All that stands in a notebook outside its solutions, and is handed out on purpose."""
    for cell in notebook.cells:
        kept = [part.split("### END SOLUTION")[-1] for part in cell.source.split("### BEGIN SOLUTION")]
        yield from (line.strip() for line in "\n".join(kept).splitlines())


def test_no_line_of_a_solution_is_in_a_notebook_that_is_handed_out(handed_out):
    for path in COURSE:
        solved = nbformat.read(path, as_version=4)
        text = handed_out[f"diffrec-lite/notebooks/{path.name}"]
        theirs = {line.strip() for cell in json.loads(text)["cells"] for line in "".join(cell["source"]).splitlines()}
        blocks = list(solved_lines(solved))
        assert blocks and all(blocks)
        secret = {line for block in blocks for line in block} - set(outside(solved))
        assert secret and not secret & theirs


def test_no_whole_solution_is_in_any_other_file(handed_out):
    for path in COURSE:
        for block in solved_lines(nbformat.read(path, as_version=4)):
            if len(block) < 3:
                continue  # so short that the package, which the exercises imitate, says it in the same words
            for name, text in handed_out.items():
                lines = [line.split("  # ")[0].strip() for line in text.splitlines()]
                assert block not in [lines[k : k + len(block)] for k in range(len(lines))], f"{name} solves {block}"


def test_nothing_of_the_maintainers_is_in_it(handed_out):
    names = [name.removeprefix("diffrec-lite/") for name in handed_out]
    assert not [name for name in names if "solution" in name.lower() or "__pycache__" in name]
    allowed = {*FILES, "notebooks", "README.md", "Makefile", "tools"}
    assert {name.split("/")[0] for name in names} == allowed
    assert {name for name in names if name.startswith("tools/")} == set(TOOLS)
    notebooks = "".join(text for name, text in handed_out.items() if name.endswith(".ipynb"))
    named = set(re.findall(r"(?:tools|experiments)/\w+\.\w+", notebooks))
    assert "experiments/chains.py" in named <= set(names)
    marks = ("### BEGIN SOLUTION", "### BEGIN HIDDEN TESTS", "tools/solutions")
    assert not [name for name, text in handed_out.items() for mark in marks if mark in text]


def test_making_it_twice_gives_the_same_bytes(made):
    assert (made[0] / "student.zip").read_bytes() == (made[1] / "student.zip").read_bytes()


def test_making_it_again_removes_what_was_there(made):
    left = made[1] / "student" / "solutions.ipynb"
    left.write_text("x")
    student(COURSE[:1], made[1] / "student")
    assert not left.exists()


def test_its_makefile_opens_the_course_and_names_nothing_that_is_not_there(made):
    folder = made[0] / "student"
    makefile = (folder / "Makefile").read_text(encoding="utf-8")
    assert "\nlab: .venv/course\n" in makefile
    shown = subprocess.run(["make", "-n", "-C", folder, "lab"], capture_output=True, text=True, check=True).stdout
    assert "jupyter lab" in shown and "tools/install_torch.py" in shown
    assert "JOBS" not in makefile and ".venv/test" not in makefile
    named = {word.strip("'\"()") for word in makefile.split() if word.startswith(("tools/", "notebooks/", "tests"))}
    assert named == {"tools/install_torch.py", "notebooks/00_start_here.ipynb"}
    assert all((folder / name).exists() for name in named)


def test_targets_of_maintainers_go_and_the_stamps_of_learners_stay():
    stamps = "\n\n.venv/torch:\n\tz\n"
    makefile = ".PHONY: lab test clean\n\nlab: .venv/torch\n\tx\n\n# All.\ntest: .venv/test\n\ty" + stamps
    learners = ".PHONY: lab clean\n\nlab: .venv/torch\n\tx" + stamps
    assert for_learners(makefile + "\n.venv/test:\n\tz\n") == for_learners(makefile) == learners


def test_the_package_that_is_handed_out_is_the_courses_own_and_loads(made):
    folder = made[0] / "student"
    code = (
        "import diffrec_lite, diffrec_lite.lessons.start_here\n"
        "from diffrec_lite.data import load\nprint(diffrec_lite.__file__, load('bookshop').num_items)"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    assert run.stdout.startswith(str(folder)), run.stderr


def test_its_readme_is_five_lines():
    assert len([line for line in README.splitlines() if line]) == 5


def test_the_solved_notebooks_stand_apart_each_solution_folded(tmp_path):
    solutions(COURSE[:1], tmp_path / "solutions")
    for cell in nbformat.read(tmp_path / "solutions" / COURSE[0].name, as_version=4).cells:
        is_solution = bool(cell.metadata.get("nbgrader", {}).get("solution"))
        assert is_solution == ("BEGIN SOLUTION" in cell.source) == ("jupyter" in cell.metadata)
    assert ROOT not in tmp_path.parents
