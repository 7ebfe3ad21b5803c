"""Which names a cell of a notebook reads, which it leaves behind or changes, and which cells it hangs on by them."""

from __future__ import annotations

import ast
import builtins
import dis
from collections.abc import Iterable, Sequence
from types import CodeType

PERHAPS = (ast.If, ast.For, ast.While, ast.Try, ast.With, ast.Match)  # what stands in these may not happen


def names(source: str) -> tuple[set[str], set[str]]:
    """The names that a cell wants from the cells before it, and those that it binds or assigns into.

    What a function keeps to itself is in neither, and what the cell has bound in any case before it reads it is not
    wanted. Raises SyntaxError for a cell that is no Python.
    """
    read, bound, own = set(), set(), set()
    for statement in ast.parse(source).body:
        codes = [compile(ast.Module([statement], []), "<cell>", "exec")]
        for code in codes:
            codes += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
            read |= _with(code, "LOAD_NAME", "LOAD_GLOBAL") - own
        bound |= (binds := _with(codes[0], "STORE_NAME", "STORE_GLOBAL"))
        if not isinstance(statement, PERHAPS):
            own |= binds
    return read - set(dir(builtins)), bound | _assigned_into(source)


def behind(cells: Sequence[str], read: Iterable[str]) -> list[int]:
    """The places of the cells that bind or change a name of `read`, or one that a cell so found reads, in order."""
    wanted, found = set(read), []
    for place in reversed(range(len(cells))):
        of_cell, left = names(cells[place])
        if left & wanted:
            found.append(place)
            wanted |= of_cell
    return found[::-1]


def needed(cells: Sequence[str], wanted: Iterable[int]) -> list[int]:
    """The places `wanted` and those of all cells that these hang on, in order."""
    wanted = set(wanted)
    return sorted(wanted.union(*(behind(cells[:place], names(cells[place])[0]) for place in wanted)))


def _with(code: CodeType, *operations: str) -> set[str]:
    return {step.argval for step in dis.get_instructions(code) if step.opname in operations}


def _assigned_into(source: str) -> set[str]:
    """`model` in `model.settings = …` and in `model.rows[0] = …`."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store):
            while isinstance(node, ast.Attribute | ast.Subscript):
                node = node.value
            if isinstance(node, ast.Name):
                found.add(node.id)
    return found
