"""The project as a whole: dependencies agree everywhere, imports go one way, data travel with the package."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "diffrec_lite"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
# conda-forge names some packages differently. matplotlib-base is matplotlib without a window toolkit.
CONDA_NAMES = {"pytorch": "torch", "matplotlib-base": "matplotlib", "huggingface_hub": "huggingface-hub"}
# Which parts of the package a part may import; "core" is everything that is not listed.
LAYERS = {
    "core": {"core"},
    "models": {"core", "models"},
    "training": {"core", "models", "training"},
    "cli": {"core", "models", "training", "cli"},
    "checks": {"core", "models", "checks"},
    "figures": {"core", "models", "training", "figures"},
    "explorers": {"core", "models", "training", "figures", "explorers"},
}
MEMBERS = {
    "training": {"training", "evaluation", "recipe", "presets", "checkpoint", "runs"},
    "cli": {"cli", "__main__"},
}


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
    expected = requirements(project["dependencies"] + extras["course"] + extras["grading"])
    found = requirements([line for line in lines + pip if not line.startswith("--") and line != "pip"])
    found = {CONDA_NAMES.get(name, name): ranges for name, ranges in found.items()}
    assert str(found.pop("python")) == project["requires-python"]
    assert found == expected


def test_environment_yml_installs_this_project_from_one_channel():
    assert conda()["name"] == PYPROJECT["project"]["name"]
    assert conda()["channels"] == ["conda-forge"]
    assert "-e ." in str(conda()["dependencies"][-1]["pip"][-1])


def test_importing_the_package_and_its_core_loads_no_plots_and_no_widgets():
    code = (
        "import sys, diffrec_lite, diffrec_lite.data, diffrec_lite.models, diffrec_lite.training, diffrec_lite.cli\n"
        "print(sorted({'matplotlib', 'ipywidgets', 'anywidget', 'IPython'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def layer(module):
    """The layer of a dotted name below diffrec_lite, such as "models.dcrec"."""
    first = module.split(".")[0]
    if first in LAYERS:
        return first
    return next((name for name, members in MEMBERS.items() if first in members), "core")


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
    own = layer(".".join(path.relative_to(PACKAGE).with_suffix("").parts))
    wrong = {name for name in imported(path) if layer(name) not in LAYERS[own] and not name.startswith("__")}
    assert not wrong, f"{own} must not import {wrong}"


def test_the_data_that_the_package_looks_for_travel_in_the_wheel():
    included = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    for source, target in included.items():
        assert any((ROOT / source).iterdir()), f"{source} is empty"
        assert target == f"diffrec_lite/_data/{Path(source).name}"
    assert {"data/bookshop", "data/checkpoints"} <= set(included)


def test_every_notebook_tool_and_target_that_the_readme_names_exists():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    words = {word.strip("`.,:;()[]") for word in readme.replace("](", " ").split()}
    paths = {w for w in words if w.startswith(("tools/", "notebooks/", "data/", "diffrec_lite/", "tests/", ".ci/"))}
    missing = {path for path in paths if not any(c in path for c in "*<N") and not (ROOT / path).exists()}
    assert not missing
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    commands = readme.split("`make ")[1:]
    assert all(f"\n{command.split('`')[0].split()[0]}:" in makefile for command in commands)
