"""Type odd commands: each must work or say in one line what is wrong, and none may touch what it was not told to.

    python tools/fuzz_commands.py --commands 500 --seed 0

Odd are the values of options, the files and the folders they name, and which options meet. All but a few commands are
called in this process; the few run as a program whose output goes to a terminal of another encoding, or nowhere.
Returns 1 for a traceback, an error that is more than a line, output that is no JSON where JSON was asked for, a run or
a file that changed though nobody said so, and a result about other items than those the model was trained on.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from contextlib import chdir, redirect_stderr, redirect_stdout
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import torch

from diffrec_lite import cli, models
from diffrec_lite.data import DataError, load
from diffrec_lite.data.files import parse_columns

ITEMS = ["a,b", 'say "hi"', "[/b]", ":book:", "é", "日本", "007", "NA", "-1", "#1", "plain", "two words"]
HEADER = "user_id,item_id,timestamp\n"
ODD = [
    *["", " ", "0", "-1", "1.5", "1e400", "nan", "inf", "99999999999999999999", "0x10", "١٢", "none", "true", "NaN"],
    *["é", "\udcff", "a\nb", "[/b]", "%s", "'", '"', "\\", "-", "--", "--json", "x=1", "=", ",", "a,,b", "x" * 5000],
    *[".", "..", "../here", "~nobody/x", "/dev/null", "/dev/null/x", "/nowhere/at/all", "no\udcffutf8", "CON", "*"],
]
ENDS = ("worked", "clean error", "traceback", "no clean error", "no JSON", "touched", "other items")
GOOD = ENDS[:2]


class Call(NamedTuple):
    """How a command ended: its exit code, or the exception that nobody caught, and what it printed."""

    code: int | str
    out: str
    err: str


def call(arguments: list[object]) -> Call:
    """Run a command in this process, as `diffrec-lite` would."""
    out, err, argv, threads = io.StringIO(), io.StringIO(), sys.argv, torch.get_num_threads()
    sys.argv = ["diffrec-lite", *map(str, arguments)]
    code: int | str = 0
    try:
        with redirect_stdout(out), redirect_stderr(err), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            cli.main()
    except SystemExit as stop:
        code = stop.code or 0
    except BaseException as problem:
        code = f"{type(problem).__name__}: {problem}"
    finally:
        sys.argv = argv
        torch.set_num_threads(threads)
    return Call(code, out.getvalue(), err.getvalue())


def prepare(place: Path) -> None:
    """Data, good and odd, and three runs, all in `place`, which is the current folder."""
    rows = [(u, (u + j * (1 + u % 3)) % 12, j) for u in range(9) for j in range(5)]
    quoted = [f'"{item.replace(chr(34), chr(34) * 2)}"' for item in ITEMS]
    files = {
        "log.csv": HEADER + "".join(f"reader {u},{quoted[i]},{j}\n" for u, i, j in rows),
        "shuffled.csv": HEADER + "".join(f"reader {u},{quoted[i]},{j}\n" for u, i, j in reversed(rows)),
        "other.csv": HEADER + "".join(f"reader {u},plum {i},{j}\n" for u, i, j in rows),
        "one_other.csv": HEADER + "".join(f"reader {u},{(['x', *quoted])[i]},{j}\n" for u, i, j in rows),
        "names.csv": "userId,movieId,rating,when\n" + "".join(f"{u},{quoted[i]},5,{j}\n" for u, i, j in rows),
        "pairs.csv": HEADER + "".join(f"{u},{i},{j}\n" for u, i, j in rows if j < 2),
        "tiny.csv": HEADER + "u,a,1\n",
        "header.csv": HEADER,
        "empty.csv": "",
        "semicolons.csv": HEADER.replace(",", ";") + "u;a;1\n",
        "readers.csv": "user_id,item_id\n" + "".join(f"reader {u},{quoted[i]}\n" for u, i, _ in rows),
        "unknown.csv": "user_id,item_id\nu,nobody\n",
        "log.item": "item_id:token\ttitle:token_seq\n" + "".join(f"{item}\tEnds {item} [/b]\n" for item in ITEMS),
        "ratings.dat": "1::2::3::4\n",
        "mine/history.csv": "mine",
        "mine/notes.txt": "mine",
        "full/log.csv": HEADER + "u,a,1\nu,b,2\nu,c,3\n",
        "full/other.csv": HEADER + "u,a,1\n",
        "not_a_run/config.json": '{"model": "SASRec", "num_items": 12}',
    }
    for name, text in files.items():
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_text(text, encoding="utf-8")
    (place / "folder.csv").mkdir()
    (place / "link").symlink_to("nowhere")
    for out, more in (("counted", ["popularity"]), ("trained", ["sasrec", *SMALL]), ("plums", ["markov"])):
        data = "other.csv" if out == "plums" else "log.csv"
        done = call(["train", *more, "--dataset", data, "--out", out])
        assert done.code == 0, done.err


SMALL = ["--set", "d=4", "--set", "heads=1", "--set", "blocks=1", "--set", "batch_size=64", "--set", "epochs=1"]
TABLES = ["log.csv", "shuffled.csv", "other.csv", "one_other.csv", "names.csv", "pairs.csv", "tiny.csv", "header.csv"]
TABLES += ["empty.csv", "semicolons.csv", "folder.csv", "full", "mine", "link", "counted", "log.item", "log.cvs", "log"]
RUNS = ["counted", "trained", "plums", "mine", "not_a_run", "log.csv", "link", "nowhere", "full"]
OUTS = ["new", "newer", *RUNS, "folder.csv"]
MAPPED = ["user=userId,item=movieId,time=when", "user=userId", "user=userId,item=userId", "time=when,time=when", "a=b"]
SETTINGS = ["d", "heads", "blocks", "lr", "epochs", "patience", "dropout", "max_len", "batch_size", "val_users", "nope"]
VALUES = ["0", "-1", "1", "2", "3", "nan", "inf", "1e39", "1e-400", "none", "true", "", "x", "10000000000000", "9" * 30]
HISTORIES = [*ITEMS, '"a,b",plain', "plain,007,é", "plain, NA", '"say ""hi""",plain', '"', "plain,", ",", "nobody", "7"]


