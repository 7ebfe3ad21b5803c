"""What every notebook of the course keeps to; each function lists its complaints about one notebook.

python tools/lint_notebooks.py [notebooks/01_forward_noising.ipynb ...]
python tools/lint_notebooks.py --publish     refuses as well to publish a course whose repository has no address yet
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import re
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import nbformat
import numpy as np
from address import LINKS, addressed, repository, unpublishable
from nbformat import NotebookNode
from PIL import Image

from notebooks import WIDGET_VIEW, course, normalise, takes_notebooks

TAGS = {"setup", "nbval-ignore-output", "nbval-skip", "raises-exception", "remove-input"}
NOT_COMPARED = {"nbval-ignore-output", "nbval-skip"}
MAX_NOT_COMPARED = 2
MAX_BYTES = 1_500_000
GRADE_KEYS = {"schema_version", "grade", "solution", "locked", "task", "grade_id"}
MACHINE = re.compile(
    r"(?<![\w.])/(?:tmp|home|root|work|Users|usr|opt|var)/|[A-Z]:\\\\|\bat 0x[0-9a-f]{6,}|ipykernel_\d"
)
EXERCISE = re.compile(r"^### exercise (\d+).*$", re.I | re.M)
# What stands between the heading of an exercise and the learner's cell, in this order.
HINT = r"<details>\s*<summary>%s</summary>\s*(?!</details>)\S.*?</details>"
HELP = {
    "no line such as **10 minutes, easy.** below its heading": r"\A\s*\*\*\d+ minutes, (?:easy|medium|hard)\.\*\* ",
    "no folded `Hint 1: a nudge`": HINT % "Hint 1: a nudge",
    "no folded `Hint 2: the idea` after it": HINT % "Hint 2: the idea",
}
MIN_SOURCES = 5
# The fixed headings in their order; the numbered idea sections stand where None is.
QUESTION = r"^\*\*\d\.\*\* \S.*?\n\n<details>\s*<summary>Answer</summary>.*?</details>"
HEADINGS = ["You will be able to", "Set-up", None, "In the full model", "Summary", "Quiz", "Next"]
IDEA = ["Predict", "See", "Touch", "Equation, line, shape", "Exercise"]


def check(path: Path) -> list[str]:
    """Every complaint about the notebook at `path`, each one line that begins with its name."""
    text = path.read_text(encoding="utf-8")
    notebook = nbformat.reads(text, as_version=4)
    complaints = [*outputs(notebook), *images(notebook), *exercises(notebook, path.name), *aids(notebook)]
    complaints += [*anatomy(notebook, path.name), *sources(notebook)]
    if len(text.encode()) > MAX_BYTES:
        complaints.append(f"is larger than {MAX_BYTES:,} bytes")
    if nbformat.writes(normalise(nbformat.reads(text, as_version=4))) + "\n" != text:
        complaints.append("is not in normal form: run tools/notebooks.py on it")
    if addressed(nbformat.reads(text, as_version=4), path.name, repository()) != notebook:
        complaints.append("has another address than pyproject.toml: run `python tools/notebooks.py --address`")
    return [f"{path.name}: {complaint}" for complaint in complaints]


def outputs(notebook: NotebookNode) -> Iterator[str]:
    """Stored outputs are complete and the same on every machine. nbval skips a cell that has no execution count."""
    counts, not_compared = [], 0
    for index, cell in enumerate(notebook.cells):
        tags = set(cell.metadata.get("tags", []))
        not_compared += bool(tags & NOT_COMPARED)
        if tags - TAGS:
            yield f"cell {index} has the unknown tag {min(tags - TAGS)}"
        if cell.cell_type != "code":
            continue
        if not cell.source.strip():
            yield f"cell {index} is an empty code cell"
        counts.append(cell.execution_count)
        for output in cell.outputs:
            if output.output_type == "error" and "raises-exception" not in tags:
                yield f"cell {index} stores the error {output.ename}"
            if output.get("name") == "stderr":
                yield f"cell {index} wrote to stderr: {output.text.strip()[:60]!r}"
            shown = {key: value for key, value in output.get("data", {}).items() if not key.startswith("image/")}
            if place := MACHINE.search(json.dumps([shown, output.get("text", ""), output.get("traceback", [])])):
                yield f"cell {index} shows a path or an address of a machine: {place.group()}"
    if counts != list(range(1, len(counts) + 1)):
        yield "was not run from top to bottom: execution counts are not 1, 2, 3, …"
    if not_compared > MAX_NOT_COMPARED:
        yield f"keeps {not_compared} cells from being compared; {MAX_NOT_COMPARED} are allowed"


def images(notebook: NotebookNode) -> Iterator[str]:
    """Every picture is described and whole, and every widget has a picture for readers without a kernel."""
    for index, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if WIDGET_VIEW in data:
                yield f"cell {index} shows a widget without a PNG beside it"
            metadata = output.get("metadata", {})
            alt = metadata.get("image/png", {}).get("alt") or metadata.get("alt") or ""
            if "image/png" in data and len(alt) < 20:
                yield f"cell {index} shows a picture without alt text"
            elif "image/png" in data and _cut_off(data["image/png"]):
                yield f"cell {index} shows a picture that something is cut off from, at its edge"
        if cell.cell_type == "markdown" and re.search(r"!\[\]\(|<img(?![^>]*\balt=\"[^\"])", cell.source):
            yield f"cell {index} holds an image without alt text"


def _cut_off(png: str) -> bool:
    """Whether anything dark stands within two pixels of the edge of a picture."""
    dark = np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("L")) < 200
    return bool(dark.sum() > dark[2:-2, 2:-2].sum())


def grade_ids(notebook: NotebookNode) -> list[str]:
    """The nbgrader names of the notebook's exercise cells."""
    return [c.metadata.nbgrader.get("grade_id", "") for c in notebook.cells if "nbgrader" in c.metadata]


