"""Where the course can be had: the repository's address stands in pyproject.toml, and follows from there.

From it `tools/notebooks.py` writes into each notebook the links that open it on Colab and on Kaggle, and at the head of
the set-up cell the lines that install the package where it is missing. `tools/lint_notebooks.py` compares.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from nbformat import NotebookNode

PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
PLACEHOLDER = "OWNER"
BRANCH = "main"
LINKS = "**Run it elsewhere:**"
BELOW = "**Before this:**"  # the paragraph of the first cell that the links follow
INSTALL = """from importlib.util import find_spec

if find_spec("diffrec_lite") is None:  # as on Colab and Kaggle
    get_ipython().run_line_magic("pip", 'install -q "diffrec-lite[hosted] @ git+{repository}"')

"""
INSTALLED = re.compile(r"\A.*?run_line_magic\(\"pip\",.*?\n+", re.DOTALL)


def repository(project: Path = PROJECT) -> str:
    """The repository's address, as `project` gives it."""
    return tomllib.loads(project.read_text(encoding="utf-8"))["project"]["urls"]["Repository"].rstrip("/")


def addressed(notebook: NotebookNode, name: str, address: str) -> NotebookNode:
    """The notebook of the file `name` with links and installation from `address`, in place; twice is once."""
    first = without_links(notebook).cells[0]
    if first.cell_type == "markdown":
        paragraphs = first.source.split("\n\n")
        place = next((i for i, text in enumerate(paragraphs) if BELOW in text), 0)
        paragraphs.insert(place + 1, links(name, address))
        first.source = "\n\n".join(paragraphs)
    for cell in notebook.cells:
        if "setup" in cell.metadata.get("tags", []):
            cell.source = INSTALL.format(repository=address) + INSTALLED.sub("", cell.source)
    return notebook


def links(name: str, address: str) -> str:
    """The paragraph that opens the notebook of the file `name` elsewhere. Colab knows only what is on GitHub."""
    file = f"{address}/blob/{BRANCH}/notebooks/{name}"
    colab = file.replace("https://github.com", "https://colab.research.google.com/github")
    return f"{LINKS} [Colab]({colab}) · [Kaggle](https://kaggle.com/kernels/welcome?src={file})"


def without_links(notebook: NotebookNode) -> NotebookNode:
    """The notebook without these links, in place: they lead to the solved one, so no class gets them."""
    first = notebook.cells[0]
    first.source = "\n\n".join(text for text in first.source.split("\n\n") if not text.startswith(LINKS))
    return notebook


def unpublishable(address: str) -> list[str]:
    """A complaint while the address is nobody's yet."""
    if PLACEHOLDER not in address.split("/"):
        return []
    return [
        f"pyproject.toml: the repository is still {address}: write its real address there, under [project.urls], "
        "then run `python tools/notebooks.py --address`"
    ]
