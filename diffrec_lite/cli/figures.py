"""The survey's tables and figures, redrawn into a folder: `diffrec-lite figures --out DIR`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from diffrec_lite.cli.options import app, path

INDEX = "index.md"


@app.command()
def figures(
    out: Annotated[Path, typer.Option(parser=path, metavar="DIR", help="Where the files go; it is made if need be.")],
) -> None:
    """Redraw the survey's tables and figures, with what was measured here beside what was printed.

    Tables as CSV and Markdown, figures as SVG and PNG, and an index. Two runs write the same bytes.
    """
    try:
        from diffrec_lite.widgets.survey import all_figures
    except ModuleNotFoundError as problem:
        raise ValueError(
            f"the figures are drawn with {problem.name}, which is not installed: pip install 'diffrec-lite[course]'"
        ) from None
    import torch

    from diffrec_lite.training.tables import all_tables

    torch.set_num_threads(1)  # one order of adding up, so one picture
    out.mkdir(parents=True, exist_ok=True)
    lines = ["# The survey's tables and figures, redrawn", "", "Tables III and IV and Figure 3 are numbered by us.", ""]
    for table in all_tables():
        _write(out / f"{table.name}.csv", table.csv())
        _write(out / f"{table.name}.md", table.markdown())
        lines.append(f"- [{table.title}]({table.name}.md), as [CSV]({table.name}.csv)")
    for drawing in all_figures():
        _write(out / f"{drawing.name}.svg", drawing.svg())
        _write(out / f"{drawing.name}.png", drawing.png())
        lines += ["", f"## {drawing.title}", "", f"![{drawing.alt}]({drawing.name}.svg)"]
    _write(out / INDEX, "\n".join([*lines, ""]))
    print(out / INDEX)


def _write(file: Path, content: str | bytes) -> None:
    file.write_bytes(content.encode() if isinstance(content, str) else content)