def exercises(notebook: NotebookNode, name: str) -> Iterator[str]:
    """Each exercise is a heading, one solution cell and one locked check cell, in nbgrader's format."""
    state = "check"  # what was seen last: an exercise goes heading, solution, check
    numbers = []
    for index, cell in enumerate(notebook.cells):
        if heading := EXERCISE.search(cell.source if cell.cell_type == "markdown" else ""):
            numbers.append(int(heading.group(1)))
            if state != "check":
                yield f"exercise {numbers[-1]} begins before the one above it has its check cell"
            state = "heading"
        grading = cell.metadata.get("nbgrader")
        has_solution = "### BEGIN SOLUTION" in cell.source
        if grading is None:
            if has_solution:
                yield f"cell {index} holds a solution but no nbgrader metadata"
            continue
        if missing := GRADE_KEYS - set(grading):
            yield f"cell {index} lacks the nbgrader key {min(missing)}"
            continue
        if not grading.grade_id.startswith(name[:2] + "-"):
            yield f"cell {index} has the grade_id {grading.grade_id}, which should begin with {name[:2]}-"
        if grading.schema_version != 3:
            yield f"cell {index} has nbgrader schema {grading.schema_version} instead of 3"
        if grading.solution and not grading.grade:
            if not (has_solution and "### END SOLUTION" in cell.source):
                yield f"cell {index} has no ### BEGIN SOLUTION and ### END SOLUTION"
            if state != "heading":
                yield f"cell {index} is a solution cell without its own exercise heading"
            state = "solution"
        elif grading.grade and grading.locked and not grading.solution:
            if not grading.get("points"):
                yield f"cell {index} is a check without points"
            if "checks." not in cell.source:
                yield f"cell {index} is a check cell that calls no check"
            if state != "solution":
                yield f"cell {index} is a check cell without a solution cell above it"
            state = "check"
        else:
            yield f"cell {index} is neither a solution cell nor a locked check cell"
    if state != "check":
        yield "the last exercise has no check cell"
    least = 2 if name[:2] in ("00", "01") else 3
    if numbers != list(range(1, len(numbers) + 1)) or len(numbers) < least:
        yield f"numbers its exercises {numbers}; they should be 1, 2, … and at least {least}"


def aids(notebook: NotebookNode) -> Iterator[str]:
    """An exercise says how long it takes and how hard it is, and has two folded hints: a nudge, then the idea."""
    number, text = "", ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            text += "\n\n" + cell.source
            if heading := EXERCISE.search(cell.source):
                number, text = heading.group(1), cell.source[heading.end() :]
        elif number and cell.metadata.get("nbgrader", {}).get("solution"):
            rest = text
            for lacking, pattern in HELP.items():
                if found := re.search(pattern, rest, flags=re.S | re.I):
                    rest = rest[found.end() :]
                else:
                    yield f"exercise {number} has {lacking}"
            hints = " ".join(re.findall(r"<details>.*?</details>", text, flags=re.S))
            for line in re.findall(r"^\s*(\S.{19,}?)\s*$", solution(cell.source), flags=re.M):
                if line in hints:
                    yield f"exercise {number} gives a line of its solution away in a hint: {line}"
            number = ""


def solution(source: str) -> str:
    """What stands between ### BEGIN SOLUTION and ### END SOLUTION in a cell."""
    return "\n".join(re.findall(r"### BEGIN SOLUTION\n(.*?)### END SOLUTION", source, flags=re.S))


def sources(notebook: NotebookNode) -> Iterator[str]:
    """A reader who wants to know more finds the page of symbols and terms, and enough papers and manuals."""
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    if "](notation.md)" not in prose:
        yield "does not link to notation.md"
    prose = "\n".join(line for line in prose.splitlines() if not line.startswith(LINKS))
    found = set(re.findall(r"\]\((https?://[^)\s]+)\)", prose))
    if len(found) < MIN_SOURCES:
        yield f"links to {len(found)} sources; at least {MIN_SOURCES} are wanted"