def any_of(draw: random.Random, values: list[str], odd: float = 0.07) -> str:
    return draw.choice(ODD) if draw.random() < odd else draw.choice(values)


def options(draw: random.Random, **choices: list[str] | None) -> list[str]:
    """Some of these options, each with one of its values; None is for a flag."""
    found = []
    for name, values in choices.items():
        if draw.random() < 0.2:
            found += [f"--{name.replace('_', '-')}", *([] if values is None else [any_of(draw, values)])]
    return found


def command(draw: random.Random) -> list[str]:
    """An odd command."""
    numbers, seeds = ["1", "2", "5", "12"], ["0", "1", "7", str(2**63 - 1), str(2**63)]
    devices, kinds = ["cpu"] * 9 + ["cuda", "mps", "tpu"], ["csv", "parquet"]
    shared = {"seed": seeds, "device": devices}
    kind = draw.choice(["train"] * 4 + ["evaluate"] * 4 + ["recommend"] * 5 + ["data", "data", "other"])
    if kind == "train":
        model = any_of(draw, ["popularity", "markov", "gap", "sasrec", "sasrec"], 0.05)
        line = [model, "--dataset", any_of(draw, TABLES[:5] * 3 + TABLES), "--out", any_of(draw, OUTS)]
        line += options(
            draw, precision=["fp32", "auto", "fp8"], preset=["quick", "narrow", "papers"], epochs=["1", "0", "2"]
        )
        line += options(draw, columns=MAPPED, resume=None, overwrite=None, **shared)
        if model == "sasrec":
            line += SMALL
        if draw.random() < 0.4:
            line += ["--set", any_of(draw, [f"{draw.choice(SETTINGS)}={draw.choice(VALUES)}"])]
    elif kind == "evaluate":
        line = [any_of(draw, RUNS[:3] * 4 + RUNS), *options(draw, json=None, filter_seen=None, **shared)]
        line += options(draw, split=["val", "test", "train"], steps=numbers, batch_size=numbers, columns=MAPPED)
        line += options(draw, dataset=TABLES[:5] * 2 + TABLES)
    elif kind == "recommend":
        line = [any_of(draw, RUNS[:3] * 4 + RUNS), *options(draw, json=None, filter_seen=None, k=numbers, **shared)]
        files = ["readers.csv"] * 9 + ["unknown.csv", "log.csv", *TABLES]
        way, choices = draw.choice([("--history", HISTORIES), ("--history-file", files)])
        line += [way, any_of(draw, choices)] if draw.random() < 0.95 else []
        more = {"out": [f"answers.{draw.choice(kinds)}", "answers", "mine/notes.txt", "log.csv"], "columns": MAPPED}
        line += options(draw, steps=numbers, **(more if way == "--history-file" or draw.random() < 0.1 else {}))
        line += options(draw, history=["plain"], history_file=["readers.csv"]) if draw.random() < 0.1 else []
    elif kind == "data":
        names = ["toys", "beauty", "ml-1m", "yelp", "bookshop", "nope"]
        files = ["log.csv", "ratings.dat", "names.csv", "tiny.csv", "empty.csv", "full", "nowhere"]
        line = ["prepare", any_of(draw, names), "--from", any_of(draw, files), "--out", any_of(draw, ["made", "full"])]
    else:
        return draw.choice([[], ["--help"], ["nope"], ["data"], ["data", "list"], ["train"], ["evaluate", "--help"]])
    return [kind, *line]


