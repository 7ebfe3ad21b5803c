"""The parts of grading: the fence around an answer, what comes out of it, and whose notebooks there are."""

import contextlib
import io
import json
import os
import pickle
import random
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from fuzz_checks import KINDS, RIGHT, WITH_LETTER, a_bend, overwriting, right_at_first
from grading import submissions
from grading.attempt import Answer, Remote, Stopped, _slopes, _with_gradient, real
from grading.child import EndedError, OutOfTimeError, in_child
from grading.confine import confine
from grading.lesson import Exercise, Lesson
from grading.submissions import UnreadableError
from grading.values import pack, unpack
from hypothesis import given
from hypothesis import strategies as some
from names import names
from tqdm import tqdm

from diffrec_lite.lessons.check import CheckFailed
from notebooks import NOTEBOOKS

SOLVED = str(NOTEBOOKS / "05_step_skipping.ipynb")


def kernel_fences():
    """Whether this kernel has Landlock: the number of its version, or less than 1."""
    import ctypes

    return sys.platform == "linux" and ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), 1) >= 1


def tried(work, folder):
    """What comes of `work()` behind the fence: "done", or the name of what it raised."""

    def child(pipe):
        confine(folder, pipe, 20)
        try:
            work()
        except BaseException as problem:
            return type(problem).__name__.encode()
        return b"done"

    return in_child(child, 60).decode()


# The fence. Each of these is done outside Python's sight, so that only the kernel can refuse it.


@pytest.mark.skipif(not kernel_fences(), reason="this kernel has no Landlock")
def test_the_kernel_keeps_files_from_code_that_an_audit_hook_does_not_see(tmp_path):
    import pyarrow

    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    assert tried(lambda: pyarrow.OSFile(SOLVED).read(), inside) == "PermissionError"
    assert tried(lambda: pyarrow.OSFile(str(outside / "x"), "wb"), inside) == "PermissionError"
    assert tried(lambda: pyarrow.OSFile(str(inside / "x"), "wb").close(), inside) == "done"
    assert tried(lambda: torch.from_file(SOLVED, size=10, dtype=torch.uint8), inside) == "RuntimeError"
    assert [path.name for path in tmp_path.rglob("x")] == ["x"]


def test_what_the_course_ships_can_be_read_behind_the_fence(tmp_path):
    from diffrec_lite.data.shipped import shipped

    assert tried(lambda: pd.read_csv(shipped("runs/hybrid.csv")), tmp_path) == "done"


def test_a_child_brings_back_what_it_returned_however_long():
    assert in_child(lambda pipe: b"x" * 3_000_000, 60) == b"x" * 3_000_000


@pytest.mark.parametrize(
    ("work", "error", "says"),
    [
        (lambda pipe: os._exit(7), EndedError, "exit code 7"),
        (lambda pipe: os.kill(os.getpid(), 9), EndedError, "SIGKILL"),
        (lambda pipe: os.write(pipe, b"\xff" * 8), EndedError, "far too much"),
        (lambda pipe: [os.close(pipe), os._exit(0)], EndedError, "exit code 0"),
    ],
)
def test_a_child_that_does_not_bring_anything_back_is_told_by_how_it_ended(work, error, says):
    with pytest.raises(error, match=says):
        in_child(work, 60)


def test_a_child_and_what_it_started_are_gone_when_time_is_over(tmp_path):
    def work(pipe):
        child = os.fork()
        if child:
            (tmp_path / "pid").write_text(str(child))
        while True:
            pass

    with pytest.raises(OutOfTimeError):
        in_child(work, 2)
    state = Path("/proc", (tmp_path / "pid").read_text(), "stat")
    deadline = time.monotonic() + 30  # a kill is asked for, and comes when the system finds the time

    def gone():
        return not state.exists() or state.read_text().split(")")[-1].split()[0] == "Z"

    while not gone() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert gone()


def test_a_child_that_is_killed_while_its_bar_is_locked_stops_no_other_bar():
    def locked(pipe):
        tqdm.get_lock().acquire()
        time.sleep(60)

    tqdm.get_lock()  # as after a first bar
    with pytest.raises(OutOfTimeError):
        in_child(locked, 1)
    assert in_child(lambda pipe: bytes(tqdm(b"done", disable=True)), 20) == b"done"


# What comes out of it.

numbers = some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False) | some.text()
keys = some.integers() | some.text() | some.tuples(some.integers(), some.integers())
values = some.recursive(numbers, lambda of: some.lists(of) | some.tuples(of, of) | some.dictionaries(keys, of))


@given(values)
def test_plain_values_come_through_as_they_are(value):
    assert unpack(pack(value)) == value


def test_tensors_and_arrays_come_through_and_strangers_as_their_name():
    for kind in (torch.float64, torch.float16, torch.int64, torch.bool, torch.complex64):
        there = unpack(pack([torch.ones(2, 3).to(kind)]))[0]
        assert there.dtype == kind and there.shape == (2, 3)
    assert unpack(pack(np.array([], dtype=">f4"))).dtype == np.float32
    assert unpack(pack(np.float64(2.5))) == 2.5
    assert unpack(pack(pd.Series([1, 2]))).tolist() == [1, 2]
    assert type(unpack(pack({1: object()}))[1]).__name__ == "object"
    loop = []
    loop.append(loop)
    assert isinstance(unpack(pack(loop)), list)


class Evil:
    def __reduce__(self):
        return (os.putenv, ("X", "1"))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_reading_what_an_answer_wrote_runs_nothing_of_it():
    buffer = io.BytesIO()
    torch.save(("plain", Evil()), buffer)
    for data in (pickle.dumps(Evil()), buffer.getvalue(), b"", b"hello"):
        with pytest.raises(ValueError, match="no packed value"):
            unpack(data)


