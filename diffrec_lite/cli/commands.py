"""Data, training and recommendations. torch is imported by those that need it, so that `--help` answers at once."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from diffrec_lite.cli.options import (
    Changes,
    Columns,
    Device,
    FilterSeen,
    Folder,
    Json,
    NoiseSeed,
    Steps,
    app,
    check_positive,
    load_data,
    load_model,
    path,
    use_one_thread_if_small,
)
from diffrec_lite.cli.output import print_evaluations, print_json, print_table

data_app = typer.Typer(no_args_is_help=True, help="List and prepare data sets.")
app.add_typer(data_app, name="data")

KNOWN = (  # MODELS, but to import it would load torch
    "popularity, recent, markov, gap, ridge, bprmf, gru4rec, bert4rec, sasrec, diffurec, diffurecsys, dcrec, adrec "
    "or hybrid."
)


@data_app.command("list")
def list_data() -> None:
    """Show the data sets that have a name, and where each one is."""
    from diffrec_lite.data import DataError
    from diffrec_lite.data.archives import CATALOGUE
    from diffrec_lite.data.dataset import find

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
    source: Annotated[Path | None, typer.Option("--from", parser=path, help="A copy of the official archive.")] = None,
    out: Annotated[Path | None, typer.Option(parser=path, help="Where to write (default: the cache).")] = None,
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
    out: Annotated[Path, typer.Option(parser=path, metavar="FOLDER", help="The folder of the run.")],
    preset: Annotated[str, typer.Option(help="quick, paper, repaired or narrow; not every model has all.")] = "quick",
    epochs: Annotated[int | None, typer.Option(help="At most so many epochs (default: the preset's).")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of weights, order, noise and dropout.")] = 0,
    device: Device = "auto",
    precision: Annotated[str, typer.Option(help="fp32, bf16, or auto: the faster, as measured.")] = "fp32",
    changes: Changes = None,
    columns: Columns = None,
    split: Annotated[
        str | None, typer.Option(help="leave-one-out or, with real times, temporal (default: leave-one-out).")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last whole epoch.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run that OUT holds.")] = False,
) -> None:
    """Train a model and leave it in OUT, with its curve (history.csv) and its record (run.json)."""
    from diffrec_lite.training.recipe import settings

    asked = [] if epochs is None else [f"epochs={epochs}"]
    of_model, of_training = settings(model, preset, [*(changes or []), *asked])
    import torch

    from diffrec_lite import models
    from diffrec_lite.models.packed import about
    from diffrec_lite.training import run
    from diffrec_lite.training.checkpoint import CHECKPOINT

    if "MASTER_ADDR" in os.environ and "WORLD_SIZE" not in os.environ:
        message = "accelerate launch has started one process; on CPUs it needs --multi_gpu to start several"
        print(f"note: {message}", file=sys.stderr)
    if split is None and resume:
        split = about(out / CHECKPOINT).get("settings", {}).get("split")
    data, file = load_data(dataset, columns, split=split)
    torch.manual_seed(seed)
    recommender = models.build(model, data.num_items, **of_model)
    use_one_thread_if_small(recommender)
    how = {"device": device, "precision": precision, "resume": resume, "overwrite": overwrite}
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
def recommend(
    folder: Folder,
    history: Annotated[str | None, typer.Option(help="Items as the data name them, oldest first: 12,5,33")] = None,
    history_file: Annotated[
        Path | None,
        typer.Option(parser=path, metavar="FILE", help="Many readers: user_id, item_id and, if need be, timestamp."),
    ] = None,
    k: Annotated[int, typer.Option(help="How many to recommend.")] = 5,
    as_json: Json = False,
    out: Annotated[
        Path | None,
        typer.Option(parser=path, metavar="FILE", help="Where the table for many goes: .csv or .parquet."),
    ] = None,
    columns: Columns = None,
    steps: Steps = None,
    filter_seen: FilterSeen = False,
    seed: NoiseSeed = 0,
    device: Device = "auto",
) -> None:
    """Recommend the next items for one history, or for each reader in a file."""
    if (history is None) == (history_file is None):
        raise ValueError("recommend needs either --history or --history-file")
    if history_file is None and (out is not None or columns is not None):
        raise ValueError("--out and --columns belong to --history-file")
    from diffrec_lite.cli import histories
    from diffrec_lite.data.files import parse_columns
    from diffrec_lite.training.device import choose_device

    check_positive(steps=steps)
    if out is not None:
        histories.check_out(out, history_file)
    recommender = load_model(folder)
    if history is not None:
        readers, read = ["0"], [histories.parse(history, recommender.catalogue)]
    else:
        mapping = None if columns is None else parse_columns(columns)
        readers, read = histories.read(history_file, mapping, recommender.catalogue)
    use_one_thread_if_small(recommender)
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
