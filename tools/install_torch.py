"""Install PyTorch into this environment, without CUDA where it would be of no use.

On Linux the build on PyPI brings several gigabytes of CUDA libraries. Where there is no NVIDIA GPU, PyTorch's own
index of CPU builds is offered to pip as well. A pip that is already configured with its own sources is left alone.
"""

import argparse
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

CPU_INDEX = "https://download.pytorch.org/whl/cpu"
UNTRIED = "2.14"  # the first version with which the tests have not been run


def requirement() -> str:
    """The range of torch: from what the package needs to below what was not tried."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return next(line for line in project["dependencies"] if line.startswith("torch")) + f",<{UNTRIED}"


def main() -> None:
    argparse.ArgumentParser(description=__doc__.split("\n")[0]).parse_args()
    pip = [sys.executable, "-m", "pip"]
    configuration = subprocess.run([*pip, "config", "list"], capture_output=True, text=True).stdout
    own_sources = any(word in configuration for word in ("index-url", "find-links", "find_links"))
    cpu_only = sys.platform == "linux" and shutil.which("nvidia-smi") is None
    extra = ["--extra-index-url", CPU_INDEX] if cpu_only and not own_sources else []
    sys.exit(subprocess.run([*pip, "install", "-q", *extra, requirement()]).returncode)


if __name__ == "__main__":
    main()
