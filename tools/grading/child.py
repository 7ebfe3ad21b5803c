"""Work in a process of its own: what it returns comes back as bytes, and nothing is left of it."""

from __future__ import annotations

import os
import select
import signal
import struct
import threading
import time
from collections.abc import Callable

from tqdm import tqdm

HEADER = struct.Struct("!Q")
MOST_BYTES = 64 * 2**20


class OutOfTimeError(Exception):
    """The process was ended because its time was over."""


class EndedError(Exception):
    """The process ended, or wrote something else, before its work was done. The message says how."""


def in_child(work: Callable[[int], bytes], seconds: float) -> bytes:
    """Fork, and return what `work(pipe)` returns there; `pipe` is the descriptor that it must leave open.

    The process and all of its group are killed afterwards. Raises OutOfTimeError or EndedError.
    """
    reader, writer = os.pipe()
    process = os.fork()
    if process == 0:
        code = 1
        try:
            os.setsid()
            os.close(reader)
            tqdm.set_lock(threading.RLock())  # its usual one is shared, and stays locked if its holder is killed
            answer = work(writer)
            _write(writer, HEADER.pack(len(answer)) + answer)
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    deadline = time.monotonic() + seconds
    try:
        (length,) = HEADER.unpack(_read(reader, HEADER.size, deadline))
        if length > MOST_BYTES:
            raise EndedError("it handed over far too much")
        return _read(reader, length, deadline)
    except EOFError:
        raise EndedError(_how(process, deadline)) from None
    finally:
        os.close(reader)
        _end(process)


def _write(pipe: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(pipe, view) :]


def _read(pipe: int, length: int, deadline: float) -> bytes:
    data = bytearray()
    while len(data) < length:
        ready, _, _ = select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise OutOfTimeError
        part = os.read(pipe, min(length - len(data), 2**20))
        if not part:
            raise EOFError
        data += part
    return bytes(data)


def _how(process: int, deadline: float) -> str:
    """How the process ended. It has closed its pipe, so it is about to, or it never will."""
    while not (state := os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT)):
        if time.monotonic() > deadline:
            raise OutOfTimeError
        time.sleep(0.01)
    if state.si_code == os.CLD_EXITED:
        return f"its process ended with exit code {state.si_status}"
    if state.si_status == signal.SIGXCPU:
        raise OutOfTimeError
    return f"its process was ended by {signal.Signals(state.si_status).name}"


def _end(process: int) -> None:
    """Kill the process with all that it started in its group, and take it off the list of processes."""
    for kill in (os.killpg, os.kill):
        try:
            kill(process, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            # It has not made its group yet, or it is gone.
            continue
    os.waitpid(process, 0)
