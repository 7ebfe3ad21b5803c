"""Who comes nearest to the oracle: `diffrec-lite leaderboard DIR` ranks the runs that a class handed in.

Nothing in a folder is believed. Its model is evaluated again on the bookshop's test readers, by `evaluate` in a process
of its own with limits on time and memory; what run.json claims is only set beside what was found. A folder that cannot
be ranked is listed with its reason and costs the others nothing. One thing cannot be seen: whether a model was trained
on the answers, which come with the course.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from diffrec_lite.cli.options import Json, app, path
from diffrec_lite.cli.output import print_json, print_table

BARS = ("popularity", "markov", "gap")
SHOWN = ("HR@5", "NDCG@5", "NDCG@10")
GOAL = "NDCG@10"  # what the rank goes by
CLOSE = 0.002  # three of 1,500 readers, found or lost: rounding on another machine does no more
WEIGHTS, LEAVE_ONE_OUT = "model.safetensors", "leave-one-out"
LARGEST = {WEIGHTS: 200_000_000, "config.json": 1_000_000, "run.json": 20_000_000}  # bytes that are read
SECONDS, MEMORY = 300, 4 * 2**30
# The limit is set inside, since a function that runs between fork and exec is not safe beside torch's threads.
CONFINED = f"""
try:
    import resource
    resource.setrlimit(resource.RLIMIT_DATA, ({MEMORY}, {MEMORY}))
except (ImportError, ValueError, OSError):
    pass  # only POSIX has such a limit; that on time holds everywhere
