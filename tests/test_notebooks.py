"""The notebooks keep to their anatomy, and in their student versions nothing fails but the unsolved exercises."""

import base64
import re
from pathlib import Path

import lint_notebooks
import nbformat
import pytest
from address import INSTALL, LINKS, addressed, repository
from lint_notebooks import aids, anatomy, check, course_complaints, sources
from names import needed
from student import folded, student, with_outputs

from diffrec_lite.widgets import style
from notebooks import NOTEBOOKS, WIDGET_VIEW, course, execute, normalise

COURSE = course()
every = pytest.mark.parametrize("path", COURSE, ids=[path.stem for path in COURSE])


@every
def test_a_notebook_keeps_to_the_anatomy(path):
    assert check(path) == []


def test_the_notebooks_fit_together():
    assert course_complaints(COURSE) == []


def quotes(source: str) -> list[str]:
    """What the columns "our line …" and "line in …" of a text's tables quote."""
    found, ours = [], None
    for line in source.split("\n"):
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)] if line.startswith("|") else []
        if cells and ours is None:
            ours = [place for place, head in enumerate(cells) if head.startswith(("our line", "line in"))]
        elif cells:
            found += [quote for place in ours for quote in re.findall("`([^`]+)`", cells[place])]
        else:
            ours = None
    return found


def test_quotes_are_those_of_our_lines():
    ours = "| paper | our line (`a.py`) |\n|---|---|\n| $x$ | `y = x`, in `F` |\n"
    other = "| `no` | more |\n|---|---|\n| `no` | `no` |"
    assert quotes(f"{ours}\n{other}") == ["y = x", "F"]


PACKAGE = Path(lint_notebooks.__file__).parents[1] / "diffrec_lite"
FILES = [path for path in PACKAGE.rglob("*.py") if "lessons" not in path.parts]
CODE = re.sub(r"\s", "", "\n".join(path.read_text(encoding="utf-8") for path in FILES))


def quoted(quote: str) -> bool:
    """Whether the package has it, but for spaces and what "…" leaves out. `part.name` is a function `name`."""
    named = re.fullmatch(r"\w+\.(\w+)", quote)
    parts = re.sub(r"\s", "", quote).split("…")
    return all(part in CODE for part in parts) or (named is not None and f"def{named[1]}(" in CODE)


@every
def test_our_lines_stand_in_the_package(path):
    prose = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]
    assert [quote for quote in quotes("\n\n".join(prose)) if not quoted(quote)] == []


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """The folder with every student version."""
    pytest.importorskip("nbgrader", reason="student versions need nbgrader")
    written = student(COURSE, tmp_path_factory.mktemp("student"))
    assert [path.name for path in written] == [path.name for path in COURSE]
    return written[0].parent


@every
def test_an_unsolved_exercise_fails_and_nothing_that_it_needs_does(path, released):
    """A cell that no exercise needs is not run here: it is the solved notebook's, and hangs on no answer (below)."""
    theirs = nbformat.read(released / path.name, as_version=4)
    code = [cell for cell in theirs.cells if cell.cell_type == "code"]
    text = [cell.source for cell in code]
    exercises = [place for place, cell in enumerate(code) if "nbgrader" in cell.metadata]
    theirs.cells = [code[place] for place in needed(text, exercises)]
    # In the folder of the course, where a learner keeps it, so that relative paths hold.
    execute(theirs, NOTEBOOKS, allow_errors=True)
    wrong, failed_checks = [], 0
    for cell in theirs.cells:
        assert "BEGIN SOLUTION" not in cell.source
        errors = [output for output in cell.outputs if output.output_type == "error"]
        grading = cell.metadata.get("nbgrader", {})
        failed_checks += bool(errors) and bool(grading.get("grade"))
        if errors and not (grading.get("grade") or grading.get("solution")):
            wrong.append(f"{cell.source[:60]}: {errors[0].ename}: {errors[0].evalue}")
        if grading.get("solution"):
            assert "raise NotImplementedError()" in cell.source, "there is nothing to solve"
    assert wrong == []
    checks = [cell for cell in code if cell.metadata.get("nbgrader", {}).get("grade")]
    assert checks and failed_checks == len(checks), "a check passes although its exercise is unsolved"


@every
def test_the_student_version_can_be_read_without_a_kernel(path, released):
    books = [nbformat.read(folder / path.name, as_version=4) for folder in (path.parent, released)]
    code_cells = ([cell for cell in book.cells if cell.cell_type == "code"] for book in books)
    for solved, cell in zip(*code_cells, strict=True):
        if "nbgrader" in cell.metadata:
            assert (cell.outputs, cell.execution_count) == ([], None), "an exercise shows what the solution gave"
        else:
            of_solved = (solved.source, solved.outputs, solved.execution_count)
            assert (cell.source, cell.outputs, cell.execution_count) == of_solved, "it hangs on a learner's answer"
    assert (released / "notation.md").read_bytes() == (NOTEBOOKS / "notation.md").read_bytes()


