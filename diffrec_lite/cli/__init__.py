"""The command line: `diffrec-lite data | train | recommend | evaluate | compare | bench | leaderboard | figures |
course`.

Every mistake that a user can make ends in one line on stderr and exit code 2 (1 where `course` would have replaced a
learner's notebook). Set DIFFREC_TRACEBACK=1 to see where it happened. The commands stand in `commands.py` (data,
training, recommendations), `results.py` (how good and how fast models are), `leaderboard.py` (of a class), `figures.py`
(the survey's) and `course.py` (the notebooks); what they share in `options.py`, what they print in `output.py`.
"""

from __future__ import annotations

import os
import sys

from diffrec_lite.cli import commands, course, figures, leaderboard, results  # noqa: F401 - each adds its commands to the program
from diffrec_lite.cli.options import app
from diffrec_lite.cli.output import escape_what_cannot_be_shown


def main() -> None:
    """Run the command line and turn what went wrong into one line and an exit code."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # waiting threads that spin cost more than they win
    escape_what_cannot_be_shown()
    try:
        code = app(standalone_mode=False)
    except Exception as problem:
        if os.environ.get("DIFFREC_TRACEBACK") or not _is_users(problem):
            raise
        text = problem.format_message() if hasattr(problem, "format_message") else str(problem)
        if isinstance(problem, OSError) and problem.filename is not None:
            text = f"{problem.filename}: {problem.strerror}"
        if type(problem).__name__ != "NoArgsIsHelpError":  # the help is what there is to say
            print(f"error: {' '.join(text.split()) or type(problem).__name__}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        code = 130
    sys.exit(code if isinstance(code, int) else 0)


def _is_users(problem: Exception) -> bool:
    """Whether an exception is about the input, and not a mistake in this program."""
    if hasattr(problem, "format_message") or isinstance(problem, OSError | ValueError | MemoryError):
        return True
    if isinstance(problem, RuntimeError) and "can't allocate memory" in str(problem):  # torch, on a CPU
        return True
    return type(problem).__name__ in ("NonFiniteLoss", "SafetensorError", "OutOfMemoryError", "Abort")
