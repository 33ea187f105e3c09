"""How much memory there is, and how much a session's processes hold. Linux only: it reads /proc."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
_SESSION = 6  # Source: proc_pid_stat(5), "(6) session", counted from 1.


def available_bytes() -> int:
    """Return what can be had without swapping. Source: proc_meminfo(5), MemAvailable."""
    return _kib(_PROC / "meminfo", "MemAvailable:") * 1024


def session_bytes(session: int) -> int:
    """Return what the processes of a session hold, what they share counted by shares."""
    found = 0
    for process in _PROC.iterdir():
        if not process.name.isdigit():
            continue
        with suppress(OSError, ValueError, IndexError):  # it ended meanwhile, or is somebody else's
            after_name = (process / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
            if int(after_name[_SESSION - 3]) == session:
                found += _kib(process / "smaps_rollup", "Pss:") * 1024
    return found


def _kib(file: Path, key: str) -> int:
    for line in file.read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith(key):
            return int(line.split()[1])
    raise ValueError(f"{file} has no {key}")