def fingerprints(place: Path) -> dict[str, str]:
    """Every file below a place, hidden ones left out, as seen from the current folder, and what is in it."""
    files = (path for path in place.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {os.path.relpath(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def may_change(line: list[str], name: str, new: bool) -> bool:
    """Whether a command was told to write this file, or to replace it."""
    told = [os.path.normpath(value) for option, value in pairwise(line) if option == "--out"]
    if not told:
        return False
    if line[0] == "recommend":
        return told[-1] == name
    replaces = line[0] != "train" or "--overwrite" in line or "--resume" in line
    return told[-1] == (os.path.dirname(name) or ".") and (new or replaces)


def verdict(line: list[str], done: Call, before: dict[str, str], after: dict[str, str]) -> str:
    """How a command ended: one of ENDS."""
    if not isinstance(done.code, int):
        return "traceback"
    if done.code not in (0, 2):
        return "no clean error"
    changed = [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]
    if not all(may_change(line, name, name not in before) for name in changed):
        return "touched"
    if done.code == 2:
        said = [text for text in done.err.splitlines() if text.startswith("error: ")]
        help_was_asked = line[-1:] == ["data"] or not line
        return (
            "clean error" if help_was_asked or (len(said) == 1 and len(said[0]) > len("error: ")) else "no clean error"
        )
    if "--json" in line and line[0] in ("evaluate", "recommend") and "--help" not in line and "--out" not in line:
        try:
            json.loads(done.out, parse_constant=_refuse)
        except ValueError:
            return "no JSON"
    return "worked" if about_its_own_items(line) else "other items"


def about_its_own_items(line: list[str]) -> bool:
    """Whether the data of an `evaluate` that worked have the items of the model."""
    if line[0] != "evaluate" or "--dataset" not in line:
        return True
    last = len(line) - 1 - line[::-1].index("--dataset")
    columns = line[len(line) - line[::-1].index("--columns")] if "--columns" in line else None
    try:
        data = load(line[last + 1], columns=None if columns is None else parse_columns(columns))
    except (AttributeError, DataError):
        return True
    return set(data.item_tokens) == set(models.load(line[1]).catalogue.tokens)


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


def as_program(line: list[str], draw: random.Random) -> Call:
    """Run a command as a program, with an output that is odd too."""
    encoding = draw.choice(["ascii", "cp1252", "latin-1", "utf-16", "utf-8"])
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "LC_ALL": "C", "PYTHONPATH": str(ROOT)}
    where = draw.choice([subprocess.PIPE, subprocess.PIPE, "/dev/full", None])
    program = [sys.executable, "-m", "diffrec_lite", *(os.fsencode(part) for part in line)]
    if where is None:
        program = ["sh", "-c", '"$@" >&-', "sh", *program]
    with open(where if isinstance(where, str) else os.devnull, "w") as full:
        out = full if isinstance(where, str) else subprocess.PIPE
        done = subprocess.run(program, env=environment, stdout=out, stderr=subprocess.PIPE, timeout=600)
    err = done.stderr.decode(encoding, "replace")
    if "Traceback" in err or "Exception ignored" in err:
        return Call(err.strip().splitlines()[-1], "", err)
    shown = (done.stdout or b"").decode(encoding, "replace")
    return Call(done.returncode, shown if where == subprocess.PIPE else "null", err)


ROOT = Path(__file__).resolve().parents[1]


def fuzz(commands: int, seed: int, place: Path, programs: int = 0) -> tuple[dict[str, Counter], list[str]]:
    """How often each command ended how, and what is to be mended. The last `programs` commands run as programs."""
    found: dict[str, Counter] = {}
    faults = []
    here = place / "a" / "b"
    here.mkdir(parents=True)
    with chdir(here):
        prepare(here)
        shutil.copytree(here, whole := place / "whole", symlinks=True)
        before = fingerprints(place)
        for i in range(commands):
            draw = random.Random(f"{seed}-{i}")
            line = command(draw)
            done = as_program(line, draw) if i >= commands - programs else call(line)
            end = verdict(line, done, before, after := fingerprints(place))
            found.setdefault((line or ["nothing"])[0], Counter())[end] += 1
            if end not in GOOD:
                faults.append(f"command {i}: {end}: {line}: {done.code} {done.err.strip()[-300:]}")
            if after != before:  # the next command finds everything as it was
                for path in here.iterdir():
                    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
                shutil.copytree(whole, here, symlinks=True, dirs_exist_ok=True)
    return found, faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--commands", type=int, default=500)
    parser.add_argument("--programs", type=int, default=12, help="how many of them run as a program of their own")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        found, faults = fuzz(given.commands, given.seed, Path(place).resolve(), given.programs)
    width = max(map(len, found))
    print(" " * width, *(f"{end:>14}" for end in ENDS))
    for name, ends in [*sorted(found.items()), ("all", sum(found.values(), Counter()))]:
        print(name.ljust(width), *(f"{ends[end]:>14}" for end in ENDS))
    print(*faults, sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
