"""The project as a whole: dependencies agree everywhere, imports go one way, data travel with the package."""

import ast
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import tested
import yaml
from install_torch import requirement
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "diffrec_lite"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
# conda-forge names some packages differently. matplotlib-base is matplotlib without a window toolkit.
CONDA_NAMES = {"pytorch": "torch", "matplotlib-base": "matplotlib", "huggingface_hub": "huggingface-hub"}
# What stands at the top of the package, and what each may import. "core" is every single file at the top.
ENTRIES = {"diffusion", "layers", "noise", "metrics", "evaluation", "data", "models", "training", "lessons", "widgets"}
FLOORS = {
    "core": {"core", "data"},
    "data": {"data"},
    "models": {"core", "data", "models"},
    "training": {"core", "data", "models", "training"},
    "widgets": {"core", "data", "models", "widgets"},
    "lessons": {"core", "data", "models", "training", "widgets", "lessons"},
    "cli": {"core", "data", "models", "training", "widgets", "cli"},
}
LONGEST = 300  # lines of a module


def requirements(lines):
    parsed = [Requirement(line) for line in lines]
    return {canonicalize_name(r.name): r.specifier for r in parsed}


def conda():
    return yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))


def test_environment_yml_names_the_packages_and_ranges_of_pyproject():
    project = PYPROJECT["project"]
    lines = [line for line in conda()["dependencies"] if isinstance(line, str)]
    pip = next(line["pip"] for line in conda()["dependencies"] if isinstance(line, dict))
    extras = project["optional-dependencies"]
    expected = requirements(project["dependencies"] + extras["course"] + extras["hosted"])
    expected.pop(project["name"])  # the extra "course" names the extra "hosted"
    found = requirements([line for line in lines + pip if not line.startswith("--") and line != "pip"])
    found = {CONDA_NAMES.get(name, name): ranges for name, ranges in found.items()}
    assert str(found.pop("python")) == project["requires-python"]
    assert found == expected


def test_environment_yml_installs_this_project_from_one_channel():
    assert conda()["name"] == PYPROJECT["project"]["name"]
    assert conda()["channels"] == ["conda-forge"]
    assert "-e ." in str(conda()["dependencies"][-1]["pip"][-1])


def test_no_dependency_has_an_upper_end():
    """Where a newer torch is there already, as on Colab, installing the package must not replace it."""
    capped = [str(r) for r in tested.direct().values() if any(part.operator != ">=" for part in r.specifier)]
    assert capped == []


def test_where_the_kernel_is_somebody_elses_no_part_of_jupyter_is_replaced():
    extras = PYPROJECT["project"]["optional-dependencies"]
    assert "diffrec-lite[hosted]" in extras["course"]
    assert not {"jupyterlab", "ipykernel", "ipywidgets"} & set(requirements(extras["hosted"]))


def kept():
    """The versions in tested.txt, by name."""
    lines = (ROOT / "tested.txt").read_text(encoding="utf-8").splitlines()
    return {name: Version(number) for name, number in (line.split("==") for line in lines if line[0] != "#")}


def test_the_versions_that_were_tested_are_all_there_and_in_range():
    assert set(kept()) == {*tested.direct(), *tested.JUPYTER}
    wrong = [name for name, needed in tested.direct().items() if not needed.specifier.contains(kept()[name])]
    assert wrong == []


def test_a_fresh_torch_is_one_that_was_tested():
    assert Requirement(requirement()).specifier.contains(kept()["torch"])
    assert not Requirement(requirement()).specifier.contains(f"{kept()['torch'].major}.{kept()['torch'].minor + 1}")


def test_what_is_written_is_what_runs_here_for_pip():
    head, lines = [], []
    for line in tested.tested().splitlines():
        (head if line.startswith("#") else lines).append(line)
    assert f"Python {sys.version.split()[0]}" in head[0]
    found = requirements(lines)
    assert set(found) == set(kept())
    assert all(ranges.contains(version(name)) for name, ranges in found.items())
    assert "+" not in "".join(lines)  # a build for one kind of computer