from diffrec_lite.cli import main
main()
"""


class Unranked(ValueError):
    """A folder that gets no rank; the message says why."""


@app.command()
def leaderboard(
    folder: Annotated[Path, typer.Argument(parser=path, metavar="DIR", help="Holds a run folder for each student.")],
    seconds: Annotated[int, typer.Option(min=1, help="How long the evaluation of one run may take.")] = SECONDS,
    as_json: Json = False,
    out: Annotated[
        Path | None,
        typer.Option(parser=path, metavar="FILE", help="Where the table goes: .csv or .parquet."),
    ] = None,
) -> None:
    """Rank the runs in DIR by NDCG@10 on the bookshop's test readers, beside three counting rules and the oracle.

    Each folder is evaluated again, with the whole catalogue as candidates; its own numbers are not used.
    """
    import pandas as pd

    from diffrec_lite.cli import histories
    from diffrec_lite.data import load
    from diffrec_lite.training.record import fingerprint

    if out is not None:
        histories.check_place(out)
    handed_in = sorted(one for one in folder.iterdir() if one.is_dir() and not one.name.startswith("."))
    data = load("bookshop")
    bars, known_as = bars_to_clear(data), fingerprint(data)
    found, unranked = [], []
    for one in handed_in:
        try:
            found.append({"name": shown(one.name), **evaluated(one, known_as, seconds), "claims": otherwise(one)})
        except Unranked as problem:
            unranked.append({"name": shown(one.name), "reason": shown(str(problem))})
    rows = ranked(found, bars)
    if out is not None:
        histories.write_table(pd.DataFrame([flat(row) for row in [*rows, *unranked]]), out)
    if as_json:
        print_json({"dataset": "bookshop", "split": "test", "rows": rows, "unranked": unranked})
    elif out is None:
        print_table(COLUMNS, map(in_cells, rows), "the bookshop's test readers, whole catalogue")
        if unranked:
            print_table(("not ranked", "why"), (row.values() for row in unranked), fold=True)
    if not handed_in:
        print(f"note: {folder} holds no folders; put each student's run folder into it", file=sys.stderr)


# ------------------------------------------------------------ what is found


def evaluated(folder: Path, fingerprint: str, seconds: int = SECONDS) -> dict[str, Any]:
    """The model's name and its metrics, measured by `evaluate` in a process of its own.

    `fingerprint` is that of the data it must have been trained on. Raises Unranked.
    """
    from diffrec_lite.models.packed import about

    refuse_what_is_no_model(folder)
    command = ["evaluate", str(folder.resolve()), "--dataset", "bookshop", "--device", "cpu", "--json"]
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", CONFINED, *command],  # -P: no module of the folder that we stand in
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="backslashreplace",
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        raise Unranked(f"its evaluation took longer than {seconds} seconds") from None
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"its evaluation was ended with code {done.returncode}"])[-1]
        raise Unranked(said.removeprefix("error: "))
    result = json.loads(done.stdout)
    trained_on = about(folder / WEIGHTS).get("trained_on", {})
    if (result["held_out"], trained_on.get("fingerprint")) != (LEAVE_ONE_OUT, fingerprint):
        raise Unranked(f"it was not trained on the bookshop as it comes with the course, split {LEAVE_ONE_OUT}")
    numbers = {name: result[name] for name in (*SHOWN, f"{GOAL} low", f"{GOAL} high")}
    return {"model": result["model"], "readers": result["users"], **numbers}


def refuse_what_is_no_model(folder: Path) -> None:
    """Raise Unranked for a folder that no evaluation could read, or only at the cost of others."""
    for name, largest in LARGEST.items():
        file = folder / name
        if name == WEIGHTS and not file.exists():
            raise Unranked(f"it holds no {name}; hand in the folder that `train` wrote")
        if file.exists() and not file.is_file():
            raise Unranked(f"its {name} is no file")
        if file.exists() and file.stat().st_size > largest:
            raise Unranked(f"its {name} is larger than {largest // 1_000_000} MB")


def bars_to_clear(data: Any) -> list[dict[str, Any]]:
    """The counting rules and the oracle on the same readers, as rows without a rank."""
    from diffrec_lite import evaluation, models
    from diffrec_lite.data import bookshop

    scorers = {}
    for name in BARS:
        scorers[name] = models.build(name, data.num_items)
        scorers[name].fit_counts(data)
    scorers["oracle"] = evaluation.Oracle(bookshop.next_item_odds)
    rows = []
    for name, scorer in scorers.items():
        found = evaluation.evaluate(scorer, data)
        low, high = found.intervals[GOAL]
        numbers = {metric: found.metrics[metric] for metric in SHOWN}
        ends = {f"{GOAL} low": low, f"{GOAL} high": high}
        rows.append({"name": "", "model": name, "readers": len(found.ranks), **numbers, **ends})
    return rows


def otherwise(folder: Path) -> dict[str, float]:
    """What run.json claims of the test readers, where it is not what `evaluated` would find; {} without a record."""
    try:
        told = json.loads((folder / "run.json").read_text(encoding="utf-8"))["test"]
        return {name: float(told[name]) for name in SHOWN}
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return {}


def ranked(found: list[dict[str, Any]], bars: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All rows, best first: equal runs share a rank, and bars have none. `claims` keeps only what was not found."""
    best = next(row[GOAL] for row in bars if row["model"] == "oracle")
    rows = []
    for row in sorted([*found, *bars], key=lambda row: (-row[GOAL], row["name"])):
        claims = {name: told for name, told in row.get("claims", {}).items() if not abs(told - row[name]) <= CLOSE}
        rank = 1 + sum(other[GOAL] > row[GOAL] for other in found) if row["name"] else None
        rows.append({"rank": rank, **row, "share of the oracle": row[GOAL] / best, "claims": claims})
    return rows


# ------------------------------------------------------------ how it is shown

COLUMNS = ("rank", "name", "model", "HR@5", "NDCG@5", "NDCG@10 (95 %)", "of the oracle", "claims otherwise")


def in_cells(row: dict[str, Any]) -> Iterator[str]:
    """A row of the table as text."""
    yield "" if row["rank"] is None else str(row["rank"])
    yield row["name"] or "—"
    yield row["model"]
    yield f"{row['HR@5']:.4f}"
    yield f"{row['NDCG@5']:.4f}"
    yield f"{row[GOAL]:.4f} ({row[f'{GOAL} low']:.4f} to {row[f'{GOAL} high']:.4f})"
    yield f"{row['share of the oracle']:.1%}"
    yield ", ".join(f"{name} {told:.4f}" for name, told in row["claims"].items())


def flat(row: dict[str, Any]) -> dict[str, Any]:
    """A row without anything inside it, for a file: `claims` become columns, empty where nothing else is claimed."""
    claims = {f"{name} claimed": row.get("claims", {}).get(name, math.nan) for name in SHOWN}
    rest = {key: value for key, value in row.items() if key != "claims"}
    return {**rest, **claims, "reason": row.get("reason", "")}


def shown(text: str) -> str:
    """A name of somebody else's choice without what a terminal would obey."""
    return text if text.isprintable() else ascii(text)[1:-1]
