"""`diffrec-lite course`: all notebooks arrive, nobody's answers are lost, and an installed copy has them too."""

import os
import tomllib
import zipfile
from pathlib import Path

import pytest
from command import run
from hatchling import build

from diffrec_lite.data import shipped

ROOT = Path(__file__).parents[2]
SOURCES = [*sorted((ROOT / "notebooks").glob("*.ipynb")), ROOT / "notebooks" / "notation.md"]


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_whole_course_is_written(tmp_path):
    code, said, err = run("course", tmp_path / "new" / "folder")
    assert code == 0, err
    assert said.strip() == str(tmp_path / "new" / "folder" / "00_start_here.ipynb")
    assert content(tmp_path / "new" / "folder") == {path.name: path.read_bytes() for path in SOURCES}
    assert len(SOURCES) == 12


def test_what_differs_stays_and_nothing_else_is_written(tmp_path):
    (tmp_path / "03_cross_attention.ipynb").write_text("my answers")
    code, said, err = run("course", tmp_path)
    assert code == 1 and said == ""
    assert "03_cross_attention.ipynb" in err and "--overwrite" in err and len(err.splitlines()) == 1
    assert content(tmp_path) == {"03_cross_attention.ipynb": b"my answers"}
    assert run("course", tmp_path, "--overwrite")[0] == 0
    assert content(tmp_path) == {path.name: path.read_bytes() for path in SOURCES}


def test_what_is_the_same_is_not_touched_and_what_is_missing_comes_back(tmp_path):
    assert run("course", tmp_path)[0] == 0
    (tmp_path / "notation.md").unlink()
    (tmp_path / "mine.ipynb").write_text("mine")
    before = {path: path.stat().st_ino for path in tmp_path.iterdir()}
    assert run("course", tmp_path)[0] == 0
    assert (tmp_path / "notation.md").exists() and (tmp_path / "mine.ipynb").read_text() == "mine"
    assert {path: path.stat().st_ino for path in before} == before


@pytest.mark.parametrize("before", [True, False], ids=["before the first", "after the first"])
def test_an_interrupt_leaves_whole_files_only(tmp_path, monkeypatch, before):
    """The answers are replaced on purpose, and the power goes."""
    (tmp_path / "10_hybrid.ipynb").write_text("my answers")
    replace, done = os.replace, []

    def stopped(source, target):
        if before or done:
            raise KeyboardInterrupt
        done.append(target)
        replace(source, target)

    monkeypatch.setattr(os, "replace", stopped)
    assert run("course", tmp_path, "--overwrite")[0] == 130
    right = {path.name: path.read_bytes() for path in SOURCES}
    found = content(tmp_path)
    assert found.pop("10_hybrid.ipynb") == b"my answers"
    assert len(found) == (0 if before else 1) and found.items() <= right.items()


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "taken").write_text("")
    code, _, err = run("course", tmp_path / "taken")
    assert code == 2 and "taken" in err


def test_a_copy_without_them_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "PACKAGE", tmp_path / "diffrec_lite")
    monkeypatch.setattr(shipped, "INSTALLED", tmp_path / "diffrec_lite" / "_data")
    code, _, err = run("course", tmp_path / "out")
    assert code == 2 and "install it again" in err and not (tmp_path / "out").exists()


def test_an_installed_copy_takes_its_own_and_not_what_lies_beside_it(tmp_path, monkeypatch):
    own, others = tmp_path / "diffrec_lite" / "_data" / "notebooks", tmp_path / "notebooks"
    for folder in (own, others):
        folder.mkdir(parents=True)
        (folder / "00_start_here.ipynb").write_text(folder.parent.name)
        (folder / "notation.md").write_text("")
    monkeypatch.setattr(shipped, "PACKAGE", tmp_path / "diffrec_lite")
    monkeypatch.setattr(shipped, "INSTALLED", tmp_path / "diffrec_lite" / "_data")
    assert run("course", tmp_path / "out")[0] == 0
    assert (tmp_path / "out" / "00_start_here.ipynb").read_text() == "_data"


def test_the_wheel_takes_along_all_that_is_shipped():
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    taken = wheel["force-include"]
    inside = shipped.INSTALLED.relative_to(ROOT).as_posix()
    folders = [path for path in (ROOT / "data").iterdir() if path.is_dir()]
    assert taken["notebooks"] == f"{inside}/notebooks"
    assert {f"data/{path.name}": f"{inside}/{path.name}" for path in folders}.items() <= taken.items()


def test_a_wheel_holds_the_notebooks(tmp_path):
    before = Path.cwd()
    os.chdir(ROOT)
    try:
        name = build.build_wheel(str(tmp_path))
    finally:
        os.chdir(before)
    with zipfile.ZipFile(tmp_path / name) as wheel:
        for path in SOURCES:
            assert wheel.read(f"diffrec_lite/_data/notebooks/{path.name}") == path.read_bytes()
