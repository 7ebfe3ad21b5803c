"""Every tool and every experiment says what it is before it does anything, and refuses what is not there."""

import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = [path for folder in ("tools", "experiments") for path in sorted((ROOT / folder).glob("*.py"))]
PROGRAMS = {path.stem: path for path in FILES if "__main__" in path.read_text(encoding="utf-8")}
OF_NOTEBOOKS = ("book", "claims", "lint_notebooks", "notebooks", "slides", "student")


def run(name, *arguments, monkeypatch):
    path = PROGRAMS[name]
    monkeypatch.setattr(sys, "argv", [str(path), *arguments])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_path(str(path), run_name="__main__")
    return stopped.value.code


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_tool_can_be_asked_what_it_does(name, monkeypatch, capsys):
    assert run(name, "--help", monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out.startswith("usage: ")


@pytest.mark.parametrize("name", OF_NOTEBOOKS)
def test_a_notebook_that_is_not_there_is_refused(name, monkeypatch, capsys):
    assert run(name, "notebooks/zz.ipynb", monkeypatch=monkeypatch) == 2
    assert "there is no notebook notebooks/zz.ipynb" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "arguments"), [("full_scale", ("--only", "zz")), ("follow", ("zz",))])
def test_a_name_that_nothing_has_is_refused(name, arguments, monkeypatch, capsys):
    assert run(name, *arguments, monkeypatch=monkeypatch) == 2
    assert "begins with zz" in capsys.readouterr().err


def test_a_site_never_takes_the_place_of_something_else(tmp_path, monkeypatch, capsys):
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    assert run("book", "--out", str(tmp_path), monkeypatch=monkeypatch) == 2
    assert "name another folder" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").read_text(encoding="utf-8") == "mine"