@every
def test_no_class_is_led_to_the_solved_notebook(path, released):
    link = f"notebooks/{path.name})"
    assert nbformat.read(path, as_version=4).cells[0].source.count(link) == 2
    handed_out = nbformat.read(released / path.name, as_version=4)
    assert not [cell.source for cell in handed_out.cells if link in cell.source or LINKS in cell.source]
    # They may still take it elsewhere themselves.
    setup = next(cell for cell in handed_out.cells if "setup" in cell.metadata.get("tags", []))
    assert setup.source.startswith(INSTALL.format(repository=repository()))


@pytest.mark.parametrize(
    ("pattern", "other", "complaint"),
    [
        (r"# 02 ·", "# Two ·", "the first cell should be the title"),
        (r"So far the noise.*?\n\n|So far the noise.*", "", "the first cell should say in a paragraph"),
        (r"\*\*Time:\*\*", "Time:", "has no line with **Time:**"),
        (r";$", "", "an objective should end in a semicolon"),
        (r"(?m)^- (tell|say|judge)", r"\1", "lists 1 objectives"),
        (r"### Predict", "### Guess", 'no idea has a "### Predict" part'),
        (r"<summary>Answer</summary>", "<summary>1</summary>", "the quiz has fewer than three questions"),
        (r"## Summary", "## In short", "its sections are"),
    ],
)
def test_the_lint_reports_what_leaves_the_anatomy(pattern, other, complaint):
    changed = nbformat.read(COURSE[2], as_version=4)
    for cell in changed.cells:
        if cell.cell_type == "markdown":
            cell.source = re.sub(pattern, other, cell.source, flags=re.S | re.M)
    found = list(anatomy(changed, COURSE[2].stem))
    assert len(found) == 1 and found[0].startswith(complaint)


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


HERE, THERE = "https://github.com/a/diffrec-lite", "https://github.com/b/course"


def small():
    title = "# 99 · Tiny\n\n**Time:** now. **Before this:**\nnothing.\n\nA text."
    return notebook(nbformat.v4.new_markdown_cell(title), code("1"), code("import torch\n\n2", tags=["setup"]))


def test_a_notebook_gets_the_address_once_and_a_new_one_in_the_place_of_the_old():
    first = addressed(small(), "99_tiny.ipynb", HERE)
    paragraphs = first.cells[0].source.split("\n\n")
    assert [text.partition(":")[0] for text in paragraphs] == [
        "# 99 · Tiny",
        "**Time",
        LINKS.partition(":")[0],
        "A text.",
    ]
    file = "a/diffrec-lite/blob/main/notebooks/99_tiny.ipynb)"
    assert f"(https://colab.research.google.com/github/{file}" in paragraphs[2]
    assert f"(https://kaggle.com/kernels/welcome?src=https://github.com/{file}" in paragraphs[2]
    assert [cell.source for cell in first.cells[1:]] == ["1", INSTALL.format(repository=HERE) + "import torch\n\n2"]
    once = [cell.source for cell in first.cells]
    assert [cell.source for cell in addressed(first, "99_tiny.ipynb", HERE).cells] == once
    moved = addressed(addressed(small(), "99_tiny.ipynb", THERE), "99_tiny.ipynb", HERE)
    assert [cell.source for cell in moved.cells] == once


@pytest.mark.parametrize("missing", [True, False])
def test_the_package_is_installed_where_it_is_missing_and_only_there(missing, monkeypatch):
    asked = []

    class Shell:
        def run_line_magic(self, *words):
            asked.append(words)

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if missing else object())
    exec(INSTALL.format(repository=HERE), {"get_ipython": Shell})
    wanted = ("pip", f'install -q "diffrec-lite[hosted] @ git+{HERE}"')
    assert asked == ([wanted] if missing else [])


def test_the_lint_reports_another_address(tmp_path):
    def complaints(address):
        return lint(tmp_path, *addressed(small(), "99_tiny.ipynb", address).cells)

    assert "another address" in complaints(THERE)
    assert "another address" not in complaints(repository())
    assert "another address" in lint(tmp_path, *small().cells)


@pytest.mark.parametrize("address", [HERE, "https://github.com/OWNER/diffrec-lite"])
def test_nothing_is_published_while_the_address_is_a_placeholder(address, monkeypatch, capsys):
    monkeypatch.setattr(lint_notebooks, "repository", lambda: address)
    monkeypatch.setattr(lint_notebooks, "check", lambda path: [])
    for arguments in ([], ["--publish"]):
        monkeypatch.setattr("sys.argv", ["lint_notebooks.py", *arguments])
        refused = bool(arguments) and "OWNER" in address
        assert lint_notebooks.main() == refused
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 1
        assert ("pyproject.toml" in lines[0] and "[project.urls]" in lines[0]) == refused


