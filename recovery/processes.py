"""Who a process is, so that a lease knows whether its holder still lives. Linux only: it reads /proc."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_MACHINE_ID = Path("/etc/machine-id")
_NAMESPACE = Path("/proc/self/ns/pid")
_START_TIME_FIELD = 22  # Source: proc_pid_stat(5), "(22) starttime", counted from 1.


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process of one machine since its last start.

    Attributes:
        machine: The machine's lasting id and its name; empty where it has none.
        boot: The machine's boot id: another one after each start.
        namespace: The PID namespace that `pid` counts in; containers of one machine have their own.
        pid: Process number.
        started: Its start time in clock ticks since boot; tells it from a later process with the same number.
        where: `user@machine`, for people.
    """

    machine: str
    boot: str
    namespace: str
    pid: int
    started: str
    where: str

    @staticmethod
    def of(data: Mapping[str, object]) -> Process:
        """Read it as `asdict` has written it.

        Raises:
            KeyError: A field is missing.
            ValueError: The process number is none.
        """
        return Process(
            machine=str(data["machine"]),
            boot=str(data["boot"]),
            namespace=str(data["namespace"]),
            pid=int(str(data["pid"])),
            started=str(data["started"]),
            where=str(data["where"]),
        )


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
            machine=_machine(),
            boot=_BOOT_ID.read_text(encoding="ascii").strip(),
            namespace=str(_NAMESPACE.readlink()),
            pid=pid,
            started=_start(pid) or "",
            where=self._where,
        )

    def is_dead(self, process: Process) -> bool:
        """Whether it ran on this machine, since this boot or an earlier one, and runs no more."""
        mine = self.me()
        if process.boot != mine.boot:
            return bool(mine.machine) and process.machine == mine.machine  # it has been started anew since
        if process.namespace != mine.namespace:
            return False
        return _start(process.pid) != process.started


def _machine() -> str:
    try:
        lasting = _MACHINE_ID.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
    return f"{lasting}/{os.uname().nodename}" if lasting else ""


def _start(pid: int) -> str | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    after_name = text.rpartition(")")[2].split()  # the name, in brackets, may hold spaces
    if after_name[0] in ("Z", "X"):
        return None
    return after_name[_START_TIME_FIELD - 3]
