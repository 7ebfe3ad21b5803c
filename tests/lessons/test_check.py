"""What all checks share: no answer fools them, none makes them stumble, and they leave things as they found them."""

import functools
import importlib
import inspect
import math
import pkgutil
import sys
from collections import Counter
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import torch
from fuzz_checks import GOOD, RIGHT, WITH_LETTER, fuzz
from IPython.core.interactiveshell import InteractiveShell

from diffrec_lite import diffusion, layers, lessons, metrics
from diffrec_lite.lessons.check import CheckFailed, answer, check, close, compare, letter, numbers, truths

LESSONS = [
    importlib.import_module(f"{lessons.__name__}.{folder.name}")
    for folder in pkgutil.iter_modules(lessons.__path__)
    if folder.ispkg
]
each_check = pytest.mark.parametrize("name", [function.__name__ for function in RIGHT])
BY_NAME = {function.__name__: function for function in RIGHT}
X = torch.tensor([1.0, 2.0])


def run(name, function):
    the_check = BY_NAME[name]
    the_check(function, "b") if the_check in WITH_LETTER else the_check(function)


def said(function, *args):
    with pytest.raises(CheckFailed) as failure:
        answer(function, *args)
    return str(failure.value)


# Every check.


def test_the_fuzz_knows_every_check():
    public = {
        function
        for lesson in LESSONS
        for name, function in vars(lesson.checks).items()
        if inspect.isfunction(function) and function.__module__ == lesson.checks.__name__ and name[0] != "_"
    }
    assert public == set(RIGHT)


@each_check
def test_a_check_lets_the_right_answer_pass_and_says_so_in_one_line(name, capsys):
    state = torch.get_rng_state()
    run(name, RIGHT[BY_NAME[name]])
    assert capsys.readouterr().out.startswith(f"{name}: correct. ")
    assert torch.equal(state, torch.get_rng_state())


@each_check
@pytest.mark.parametrize(
    "own",
    [
        metrics.ndcg,
        diffusion.offset_noise,
        layers.CondLN(4),
        functools.partial(diffusion.schedule, "linear"),
        diffusion.GaussianDiffusion.of("linear", 4).posterior,
        lessons.step_skipping.figures.share_of_noise,
    ],
    ids=lambda own: getattr(own, "__name__", type(own).__name__),
)
def test_a_check_refuses_a_function_of_the_package(name, own):
    with pytest.raises(CheckFailed, match="the package's own function"):
        run(name, own)


@each_check
def test_a_check_knows_a_stub_from_an_error(name):
    def unsolved(*args):
        raise NotImplementedError()

    def softmax_of_integers(*args):
        return torch.tensor([1, 2]).softmax(-1)

    with pytest.raises(CheckFailed, match="unsolved is still to be written"):
        run(name, unsolved)
    with pytest.raises(CheckFailed, match=r"`return torch.tensor\(\[1, 2\]\).softmax\(-1\)`, with NotImplementedError"):
        run(name, softmax_of_integers)


@pytest.mark.parametrize(
    ("body", "says"), [("raise NotImplementedError()", "still to be written"), ("return -x0", "wrong values")]
)
def test_a_notebook_shows_the_message_of_a_failed_check_and_nothing_else(body, says, capsys):
    shell = InteractiveShell(history_manager=None)
    shell.run_cell("from diffrec_lite.lessons import forward_noising as lesson")
    shell.run_cell(f"def noise_chain(x0, beta, noise):\n    {body}")
    ran = shell.run_cell("lesson.checks.noise_chain(noise_chain)")
    assert isinstance(ran.error_in_exec, CheckFailed)
    shown = capsys.readouterr().out.strip()
    assert shown == f"CheckFailed: {ran.error_in_exec}" and says in shown and "\n" not in shown


@each_check
def test_leaving_the_notebook_is_a_mistake_and_interrupting_it_is_not(name):
    def leaves(*args):
        sys.exit()

    def interrupted(*args):
        raise KeyboardInterrupt

    with pytest.raises(CheckFailed, match=r"leaves stopped in line \d+, `sys.exit\(\)`, with SystemExit"):
        run(name, leaves)
    with pytest.raises(KeyboardInterrupt):
        run(name, interrupted)


