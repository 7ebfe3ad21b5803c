"""What an answer may do while it is graded: compute, for a while, in a folder of its own.

Three fences stand around it. The system's limits bound its memory, the size of its files and, unless root grades, the
number of its processes. Landlock, where Linux has it, leaves it the course and Python to read, its folder to write, no
program to start and no address to connect to; nothing gets around it. And an audit hook, on every system, refuses the
same in words that a learner understands. The hook alone stops accidents and simple tricks, not a determined attacker.
"""

from __future__ import annotations

import ctypes
import os
import resource
import struct
import sys
import tempfile
from pathlib import Path
from typing import Any

import diffrec_lite
from diffrec_lite.data.shipped import shipped

MEMORY = 2 * 2**30  # bytes, beside what Python and torch have already
FILE = 8 * 2**20  # bytes
FILES = 20  # files that may be opened for writing
MARK = "While it is graded, an answer may not "

READABLE = [
    Path(diffrec_lite.__file__).parent,
    *(shipped(name).resolve() for name in ("bookshop", "checkpoints", "published", "runs")),
    *(Path(path) for path in (sys.prefix, sys.base_prefix, "/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/share")),
    *(Path(path) for path in ("/etc/localtime", "/dev/null", "/dev/urandom", "/proc/cpuinfo", "/proc/meminfo")),
]
# Events of Python's audit hooks, by what they begin with, and what is refused.
REFUSED = {
    "socket.": "use the network",
    "urllib.": "use the network",
    "subprocess.": "start programs",
    "os.system": "start programs",
    "os.exec": "start programs",
    "os.posix_spawn": "start programs",
    "os.spawn": "start programs",
    "os.fork": "start processes",
    "os.kill": "end other processes",
    "signal.pthread_kill": "end other processes",
    "ctypes.": "reach around Python",
    "pty.": "start programs",
    "resource.": "change its limits",
}
CHANGES_FILES = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.chmod", "os.chown", "os.link", "os.symlink")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def confine(folder: Path, pipe: int, seconds: int) -> None:
    """Fence this process in for good: `folder` is its own, `pipe` the one descriptor that stays open."""
    _close_all_but(pipe)
    os.chdir(folder)
    os.environ.update(HOME=str(folder), TMPDIR=str(folder))
    tempfile.tempdir = str(folder)
    for limit, value in {
        resource.RLIMIT_AS: _address_space() + MEMORY,
        resource.RLIMIT_FSIZE: FILE,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_NPROC: 0,
    }.items():
        resource.setrlimit(limit, (value, value))
    sys.addaudithook(_hook(str(folder.resolve()), _landlock(folder)))


def _close_all_but(pipe: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    os.closerange(3, pipe)
    os.closerange(pipe + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115 (for the process's life)


def _address_space() -> int:
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        return 8 * 2**30


def _hook(folder: str, fenced: bool) -> Any:
    readable = tuple(str(path.resolve()) for path in READABLE if path.exists())
    real, files, names = os.path.realpath, [], (str, bytes, os.PathLike)

    def inside(path: Any, allowed: tuple[str, ...]) -> bool:
        found = os.fsdecode(real(path))
        return any(found == each or found.startswith(each + "/") for each in allowed)

    def refuse(event: str, args: tuple) -> None:
        if event == "open":
            path, mode, flags = args
            if not isinstance(path, names):
                return
            if (mode and set(mode) & set("wax+")) or (flags or 0) & WRITES:
                files.append(path)
                if len(files) > FILES:
                    raise PermissionError(f"{MARK}write more than {FILES} files.")
                if not inside(path, (folder, "/dev/null")):
                    raise PermissionError(f"{MARK}write outside its own folder.")
            elif not inside(path, (folder, *readable)):
                raise PermissionError(f"{MARK}read files that do not belong to the course.")
        elif event.startswith(CHANGES_FILES):
            # The last argument is a folder that the path starts from, or -1; only the kernel can tell where that is.
            known = fenced or args[-1] == -1
            if not known or not all(inside(path, (folder,)) for path in args if isinstance(path, names)):
                raise PermissionError(f"{MARK}change files outside its own folder.")
        else:
            for beginning, what in REFUSED.items():
                if event.startswith(beginning):
                    raise PermissionError(f"{MARK}{what}.")

    return refuse


# Landlock, from include/uapi/linux/landlock.h and `man 7 landlock`. The numbers are the same on every architecture.

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
NO_NEW_PRIVILEGES = 38
READ_FILE, READ_DIR = 1 << 2, 1 << 3
OF_FILES = 1 << 0 | 1 << 1 | READ_FILE | 1 << 14 | 1 << 15  # execute, write, read, truncate, ioctl
RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}  # how many rights over files each version knows; later ones know 16


def _landlock(folder: Path) -> bool:
    """Let the kernel enforce which files may be touched. False where it cannot."""
    if sys.platform != "linux":
        return False
    system = ctypes.CDLL(None, use_errno=True)
    version = system.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), 1)
    if version < 1:
        return False
    every = (1 << RIGHTS.get(version, 16)) - 1
    asked = struct.pack("=Q", every)
    if version >= 4:
        asked += struct.pack("=Q", 3)  # binding and connecting over TCP
    if version >= 6:
        asked += struct.pack("=Q", 3)  # abstract sockets and signals to processes outside
    rules = system.syscall(CREATE_RULESET, asked, ctypes.c_size_t(len(asked)), 0)
    for path, rights in {**dict.fromkeys(READABLE, READ_FILE | READ_DIR), folder: every & ~1}.items():
        try:
            place = os.open(path, os.O_PATH)
        except OSError:
            continue
        allowed = rights if os.path.isdir(path) else rights & OF_FILES
        system.syscall(ADD_RULE, rules, 1, struct.pack("=Qi", allowed & every, place), 0)
        os.close(place)
    null = os.open(os.devnull, os.O_PATH)
    system.syscall(ADD_RULE, rules, 1, struct.pack("=Qi", 1 << 1 | READ_FILE, null), 0)
    os.close(null)
    system.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    done = system.syscall(RESTRICT_SELF, rules, 0) == 0
    os.close(rules)
    return done
