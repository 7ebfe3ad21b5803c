"""How good models are, which of two is better, and how fast they are."""

from __future__ import annotations

import shlex
import sys
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer

from diffrec_lite.cli.options import (
    BatchSize,
    Changes,
    Columns,
    Device,
    FilterSeen,
    Folder,
    Json,
    NoiseSeed,
    Steps,
    Trained,
    app,
    check_positive,
    load_data,
    load_model,
    path,
    use_one_thread_if_small,
)
from diffrec_lite.cli.output import print_evaluations, print_json, print_table

SPLITS = "val or test."
Also = Annotated[
    list[Path] | None,
    typer.Option(parser=path, metavar="PATH", help="One more training of that side, of another seed; may be repeated."),
]


@app.command()
def evaluate(
    folder: Folder,
    split: Annotated[str, typer.Option(help=SPLITS)] = "test",
    steps: Steps = None,
    filter_seen: FilterSeen = False,
    ranks: Annotated[
        Path | None,
        typer.Option(parser=path, metavar="FILE", help="Write a row a reader: .csv or .parquet."),
    ] = None,
    as_json: Json = False,
    dataset: Trained = None,
    columns: Columns = None,
    seed: NoiseSeed = 0,
    batch_size: BatchSize = None,
    device: Device = "auto",
) -> None:
    """Rank the whole catalogue for every reader and print HR, NDCG and MRR with 95 % intervals."""
    from diffrec_lite.cli import histories
    from diffrec_lite.cli.comparison import table_of
    from diffrec_lite.training.record import fingerprint

    if ranks is not None:
        histories.check_place(ranks)
    how = {"split": split, "steps": steps, "batch_size": batch_size, "seed": seed}
    model, data, file, both = _evaluated(folder, dataset, columns, device, progress=not as_json, **how)
    if ranks is not None:
        histories.write_table(table_of(data, *both), ranks)
    if as_json:
        data_of = {"fingerprint": fingerprint(data), "trained_on": model.trained_on.get("fingerprint")}
        print_json({"model": type(model).__name__.lower(), **both[filter_seen].flat(), **data_of})
    else:
        print_evaluations([both[filter_seen]], f"{type(model).__name__} on {data.name} ({file})")


@app.command()
def compare(
    a: Annotated[Path, typer.Argument(parser=path, metavar="A", help="A folder of `train`, or a file of --ranks.")],
    b: Annotated[Path, typer.Argument(parser=path, metavar="B", help="Another, of the same readers.")],
    also_a: Also = None,
    also_b: Also = None,
    split: Annotated[str | None, typer.Option(help=f"{SPLITS} Default: test.")] = None,
    steps: Steps = None,
    as_json: Json = False,
    dataset: Trained = None,
    columns: Columns = None,
    seed: NoiseSeed = 0,
    batch_size: BatchSize = None,
    device: Device = "auto",
) -> None:
    """Say for every metric, and both protocols, whether A or B is better, or whether chance could have done it.

    Readers are paired: the interval is that of the difference A - B, by a bootstrap that draws the same readers for
    both, and p is two-sided. Two trained models are told apart, not two ways to train: another seed, another model.
    With --also-a and --also-b a side is the mean of several; the interval is still over readers, for these trainings.
    """
    from diffrec_lite.cli import comparison

    chosen = {"split": split, "steps": steps, "dataset": dataset, "columns": columns, "batch_size": batch_size}
    given = [name for name, value in chosen.items() if value is not None]
    sides = ([a, *(also_a or [])], [b, *(also_b or [])])
    if given and all(one.is_file() for side in sides for one in side):
        raise ValueError(f"--{given[0].replace('_', '-')} belongs to a folder; {a} and {b} hold ranks already")
    places = [one.resolve() for side in sides for one in side]
    twice = next((place for place in places if places.count(place) > 1), None)
    if twice and len(places) > 2:
        raise ValueError(f"{twice} is named twice: each training of a mean counts once, on one side")
    how = {"split": split or "test", "steps": steps, "batch_size": batch_size, "seed": seed}
    tables, data = ({}, {}), {}
    for side, own in zip(sides, tables, strict=True):
        for one in side:
            if one.is_file():
                own[str(one)] = comparison.read(one)
            else:
                _, data[str(one)], _, both = _evaluated(one, dataset, columns, device, progress=not as_json, **how)
                own[str(one)] = comparison.table_of(data[str(one)], *both)
    for one, other in pairwise(data):
        comparison.refuse_other_items(data[one], data[other], (one, other))
    found = comparison.compared(*tables)
    names, readers = [", ".join(own) for own in tables], len(tables[0][str(a)])
    if as_json:
        print_json({"a": names[0], "b": names[1], "readers": readers, **comparison.as_json(found)})
        return
    told = [f"the mean of {name}" if len(own) > 1 else name for name, own in zip(names, tables, strict=True)]
    print(f"A is {told[0]}, B is {told[1]}; {readers} readers")
    for protocol, table in found.items():
        rows = ([name, *comparison.in_cells(row)] for name, row in table.iterrows())
        title = f"candidates: {comparison.CANDIDATES[protocol]}"
        print_table(("metric", "A", "B", "A - B", "95 % interval", "p", "verdict"), rows, title)
    for protocol, table in found.items():
        print(comparison.in_words(table, protocol))


