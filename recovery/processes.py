"""Who a process is, so that a lease knows whether its holder still lives. Linux only: it reads /proc."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_START_TIME_FIELD = 22  # Source: proc_pid_stat(5), "(22) starttime", counted from 1.


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process of one machine since its last start.

    Attributes:
        boot: The machine's boot id.
        pid: Process number.
        started: Its start time in clock ticks since boot; tells it from a later process with the same number.
        where: `user@machine`, for people.
    """

    boot: str
    pid: int
    started: str
    where: str


class Processes(Protocol):
    """Knows processes."""

    def me(self) -> Process:
        """Return this process."""
        ...

    def is_dead(self, process: Process) -> bool:
        """Whether it is known to be dead; False for a process of another machine."""
        ...


class LinuxProcesses:
    """The processes of this machine."""

    def __init__(self, where: str) -> None:
        self._where = where

    def me(self) -> Process:
        """Return this process."""
        pid = os.getpid()
        return Process(
            boot=_BOOT_ID.read_text(encoding="ascii").strip(), pid=pid, started=_start(pid) or "", where=self._where
        )

    def is_dead(self, process: Process) -> bool:
        """Whether it ran on this machine, since this boot or an earlier one, and runs no more."""
        mine = self.me()
        if process.boot != mine.boot:
            return False
        return _start(process.pid) != process.started


def _start(pid: int) -> str | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    after_name = text.rpartition(")")[2].split()  # the name, in brackets, may hold spaces
    if after_name[0] in ("Z", "X"):
        return None
    return after_name[_START_TIME_FIELD - 3]
