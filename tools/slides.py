"""Every figure of the notebooks as an SVG for slides, described inside: build/slides/05_step_skipping_01.svg, …

A notebook is run once more, and whatever it shows is written as well. The notebook itself is not changed. Explorers
give no SVG: `python -m diffrec_lite.widgets.export` makes a page of a notebook, in which they move.

    python tools/slides.py                                  all notebooks
    python tools/slides.py notebooks/05_step_skipping.ipynb    only this one
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import nbformat
from nbclient.exceptions import CellExecutionError

from notebooks import ROOT, course, execute, takes_notebooks

# Runs before the notebook's own cells, in its kernel.
KEEP = """
def _keep(folder, name):
    from itertools import count
    from diffrec_lite.widgets import style, survey
    show, numbers = style.show, count(1)

    def show_and_keep(fig, alt):
        show(fig, alt)
        fig.set_layout_engine("none")  # it stays as it was shown: a second layout would start from the first
        own = f"{{name}}_{{next(numbers):02}}"
        (folder / f"{{own}}.svg").write_bytes(survey.Drawing(own, own, alt, fig).svg())

    style.show = show_and_keep

_keep(__import__("pathlib").Path({folder!r}), {name!r})
"""


def slides(path: Path, out: Path) -> list[Path]:
    """Run the notebook at `path` and write its figures into `out`; older ones of it go. Raises CellExecutionError."""
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob(f"{path.stem}_[0-9][0-9].svg"):
        old.unlink()
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(KEEP.format(folder=str(out.resolve()), name=path.stem)))
    execute(notebook, path.parent)
    return sorted(out.glob(f"{path.stem}_[0-9][0-9].svg"))


def main() -> int:
    """Write the figures of the notebooks named on the command line, or of all. Returns 1 when a cell of one fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    takes_notebooks(parser)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "slides", help="the folder to write to")
    given, failed = parser.parse_args(), False
    for path in given.notebooks or course():
        try:
            print(f"{path.name}: {len(slides(path, given.out))} figures", flush=True)
        except CellExecutionError as problem:
            failed = True
            print(f"{path.name}: a cell failed\n{problem}", file=sys.stderr)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