def test_odd_answers_neither_pass_nor_make_a_check_stumble():
    found = list(fuzz(380, seed=5))
    assert [each for each in found if each[2] not in GOOD] == []
    assert {end for _, _, end in found} == set(GOOD)


# A value and its diagnosis, for every `compare` that a right answer passes on its way.


@each_check
def test_each_diagnosis_belongs_to_one_value(name, monkeypatch):
    calls = []

    def record(name, yours, right, mistakes=None, tolerance=1e-5):
        calls.append((torch.as_tensor(right, dtype=torch.float64), mistakes or {}))

    for lesson in LESSONS:
        if hasattr(lesson.checks, "compare"):
            monkeypatch.setattr(lesson.checks, "compare", record)
    run(name, RIGHT[BY_NAME[name]])
    never_told = {diagnosis for _, mistakes in calls for diagnosis in mistakes}
    for right, mistakes in calls:
        values = {diagnosis: torch.as_tensor(wrong, dtype=torch.float64) for diagnosis, wrong in mistakes.items()}
        # A mistake that makes no difference to these inputs is let through, and may show on the next ones.
        first_seen = {d for d, value in values.items() if d in never_told and not close(value, right)}
        alike = [(d, e) for d in first_seen for e, value in values.items() if d != e and close(values[d], value)]
        assert alike == []
        never_told -= first_seen
    assert never_told == set()


# Calling the learner's function.


def test_the_line_of_an_error_is_told():
    def helper(x):
        return x[7]

    def with_helper(x):
        y = 2 * x
        return helper(y)

    def in_torch(x):
        return torch.nn.functional.linear(x, torch.ones(3, 3))

    message = said(with_helper, X)
    line = helper.__code__.co_firstlineno + 1
    assert f"with_helper stopped in line {line}, `return x[7]`, with IndexError: index 7" in message
    assert message.endswith("(called with x (2,))")
    assert "`return torch.nn.functional.linear(x, torch.ones(3, 3))`, with RuntimeError" in said(in_torch, X)


def test_a_stub_is_bare_and_the_functions_own():
    class Abstract:
        def forward(self):
            raise NotImplementedError

    def stub(x):
        raise NotImplementedError

    def with_words(x):
        raise NotImplementedError("no idea yet")

    def calls_abstract(x):
        return Abstract().forward()

    class Callable:
        def __call__(self, x):
            raise NotImplementedError

    for unsolved in (stub, functools.partial(stub), functools.lru_cache(stub), Callable()):
        assert "still to be written" in said(unsolved, X)
    assert "with NotImplementedError: no idea yet" in said(with_words, X)
    assert "`raise NotImplementedError`, with NotImplementedError" in said(calls_abstract, X)


def test_what_cannot_be_called_is_said():
    assert "itself; this is a Tensor" in said(X)
    assert "itself; this is None" in said(None)
    assert "cannot be called with 1 argument:" in said(lambda: 1, X)
    assert "cannot be called with 2 arguments:" in said(lambda x: 1, X, X)
    assert "with TypeError" in said(max, 1)


def test_an_error_that_cannot_say_what_it_is_is_still_told():
    class MuteError(Exception):
        def __str__(self):
            raise ValueError

    def mute(x):
        raise MuteError

    assert "MuteError" in said(mute, X)


def add_in_place(x):
    x += 1
    return x


def order_in_place(x):
    x["time"] = sorted(x["time"])
    return x


@pytest.mark.parametrize(
    ("function", "argument"),
    [
        (add_in_place, torch.zeros(2)),
        (lambda x: x.resize_(1), torch.zeros(2)),
        (lambda x: x.transpose_(0, 1), torch.zeros(2, 3)),
        (lambda x: x.pop(), [1, 2]),
        (lambda x: x[0].append(3) or x, [[1, 2]]),
        (order_in_place, pd.DataFrame({"time": [2, 1]})),
        (lambda x: x.insert(0, "new", 0) or x, pd.DataFrame({"time": [2, 1]})),
    ],
)
def test_an_overwritten_argument_is_told(function, argument):
    before = argument.clone() if isinstance(argument, torch.Tensor) else repr(argument)
    assert "overwrites its argument x" in said(function, argument)
    same = torch.equal(before, argument) if isinstance(argument, torch.Tensor) else before == repr(argument)
    assert same, "the check's own value was overwritten too"


