"""The class, spread over the processors: workers that run a lesson's set-up once and fork for every answer."""

from __future__ import annotations

import contextlib
import gc
import io
import json
import multiprocessing
import os
import shutil
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from grading.lesson import Exercise, Lesson
from grading.verdict import Status, Verdict

GRACE = 30  # seconds in which the check itself must come to an end
ENVIRONMENT = {"CUDA_VISIBLE_DEVICES": "", "MPLBACKEND": "agg", "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
# Loaded once, by the process from which all workers are forked. An optimizer loads torch._dynamo when it is first made.
PRELOAD = ["torch", "torch._dynamo", "pandas", "IPython.display"]
HELP = "It passes with the learner's own cells above it, not without them."


@dataclass(frozen=True)
class Task:
    """An answer to grade, and, where the learner has cells of their own above its check, those and the answer."""

    lesson: Lesson
    exercise: Exercise
    answer: str
    own: tuple[str, ...] = ()


def grade_all(tasks: Sequence[Task], seconds: int, done: Callable[[], object] = lambda: None) -> list[Verdict]:
    """The verdict on each task, in their order. An answer has `seconds`; `done()` is called after each."""
    processors = os.cpu_count() or 1
    topics = sorted({task.lesson.name.split("_", 1)[1] for task in tasks})
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*PRELOAD, *(f"diffrec_lite.lessons.{topic}" for topic in topics)])
    of_lesson: dict[str, list[int]] = {}
    for place, task in enumerate(tasks):
        of_lesson.setdefault(task.lesson.name, []).append(place)
    longest = -(-len(tasks) // processors)
    parts = [p[k::cuts] for p in of_lesson.values() for cuts in [-(-len(p) // longest)] for k in range(cuts)]
    verdicts: dict[int, Verdict] = {}

    def work(places: list[int]) -> None:
        for place, verdict in zip(places, _worker([tasks[place] for place in places], seconds), strict=True):
            verdicts[place] = verdict
            done()

    with ThreadPoolExecutor(processors) as pool:
        list(pool.map(work, parts))
    return [verdicts[place] for place in range(len(tasks))]


def _worker(tasks: Sequence[Task], seconds: int) -> Iterator[Verdict]:
    """Yield the verdict on each task, all of one lesson, from one worker process."""
    context = multiprocessing.get_context("forkserver")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, tasks[0].lesson, seconds), daemon=True)
    process.start()
    theirs.close()
    try:
        for place, task in enumerate(tasks):
            try:
                # One at a time: no other learner's answer is in the worker's memory.
                ours.send((task.lesson.exercises.index(task.exercise), task.answer, task.own))
                status, words, notes = ours.recv()
            except (EOFError, OSError):
                process.join()
                why = f"The grader's own process ended with exit code {process.exitcode}."
                yield from [Verdict(Status.BROKEN, why)] * (len(tasks) - place)
                return
            yield Verdict(Status(status), words, tuple(notes))
    finally:
        ours.close()
        process.join()


def _serve(connection: Connection, lesson: Lesson, seconds: int) -> None:
    """In the worker: run the set-up, then grade what comes until nobody asks any more."""
    os.environ.update(ENVIRONMENT)
    namespace = {"__name__": "__main__"}
    with contextlib.redirect_stdout(io.StringIO()):
        exec("from IPython.display import display", namespace)
        exec(compile(lesson.setup, "<set-up>", "exec"), namespace)
    gc.freeze()  # what is never collected is never written to, and stays shared with the children
    while True:
        try:
            place, answer, own = connection.recv()
        except EOFError:
            return
        exercise = lesson.exercises[place]
        verdict = _graded(lesson, exercise, [answer], namespace, seconds)
        if own and verdict.status in (Status.FAILED, Status.UNANSWERED):
            with_own = _graded(lesson, exercise, own, namespace, seconds)
            if with_own.passed:
                verdict = Verdict(Status.PASSED, with_own.words, (HELP,))
        connection.send((str(verdict.status), verdict.words, verdict.notes))


def _graded(lesson: Lesson, exercise: Exercise, cells: Sequence[str], namespace: dict, seconds: int) -> Verdict:
    """The verdict on `cells`, in a process that has run the cells of the course which they read from."""
    from grading.attempt import attempt
    from grading.child import EndedError, OutOfTimeError, in_child

    folder = Path(tempfile.mkdtemp(prefix="answer-"))

    def work(_pipe: int) -> bytes:
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                for cell in lesson.before(exercise, cells):
                    exec(compile(cell, "<the course>", "exec"), namespace)
                verdict = attempt(cells, exercise.check, exercise.wanted, namespace, folder, seconds)
        except Exception as problem:  # the check met what it cannot deal with
            what = "".join(traceback.format_exception_only(problem)).strip()
            verdict = Verdict(Status.BROKEN, f"The check itself stopped with {what}")
        return json.dumps([verdict.status, verdict.words]).encode()

    try:
        status, words = json.loads(in_child(work, seconds + GRACE))
        return Verdict(Status(status), words)
    except OutOfTimeError:
        return Verdict(Status.TIME, "The check did not end with what the answer returned.")
    except EndedError as problem:
        return Verdict(Status.BROKEN, f"While it was checked, {problem}.")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
