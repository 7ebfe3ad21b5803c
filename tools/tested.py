"""The versions with which the tests passed, for pip: `make test` calls this when they have.

python tools/tested.py                    to build/tested.txt
python tools/tested.py --out tested.txt   to the file that is kept with the project
"""

from __future__ import annotations

import argparse
import platform
import tomllib
from importlib.metadata import version
from itertools import chain
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
# What the notebooks run on, beside the packages that pyproject.toml names.
JUPYTER = ("ipython", "jupyter-client", "jupyter-core", "jupyter-server", "traitlets")
HEADER = """\
# The versions with which `make test` has passed, on Python {python}, {system} {machine}. Written by tools/tested.py.
# To install the same: python -m pip install -c tested.txt -e ".[course]"
"""


def direct() -> dict[str, Requirement]:
    """Every package that pyproject.toml names, whatever it is for, by its canonical name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = chain(project["dependencies"], *project["optional-dependencies"].values())
    found = {canonicalize_name(requirement.name): requirement for requirement in map(Requirement, lines)}
    found.pop(canonicalize_name(project["name"]), None)  # an extra may name another of this project
    return found


def tested() -> str:
    """The text of the file. Raises PackageNotFoundError where one of the packages is not installed."""
    head = HEADER.format(python=platform.python_version(), system=platform.system(), machine=platform.machine())
    # Without the build, such as +cpu: it is not the same on every computer.
    lines = [f"{name}=={Version(version(name)).public}\n" for name in sorted({*direct(), *JUPYTER})]
    return head + "".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "tested.txt")
    out = parser.parse_args().out
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(tested(), encoding="utf-8")
    print(out)


if __name__ == "__main__":
    main()
