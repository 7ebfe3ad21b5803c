"""The numbers that a notebook's sentences claim, and where each of them is found.

A claim is a decimal, a share in per cent, or a whole number from 100 on. It is found when the notebook prints it, to as
many digits as the sentence gives; when the code sets it; or when it stands in a file of data/runs, data/published or
tools that the paragraph names. "ledger" names data/published/ledger.csv, and [P] in the sentence all of data/published.

No claims are sought in formulas, code and questions, in what is to be predicted, and in the quiz, whose readers are
invented; nor among numbers in words.

python tools/claims.py [notebooks/01_forward_noising.ipynb ...]     the claims that are found nowhere
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from typing import NamedTuple

import nbformat
from nbformat import NotebookNode

from notebooks import ROOT, course, takes_notebooks

# What no experiment gives: the constants of definitions.
DEFINED = {
    "95 %": "the share of samples in an interval, everywhere in the course",
    "0.84": "the normal number below which four in five lie",
    "1.96": "the normal number above which one in forty lies",
    ".63": "1 / log2(3), what NDCG gives for rank 2",
    "1,500": "the bookshop's readers: notebook 00 prints their number",
    "0.001": "the default of DiffuRec's setting `delta`",
    "0.05": "the default of the setting `item_std`",
    "150": "the default of DCRec's setting `lambda_epochs`",
}
NO_CLAIMS = ("Quiz", "Predict")
NUMBER = re.compile(
    r"(?<![\w.,/–-])(?<!eader )(?<!arXiv )(?:\d{1,3}(?:,\d{3})+|\d*\.\d+|\d+)(?![\w]|[.,]\d)(?P<percent>\s?%)?"
)
FILE = re.compile(r"\b(?:data/(?:runs|published)|tools|experiments)/\w+\.\w+")
LEDGER = "data/published/ledger.csv"
YEAR = range(1900, 2100)


class Claim(NamedTuple):
    """A number as a sentence gives it, its value, half of its last digit, the sentence, and the files it names."""

    text: str
    value: float
    half: float
    sentence: str
    files: list[str]


def claims(notebook: NotebookNode) -> Iterator[Claim]:
    """The claims of a notebook's text, in their order."""
    section = ""
    for cell in notebook.cells:
        if cell.cell_type != "markdown":
            continue
        for part in re.split(r"^(?=###? )", cell.source, flags=re.M):
            if heading := re.match(r"###? (.*)", part):
                section = heading.group(1)
            if not section.startswith(NO_CLAIMS):
                yield from _claims(part)


def _claims(text: str) -> Iterator[Claim]:
    text = re.sub(r"```.*?```|\$\$.*?\$\$", " ", text, flags=re.S)
    for paragraph in re.split(r"\n\s*\n", text):
        files = FILE.findall(paragraph) + [LEDGER] * ("ledger" in paragraph.casefold())
        plain = re.sub(r"`[^`]*`|\$[^$]*\$|\]\([^)]*\)|<[^>]*>", " ", paragraph)
        for sentence in re.split(r"(?<=[.!?:])\s+(?=[A-Z*(\[])|\n(?=[-|#\d])", plain):
            if sentence.rstrip().endswith("?"):
                continue
            published = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "data/published").glob("*.csv"))
            for match in NUMBER.finditer(sentence):
                number = match.group().rstrip("% \u00a0").replace(",", "")
                _, point, digits = number.partition(".")
                if not (point or match["percent"] or (float(number) >= 100 and int(number) not in YEAR)):
                    continue
                scale = 100 if match["percent"] else 1
                yield Claim(
                    match.group().strip(),
                    float(number) / scale,
                    0.5 * 10.0 ** -len(digits) / scale,
                    " ".join(sentence.split()),
                    files + (published if "[P]" in sentence else []),
                )


def printed(notebook: NotebookNode) -> set[float]:
    """Every number in the outputs of a notebook. What describes a picture is no output: somebody wrote it."""
    shown = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/png" not in data and not data.get("text/plain", "").startswith("Figure:"):
                shown += [output.get("text", ""), data.get("text/plain", ""), data.get("text/html", "")]
    return numbers(re.sub(r"<style.*?</style>|<[^>]*>", " ", "\n".join(shown), flags=re.S))


def numbers(text: str) -> set[float]:
    """Every number in a text, without its sign; a share in per cent as a share of 1."""
    found = set()
    for number, percent in re.findall(r"(?<![\w.])((?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?)(?<=\d)(\s?%)?", text):
        found.add(float(number.replace(",", "")) / (100 if percent else 1))
    return found


def set_in_code(notebook: NotebookNode) -> set[float]:
    """Every number that stands in a notebook's code as a value."""
    trees = [ast.parse(cell.source) for cell in notebook.cells if cell.cell_type == "code"]
    values = [node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return {float(value) for value in values if isinstance(value, int | float) and not isinstance(value, bool)}


def in_file(name: str) -> set[float]:
    """Every number in a file of the repository; an empty set where there is none."""
    path = ROOT / name
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return numbers(text) | numbers(text.replace(",", " "))


def unfound(notebook: NotebookNode) -> list[str]:
    """Every claim of a notebook that is found nowhere, as one line."""
    seen, fixed = printed(notebook), set_in_code(notebook)
    complaints = []
    for claim in claims(notebook):
        near = seen.union(*map(in_file, claim.files))
        found = any(abs(number - claim.value) <= claim.half * (1 + 1e-6) for number in near) or any(
            abs(number - claim.value) < 1e-9 for number in fixed
        )
        if not (found or claim.text in DEFINED):
            complaints.append(f"{claim.text} is found nowhere: {claim.sentence}")
    return complaints


def main() -> int:
    """Print the claims that are found nowhere, of the notebooks on the command line or of all; 1 when there are any."""
    complaints = []
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    takes_notebooks(parser)
    for path in parser.parse_args().notebooks or course():
        complaints += [f"{path.name[:2]}: {line}" for line in unfound(nbformat.read(path, as_version=4))]
    print("\n".join(complaints) or "every number is found")
    return int(bool(complaints))


if __name__ == "__main__":
    sys.exit(main())
