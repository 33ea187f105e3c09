"""Files that others read and write meanwhile: whole or not at all, and by one process at a time."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from recovery.errors import HeldError

_PAUSE_S = 0.01


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that readers, and a machine that loses its power, find the old content or the new one."""
    fresh = path.with_name(path.name + ".new")
    with fresh.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    put_in_place(fresh, path)


def put_in_place(fresh: Path, path: Path) -> None:
    """Let a file that is on the disk take the place, and the name, of another; return when the disk has that too."""
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def alone(lock: Path, wait_s: float, *, told: str) -> Generator[None]:
    """Have a lock file to ourselves for a while; it holds the number of the process that has it.

    Args:
        lock: Made if it is not there, and left behind.
        wait_s: How long to wait for somebody else; a process that was stopped would keep us for ever.
        told: What can't be done meanwhile, for the error.

    Raises:
        HeldError: Somebody else had it all that time.
    """
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + wait_s
        while not _is_ours(descriptor):
            if time.monotonic() > deadline:
                holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
                process = f"process {holder}" if holder.isdigit() else "a process"
                raise HeldError(
                    f"{told}: {process} has held {lock} for {wait_s:g} s. Try again when it has ended; if it is "
                    "stopped or hangs, end it with kill -9: nothing is half written."
                )
            time.sleep(_PAUSE_S)
        os.pwrite(descriptor, f"{os.getpid():<20}".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _is_ours(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
