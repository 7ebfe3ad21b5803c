"""What notebook 07 says of the package: the lines that it quotes stand there, and its commands do what it promises."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import nbformat
import pandas as pd

ROOT = Path(__file__).resolve().parents[3]
NOTEBOOK = nbformat.read(ROOT / "notebooks" / "07_training.ipynb", as_version=4)
PROSE = "\n".join(cell.source for cell in NOTEBOOK.cells if cell.cell_type == "markdown")


def words(code):
    return " ".join(code.split())


def test_every_line_of_code_in_a_table_stands_in_the_package():
    package = words(" ".join(path.read_text(encoding="utf-8") for path in (ROOT / "diffrec_lite").rglob("*.py")))
    rows = [row for row in PROSE.splitlines() if row.startswith("|")]
    quoted = [code for row in rows for code in re.findall(r"`([^`]+)`", row) if re.search(r"[=(].*[)\]]|return ", code)]
    quoted = [code for code in quoted if not re.fullmatch(r"\([\w, ]+\)", code)]  # a shape
    assert len(quoted) >= 15
    for code in quoted:
        pieces = [words(piece).rstrip(",") for piece in code.split("...")]
        assert all(piece.strip(" )}") in package for piece in pieces), code


def films(folder):
    """The file of notebook 07, as its own cell writes it."""
    source = next(c.source for c in NOTEBOOK.cells if c.cell_type == "code" and 'folder / "films.csv"' in c.source)
    source = source.split("\nprint(")[0].replace("Path(tempfile.mkdtemp())", repr_path(folder))
    exec("import csv, random\nfrom pathlib import Path\n" + source, {})


def repr_path(folder):
    return f"Path({str(folder)!r})"


def test_the_commands_do_what_the_notebook_does(tmp_path):
    films(tmp_path)
    commands = re.search(r"```bash\n(.*?)```", PROSE, flags=re.S)[1].splitlines()
    assert [command.split()[1] for command in commands] == ["train", "evaluate", "recommend", "train"]
    said = {}
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == "diffrec-lite"
        ran = subprocess.run(
            [sys.executable, "-m", "diffrec_lite", *arguments],
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        said[arguments[0]] = ran.stdout
    history = pd.read_csv(tmp_path / "films_run" / "history.csv")
    assert {"loss", "gradient norm", "val NDCG@10"} <= set(history.columns)
    assert re.search(r"^\W*1\W+304\W+Iron Orchard 4", said["recommend"], flags=re.M)

    stored = next(
        output.data["text/plain"]
        for cell in NOTEBOOK.cells
        if cell.cell_type == "code" and "done.history" in cell.source
        for output in cell.outputs
        if "text/plain" in output.get("data", {})
    )
    last = float(stored.splitlines()[-1].split()[-1])  # NDCG@10 of the validation readers after the last epoch
    assert abs(history["val NDCG@10"].iloc[-1] - last) < 0.02
