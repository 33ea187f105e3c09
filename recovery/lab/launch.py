"""Starts the lab process and waits until it is ready."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from recovery.errors import LabError
from recovery.lab.process import READY
from recovery.lab.setup import Layout, Setup

_END_WITHIN_S = 10

started: dict[Path, subprocess.Popen[str]] = {}
"""Labs that this process has started, by folder: their guards are its children, and `down` waits for them."""


def launch(layout: Layout, setup: Setup, descriptors: Iterable[int], lock: int) -> int:
    """Start the process and return the number of the lab in it.

    Args:
        layout: Where things are.
        setup: What it is told.
        descriptors: Of the sockets that the setup names.
        lock: Descriptor of the lock, which it holds from now on.

    Raises:
        LabError: It ended before it was ready.
    """
    with layout.log.open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - our own module, in a folder whose name has been checked
            [sys.executable, "-m", "recovery.lab.process", str(layout.folder), str(lock)],
            cwd="/",
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            pass_fds=[*descriptors, lock],
            start_new_session=True,
            text=True,
        )
    is_ready = False
    try:
        is_ready = _tell(process, setup.to_json()).strip() == READY
    finally:
        if not is_ready:
            process.terminate()  # this is the guard: it passes it on, and ends last
            process.wait(_END_WITHIN_S)
    if not is_ready:
        raise LabError(f"the lab did not start: {last_line(layout.log)} ({layout.log} has all of it)")
    started[layout.folder] = process
    return int(json.loads(layout.card.read_bytes())["pid"])


def _tell(process: subprocess.Popen[str], text: str) -> str:
    """Write to the process and return what it says until it closes its stdout."""
    assert process.stdin is not None  # noqa: S101 - both are pipes
    assert process.stdout is not None  # noqa: S101
    with suppress(BrokenPipeError), process.stdin:
        process.stdin.write(text)
    with process.stdout:
        return process.stdout.read()


def environment() -> dict[str, str]:
    """Return this process's environment, with the code that runs here first on the path of modules."""
    path = [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(part for part in path if part)}


def last_line(log: Path) -> str:
    """Return the last thing that a process has told its log."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return next((line for line in reversed(lines) if line.strip()), "it said nothing")
