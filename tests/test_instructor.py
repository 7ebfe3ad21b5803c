"""INSTRUCTOR.md against the repository: what it names is there, and what it says of the notebooks is so."""

import ast
import re
import sys
from pathlib import Path

import nbformat
import pytest
import typer

from diffrec_lite import cli
from notebooks import ROOT, course

TEXT = (ROOT / "INSTRUCTOR.md").read_text(encoding="utf-8")
NOTEBOOKS = {path.stem[:2]: nbformat.read(path, as_version=4) for path in course()}
STEMS = {path.stem[:2]: path.stem[3:] for path in course()}
COMMANDS = set(typer.main.get_command(cli.app).commands)


def section(title):
    return re.search(rf"^## {re.escape(title)}.*?\n(.*?)(?=^## |\Z)", TEXT, re.M | re.S)[1]


def rows(text):
    """The cells of each row of the tables in a text, without their heads."""
    found = []
    for table in re.findall(r"(?:^\|.*\n)+", text, re.M):
        for line in table.splitlines()[2:]:
            found.append([cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return found


def markdown(notebook):
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def minutes(notebook):
    return int(re.search(r"\*\*Time:\*\*\D*(\d+) minutes", markdown(notebook))[1])


def exercises():
    """{grade id: (title, minutes, how hard)} as the notebooks have them."""
    found = {}
    for notebook in NOTEBOOKS.values():
        told = None
        for cell in notebook.cells:
            if heading := re.search(r"^### Exercise \d+: (.*)$", cell.source, re.M):
                told = (heading[1], *re.search(r"\*(\d+) minutes, (\w+)\.\*", cell.source).groups())
            if cell.metadata.get("nbgrader", {}).get("solution"):
                found[cell.metadata.nbgrader.grade_id] = told
    return found


def messages(stem):
    """Every text in the checks of a lesson."""
    tree = ast.parse((ROOT / "diffrec_lite" / "lessons" / stem / "checks.py").read_text(encoding="utf-8"))
    return [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]


def test_every_exercise_is_there_with_its_title_its_time_and_how_hard_it_is():
    said = {row[0].strip("`"): tuple(row[1:]) for row in rows(section("Expected times"))}
    assert said == exercises()


def test_every_id_is_one_of_the_notebooks():
    known = {c.metadata.nbgrader.grade_id for nb in NOTEBOOKS.values() for c in nb.cells if "nbgrader" in c.metadata}
    named = set(re.findall(r"`(\d\d-[a-z-]+)`", TEXT))
    assert named <= known and set(exercises()) <= named


def test_the_objectives_are_the_notebooks_and_each_exercise_tests_one():
    said = rows(section("Objectives"))
    for number, notebook in NOTEBOOKS.items():
        block = re.search(r"## You will be able to\n(.*?)^## ", markdown(notebook), re.S | re.M)[1]
        listed = [" ".join(one.split()).rstrip(";,. ") for one in re.split(r"^- ", block, flags=re.M)[1:]]
        assert [row[1] for row in said if row[0] == number] == listed, number
    tested = [name for row in said for name in re.findall(r"`(.*?)`", row[2])]
    assert sorted(tested) == sorted(exercises())
    assert all(name.startswith(row[0]) for row in said for name in re.findall(r"`(.*?)`", row[2]))


def test_the_weeks_hold_every_notebook_once_and_add_up():
    seen = []
    for _, numbers, total, _ in rows(section("Four weeks")):
        own = numbers.split(", ")
        assert int(total) == sum(minutes(NOTEBOOKS[number]) for number in own)
        seen += own
    assert seen == list(NOTEBOOKS)


def test_each_lab_lasts_ninety_minutes_and_leaves_time_for_its_exercises():
    labs = section("Two labs").split("**Lab ")[1:]
    assert len(labs) == 2
    known = exercises()
    for lab in labs:
        plan = rows(lab)
        assert sum(int(row[0]) for row in plan) == 90
        for time, what in plan[1:]:
            if "with" in what.split("`")[0] or "Then" in what:
                needed = sum(int(known[name][1]) for name in re.findall(r"`(\d\d-[a-z-]+)`", what))
                assert int(time) >= needed, what


@pytest.mark.parametrize("row", rows(section("Misconceptions")), ids=lambda row: row[0][:40])
def test_a_check_says_what_it_is_said_to_say(row):
    _, exercise, said = row
    assert said[0] == said[-1] == '"'
    words, number = said[1:-1], exercise.strip("`")[:2]
    assert any(words in message for message in messages(STEMS[number])), words


def test_each_notebook_has_misconceptions_and_three_questions_with_answers():
    caught = {row[1].strip("`")[:2] for row in rows(section("Misconceptions"))}
    assert caught == set(NOTEBOOKS)
    banks = re.split(r"^### Notebook (\d\d)$", section("Question bank"), flags=re.M)[1:]
    assert banks[::2] == list(NOTEBOOKS)
    for number, bank in zip(banks[::2], banks[1::2], strict=True):
        questions = re.findall(r"^\d\. .+\n   \*\*Answer\.\*\* .+$", bank, re.M)
        assert len(questions) >= 3 and len(questions) == len(re.findall(r"^\d\.", bank, re.M)), number


def shown(notebook):
    """All that a reader of a notebook can see, in one text, with one sign for minus."""
    parts = [cell.source for cell in notebook.cells]
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            parts += [output.get("text", ""), data.get("text/plain", "")]
    return "\n".join(parts).replace("−", "-").replace(",", "")


@pytest.mark.parametrize("number", NOTEBOOKS)
def test_the_numbers_of_the_questions_stand_in_the_notebook(number):
    bank = re.search(rf"^### Notebook {number}$(.*?)(?=^### |\Z)", section("Question bank"), re.M | re.S)[1]
    bank = re.sub(r"^\d\. ", "", bank, flags=re.M)
    values = r"(?<![\w.])\d*\.?\d+(?![\w.]*\d)"
    known = {float(value) for value in re.findall(values, shown(NOTEBOOKS[number]))}
    said = [value for value in re.findall(values, bank) if "." in value or float(value) > 12]
    assert len(said) >= 5
    assert [value for value in said if float(value) not in known] == []


def test_files_commands_and_targets_are_there():
    for name in re.findall(r"`((?:tools|tests|notebooks|data|diffrec_lite)/[\w./]+)`", TEXT):
        assert (ROOT / name).exists(), name
    for name in re.findall(r"python (tools/\w+\.py)", TEXT):
        assert (ROOT / name).is_file(), name
    for name in re.findall(r"-m (diffrec_lite[\w.]+)", TEXT):
        assert (ROOT / (name.replace(".", "/") + ".py")).is_file(), name
    for path in re.findall(r"notebooks/\w+\.ipynb|my-course/(\w+\.ipynb)", TEXT):
        assert not path or (ROOT / "notebooks" / path).is_file()
    named = set(re.findall(r"diffrec-lite ([a-z]+)", TEXT))
    assert {"course", "leaderboard", "figures", "train", "compare"} <= named <= COMMANDS
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    assert {"student", "grade"} <= set(re.findall(r"(?:`|^    )make ([a-z]+)", TEXT, re.M)) <= targets


def test_the_readme_leads_here_and_names_the_commands():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "(INSTRUCTOR.md)" in readme
    assert all(f"diffrec-lite {name}" in readme for name in ("course", "leaderboard"))


def test_the_slides_of_a_notebook_are_svg_with_a_description(tmp_path, monkeypatch):
    slides = pytest.importorskip("slides")
    folder = tmp_path / "notebooks"
    folder.mkdir()
    source = """
from matplotlib.layout_engine import ConstrainedLayoutEngine
from diffrec_lite.widgets import style
class Once(ConstrainedLayoutEngine):  # as some figures do, it fails when it is asked again
    def execute(self, fig):
        assert not hasattr(self, "done")
        self.done = super().execute(fig)
fig, ax = style.axes()
ax.plot([1, 2])
fig.set_layout_engine(Once())
"""
    cells = [nbformat.v4.new_code_cell(source + f"style.show(fig, alt='A line, {n}.')") for n in (1, 2)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbformat.write(notebook, folder / "00_lines.ipynb")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "00_lines_09.svg").write_text("of a figure that is gone")
    before = (folder / "00_lines.ipynb").read_bytes()
    monkeypatch.setattr(sys, "argv", ["slides.py", str(folder / "00_lines.ipynb"), "--out", str(tmp_path / "out")])
    assert slides.main() == 0
    found = sorted(Path(tmp_path / "out").iterdir())
    assert [path.name for path in found] == ["00_lines_01.svg", "00_lines_02.svg"]
    for n, path in enumerate(found, start=1):
        assert "<svg" in path.read_text() and f"A line, {n}." in path.read_text()
    assert (folder / "00_lines.ipynb").read_bytes() == before
