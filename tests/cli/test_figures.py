"""`diffrec-lite figures`: two runs write the same bytes, and what is missing is said before anything is written."""

import os
import subprocess
import sys

import pytest
from command import run

from diffrec_lite.training import tables

TABLES = [t.name for t in tables.all_tables(prepared=False)]
FIGURES = [f"figure_{n}" for n in (1, 2, 3, 4)]


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures") / "new" / "folder"
    code, said, err = run("figures", "--out", folder)
    assert code == 0, err
    assert said.strip() == str(folder / "index.md")
    return folder


def test_every_table_and_figure_is_there_in_both_forms(out):
    expected = {f"{name}.{end}" for name in TABLES for end in ("csv", "md")}
    expected |= {f"{name}.{end}" for name in FIGURES for end in ("svg", "png")} | {"index.md"}
    assert {path.name for path in out.iterdir()} == expected
    index = (out / "index.md").read_text()
    assert all(f"({name}." in index for name in TABLES + FIGURES)


def test_two_runs_give_the_same_bytes(out, tmp_path):
    again = tmp_path / "again"
    subprocess.run(
        [sys.executable, "-m", "diffrec_lite", "figures", "--out", str(again)],
        check=True,
        capture_output=True,
        env=os.environ | {"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "SOURCE_DATE_EPOCH": "1"},
    )
    different = [path.name for path in sorted(out.iterdir()) if path.read_bytes() != (again / path.name).read_bytes()]
    assert different == [] and len(list(again.iterdir())) == len(list(out.iterdir()))


def test_without_matplotlib_it_says_what_to_install_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for name in [name for name in sys.modules if name.startswith("diffrec_lite.widgets")]:
        monkeypatch.delitem(sys.modules, name)
    code, _, err = run("figures", "--out", tmp_path / "out")
    assert code == 2 and "matplotlib" in err and "diffrec-lite[course]" in err
    assert not (tmp_path / "out").exists()


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "taken").write_text("")
    code, _, err = run("figures", "--out", tmp_path / "taken")
    assert code == 2 and "taken" in err
