"""Kill training at many moments, and see that nothing is lost: neither the older run nor the way to the newer one.

    python tools/kill_runs.py --kills 200 --seed 0

Three things are killed (SIGKILL): a first training, one that extends a run, and one that replaces a run of another
model. Half of the kills come after a random time, half right before or after a random change of the disk. After each,
`evaluate` must give the result of the older run or of an epoch of the newer one (a first training may have none yet),
and `train --resume`, or `--overwrite` where the older run still stands, must end with the files of an undisturbed run,
byte for byte. Needs fork and SIGKILL, so not Windows.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from tqdm import tqdm

from diffrec_lite import cli

KINDS = ("first", "extend", "replace")
EPOCHS = 4
COMPARED = ("model.safetensors", "config.json", "items.csv", "history.csv")


class Killer:
    """What undisturbed runs leave, and then one kill after another, in folders below `place`."""

    def __init__(self, place: Path) -> None:
        # Not of this process, whose GPU a fork could not use, but of a server that has loaded what every child needs.
        self.children = multiprocessing.get_context("forkserver")
        self.children.set_forkserver_preload(
            ["torch._dynamo", "diffrec_lite.cli", "diffrec_lite.training.run", __name__]
        )
        self.place = place
        self.data = place / "log.csv"
        rows = (f"u{u},i{(u * 5 + j * (1 + u % 3)) % 12},{j}" for u in range(24) for j in range(6))
        self.data.write_text("user_id,item_id,timestamp\n" + "\n".join(rows) + "\n")
        self.stages = []
        self.before = {"first": None, "extend": place / "short", "replace": place / "other"}
        self.whole = place / "whole"
        for epochs in range(1, EPOCHS + 1):
            self.train(self.whole, "--resume", epochs=epochs)
            self.stages.append(self.evaluate(self.whole))
            if epochs == 1:
                shutil.copytree(self.whole, self.before["extend"])
        self.in_child(["train", "popularity", "--dataset", self.data, "--out", self.before["replace"]])
        begun = time.perf_counter()
        self.train(place / "again")
        self.seconds = time.perf_counter() - begun
        self.same(place / "again")

    def command(self, out: Path, *more: str, epochs: int = EPOCHS) -> list[object]:
        small = ["--set", "d=8", "--set", "heads=2", "--set", "blocks=1", "--set", "batch_size=32"]
        still = ["--device", "cpu", "--precision", "fp32", "--set", "patience=9", "--epochs", epochs]
        return ["train", "sasrec", "--dataset", self.data, "--out", out, *small, *still, *more]

    def train(self, out: Path, *more: str, epochs: int = EPOCHS) -> None:
        """A whole training in a process of its own."""
        code = self.in_child(self.command(out, *more, epochs=epochs))
        assert code == 0, f"training {more} ended with {code}"

    def in_child(self, arguments: list[object], after: float | None = None, change: int | None = None) -> int:
        """Run a command in a child that is killed after some seconds, or at a change; its exit code (-9: killed)."""
        child = self.children.Process(target=_run, args=(arguments, change))
        child.start()
        child.join(after)
        if child.is_alive():
            os.kill(child.pid, signal.SIGKILL)
        child.join()
        return child.exitcode

    def evaluate(self, folder: Path) -> dict[str, object] | None:
        """What `evaluate --json` says; None where it says no."""
        out = io.StringIO()
        try:
            with redirect_stdout(out), redirect_stderr(io.StringIO()):
                cli.app(["evaluate", str(folder), "--json", "--device", "cpu"], standalone_mode=False)
        except ValueError:
            return None
        return json.loads(out.getvalue())

    def same(self, folder: Path) -> None:
        for name in COMPARED:
            assert (folder / name).read_bytes() == (self.whole / name).read_bytes(), f"{name} is another one"
        records = (json.loads((where / "run.json").read_text()) for where in (folder, self.whole))
        one, other = ({key: record[key] for key in ("history", "val", "test", "best_epoch")} for record in records)
        assert one == other, "run.json tells something else"
        left = [path.name for path in folder.iterdir() if path.name.endswith(".partial")]
        assert not left, f"left over: {left}"

    def kill(self, kind: str, after: float | None = None, change: int | None = None) -> str:
        """Kill one training and check what is left; says what was found. Raises AssertionError."""
        folder, before = self.place / "victim", self.before[kind]
        shutil.rmtree(folder, ignore_errors=True)
        if before is not None:
            shutil.copytree(before, folder)
        more = {"first": (), "extend": ("--resume",), "replace": ("--overwrite",)}[kind]
        if self.in_child(self.command(folder, *more), after, change) == 0:
            self.same(folder)
            return "finished"
        older = None if before is None else self.evaluate(before)
        found = self.evaluate(folder)
        assert found in [older, *self.stages], f"neither the older result nor the newer: {found}"
        if self.in_child(self.command(folder, "--resume")) != 0:
            assert kind == "replace" and found == older, "--resume does not go on"
            self.train(folder, "--overwrite")
        self.same(folder)
        return "nothing yet" if found is None else "older" if found == older else "newer"


def _run(arguments: list[object], change: int | None) -> None:
    """In the child: run a command, silently, and die by its own hand right before or after a change of the disk."""
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115 (for as long as the child lives)
    tqdm.set_lock(threading.RLock())  # its usual one is shared, and stays locked if its holder is killed
    if change is not None:
        _die_at(change)
    try:
        cli.app([str(argument) for argument in arguments], standalone_mode=False)
    except ValueError:
        sys.exit(2)


def _die_at(change: int) -> None:
    """Arrange for death right before (an even number) or right after (an odd one) the change of number change // 2."""
    count = 0

    def counted(function):
        def wrapped(*arguments, **keywords):
            nonlocal count
            turn, count = count, count + 1
            if turn == change // 2 and change % 2 == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            result = function(*arguments, **keywords)
            if turn == change // 2:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return wrapped

    for name in ("replace", "unlink", "fsync"):
        setattr(os, name, counted(getattr(os, name)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    dice, found = random.Random(options.seed), Counter()
    with tempfile.TemporaryDirectory() as place:
        killer = Killer(Path(place))
        for i in range(options.kills):
            kind = KINDS[i % 3]
            moment = {"change": dice.randrange(250)} if i % 2 else {"after": dice.uniform(0, 1.1 * killer.seconds)}
            try:
                found[f"{kind}: {killer.kill(kind, **moment)}"] += 1
            except AssertionError as problem:
                sys.exit(f"kill {i} of {kind} at {moment}: {problem}")
    for what, times in sorted(found.items()):
        print(f"{times:4} {what}")
    print(f"{options.kills} kills, nothing lost")


if __name__ == "__main__":
    main()
