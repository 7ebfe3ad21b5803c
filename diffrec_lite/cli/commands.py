"""The commands. torch is imported by those that need it, so that `--help` answers at once."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from diffrec_lite.cli.output import print_evaluations, print_json, print_table

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Diffusion models for sequential recommendation.")
data_app = typer.Typer(no_args_is_help=True, help="List and prepare data sets.")
app.add_typer(data_app, name="data")

KNOWN = "popularity, markov, gap, gru4rec, sasrec, diffurec, diffurecsys or dcrec."  # to list MODELS would load torch


def _path(text: str) -> Path:
    if not text.strip():  # as a path it would be the current folder
        raise typer.BadParameter("it is empty; name a file or a folder")
    return Path(text)


Folder = Annotated[Path, typer.Argument(help="A folder that `train` wrote.", parser=_path, metavar="FOLDER")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Json = Annotated[bool, typer.Option("--json", help="Print one line of JSON; what is not finite is null.")]
Steps = Annotated[int | None, typer.Option(help="Denoising steps (default: the model's own).")]
Columns = Annotated[str | None, typer.Option(help="The file's own names: user=userId,item=movieId,time=timestamp")]
FilterSeen = Annotated[bool, typer.Option("--filter-seen", help="Leave out items of the history.")]


@data_app.command("list")
def list_data() -> None:
    """Show the data sets that have a name, and where each one is."""
    from diffrec_lite.data.archives import CATALOGUE
    from diffrec_lite.data.dataset import DataError, find

    rows = [("bookshop", "simulated; comes with diffrec-lite", "", "", "", "here")]
    for name, archive in CATALOGUE.items():
        size = (f"{number:,}" for number in (archive.users, archive.items, archive.interactions))
        try:
            where = str(find(name)[0])
        except DataError:
            where = f"not here: diffrec-lite data prepare {name}"
        rows.append((name, archive.title, *size, where))
    print_table(("name", "data set", "readers", "items", "interactions", "where it is"), rows, fold=True)


@data_app.command("prepare")
def prepare_data(
    name: Annotated[str, typer.Argument(help="A name from `data list`.")],
    source: Annotated[Path | None, typer.Option("--from", parser=_path, help="A copy of the official archive.")] = None,
    out: Annotated[Path | None, typer.Option(parser=_path, help="Where to write (default: the cache).")] = None,
) -> None:
    """Turn an official archive into a data set that `train` reads."""
    from diffrec_lite.data import archives
    from diffrec_lite.training.recipe import one_of

    name = one_of("data set", name, archives.CATALOGUE)
    print(archives.prepare(name, source, out))


@app.command()
def train(
    model: Annotated[str, typer.Argument(help=KNOWN)],
    dataset: Annotated[str, typer.Option(help="A name from `data list`, or a path.")],
    out: Annotated[Path, typer.Option(parser=_path, metavar="FOLDER", help="The folder of the run.")],
    preset: Annotated[str, typer.Option(help="quick, paper, or for dcrec repaired.")] = "quick",
    epochs: Annotated[int | None, typer.Option(help="At most so many epochs (default: the preset's).")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of weights, order, noise and dropout.")] = 0,
    device: Device = "auto",
    precision: Annotated[str, typer.Option(help="fp32, bf16, or auto: the faster, as measured.")] = "auto",
    changes: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting.")] = None,
    columns: Columns = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last whole epoch.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run that OUT holds.")] = False,
) -> None:
    """Train a model and leave it in OUT, with its curve (history.csv) and its record (run.json)."""
    from diffrec_lite.training.recipe import settings

    of_model, of_training = settings(model, preset, changes)
    if epochs is not None:
        of_training["epochs"] = epochs
    import torch

    from diffrec_lite import models
    from diffrec_lite.training import run

    if "MASTER_ADDR" in os.environ and "WORLD_SIZE" not in os.environ:
        message = "accelerate launch has started one process; on CPUs it needs --multi_gpu to start several"
        print(f"note: {message}", file=sys.stderr)
    data, source, file = _load(dataset, columns)
    torch.manual_seed(seed)
    recommender = models.build(model, data.num_items, **of_model)
    _use_one_thread_if_small(recommender)
    how = {"device": device, "precision": precision, "resume": resume, "overwrite": overwrite, **source}
    command = shlex.join(["diffrec-lite", *sys.argv[1:]])
    try:
        done = run.train(recommender, data, out, seed=seed, command=command, **how, **of_training)
    except KeyboardInterrupt:
        print(f"stopped; the same command with --resume goes on with {out}", file=sys.stderr)
        raise typer.Exit(130) from None
    if done.evaluations:
        title = f"{model} on {data.name} ({file}), best of {len(done.history)} epochs: {done.best_epoch}"
        print_evaluations(list(done.evaluations.values()), title)


@app.command()
def evaluate(
    folder: Folder,
    split: Annotated[str, typer.Option(help="val or test.")] = "test",
    steps: Steps = None,
    filter_seen: FilterSeen = False,
    as_json: Json = False,
    dataset: Annotated[str | None, typer.Option(help="Default: the one it was trained on.")] = None,
    columns: Columns = None,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of the sampler's noise.")] = 0,
    batch_size: Annotated[int | None, typer.Option(help="Changes speed and memory, not the result.")] = None,
    device: Device = "auto",
) -> None:
    """Rank the whole catalogue for every reader and print HR, NDCG and MRR with 95 % intervals."""
    from diffrec_lite import evaluation, models
    from diffrec_lite.training.device import choose_device
    from diffrec_lite.training.record import fingerprint

    recommender = _with_items(models.load(folder), folder)
    known = recommender.trained_on
    if dataset is None and "source" not in known:
        raise ValueError(f"{folder} does not say what it was trained on; name the data with --dataset")
    if dataset is None:
        data, _, file = _load(known["source"], columns, known.get("columns"))
        if fingerprint(data) != known.get("fingerprint"):
            raise ValueError(f"{data.name} is not what it was when {folder} was trained; name the data with --dataset")
    else:
        data, _, file = _load(dataset, columns)
    _check_positive(steps=steps, batch_size=batch_size)
    _use_one_thread_if_small(recommender)
    recommender.to(choose_device(device))
    settings = {"steps": steps, "filter_seen": filter_seen, "batch_size": batch_size, "seed": seed}
    found = evaluation.evaluate(recommender, data, split, progress=not as_json, **settings)
    if as_json:
        print_json({"model": type(recommender).__name__.lower(), **found.flat()})
    else:
        print_evaluations([found], f"{type(recommender).__name__} on {data.name} ({file})")


@app.command()
def recommend(
    folder: Folder,
    history: Annotated[str | None, typer.Option(help="Items as the data name them, oldest first: 12,5,33")] = None,
    history_file: Annotated[
        Path | None,
        typer.Option(parser=_path, metavar="FILE", help="Many readers: user_id, item_id and, if need be, timestamp."),
    ] = None,
    k: Annotated[int, typer.Option(help="How many to recommend.")] = 5,
    as_json: Json = False,
    out: Annotated[
        Path | None,
        typer.Option(parser=_path, metavar="FILE", help="Where the table for many goes: .csv or .parquet."),
    ] = None,
    columns: Columns = None,
    steps: Steps = None,
    filter_seen: FilterSeen = False,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of the sampler's noise.")] = 0,
    device: Device = "auto",
) -> None:
    """Recommend the next items for one history, or for each reader in a file."""
    if (history is None) == (history_file is None):
        raise ValueError("recommend needs either --history or --history-file")
    if history_file is None and (out is not None or columns is not None):
        raise ValueError("--out and --columns belong to --history-file")
    from diffrec_lite import models
    from diffrec_lite.cli import histories
    from diffrec_lite.data.files import parse_columns
    from diffrec_lite.training.device import choose_device

    _check_positive(steps=steps)
    if out is not None:
        histories.check_ending(out)
    recommender = _with_items(models.load(folder), folder)
    if history is not None:
        readers, read = ["0"], [histories.parse(history, recommender.catalogue)]
    else:
        mapping = None if columns is None else parse_columns(columns)
        readers, read = histories.read(history_file, mapping, recommender.catalogue)
    _use_one_thread_if_small(recommender)
    recommender.to(choose_device(device))
    table = histories.recommended(recommender, readers, read, k, filter_seen=filter_seen, steps=steps, seed=seed)
    rows = table.to_dict("records")
    if history is not None:
        rows = [
            {"rank": row["rank"], "item": row["item_id"], "title": row.get("title", ""), "score": row["score"]}
            for row in rows
        ]
    if out is not None:
        histories.write_table(table, out)
    elif as_json:
        print_json(rows)
    elif history is not None:
        shown = ((row["rank"], row["item"], row["title"], f"{row['score']:.4f}") for row in rows)
        print_table(("rank", "item", "title", "score"), shown)
    else:
        sys.stdout.write(table.to_csv(index=False, lineterminator="\n"))


@app.command()
def bench(
    model: Annotated[str, typer.Option(help="sasrec, diffurec, diffurecsys or dcrec.")] = "dcrec",
    dataset: Annotated[str, typer.Option(help="A name from `data list`, or a path.")] = "bookshop",
    preset: Annotated[str | None, typer.Option(help="Default: repaired for real data, else quick.")] = None,
    changes: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting.")] = None,
    seconds: Annotated[float, typer.Option(min=0, help="How long each of two comparisons takes, at least.")] = 20.0,
    device: Device = "auto",
    note: Annotated[str, typer.Option(help="A remark to keep with the numbers.")] = "",
    as_json: Json = False,
) -> None:
    """Time training and inference against the plain way to do the same."""
    from diffrec_lite import models
    from diffrec_lite.training.bench import bench, preset_for
    from diffrec_lite.training.recipe import Recipe, settings

    data, *_ = _load(dataset)
    preset = preset or preset_for(model, data)
    of_model, of_training = settings(model, preset, changes)
    recommender = models.build(model, data.num_items, **of_model)
    _use_one_thread_if_small(recommender)
    found = bench(recommender, data, Recipe.of("training", **of_training), seconds, device)
    found = {"command": shlex.join(["diffrec-lite", *sys.argv[1:]]), "preset": preset, "note": note, **found}
    if as_json:
        print_json(found)
        return
    for what, unit in (("training", "examples"), ("inference", "readers")):
        rows = (row.values() for row in found[what])
        print_table(tuple(found[what][0]), rows, f"{what} of {model} on {found['dataset']}: {unit} a second")


# ---------------------------------------------------------------- what the commands share


def _load(
    name: str, columns: str | None = None, mapping: dict[str, str] | None = None
) -> tuple[Any, dict[str, Any], Path]:
    """A data set; how to read it again, its name or else the file, and its columns; and the file that was read."""
    import difflib

    from diffrec_lite.data import load
    from diffrec_lite.data.archives import CATALOGUE
    from diffrec_lite.data.dataset import find
    from diffrec_lite.data.files import parse_columns

    known = ["bookshop", *CATALOGUE]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    if near and near[0] != name and not Path(name).exists():
        raise ValueError(f"unknown data set {name!r}; did you mean {near[0]!r}?")
    mapping = mapping if columns is None else parse_columns(columns)
    path = find(name)[0]
    source = name if name in known else str(path.resolve())
    return load(name if name in known else path, columns=mapping), {"source": source, "columns": mapping}, path


def _with_items(model: Any, folder: Path) -> Any:
    if model.catalogue is None:
        raise ValueError(f"the model in {folder} does not know its items' names: it was saved untrained; train it")
    return model


def _check_positive(**values: int | None) -> None:
    for name, value in values.items():
        if value is not None and value < 1:
            raise ValueError(f"--{name.replace('_', '-')} must be at least 1, got {value}")


def _use_one_thread_if_small(model: Any) -> None:
    """A small model's matrix products are over before a second thread wakes up; OMP_NUM_THREADS overrules."""
    import torch

    if "OMP_NUM_THREADS" not in os.environ and sum(p.numel() for p in model.parameters()) < 500_000:
        torch.set_num_threads(1)
