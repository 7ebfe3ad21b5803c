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
Folder = Annotated[Path, typer.Argument(help="A folder that `train` wrote.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Json = Annotated[bool, typer.Option("--json", help="Print one line of JSON; what is not finite is null.")]
Steps = Annotated[int | None, typer.Option(help="Denoising steps (default: the model's own).")]
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
    source: Annotated[Path | None, typer.Option("--from", help="A copy of the official archive.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where to write (default: the cache).")] = None,
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
    out: Annotated[Path, typer.Option(help="The folder of the run.")],
    preset: Annotated[str, typer.Option(help="quick, paper, or for dcrec repaired.")] = "quick",
    epochs: Annotated[int | None, typer.Option(help="At most so many epochs (default: the preset's).")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of weights, order, noise and dropout.")] = 0,
    device: Device = "auto",
    precision: Annotated[str, typer.Option(help="fp32, bf16, or auto: the faster, as measured.")] = "auto",
    changes: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting.")] = None,
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
    data = _load(dataset)
    torch.manual_seed(seed)
    recommender = models.build(model, data.num_items, **of_model)
    _use_one_thread_if_small(recommender)
    how = {"device": device, "precision": precision, "resume": resume, "overwrite": overwrite}
    source = str(Path(dataset).resolve()) if Path(dataset).exists() else dataset
    command = shlex.join(["diffrec-lite", *sys.argv[1:]])
    try:
        done = run.train(recommender, data, out, seed=seed, source=source, command=command, **how, **of_training)
    except KeyboardInterrupt:
        print(f"stopped; the same command with --resume goes on with {out}", file=sys.stderr)
        raise typer.Exit(130) from None
    if done.evaluations:
        title = f"{model} on {data.name}, best of {len(done.history)} epochs: {done.best_epoch}"
        print_evaluations(list(done.evaluations.values()), title)


@app.command()
def evaluate(
    folder: Folder,
    split: Annotated[str, typer.Option(help="val or test.")] = "test",
    steps: Steps = None,
    filter_seen: FilterSeen = False,
    as_json: Json = False,
    dataset: Annotated[str | None, typer.Option(help="Default: the one it was trained on.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of the sampler's noise.")] = 0,
    batch_size: Annotated[int | None, typer.Option(help="Changes speed and memory, not the result.")] = None,
    device: Device = "auto",
) -> None:
    """Rank the whole catalogue for every reader and print HR, NDCG and MRR with 95 % intervals."""
    from diffrec_lite import evaluation, models
    from diffrec_lite.training.device import choose_device
    from diffrec_lite.training.record import RunError, fingerprint

    recommender = models.load(folder)
    data = _load(dataset or _record(folder).dataset["source"])
    if dataset is None and fingerprint(data) != _record(folder).dataset["fingerprint"]:
        raise RunError(f"{data.name} is not what it was when {folder} was trained; name the data with --dataset")
    _check_positive(steps=steps, batch_size=batch_size)
    _use_one_thread_if_small(recommender)
    recommender.to(choose_device(device))
    settings = {"steps": steps, "filter_seen": filter_seen, "batch_size": batch_size, "seed": seed}
    found = evaluation.evaluate(recommender, data, split, progress=not as_json, **settings)
    if as_json:
        print_json({"model": type(recommender).__name__.lower(), **found.flat()})
    else:
        print_evaluations([found], f"{type(recommender).__name__} on {data.name}")


@app.command()
def recommend(
    folder: Folder,
    history: Annotated[str, typer.Option(help="Items as the data file names them, oldest first: 12,5,33")],
    k: Annotated[int, typer.Option(help="How many to recommend.")] = 5,
    as_json: Json = False,
    steps: Steps = None,
    filter_seen: FilterSeen = False,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of the sampler's noise.")] = 0,
) -> None:
    """Recommend the next items for one history."""
    from diffrec_lite import models
    from diffrec_lite.training.record import load_catalogue

    recommender = models.load(folder)
    ids, tokens, titles = load_catalogue(folder)
    _check_positive(steps=steps)
    wanted = [token.strip() for token in history.split(",") if token.strip()]
    for token in wanted:
        if token not in ids:
            message = (
                f"item {token!r} is not in the catalogue of {folder}: {len(ids)} items, {tokens[1]} to {tokens[-1]}"
            )
            raise ValueError(message)
    _use_one_thread_if_small(recommender)
    histories = [[ids[token] for token in wanted]]
    table = recommender.recommend(histories, k, titles=titles, filter_seen=filter_seen, steps=steps, seed=seed)
    rows = [
        {"rank": int(row.rank), "item": tokens[row.item_id], "title": row.title, "score": float(row.score)}
        for row in table.itertuples()
    ]
    if as_json:
        print_json(rows)
    else:
        shown = ((row["rank"], row["item"], row["title"], f"{row['score']:.4f}") for row in rows)
        print_table(("rank", "item", "title", "score"), shown)


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

    data = _load(dataset)
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


def _load(name: str) -> Any:
    import difflib

    from diffrec_lite.data import load
    from diffrec_lite.data.archives import CATALOGUE

    near = difflib.get_close_matches(name, ["bookshop", *CATALOGUE], n=1, cutoff=0.7)
    if near and near[0] != name and not Path(name).exists():
        raise ValueError(f"unknown data set {name!r}; did you mean {near[0]!r}?")
    return load(name)


def _record(folder: Path) -> Any:
    from diffrec_lite.training.record import Run

    return Run.load(folder)


def _check_positive(**values: int | None) -> None:
    for name, value in values.items():
        if value is not None and value < 1:
            raise ValueError(f"--{name.replace('_', '-')} must be at least 1, got {value}")


def _use_one_thread_if_small(model: Any) -> None:
    """A small model's matrix products are over before a second thread wakes up; OMP_NUM_THREADS overrules."""
    import torch

    if "OMP_NUM_THREADS" not in os.environ and sum(p.numel() for p in model.parameters()) < 500_000:
        torch.set_num_threads(1)