def test_a_generator_is_handed_over_itself():
    generator = torch.Generator().manual_seed(0)
    first = answer(lambda g: torch.rand(1, generator=g), generator)
    assert not torch.equal(first, answer(lambda g: torch.rand(1, generator=g), generator))


def test_a_check_sees_the_same_random_numbers_and_moves_none():
    seen = []
    looks = check(lambda: seen.append(torch.rand(1)))
    state = torch.get_rng_state()
    looks()
    assert torch.equal(state, torch.get_rng_state())
    torch.manual_seed(99)
    looks()
    assert torch.equal(seen[0], seen[1])


# Reading what comes back.


@pytest.mark.parametrize(
    "value",
    [3, 3.0, Fraction(3), np.float32(3), np.array(3), torch.tensor(3), torch.tensor(3.0, requires_grad=True)],
    ids=lambda value: type(value).__name__,
)
def test_a_number_may_come_in_any_dress(value):
    assert torch.equal(numbers("it", value, ()), torch.tensor(3.0, dtype=torch.float64))


@pytest.mark.parametrize(
    ("value", "phrase"),
    [
        (None, "should be numbers, but it is None"),
        (True, "should be numbers, but it is True"),
        ("0.5", "it is '0.5', a string"),
        ([1, [2]], "it is a list"),
        ({}, "it is a dict"),
        (1j, "it is a complex"),
        (10**400, "it is a int"),
        (np.array([True]), "it is a ndarray"),
        (torch.tensor([True]), "it is a tensor of torch.bool"),
        (torch.tensor([1j]), "it is a tensor of torch.complex64"),
        (torch.ones(2).to("meta"), "it is a Tensor"),
        (torch.ones(2).to_sparse(), "it is a Tensor"),
        (torch.ones(1).expand(10**5, 10**5), "far too large"),
        (torch.ones(1), "has shape (1,), but it should be a single number"),
        (math.nan, "holds NaN"),
        (0.6, "the largest difference is 0.1"),
    ],
)
def test_what_is_no_right_number_gets_a_sentence(value, phrase):
    with pytest.raises(CheckFailed) as failure:
        compare("it", value, 0.5)
    assert phrase in str(failure.value)


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_the_tolerance_goes_with_the_size_of_the_numbers(size):
    right = size * torch.tensor([1.0, 0.5, 0.0], dtype=torch.float64)
    assert close(right * (1 + 5e-6), right)
    assert close(right + 5e-7 * size, right)
    assert not close(right * (1 + 5e-5), right)
    assert not close(right + 1e-4 * size, right)


@pytest.mark.parametrize("given", ["b", "B", " b ", "(b)", "b)", '"b"', "b."])
def test_a_letter_may_come_in_any_dress(given):
    letter("it", given, "b", {"a": "not a"})


@pytest.mark.parametrize(
    ("given", "phrase"),
    [("A ", "not a"), ("", "it is ''"), ("bb", "it is 'bb'"), (2, "it is 2"), (None, "it is None"), (["b"], "it is")],
)
def test_another_letter_gets_its_own_answer(given, phrase):
    with pytest.raises(CheckFailed, match=phrase):
        letter("it", given, "b", {"a": "not a"})


def test_truths_are_true_or_false():
    assert truths("it", {"x": np.bool_(True), "y": torch.tensor(False)}, ("y", "x")) == [False, True]
    for wrong in ("False", 0.3, None, torch.tensor([True, False])):
        with pytest.raises(CheckFailed, match='"x" should be True or False'):
            truths("it", {"x": wrong}, ("x",))
    for wrong in ({"y": True}, {}, {"x": True, "y": True}, [True], Counter()):
        with pytest.raises(CheckFailed, match="with the keys x"):
            truths("it", wrong, ("x",))