def _evaluated(
    folder: Path,
    dataset: str | None,
    columns: str | None,
    device: str,
    split: str,
    steps: int | None,
    batch_size: int | None,
    seed: int,
    progress: bool,
) -> tuple[Any, Any, Path, list[Any]]:
    """The model in a folder, the data that it was asked about and their file, and the evaluation of both protocols."""
    from diffrec_lite import evaluation
    from diffrec_lite.data import DataError
    from diffrec_lite.training.device import choose_device
    from diffrec_lite.training.record import fingerprint

    model = load_model(folder)
    known = model.trained_on
    if dataset is None and "source" not in known:
        raise ValueError(f"{folder} does not say what it was trained on; name the data with --dataset")
    prepared = {option: known.get(option) for option in ("split", "k", "duplicates")}
    if dataset is None:
        try:
            data, file = load_data(known["source"], columns, **{"columns": known.get("columns"), **prepared})
        except DataError as problem:
            raise DataError(f"{problem}. {folder} was trained on it: if it has moved, name it with --dataset") from None
    else:
        data, file = load_data(dataset, columns, **prepared)
    if fingerprint(data) != known.get("fingerprint"):
        if dataset is None:
            raise ValueError(f"{data.name} is not what it was when {folder} was trained; name the data with --dataset")
        note = f"{file} is not what {folder} was trained on; a target here may be what it learned from there"
        print(f"note: {note}", file=sys.stderr)
    check_positive(steps=steps, batch_size=batch_size)
    use_one_thread_if_small(model)
    model.to(choose_device(device))
    settings = {"steps": steps, "batch_size": batch_size, "seed": seed, "progress": progress}
    return model, data, file, evaluation.evaluate_both(model, data, split, **settings)


@app.command()
def bench(
    model: Annotated[str, typer.Option(help="dcrec, hybrid, diffurec, diffurecsys, sasrec or gru4rec.")] = "dcrec",
    dataset: Annotated[str, typer.Option(help="A name from `data list`, or a path.")] = "bookshop",
    preset: Annotated[str | None, typer.Option(help="Default: repaired for real data, else quick.")] = None,
    changes: Changes = None,
    seconds: Annotated[float, typer.Option(min=0, help="How long each of two comparisons takes, at least.")] = 20.0,
    device: Device = "auto",
    note: Annotated[str, typer.Option(help="A remark to keep with the numbers.")] = "",
    as_json: Json = False,
) -> None:
    """Time training and inference against the plain way to do the same."""
    from diffrec_lite import models
    from diffrec_lite.training.bench import bench, preset_for
    from diffrec_lite.training.recipe import Recipe, settings

    data, _ = load_data(dataset)
    preset = preset or preset_for(model, data)
    of_model, of_training = settings(model, preset, changes)
    recommender = models.build(model, data.num_items, **of_model)
    use_one_thread_if_small(recommender)
    found = bench(recommender, data, Recipe.of("training", **of_training), seconds, device)
    found = {"command": shlex.join(["diffrec-lite", *sys.argv[1:]]), "preset": preset, "note": note, **found}
    if as_json:
        print_json(found)
        return
    for what, unit in (("training", "examples"), ("inference", "readers")):
        rows = (row.values() for row in found[what])
        print_table(tuple(found[what][0]), rows, f"{what} of {model} on {found['dataset']}: {unit} a second")
