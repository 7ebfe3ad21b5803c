"""The command line, called in this process."""

import io
import sys
from contextlib import redirect_stderr, redirect_stdout

import pytest
import torch

from diffrec_lite import cli


def run(*arguments: object) -> tuple[int, str, str]:
    """Run the command line in this process: its exit code, stdout and stderr."""
    out, err, argv, threads = io.StringIO(), io.StringIO(), sys.argv, torch.get_num_threads()
    sys.argv = ["diffrec-lite", *map(str, arguments)]
    try:
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as stopped:
            cli.main()
    finally:
        sys.argv = argv
        torch.set_num_threads(threads)
    return int(stopped.value.code or 0), out.getvalue(), err.getvalue()
