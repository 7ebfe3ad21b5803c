"""What the page of symbols and terms keeps to: notebooks/notation.md against the package and the notebooks.

python tools/notation.py
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbformat import NotebookNode

from notebooks import NOTEBOOKS, ROOT, course

PAGE = NOTEBOOKS / "notation.md"
GREEK = "alpha|beta|gamma|delta|epsilon|varepsilon|zeta|eta|theta|kappa|lambda|mu|nu|xi|rho|sigma|tau|phi|chi|psi|omega"
# A letter with its accent, then an index and a prime: \hat x_0, T', \mathcal N, \lambda_i.
LETTER = rf"\\(?:(?i:{GREEK}|ell)|mathcal\s*[A-Z])(?![A-Za-z])|(?<![A-Za-z\\{{])[A-Za-z](?![A-Za-z])"
SYMBOL = re.compile(rf"(?P<letter>(?:\\(?:hat|bar|tilde)\s*)?(?:{LETTER}))(?:_(?:\{{[^}}]*\}}|[A-Za-z0-9]))?'?")
WORDS = re.compile(r"_?\{?\\(?:text|mathrm|operatorname)\s*\{[^}]*\}\}?")


class Row(NamedTuple):
    """A row of the tables: symbols and their letters, their names in code, the notebook where they stand first."""

    symbols: dict[str, str]
    code: list[str]
    first: str


def rows(page: str) -> list[Row]:
    """The rows of all tables whose first column holds symbols; the letters of shapes keep their backticks."""
    found = []
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        symbols = {code: code.strip("`") for code in re.findall(r"`[^`]+`", cells[0])}
        for formula in re.findall(r"\$([^$]+)\$", cells[0]):
            symbols |= _symbols(formula)
        if line.startswith("|") and symbols:
            found.append(Row(symbols, re.findall(r"`([^`]+)`", cells[-2]), cells[-1]))
    return found


def terms(page: str) -> list[str]:
    """The terms of the glossary, in its order."""
    return re.findall(r"^- \*\*(.+?)\*\*:", page.partition("## Glossary")[2], flags=re.M)


def symbols_of(notebook: NotebookNode) -> dict[str, str]:
    """Every symbol in the formulas of a notebook's text, and the letter it is made of: {"x_0": "x"}."""
    return {symbol: letter for formula in formulas(notebook) for symbol, letter in _symbols(formula).items()}


def _symbols(formula: str) -> dict[str, str]:
    """The symbols of a formula and their letters, without spaces. Words in a formula are no symbols."""
    found = SYMBOL.finditer(WORDS.sub(" ", formula))
    return {re.sub(r"\s", "", match.group()): re.sub(r"\s", "", match["letter"]) for match in found}


def formulas(notebook: NotebookNode) -> Iterator[str]:
    """The formulas of a notebook's text, without what stands in code."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            text = re.sub(r"```.*?```|`[^`]*`", " ", cell.source, flags=re.S)
            yield from (long or short for long, short in re.findall(r"\$\$(.+?)\$\$|\$(.+?)\$", text, flags=re.S))


def names_of_the_package(folder: Path = ROOT / "diffrec_lite") -> set[str]:
    """Every name that the package gives: functions, classes, arguments, attributes, variables."""
    names = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for field in ("name", "arg", "attr", "id"):
                names.add(getattr(node, field, None))
    return names


def check(page: str, notebooks: dict[str, NotebookNode], names: Iterable[str]) -> list[str]:
    """Every complaint about the page; `notebooks` by their numbers, in the order of the course."""
    table, names, complaints = rows(page), set(names), []
    count = Counter(symbol for row in table for symbol in row.symbols)
    complaints += [f"{symbol} has {times} rows" for symbol, times in count.items() if times > 1]
    complaints += [f"the package has no {name}" for row in table for name in row.code if name not in names]

    used = {number: symbols_of(notebook) for number, notebook in notebooks.items()}
    for row in table:
        for symbol in (symbol for symbol in row.symbols if "`" not in symbol):
            first = next((number for number, found in used.items() if symbol in found), "none")
            if first != row.first:
                complaints.append(f"{symbol} stands first in {first}, and its row says {row.first}")
    letters = {letter for row in table for letter in row.symbols.values()}
    for number, found in used.items():
        complaints += [f"{symbol} of {number} has no row" for symbol, letter in found.items() if letter not in letters]

    listed = terms(page)
    prose = " ".join(cell.source for notebook in notebooks.values() for cell in notebook.cells).casefold()
    if listed != sorted(listed, key=str.casefold) or len(set(listed)) < len(listed):
        complaints.append("the glossary is not in the order of the alphabet, each term once")
    complaints += [f"no notebook says {term}" for term in listed if term.casefold() not in prose]
    return complaints


def main() -> int:
    """Print all complaints about the page; 1 when there are any."""
    argparse.ArgumentParser(description=__doc__.split("\n")[0]).parse_args()
    notebooks = {path.name[:2]: nbformat.read(path, as_version=4) for path in course()}
    complaints = check(PAGE.read_text(encoding="utf-8"), notebooks, names_of_the_package())
    print("\n".join(complaints) or "nothing to complain about")
    return int(bool(complaints))


if __name__ == "__main__":
    sys.exit(main())
