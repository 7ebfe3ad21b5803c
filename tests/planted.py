"""A class of planted submissions: what each student did to notebook 05, and what has to become of its second exercise.

The exercise before it is not answered and the one after it is right: whatever was planted, it costs the exercise that
it touches, and no other.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
from grading.verdict import Status

from notebooks import NOTEBOOKS

LESSON, BEFORE, EXERCISE, AFTER = "05_step_skipping", "05-posterior", "05-step-grid", "05-surprise"
CHECK = "05-step-grid-check"
SOURCE = NOTEBOOKS / f"{LESSON}.ipynb"
RIGHT = """def step_grid(T, n):
    return [(T * (n - i) + n // 2) // n for i in range(n + 1)]"""
WRONG = "def step_grid(T, n):\n    return [T - i * (T // n) for i in range(n + 1)]"
STUB = """def step_grid(T, n):
    \"\"\"A list of n + 1 whole numbers from T down to 0.\"\"\"
    # YOUR CODE HERE
    raise NotImplementedError()"""  # as it is handed out
ITS_WORDS = "step_grid(50, 8) ends at t = 2"  # what the check says to WRONG
BACK = "    return [(T * (n - i) + n // 2) // n for i in range(n + 1)]"


class Plant(NamedTuple):
    """What to write, and the status, a part of the words and a part of the remarks that must come of it."""

    change: Callable[[dict], Any]
    status: Status
    words: str = ""
    remark: str = ""


def answer(source: str) -> Callable[[dict], dict]:
    def change(notebook: dict) -> dict:
        at(notebook, EXERCISE)["source"] = source
        return notebook

    return change


def inside(*lines: str) -> Callable[[dict], dict]:
    """A right answer that does something else first."""
    return answer("\n".join(["def step_grid(T, n):", *(f"    {line}" for line in lines), BACK]))


def at(notebook: dict, name: str) -> dict:
    return next(cell for cell in notebook["cells"] if cell["metadata"].get("nbgrader", {}).get("grade_id") == name)


def code(source: str, **metadata: Any) -> dict:
    return dict(nbformat.v4.new_code_cell(source, metadata=metadata))


def without(name: str) -> Callable[[dict], dict]:
    def change(notebook: dict) -> dict:
        notebook["cells"].remove(at(notebook, name))
        return notebook

    return change


def placed(source: str, own: str, before: str) -> Callable[[dict], dict]:
    """The answer `source`, and a cell of the learner's own before the cell `before`."""

    def change(notebook: dict) -> dict:
        answer(source)(notebook)
        notebook["cells"].insert(notebook["cells"].index(at(notebook, before)), code(own))
        return notebook

    return change


def check_edited(notebook: dict) -> dict:
    at(notebook, CHECK)["source"] = "pass"
    return answer(WRONG)(notebook)


def twice(*sources: str) -> Callable[[dict], dict]:
    def change(notebook: dict) -> dict:
        first = at(notebook, EXERCISE)
        place = notebook["cells"].index(first)
        notebook["cells"][place : place + 1] = [{**deepcopy(first), "source": source} for source in sources]
        return notebook

    return change


def without_metadata(notebook: dict) -> dict:
    for cell in notebook["cells"]:
        cell["metadata"] = {}
    return notebook


def same_ids(notebook: dict) -> dict:
    for cell in notebook["cells"]:
        cell["id"] = "same"
    return notebook


def other_text(notebook: dict) -> dict:
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = "gone"
    return notebook


def helper_in_the_first_exercise(notebook: dict) -> dict:
    at(notebook, BEFORE)["source"] = f"import math as mathematics\n{at(notebook, BEFORE)['source']}"
    return inside("mathematics.floor(1.5)")(notebook)


def crlf(notebook: dict) -> dict:
    return answer(RIGHT.replace("\n", "\r\n"))(notebook)


def text(change: Callable[[str], str | bytes]) -> Callable[[dict], str | bytes]:
    return lambda notebook: change(json.dumps(notebook, ensure_ascii=False))


def accented(notebook: dict) -> bytes:
    return json.dumps(answer(f"# déjà vu\n{RIGHT}")(notebook), ensure_ascii=False).encode("latin-1", "replace")


def plants(outside: Path) -> dict[str, Plant]:
    """All of them by the student's name; `outside` is a folder that no answer may touch."""
    solution = str(SOURCE)
    package = "diffrec_lite.lessons.step_skipping.checks"
    return {
        "right": Plant(lambda notebook: notebook, Status.PASSED, "step_grid: correct"),
        "wrong": Plant(answer(WRONG), Status.FAILED, ITS_WORDS),
        "stub": Plant(answer(STUB), Status.UNANSWERED),
        "stub_commented": Plant(answer(f"# too hard\n{STUB}\n\n"), Status.UNANSWERED),
        "stub_renamed_only": Plant(answer(STUB.replace("# YOUR CODE HERE", "T = T")), Status.UNANSWERED),
        "emptied": Plant(answer(" \n"), Status.UNANSWERED),
        "returns_nothing": Plant(answer("def step_grid(T, n):\n    pass"), Status.FAILED, "returned None"),
        "other_name": Plant(answer(RIGHT.replace("step_grid", "grid")), Status.FAILED, "defines no step_grid"),
        "no_python": Plant(answer("def step_grid("), Status.FAILED, "SyntaxError"),
        "magic": Plant(answer(f"%matplotlib inline\n{RIGHT}\n!pip list"), Status.PASSED),
        "error_after": Plant(answer(f"{RIGHT}\nprint(undefined)"), Status.PASSED),
        "error_before": Plant(answer(f"print(undefined)\n{RIGHT}"), Status.FAILED, "line 1 with NameError"),
        "deep": Plant(answer("def step_grid(T, n):\n    return step_grid(T, n)"), Status.FAILED, "RecursionError"),
        # It does not end, or ends too much.
        "endless": Plant(inside("while True: pass"), Status.TIME),
        "endless_cell": Plant(answer(f"while True:\n    pass\n{RIGHT}"), Status.TIME),
        "endless_and_stubborn": Plant(
            inside("import time", "while True:", "    try: time.sleep(9)", "    except BaseException: pass"),
            Status.TIME,
        ),
        "ends_the_process": Plant(inside("import os; os._exit(0)"), Status.ENDED, "exit code 0"),
        "ends_at_once": Plant(answer(f"import os\nos._exit(3)\n{RIGHT}"), Status.ENDED, "exit code 3"),
        "exits": Plant(inside("exit()"), Status.FAILED, "exit"),
        "exits_at_once": Plant(answer(f"raise SystemExit\n{RIGHT}"), Status.FAILED, "SystemExit"),
        "crashes": Plant(inside("import faulthandler; faulthandler._sigsegv()"), Status.ENDED, "SIGSEGV"),
        "writes_to_every_pipe": Plant(
            inside(
                "import os",
                "for pipe in range(3, 60):",
                "    try: os.write(pipe, b'\\0' * 7 + b'\\5' + b'hello')",
                "    except OSError: pass",
            ),
            Status.ENDED,
            "cannot be read",
        ),
        "kills_the_grader": Plant(inside("import os; os.kill(os.getppid(), 9)"), Status.FORBIDDEN, "end other"),
        # It puts something else in the place of the check.
        "replaces_the_check": Plant(
            answer(f"{WRONG}\nlesson.checks.step_grid = lambda function: None"), Status.FAILED, ITS_WORDS
        ),
        "replaces_it_deeper": Plant(
            answer(f"{WRONG}\nimport sys\nsys.modules['{package}'].step_grid = lambda function: None"),
            Status.FAILED,
            ITS_WORDS,
        ),
        "patches_what_checks_use": Plant(
            answer(
                f"{WRONG}\nimport torch\nfrom diffrec_lite.lessons import check\nfrom {package} import require\n"
                f"import {package} as checks\ncheck.require = checks.require = checks._one_grid = "
                "lambda *args: None\ntorch.allclose = torch.equal = lambda *args, **more: True"
            ),
            Status.FAILED,
            ITS_WORDS,
        ),
        "patches_python": Plant(
            answer(f"{WRONG}\nimport builtins\nbuiltins.all = builtins.any = lambda *args: True"),
            Status.FAILED,
            ITS_WORDS,
        ),
        "hands_in_the_packages_own": Plant(
            answer("from diffrec_lite.diffusion import GaussianDiffusion\nstep_grid = GaussianDiffusion.steps"),
            Status.FAILED,
            "the package's own function",
        ),
        # It wants too much.
        "hoards": Plant(inside("x = []", "while True: x.append(bytearray(2**28))"), Status.MEMORY),
        "hoards_at_once": Plant(inside("torch.ones(2**40)"), Status.MEMORY),
        "writes_outside": Plant(inside(f"open({str(outside / 'x')!r}, 'w')"), Status.FORBIDDEN, "write outside"),
        "deletes": Plant(
            inside("import os, diffrec_lite", "os.remove(diffrec_lite.__file__)"), Status.FORBIDDEN, "change files"
        ),
        "fills_the_disk": Plant(
            inside("with open('big', 'wb') as file:", "    while True: file.write(bytes(2**20))"),
            Status.FAILED,
            "File too large",
        ),
        "many_files": Plant(
            inside("for k in range(1000): open(str(k), 'w').close()"), Status.FORBIDDEN, "more than 20 files"
        ),
        "writes_a_little": Plant(inside("open('notes.txt', 'w').write('T')"), Status.PASSED),
        "chatters": Plant(inside("for _ in range(300): print('x' * 10**6)"), Status.PASSED),
        "forks": Plant(inside("import os", "while True: os.fork()"), Status.FORBIDDEN, "start processes"),
        "starts_a_program": Plant(inside("import subprocess; subprocess.run(['true'])"), Status.FORBIDDEN, "programs"),
        "uses_the_network": Plant(
            inside("import urllib.request; urllib.request.urlopen('http://127.0.0.1:9')"), Status.FORBIDDEN, "network"
        ),
        "reads_the_solutions": Plant(inside(f"open({solution!r}).read()"), Status.FORBIDDEN, "read files"),
        "asks": Plant(inside("input('T?')"), Status.FAILED, "EOFError"),
        # The notebook is not what was handed out.
        "cell_gone": Plant(without(EXERCISE), Status.MISSING),
        "check_gone": Plant(without(CHECK), Status.PASSED, remark="checking cell is gone"),
        "check_edited": Plant(check_edited, Status.FAILED, ITS_WORDS, "checking cell was edited"),
        "cell_twice": Plant(twice(WRONG, RIGHT), Status.PASSED, remark="more than once"),
        "cell_twice_and_a_stub": Plant(twice(RIGHT, STUB), Status.PASSED, remark="more than once"),
        "metadata_gone": Plant(without_metadata, Status.PASSED, remark="recognised by the function"),
        "same_ids": Plant(same_ids, Status.PASSED),
        "other_text": Plant(other_text, Status.PASSED),
        "crlf": Plant(crlf, Status.PASSED),
        "solved_below": Plant(placed(STUB, RIGHT, CHECK), Status.PASSED, remark="own cells above"),
        "solved_too_early": Plant(placed(STUB, RIGHT, EXERCISE), Status.UNANSWERED),
        "helper_above": Plant(
            placed(RIGHT.replace("n // 2", "half(n)"), "def half(n):\n    return n // 2", EXERCISE),
            Status.PASSED,
            remark="own cells above",
        ),
        "helper_in_the_first_exercise": Plant(helper_in_the_first_exercise, Status.PASSED, remark="own cells above"),
        # The file is not what it should be.
        "empty": Plant(lambda notebook: b"", Status.UNREADABLE, "is empty"),
        "cut_off": Plant(text(lambda whole: whole[: len(whole) // 2]), Status.UNREADABLE, "not JSON"),
        "nested_too_deep": Plant(lambda notebook: "[" * 100_000, Status.UNREADABLE, "not JSON"),
        "no_notebook": Plant(lambda notebook: '{"cells": 3}', Status.UNREADABLE, "no cells"),
        "not_even_a_dictionary": Plant(lambda notebook: "[1]", Status.UNREADABLE, "no cells"),
        "no_cells_left": Plant(lambda notebook: '{"cells": []}', Status.MISSING, remark="checking cell is gone"),
        "latin_1": Plant(accented, Status.PASSED),
        "utf_16": Plant(text(lambda whole: whole.encode("utf-16")), Status.PASSED),
        "byte_order_mark": Plant(text(lambda whole: whole.encode("utf-8-sig")), Status.PASSED),
    }


WHOLE_FILE = {"empty", "cut_off", "nested_too_deep", "no_notebook", "not_even_a_dictionary", "no_cells_left"}


def write_plants(folder: Path, outside: Path, student_version: dict) -> dict[str, Plant]:
    """One folder a student, with the planted notebook 05, of which this is the student version."""
    solved = json.loads(SOURCE.read_text(encoding="utf-8"))
    at(solved, EXERCISE)["source"] = RIGHT
    at(solved, BEFORE)["source"] = at(student_version, BEFORE)["source"]
    planted = plants(outside)
    for student, plant in planted.items():
        made = plant.change(deepcopy(solved))
        data = json.dumps(made) if isinstance(made, dict) else made
        (folder / student).mkdir(parents=True)
        (folder / student / SOURCE.name).write_bytes(data.encode() if isinstance(data, str) else data)
    return planted
