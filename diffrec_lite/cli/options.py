"""What the commands share: the program they belong to, options that several take, and how data and models are opened.

torch is imported by the functions that need it, so that `--help` answers at once.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Diffusion models for sequential recommendation.")


def path(text: str) -> Path:
    """A path from the command line, "~" filled in. Raises BadParameter for an empty one: it would be this folder."""
    if not text.strip():
        raise typer.BadParameter("it is empty; name a file or a folder")
    try:
        return Path(text).expanduser()
    except RuntimeError:  # nobody of that name has a home
        raise typer.BadParameter(f"there is no home for {text!r}; write the path in full") from None


Folder = Annotated[Path, typer.Argument(help="A folder that `train` wrote.", parser=path, metavar="FOLDER")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Json = Annotated[bool, typer.Option("--json", help="Print one line of JSON; what is not finite is null.")]
Steps = Annotated[int | None, typer.Option(help="Denoising steps (default: the model's own).")]
Columns = Annotated[str | None, typer.Option(help="The file's own names: user=userId,item=movieId,time=timestamp")]
FilterSeen = Annotated[bool, typer.Option("--filter-seen", help="Leave out items of the history.")]
NoiseSeed = Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of the sampler's noise.")]
BatchSize = Annotated[int | None, typer.Option(help="Changes speed and memory, not the result.")]
Trained = Annotated[str | None, typer.Option(help="Default: the one it was trained on.")]
Changes = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting.")]


def load_data(name: str, columns: str | None = None, /, **options: Any) -> tuple[Any, Path]:
    """A data set and the file that was read; `options` are those of `load`, and `columns` takes the place of theirs."""
    import difflib

    from diffrec_lite.data import load
    from diffrec_lite.data.archives import CATALOGUE
    from diffrec_lite.data.dataset import find
    from diffrec_lite.data.files import parse_columns

    known = ["bookshop", *CATALOGUE]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    if near and near[0] != name and not Path(name).exists():
        raise ValueError(f"unknown data set {name!r}; did you mean {near[0]!r}?")
    if columns is not None:
        options["columns"] = parse_columns(columns)
    file = find(name)[0]
    given = {option: value for option, value in options.items() if value is not None}
    return load(name if name in known else file, **given), file


def load_model(folder: Path) -> Any:
    """The model in a folder. Raises ModelError where there is none, and ValueError for one that was never trained."""
    from diffrec_lite import models

    model = models.load(folder)
    if model.catalogue is None:
        raise ValueError(f"the model in {folder} does not know its items' names: it was saved untrained; train it")
    return model


def check_positive(**values: int | None) -> None:
    """Raise ValueError, naming the option, for a number below 1."""
    for name, value in values.items():
        if value is not None and value < 1:
            raise ValueError(f"--{name.replace('_', '-')} must be at least 1, got {value}")


def use_one_thread_if_small(model: Any) -> None:
    """A small model's matrix products are over before a second thread wakes up; OMP_NUM_THREADS overrules."""
    import torch

    if "OMP_NUM_THREADS" not in os.environ and sum(p.numel() for p in model.parameters()) < 500_000:
        torch.set_num_threads(1)