def test_a_value_carries_its_gradient():
    x, y, z = (torch.randn(3, requires_grad=True) for _ in range(3))

    def loss():
        return (x * y.detach()).square() + y.sum()

    there = _with_gradient(loss().detach(), (x, y, z), _slopes(loss(), (x, y, z)))
    assert torch.equal(there, loss())
    mine = torch.autograd.grad(there.sum(), (x, y, z), allow_unused=True)
    wanted = torch.autograd.grad(loss().sum(), (x, y, z), allow_unused=True)
    assert torch.allclose(mine[0], wanted[0]) and torch.allclose(mine[1], wanted[1]) and mine[2] is wanted[2] is None


class Local(Answer):
    """An answer whose function is in memory already."""

    def __init__(self, function, folder):
        super().__init__([], {"f": function}, folder, 60)


def heard(check, arguments):
    """How `check` ends, and all that it says."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check(*arguments)
    except (CheckFailed, Stopped) as problem:
        return str(problem)
    return said.getvalue()


def the_same_each_time(function, draw):
    state = draw.getstate()

    def calls(*args):
        draw.setstate(state)
        return function(*args)

    return calls


@pytest.mark.parametrize("check", RIGHT, ids=[check.__name__ for check in RIGHT])
def test_a_learner_hears_the_same_from_the_grader_as_in_the_notebook(check, tmp_path, monkeypatch):
    draw = random.Random(check.__name__)
    # One that remembers its calls is another one in every process.
    for kind in [RIGHT[check], *draw.sample([kind for kind in KINDS if kind is not right_at_first], 3)]:
        function = kind if kind is RIGHT[check] else kind(draw, RIGHT[check]).function
        function = the_same_each_time(function, draw) if kind in (a_bend, overwriting) else function
        more = ["b"] * (check in WITH_LETTER)
        here = heard(check, [function, *more])
        monkeypatch.setattr(sys.modules[check.__module__], "answer", Local(function, tmp_path).call)
        there = heard(check, [Remote("f") if callable(function) else function, *more])
        monkeypatch.setattr(sys.modules[check.__module__], "answer", real.answer)
        assert there.partition(" instance at ")[0] == here.partition(" instance at ")[0]


# Whose notebooks there are, and what is in them.


@pytest.mark.parametrize(
    ("file", "student"),
    [
        ("05_step_skipping.ipynb", "05_step_skipping"),
        ("ada_05_step_skipping.ipynb", "ada"),
        ("ada_b_05_step_skipping-2.ipynb", "ada_b"),
        ("ada_05_step_skipping (1).ipynb", "ada"),
        ("byronada_4711_99_05_step_skipping.ipynb", "byronada"),
        ("byronada_LATE_4711_99_05_step_skipping-1.ipynb", "byronada"),
        ("Ada Byron_123_assignsubmission_file_05_step_skipping.ipynb", "Ada Byron"),
        ("homework.ipynb", "homework"),
        (".hidden.ipynb", None),
        ("notes.txt", None),
    ],
)
def test_a_flat_file_says_whose_it_is(tmp_path, file, student):
    (tmp_path / file).write_text("{}")
    (tmp_path / "zoe").mkdir()
    (tmp_path / "zoe" / "05_step_skipping.ipynb").write_text("{}")
    assert set(submissions.students(tmp_path)) - {"zoe"} == ({student} if student else set())


def test_a_folder_without_notebooks_is_refused(tmp_path):
    (tmp_path / "ada").mkdir()
    with pytest.raises(ValueError, match="holds no notebook"):
        submissions.students(tmp_path)


def test_an_old_format_is_read_and_a_file_that_is_too_large_is_not(tmp_path, monkeypatch):
    path = tmp_path / "x.ipynb"
    cells = [{"cell_type": "code", "input": ["a = 1\n", "b"], "metadata": None}, {"cell_type": "heading"}]
    path.write_text(json.dumps({"worksheets": [{"cells": cells}]}))
    assert submissions.read(path) == ([submissions.Cell("a = 1\nb", "")], [])
    monkeypatch.setattr(submissions, "LARGEST", 10)
    with pytest.raises(UnreadableError, match="more than"):
        submissions.read(path)


def test_an_answer_gets_the_cells_of_the_course_that_it_reads_from_and_no_other():
    exercise = Exercise("e", "c", "Exercise 1", 1.0, "def f():\n    raise", "lesson.checks.f(f)", 4)
    lesson = Lesson("00_x", "import torch", ("a = 1", "b = a\na.x = 2", "print(a)", "z = 1", ""), (exercise,))
    assert lesson.before(exercise, ["def f():\n    return b"]) == ["a = 1", "b = a\na.x = 2"]
    assert lesson.before(exercise, ["def f(b):\n    z = b\n    return z"]) == []
    assert lesson.before(exercise, ["def f(", "z"]) == ["z = 1"]
    assert exercise.wanted == ["f"]


def test_the_names_of_a_cell():
    source = "import os as o\nfor i in range(n):\n    k[i] = [q for q in m]\ndef f(x):\n    y = x + G\n    return y"
    read, left = names(source)
    assert read == {"n", "m", "k", "i", "G"} and left == {"o", "i", "k", "f"}


def test_what_a_cell_has_bound_in_any_case_it_wants_from_no_other():
    read, left = names("a = 1\nb = a + m\nif b:\n    c = 2\nprint(c, b, d)\nd = 0")
    assert read == {"m", "c", "d"} and left == {"a", "b", "c", "d"}
