"""Sees to it that no process outlives the lab. Linux only: it uses prctl and /proc.

A session's shell can't be told to die with the lab by a flag of its own: `PR_SET_PDEATHSIG` would have to be set
between fork and exec, which costs a fork of the whole lab instead of a `posix_spawn`, and it would not reach the
shell's children (`timeout` even leaves the process group). End of file on stdin does not end an applier in the middle
of its work either. So both processes of the lab, the server and the small guard that is its parent, are *subreapers*:
whatever a dead parent leaves behind becomes their child, and the last of the two to live kills its children until none
is left.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from pathlib import Path

# Source: linux/prctl.h; prctl(2).
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

_PAUSE_S = 0.005


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}) failed")


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def end_with_parent(parent: int, number: signal.Signals) -> None:
    """Get a signal when the parent ends, however it ends.

    Args:
        parent: Its process number, to notice that it has ended already.
        number: The signal to get.
    """
    _prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os.kill(os.getpid(), number)


def children() -> tuple[int, ...]:
    """Return the process numbers of this process's children, ended ones included."""
    me = os.getpid()
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and _parent(entry) == me:
            found.append(int(entry.name))
    return tuple(found)


def end_descendants(within_s: float = 10) -> bool:
    """Kill every descendant of this process and wait for its end; False when some would not go in time."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        for child in children():
            try:
                os.kill(child, signal.SIGKILL)
            except ProcessLookupError:
                continue
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return True
        time.sleep(_PAUSE_S)
    return False


def end_sessions(leaders: set[int]) -> None:
    """Kill every process of some sessions, whatever process group it has gone to."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and _session(entry) in leaders:
            try:
                os.kill(int(entry.name), signal.SIGKILL)
            except ProcessLookupError:
                continue


def _fields(entry: Path) -> list[str]:
    """Return the fields of /proc/PID/stat from the third on; none when the process is gone."""
    try:
        text = (entry / "stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()  # the name, in brackets, may hold spaces


def _parent(entry: Path) -> int | None:
    fields = _fields(entry)
    return int(fields[1]) if fields else None  # Source: proc_pid_stat(5), "(4) ppid", counted from 1.


def _session(entry: Path) -> int | None:
    fields = _fields(entry)
    return int(fields[3]) if fields else None  # Source: proc_pid_stat(5), "(6) session", counted from 1.
