"""The student version of the notebooks: nbgrader takes the solutions out and locks the checks.

python tools/release.py                                     all notebooks, to build/release
python tools/release.py notebooks/01_forward_noising.ipynb     only this one
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbgrader.apps import NbGraderAPI
from traitlets.config import Config

from notebooks import ROOT, course, normalise

ASSIGNMENT = "course"


def release(paths: Sequence[Path], out: Path) -> list[Path]:
    """Write the student version of each notebook to the folder `out`. Raises RuntimeError where nbgrader refuses."""
    out.mkdir(parents=True, exist_ok=True)
    # nbgrader calls a program of this environment by its bare name, also where the environment is not activated.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "source", ASSIGNMENT)
        source.mkdir(parents=True)
        for path in paths:
            shutil.copy(path, source)
        config = Config()
        config.CourseDirectory.root = folder
        config.NbGraderAPI.log_level = logging.ERROR
        result = NbGraderAPI(config=config).generate_assignment(ASSIGNMENT, force=True, create=True)
        if not result["success"]:
            raise RuntimeError(f"nbgrader could not make the student version:\n{result.get('log') or result}")
        written = []
        for path in paths:
            notebook = nbformat.read(Path(folder, "release", ASSIGNMENT, path.name), as_version=4)
            written.append(out / path.name)
            nbformat.write(normalise(notebook), written[-1])
    return written


def main() -> int:
    """Write the student versions of the notebooks named on the command line, or of all."""
    parser = argparse.ArgumentParser(description="Write the student version of notebooks.")
    parser.add_argument("notebooks", nargs="*", type=Path, help="paths of notebooks; without one, the whole course")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "release")
    arguments = parser.parse_args()
    for path in release(arguments.notebooks or course(), arguments.out):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