def test_importing_the_package_and_its_core_loads_no_plots_and_no_widgets():
    code = (
        "import sys, diffrec_lite.data, diffrec_lite.models, diffrec_lite.training.loop, diffrec_lite.cli\n"
        "print(sorted({'matplotlib', 'ipywidgets', 'anywidget', 'IPython'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def floor(module):
    """The floor of a dotted name below diffrec_lite, such as "models.dcrec"."""
    first = module.split(".")[0]
    return "cli" if first == "__main__" else first if first in FLOORS else "core"


def imported(path):
    """The parts of the package that the file at `path` imports, as dotted names below diffrec_lite."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            base = "diffrec_lite" if node.level else node.module
            if base == "diffrec_lite":
                yield from (alias.name for alias in node.names)
            elif base.startswith("diffrec_lite."):
                yield base.removeprefix("diffrec_lite.")
        elif isinstance(node, ast.Import):
            yield from (a.name.removeprefix("diffrec_lite.") for a in node.names if a.name.startswith("diffrec_lite."))


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(PACKAGE)) for path in FILES])
def test_imports_go_one_way(path):
    own = floor(".".join(path.relative_to(PACKAGE).with_suffix("").parts))
    wrong = {name for name in imported(path) if floor(name) not in FLOORS[own] and not name.startswith("__")}
    assert not wrong, f"{own} must not import {wrong}"


def test_a_lesson_imports_its_own_folder_and_no_other_lesson():
    for path in (PACKAGE / "lessons").glob("*/*.py"):
        others = {
            n for n in imported(path) if n.startswith("lessons.") and n.split(".")[1] not in (path.parent.name, "check")
        }
        assert not others, f"{path.name} of {path.parent.name} imports {others}"


def test_a_newcomer_finds_ten_things_to_read_and_the_command_line():
    found = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or any(path.glob("*.py"))}
    assert found == ENTRIES | {"cli", "__init__", "__main__"}


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(PACKAGE)) for path in FILES])
def test_a_module_can_be_read_in_one_sitting(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST


def test_every_lesson_is_named_like_its_notebook_and_has_the_same_three_parts():
    lessons = {path.name for path in (PACKAGE / "lessons").iterdir() if path.is_dir() and any(path.glob("*.py"))}
    assert lessons == {path.stem.split("_", 1)[1] for path in (ROOT / "notebooks").glob("[0-9]*.ipynb")}
    for lesson in lessons:
        parts = {path.stem for path in (PACKAGE / "lessons" / lesson).glob("*.py")}
        assert parts == {"__init__", "figures", "explorer", "checks"}


def test_the_data_that_the_package_looks_for_travel_in_the_wheel():
    included = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    for source, target in included.items():
        assert any((ROOT / source).iterdir()), f"{source} is empty"
        assert target == f"diffrec_lite/_data/{Path(source).name}"
    assert {"data/bookshop", "data/checkpoints"} <= set(included)


@pytest.mark.parametrize("page", ["README.md", "RESULTS.md", "CONTRIBUTING.md"])
def test_every_notebook_tool_and_target_that_a_page_names_exists(page):
    readme = (ROOT / page).read_text(encoding="utf-8")
    words = {word.strip("`.,:;()[]") for word in readme.replace("](", " ").split()}
    paths = {
        w
        for w in words
        if w.startswith(("tools/", "experiments/", "notebooks/", "data/", "diffrec_lite/", "tests/", ".ci/"))
    }
    stands_for_others = ("*", "<", "N", "TOPIC")
    missing = {p for p in paths if not any(c in p for c in stands_for_others) and not (ROOT / p).exists()}
    assert not missing
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    commands = readme.split("`make ")[1:]
    assert all(f"\n{command.split('`')[0].split()[0]}:" in makefile for command in commands)
