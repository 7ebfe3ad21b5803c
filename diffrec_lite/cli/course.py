"""The course's notebooks, copied into a folder of the learner's own: `diffrec-lite course DIR`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from diffrec_lite.cli.options import app, path

FIRST = "00_start_here.ipynb"
EXISTS = 1  # exit code where something of the learner's would be lost


@app.command()
def course(
    out: Annotated[Path, typer.Argument(parser=path, metavar="DIR", help="Where they go; it is made if need be.")],
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace notebooks that differ; answers in them are lost."),
    ] = False,
) -> None:
    """Write the course's notebooks and its page of symbols into DIR, to be opened there.

    What is there already stays as it is: where one file differs, nothing at all is written and the exit code is 1.
    """
    from diffrec_lite.data.shipped import notebooks
    from diffrec_lite.data.whole import write_all

    files = {out / source.name: source.read_bytes() for source in notebooks()}
    out.mkdir(parents=True, exist_ok=True)
    there = {target: target.read_bytes() for target in files if target.exists()}
    differ = [target.name for target, content in there.items() if content != files[target]]
    if differ and not overwrite:
        message = f"{out} holds {', '.join(differ)}, not as the course has it; nothing was written"
        remedy = "choose another folder, or add --overwrite to replace what is there, answers included"
        print(f"error: {message}; {remedy}", file=sys.stderr)
        raise typer.Exit(EXISTS)
    write_all({target: content for target, content in files.items() if there.get(target) != content})
    print(out / FIRST)
