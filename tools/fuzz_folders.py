"""Damage run folders: each command must say so, or give what it gave before the damage.

    python tools/fuzz_folders.py --folders 500 --seed 0

One to three things happen to each folder: a file is cut, emptied, lost, overwritten in places, taken from another run
or turned into a folder or a dead link, JSON says something else, or a whole file says what another version might have
written. Then `evaluate`, `recommend`, `train --resume` and `models.load` meet it. Returns 1 for a traceback, and for a
result that is not that of the run whose file is there, unless that file was written whole like this.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import tempfile
from collections import Counter
from contextlib import chdir
from pathlib import Path

import torch
from fuzz_commands import call

from diffrec_lite import models
from diffrec_lite.models.packed import pack, unpack

FILES = ["model.safetensors", "checkpoint.safetensors", "config.json", "run.json", "history.csv", "items.csv"]
COMMANDS = ("evaluate", "recommend", "resume", "load")
ENDS = ("as before", "as rewritten", "clean error", "traceback", "something else")
GOOD = ENDS[:3]
TRAINED = ["d=4", "heads=1", "blocks=1", "batch_size=64", "epochs=1", "max_len=6"]
# What is trained, on which data. The last four are there to be mixed up with the first three.
RUNS = {
    "sasrec": ["sasrec", *TRAINED],
    "dcrec": ["dcrec", *TRAINED, "T=8"],
    "markov": ["markov"],
    "another seed": ["sasrec", *TRAINED],
    "other items": ["sasrec", *TRAINED],
    "longer": ["sasrec", *(setting for setting in TRAINED if setting != "max_len=6"), "max_len=5"],
    "more steps": ["dcrec", *TRAINED, "T=9"],
}
VICTIMS = list(RUNS)[:3]
REWRITTEN: set[bytes] = set()  # whole files of another version
ODD = [None, True, -1, 0, 1, 7, 1.5, 1e308, 10**30, "", "x", "SASRec", "DCRec", [], {}, [1], {"a": 1}]


class World:
    """Whole runs in the current folder, and what each of them gives."""

    def __init__(self) -> None:
        for name, prefix in (("log.csv", "i"), ("plums.csv", "plum ")):
            rows = (f"u{u},{prefix}{(u * 5 + j * (1 + u % 3)) % 12},{j}" for u in range(24) for j in range(6))
            Path(name).write_text("user_id,item_id,timestamp\n" + "\n".join(rows) + "\n")
        for run in RUNS:
            assert (done := call(self.training(run, f"whole/{run}"))).code == 0, done.err
        self.weights = {Path(f"whole/{run}/model.safetensors").read_bytes(): run for run in RUNS}
        self.before = {run: {name: self.ask(name, run, f"whole/{run}")[1] for name in COMMANDS} for run in RUNS}

    def training(self, run: str, out: str) -> list[str]:
        model, *settings = RUNS[run]
        data = "plums.csv" if run == "other items" else "log.csv"
        line = ["train", model, "--dataset", data, "--out", out, "--device", "cpu", "--precision", "fp32"]
        line += ["--seed", "1"] if run == "another seed" else []
        return line + [part for setting in settings for part in ("--set", setting)]

    def ask(self, command: str, run: str, folder: str) -> tuple[str, object]:
        """How a command about a folder of such a run ends, and what it says."""
        if command == "load":
            try:
                model = models.load(folder)
                return "worked", (model.config, model.catalogue.tokens, model.score(torch.tensor([[1, 2, 3]])).tolist())
            except (ValueError, OSError) as problem:
                return "clean error", problem
            except Exception as problem:
                return "traceback", problem
        item = "plum 3" if self.weights.get(_content(folder, FILES[0])) == "other items" else "i3"
        line = {
            "evaluate": ["evaluate", folder, "--json", "--device", "cpu"],
            "recommend": ["recommend", folder, "--history", item, "--json", "--device", "cpu"],
            "resume": [*self.training(run, folder), "--resume"],
        }[command]
        done = call(line)
        if done.code == 2 and "error: " in done.err.splitlines()[-1]:
            return "clean error", done.err
        if done.code != 0:
            return "traceback", done.code
        return "worked", done.out if command != "resume" else self.results(folder)

    def results(self, folder: str) -> object:
        record = json.loads(Path(folder, "run.json").read_text())
        told = [record[name] for name in ("model", "val", "test", "test_filtered", "history", "best_epoch")]
        return [*told, *(Path(folder, name).read_bytes() for name in FILES if name not in ("run.json", FILES[1]))]

    def verdict(self, command: str, run: str, folder: str) -> tuple[str, object]:
        """How a command about a damaged folder ended: one of ENDS."""
        source = _content(folder, FILES[1] if command == "resume" else FILES[0])
        right = run if command == "resume" else self.weights.get(source)
        end, said = self.ask(command, run, folder)
        if end != "worked":
            return end, said
        if right is not None and said == self.before[right][command]:
            return "as before", said
        return ("as rewritten" if source in REWRITTEN else "something else"), said


def _content(folder: str, name: str) -> bytes:
    try:
        return Path(folder, name).read_bytes()
    except OSError:
        return b""


def damage(folder: Path, draw: random.Random) -> str:
    """Something happens to one file of a folder; says what."""
    name = draw.choice([*FILES[:3] * 2, *FILES])
    path, ways = folder / name, ["cut", "gone", "empty", "bits", "taken", "folder", "dead link", "noise", "rewritten"]
    way = draw.choice(ways)
    if not path.is_file():
        return f"{name} stays lost"
    data = path.read_bytes()
    path.unlink()
    if way == "folder":
        path.mkdir()
    elif way == "dead link":
        path.symlink_to("nowhere")
    elif way == "taken":
        shutil.copy(Path("whole", draw.choice(list(RUNS)), name), path)
    elif way != "gone":
        path.write_bytes(changed(data, name, way, draw))
    return f"{name}: {way}"


def changed(data: bytes, name: str, way: str, draw: random.Random) -> bytes:
    if way == "empty" or not data:
        return b""
    if way == "cut":
        return data[: draw.randrange(len(data))]
    if way == "noise":
        return draw.randbytes(draw.randrange(200))
    if way == "rewritten" and not name.endswith(".csv"):
        try:
            return another_value(data, draw) if name.endswith(".json") else rewritten(data, draw)
        except ValueError:  # something else has happened to it before
            return data
    place = draw.randrange(len(data) if draw.random() < 0.5 else min(len(data), 400))
    return data[:place] + bytes([data[place] ^ 1 << draw.randrange(8)]) + data[place + 1 :]


def another_value(data: bytes, draw: random.Random) -> bytes:
    values = json.loads(data)
    values[draw.choice(list(values))] = draw.choice(ODD)
    return json.dumps(values).encode()


def rewritten(data: bytes, draw: random.Random) -> bytes:
    """A whole file, as another version might have written it: one thing in it is missing, odd or of another shape."""
    Path("whole file").write_bytes(data)
    about, tensors = unpack("whole file")
    name = draw.choice(list(tensors))
    way = draw.choice(["without", "shape", "kind", "NaN", "about"])
    if way == "without":
        del tensors[name]
    elif way == "shape":
        tensors[name] = tensors[name][None]
    elif way == "kind":
        tensors[name] = tensors[name].to(torch.complex64)
    elif way == "NaN":
        tensors[name] = tensors[name] * torch.nan
    else:
        about[draw.choice(list(about))] = draw.choice(ODD)
    REWRITTEN.add(content := pack(tensors, about))
    return content


def fuzz(folders: int, seed: int) -> tuple[dict[str, Counter], list[str]]:
    """How often each command ended how, in `folders` damaged folders, and what is to be mended."""
    found: dict[str, Counter] = {command: Counter() for command in COMMANDS}
    faults = []
    with tempfile.TemporaryDirectory() as place, chdir(place):
        world = World()
        for i in range(folders):
            draw = random.Random(f"{seed}-{i}")
            run = draw.choice(VICTIMS)
            shutil.copytree(f"whole/{run}", "victim")
            done = [damage(Path("victim"), draw) for _ in range(draw.randint(1, 3))]
            for command in (*(c for c in COMMANDS if c != "resume"), "resume"):  # which mends, so it comes last
                end, said = world.verdict(command, run, "victim")
                found[command][end] += 1
                if end not in GOOD:
                    faults.append(f"folder {i}, {run}, {', '.join(done)}; {command}: {end}: {str(said)[:300]!r}")
            shutil.rmtree("victim")
    return found, faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folders", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    found, faults = fuzz(given.folders, given.seed)
    print(" " * 12, *(f"{end:>14}" for end in ENDS))
    for name, ends in [*found.items(), ("all", sum(found.values(), Counter()))]:
        print(name.ljust(12), *(f"{ends[end]:>14}" for end in ENDS))
    print(*faults, sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