EXERCISE = {"grade": False, "solution": True}


def test_no_output_of_the_student_version_hangs_on_an_answer():
    def outputs():
        return [stream("12")]

    answer = code("def area(a, b):\n    kept = a * b\n    return kept", outputs(), nbgrader=EXERCISE)
    solved = notebook(
        code("kept = 3", outputs()),
        answer,
        code("kept", outputs()),
        code("size = [area(3, side) for side in (4,)]", outputs()),
        code("def show():\n    return size", outputs()),
        code("show()", outputs()),
        code("size = 12", outputs()),
        code("size", outputs()),
    )
    blank = notebook(*[code(cell.source, count=None) for cell in solved.cells])
    shown_again = [bool(cell.outputs) for cell in with_outputs(blank, solved).cells]
    assert shown_again == [True, False, True, False, False, False, True, True]
    assert [cell.execution_count is None for cell in blank.cells] == [not kept for kept in shown_again]


def test_solutions_are_folded():
    cells = folded(notebook(code("1"), code("2", nbgrader=EXERCISE), code("check", nbgrader={"grade": True}))).cells
    assert [cell.metadata.get("jupyter") for cell in cells] == [None, {"source_hidden": True}, None]


HELPFUL = """### Exercise 1: add

**5 minutes, easy.** Write `add`.

<details><summary>Hint 1: a nudge</summary>

$a$, and then?
</details>

<details><summary>Hint 2: the idea</summary>

There is a sign for it.
</details>"""


def with_help(text):
    answer = code("### BEGIN SOLUTION\nreturn some_number + another_number\n### END SOLUTION", nbgrader=EXERCISE)
    return list(aids(notebook(nbformat.v4.new_markdown_cell(text), answer)))


def test_an_exercise_with_help_gives_no_complaint():
    assert with_help(HELPFUL) == []
    heading, rest = HELPFUL.split("\n\n<details>", 1)
    more = nbformat.v4.new_markdown_cell("<details>" + rest)
    answer = code("### BEGIN SOLUTION\n### END SOLUTION", nbgrader=EXERCISE)
    assert list(aids(notebook(nbformat.v4.new_markdown_cell(heading), code("1"), more, answer))) == []


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("**5 minutes, easy.** ", "", "exercise 1 has no line such as"),
        ("5 minutes, easy", "5 minutes, simple", "exercise 1 has no line such as"),
        ("**5 minutes, easy.**", "*5 minutes, easy.*", "exercise 1 has no line such as"),
        ("Hint 1: a nudge", "A nudge", "exercise 1 has no folded `Hint 1: a nudge`"),
        ("a nudge", "a push", "exercise 1 has no folded `Hint 1: a nudge`"),
        ("$a$, and then?", "", "exercise 1 has no folded `Hint 1: a nudge`"),
        ("the idea", "the answer", "exercise 1 has no folded `Hint 2: the idea` after it"),
        ("Hint 2: the idea", "Hint 2: a nudge", "exercise 1 has no folded `Hint 2: the idea` after it"),
        (
            "There is a sign for it.",
            "return some_number + another_number",
            "exercise 1 gives a line of its solution away",
        ),
    ],
)
def test_the_lint_reports_an_exercise_without_help(old, new, complaint):
    assert old in HELPFUL
    found = with_help(HELPFUL.replace(old, new))
    assert len(found) == 1
    assert found[0].startswith(complaint)


def test_the_lint_counts_sources_once_and_wants_the_page_of_symbols():
    def complaints(text):
        return list(sources(notebook(nbformat.v4.new_markdown_cell(text))))

    links = " ".join(f"[a](https://a.org/{i})" for i in range(5))
    assert complaints(f"{links} [n](notation.md)") == []
    assert complaints(links) == ["does not link to notation.md"]
    again = links.replace("/4", "/3") + " [n](notation.md) `https://b.org`"
    assert complaints(again) == ["links to 4 sources; at least 5 are wanted"]
    again += f"\n{LINKS} [Colab](https://c.org)"
    assert complaints(again) == ["links to 4 sources; at least 5 are wanted"]


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


@pytest.mark.parametrize(("place", "cut"), [(0.3, False), (0.9, True)])
def test_the_lint_sees_where_a_picture_is_cut_off(place, cut, tmp_path):
    figure, ax = style.axes(size="small")
    ax.axis("off")
    figure.text(place, 0.5, "seen-filtered", in_layout=False)
    picture = base64.b64encode(style.png(figure)).decode()
    cell = code("1", [shown({"image/png": picture}, {"image/png": {"alt": "words in the middle, or not"}})])
    assert ("cut off" in lint(tmp_path, cell)) == cut
