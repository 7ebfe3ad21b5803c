"""The course as a site: its notebooks with explorers that move without kernel and network, notation and package.

    python tools/book.py            to build/site; open build/site/index.html

A page shows what its notebook stores. An explorer is stored as a picture, so the cells behind each are run again, two
notebooks at a time; then Sphinx sets the pages. A page makes no request beyond its own folder.
"""

from __future__ import annotations

import argparse
import copy
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
from names import needed
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from tqdm import tqdm

from diffrec_lite.widgets.export import explorers, mount, run, script, set_formulas
from notebooks import ENVIRONMENT, NOTEBOOKS, ROOT, course, takes_notebooks

HERE = Path(__file__).with_suffix("")  # what is not written by a program
MODULES = (  # from the ground floor up, as a newcomer reads them
    "diffusion",
    "noise",
    "layers",
    "metrics",
    "evaluation",
    "data.dataset",
    "data.log",
    "data.batches",
    "models.base",
    "models.sequential",
    "models.denoiser",
    "models.diffurec",
    "models.dcrec",
    "models.hybrid",
    "models.adrec",
    "models.baselines",
    "training.loop",
    "training.recipe",
    "training.run",
    "widgets.explorer",
    "widgets.player",
    "widgets.export",
)


def revive(notebook: NotebookNode, folder: Path) -> NotebookNode:
    """The notebook with the state of its explorers: in `folder`, the cells that they hang on are run again.

    A picture that does not call itself a figure stands for an explorer. Raises ValueError where a run describes it
    otherwise than it is stored, and for a notebook that has never been run.
    """
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if any(cell.execution_count is None for cell in cells):
        raise ValueError("it has not been run; first run python tools/notebooks.py")
    described = {place: texts for place, cell in enumerate(cells) if (texts := _explorers(cell))}
    part = copy.copy(notebook)  # its cells and metadata are those of the notebook
    part.cells = [cells[place] for place in needed([cell.source for cell in cells], {0, *described})]
    run(part, folder)
    if any(_explorers(cells[place]) != texts for place, texts in described.items()):
        raise ValueError("its outputs are of an older run; first run python tools/notebooks.py")
    return notebook


def _explorers(cell: NotebookNode) -> list[str]:
    """The descriptions of the explorers that a cell shows."""
    pictures = [output.data["text/plain"] for output in cell.outputs if "image/png" in output.get("data", {})]
    return [text for text in pictures if not text.startswith("Figure: ")]


def page(notebook: NotebookNode) -> NotebookNode:
    """A revived notebook, as Sphinx gets it: explorers mounted, formulas set, solutions folded, in place."""
    found = explorers(notebook)
    mount(notebook, found)
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = set_formulas(cell.source)
        elif cell.metadata.get("nbgrader", {}).get("solution"):
            cell.metadata["tags"] = [*cell.metadata.get("tags", []), "hide-input"]
    # A link inside an explorer is not seen by Sphinx, which calls the pages by another name.
    moving = re.sub(r"(\d\d_\w+)\.ipynb", r"\1.html", script(found))
    notebook.cells.append(nbformat.v4.new_markdown_cell(moving))
    return notebook


def pages(paths: Sequence[Path], folder: Path) -> None:
    """Write the notebooks at `paths` to `folder` for Sphinx. Raises RuntimeError where one cannot be revived."""
    os.environ.update(ENVIRONMENT)

    def write(path: Path) -> None:
        try:
            done = revive(nbformat.read(path, as_version=4), path.parent)
        except (CellExecutionError, ValueError) as problem:
            raise RuntimeError(f"{path.name}: {problem}") from problem
        nbformat.write(page(done), folder / path.name)

    with ThreadPoolExecutor(2) as pool:
        list(tqdm(pool.map(write, paths), total=len(paths), desc="notebooks", unit="notebook"))


def sources(paths: Sequence[Path], folder: Path) -> None:
    """Write everything that Sphinx reads: the pages of `paths`, notation, guide for instructors, package, settings."""
    static = folder / "_static"
    static.mkdir(parents=True)
    pages(paths, folder)
    for name in ("course.css", "course.js"):
        shutil.copy(HERE / name, static)
    shutil.copy(HERE / "conf.py", folder)
    for path in (NOTEBOOKS / "notation.md", ROOT / "INSTRUCTOR.md"):
        (folder / path.name).write_text(set_formulas(path.read_text(encoding="utf-8")), encoding="utf-8")
    index = (HERE / "index.md").read_text(encoding="utf-8").split("\n")
    left_out = {path.stem for path in course()} - {path.stem for path in paths}
    (folder / "index.md").write_text("\n".join(line for line in index if line not in left_out), encoding="utf-8")
    parts = (
        f"## {name}\n\n```{{eval-rst}}\n.. automodule:: diffrec_lite.{name}\n   :members:\n   :show-inheritance:\n```\n"
        for name in MODULES
    )
    api = (HERE / "api.md").read_text(encoding="utf-8").replace("MODULES\n", "\n".join(parts))
    (folder / "api.md").write_text(api, encoding="utf-8")


def build(paths: Sequence[Path], out: Path) -> Path:
    """Build the site of the notebooks at `paths` in `out`, where an older site is replaced; returns its first page.

    Raises FileExistsError where `out` holds anything but a site, and subprocess.CalledProcessError where Sphinx finds
    something wrong: a warning is an error.
    """
    if out.exists() and not (out / ".buildinfo").exists() and (out.is_file() or any(out.iterdir())):
        raise FileExistsError(f"{out} holds something else than a site; name another folder")
    shutil.rmtree(out, ignore_errors=True)
    with tempfile.TemporaryDirectory() as source:
        sources(paths, Path(source))
        command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", source, str(out)]
        if len(paths) < len(course()):
            command += ["-D", "suppress_warnings=mystnb.unknown_mime_type,myst.xref_missing"]
        subprocess.run(command, check=True)
    return out / "index.html"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    takes_notebooks(parser)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "site", help="an older site there is replaced")
    given = parser.parse_args()
    try:
        print(build(given.notebooks or course(), given.out))
    except FileExistsError as problem:
        parser.error(str(problem))


if __name__ == "__main__":
    main()