def anatomy(notebook: NotebookNode, name: str) -> Iterator[str]:
    """The parts of a notebook and their order."""
    prose = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    # A line in a code block or a table may begin with # as well.
    prose = re.sub(r"^```.*?^```", "", prose, flags=re.S | re.M)
    first = notebook.cells[0]
    if first.cell_type != "markdown" or not re.match(rf"# {name[:2]} · \S", first.source):
        yield f'the first cell should be the title, "# {name[:2]} · …"'
    if not re.search(r"\n\n(?!\*\*|#)\S", first.source):
        yield "the first cell should say in a paragraph what the notebook is for"
    yield from (f"has no line with **{word}:**" for word in ("Time", "Before this") if f"**{word}:**" not in prose)

    sections = re.split(r"^## +", prose, flags=re.M)
    titles = [section.split("\n", 1)[0] for section in sections[1:]]
    kinds = [_kind(title) for title in titles]
    ideas = [section for section, kind in zip(sections[1:], kinds, strict=True) if kind == "idea"]
    folded = [kind for i, kind in enumerate(kinds) if kind != "idea" or i == 0 or kinds[i - 1] != "idea"]
    expected = ["idea" if heading is None else heading for heading in HEADINGS]
    if folded != expected:
        yield f"its sections are {titles}; expected {expected}, where each idea is a numbered section"
        return
    bullets = len(re.findall(r"^(?:[-*]|\d\.) ", sections[1], flags=re.M))
    if not 3 <= bullets <= 5:
        yield f"lists {bullets} objectives; 3 to 5 are wanted"
    *objectives, last = (text.rstrip() for text in re.split(r"\n(?=[-*] )", sections[1])[1:] or [""])
    if not all(text.endswith(";") for text in objectives) or not last.endswith("."):
        yield "an objective should end in a semicolon, the last in a full stop"
    subtitles = [re.findall(r"^### +(.*)$", idea, flags=re.M) for idea in ideas]
    for part in IDEA:
        if not any(title.lower().startswith(part.lower()) for titles in subtitles for title in titles):
            yield f'no idea has a "### {part}" part'
    for titles in subtitles:
        order = [_place(title) for title in titles if _place(title) is not None]
        # An idea may go round twice; within one round it is predict, see, touch.
        if any(b < a and b != 0 for a, b in pairwise(order)):
            yield f"predict, see and touch are out of order: {titles}"
    quiz = sections[1 + kinds.index("Quiz")]
    if len(re.findall(QUESTION, quiz, flags=re.S | re.M)) < 3:
        yield "the quiz has fewer than three questions, `**1.** …`, with a folded `Answer`"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    setups = [cell for cell in code if "setup" in cell.metadata.get("tags", [])]
    if len(setups) != 1 or setups[0] is not code[0]:
        yield "the first code cell, and no other, should have the tag setup"


def _kind(title: str) -> str:
    if re.match(r"\d+[.:·]? ", title):
        return "idea"
    return next((h for h in HEADINGS if h and title.lower().startswith(h.lower())), title)


def _place(title: str) -> int | None:
    return next((i for i, part in enumerate(IDEA[:3]) if title.lower().startswith(part.lower())), None)


def course_complaints(paths: Sequence[Path]) -> list[str]:
    """Complaints that only a look at all notebooks finds: names of exercises used twice, links that lead nowhere."""
    complaints, owner = [], {}
    for path in paths:
        notebook = nbformat.read(path, as_version=4)
        for grade_id in grade_ids(notebook):
            if grade_id in owner:
                complaints.append(f"{path.name}: the grade_id {grade_id} is also used in {owner[grade_id]}")
            owner[grade_id] = path.name
        prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
        for link in re.findall(r"\]\((?:\./)?(\d\d_\w+\.ipynb)", prose):
            if not (path.parent / link).exists():
                complaints.append(f"{path.name}: links to {link}, which does not exist")
    return complaints


def main() -> int:
    """Print all complaints about the notebooks on the command line, or about all; 1 when there are any."""
    parser = argparse.ArgumentParser(description="Check notebooks.")
    takes_notebooks(parser)
    parser.add_argument("--publish", action="store_true", help="refuse while the repository's address is a placeholder")
    given = parser.parse_args()
    paths = given.notebooks or course()
    complaints = [complaint for path in paths for complaint in check(path)] + course_complaints(paths)
    if given.publish:
        complaints += unpublishable(repository())
    print("\n".join(complaints) or f"{len(paths)} notebooks, nothing to complain about")
    return int(bool(complaints))


if __name__ == "__main__":
    sys.exit(main())
