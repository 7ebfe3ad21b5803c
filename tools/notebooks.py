"""Run notebooks again and store their outputs in one normal form: a second run changes nothing.

python tools/notebooks.py                                   all notebooks
python tools/notebooks.py notebooks/01_forward_noising.ipynb   only this one
python tools/notebooks.py --address                            run none, only write the repository's address into them
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
from pathlib import Path

import nbformat
from address import addressed, repository
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
# What a cell's metadata may hold; the rest is the state of somebody's editor.
KEPT_METADATA = ("nbgrader", "tags")
# Small models are slower on two threads, and threads that wait must not spin.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}


def course() -> list[Path]:
    """The notebooks of the course, in their order."""
    return sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))


def execute(notebook: NotebookNode, folder: Path, allow_errors: bool = False, timeout: int = 300) -> NotebookNode:
    """Run `notebook` in `folder` from its first cell, in place. Raises CellExecutionError unless errors are allowed."""
    os.environ.update(ENVIRONMENT)
    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        allow_errors=allow_errors,
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    )
    return client.execute()


def normalise(notebook: NotebookNode) -> NotebookNode:
    """The one form in which a notebook is stored, changed in place. Normalising twice changes nothing."""
    seen: set[str] = set()
    for cell in notebook.cells:
        cell.source = cell.source.rstrip()
        cell.id = _cell_id(cell.source, seen)
        cell.metadata = {key: cell.metadata[key] for key in KEPT_METADATA if cell.metadata.get(key)}
        if cell.cell_type == "code":
            cell.outputs = [_without_view(output) for output in _joined(cell.outputs)]
    widgets = notebook.metadata.get("widgets")
    notebook.metadata = {
        # As JupyterLab would write both: a notebook that is only opened is not marked as changed.
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": notebook.metadata.get("language_info", {"name": "python"}),
    }
    # The state is of use only to a view that is still there.
    if widgets and any(WIDGET_VIEW in o.get("data", {}) for c in notebook.cells for o in c.get("outputs", [])):
        notebook.metadata["widgets"] = widgets
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return nbformat.from_dict(notebook)


def _cell_id(source: str, seen: set[str]) -> str:
    """An id that follows from the cell's text, so that neither a new cell nor a new run renames the others."""
    copy = 0
    while (name := hashlib.sha256(f"{copy}{source}".encode()).hexdigest()[:10]) in seen:
        copy += 1
    seen.add(name)
    return name


def _joined(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Outputs with neighbouring pieces of one stream put together: where a kernel cuts them is chance."""
    result: list[NotebookNode] = []
    for output in outputs:
        last = result[-1] if result else {}
        if output.output_type == "stream" and last.get("output_type") == "stream" and last["name"] == output.name:
            last["text"] += output.text
        else:
            result.append(output)
    return result


def _without_view(output: NotebookNode) -> NotebookNode:
    """The output without its widget view where a picture stands in: the view's id differs from run to run."""
    if WIDGET_VIEW in output.get("data", {}) and "image/png" in output.data:
        del output.data[WIDGET_VIEW]
        output.metadata.pop(WIDGET_VIEW, None)
    return output


def regenerate(path: Path, run: bool = True) -> bool:
    """Run the notebook at `path` and store it; True when the file changed. The file stays as it was after an error.

    Without `run` it keeps its outputs, and only its form and the repository's address are renewed.
    """
    before = path.read_text(encoding="utf-8")
    notebook = addressed(nbformat.reads(before, as_version=4), path.name, repository())
    if run:
        execute(notebook, path.parent)
    after = nbformat.writes(normalise(notebook)) + "\n"
    if after != before:
        path.write_text(after, encoding="utf-8")
    return after != before


def takes_notebooks(parser: argparse.ArgumentParser) -> None:
    """Let a command name notebooks. One that is not there is refused before anything is done."""

    def notebook(text: str) -> Path:
        if not (path := Path(text)).is_file():
            raise argparse.ArgumentTypeError(f"there is no notebook {text}")
        return path

    parser.add_argument("notebooks", nargs="*", type=notebook, help="paths of notebooks; without one, the whole course")


def main() -> int:
    """Regenerate the notebooks named on the command line, or all. Returns 1 when a cell of one fails."""
    parser = argparse.ArgumentParser(description="Run notebooks and store their outputs.")
    takes_notebooks(parser)
    parser.add_argument("--address", action="store_true", help="run nothing, only write the repository's address")
    given, failed = parser.parse_args(), False
    for path in given.notebooks or course():
        try:
            print(f"{path.name}: {'changed' if regenerate(path, not given.address) else 'unchanged'}", flush=True)
        except CellExecutionError as problem:
            failed = True
            print(f"{path.name}: not stored, a cell failed\n{problem}", file=sys.stderr)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
