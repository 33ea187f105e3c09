"""Looks at the units of a lab from outside, while others are at work on them."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, cast

from tests.forked import Command, Ended

PULIH = [sys.executable, "-m", "recovery.cli.main"]


def pulih(*arguments: str, timeout_s: float = 120) -> Ended:
    """Run one command line to its end."""
    return Command(*arguments).ended(timeout_s)


def begin(*arguments: str) -> Command:
    """Start a command line, with all that it writes on its stdout."""
    return Command(*arguments, together=True)


def the_lab(folder: Path) -> dict[str, Any]:
    return cast(dict[str, Any], json.loads((folder / "lab.json").read_text()))


def roots(folder: Path) -> dict[str, Path]:
    """Return every unit's folder."""
    return {name: Path(unit["dir"]) for name, unit in the_lab(folder)["units"].items()}


def newest_run(folder: Path) -> str:
    return max(path.name for path in (folder / ".pulih" / "runs").iterdir())


def finished(folder: Path, run: str) -> list[str]:
    """Return the units that a run's journal has verified so far."""
    journal = folder / ".pulih" / "runs" / run / "journal.jsonl"
    if not journal.exists():
        return []
    found: list[str] = []
    for line in journal.read_text().splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        data = record["data"]
        verified = record["kind"] == "unit-finished" and data["state"] in ("verified", "unchanged")
        if verified and data["region"] is not None:
            found.append(data["name"])
    return found


def wait_for(folder: Path, before: set[str], units: int, process: Command | subprocess.Popen[str]) -> str:
    """Wait until a new run has verified that many units, and return its name."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        for run in {path.name for path in (folder / ".pulih" / "runs").iterdir()} - before:
            if len(finished(folder, run)) >= units:
                return run
        time.sleep(0.005)
    raise AssertionError(f"the run never came to {units} units: {process.poll()}")


class Witness(threading.Thread):
    """Reads what every unit has under `current`, over and over, and remembers what was not exactly one bundle."""

    pause_s = 0.02
    """Between two looks, so that the looking leaves the machine to those who are looked at, seconds."""

    def __init__(self, units: dict[str, Path]) -> None:
        super().__init__(daemon=True)
        self.units = units
        self.mixtures: list[str] = []
        self.looks = 0
        self._enough = threading.Event()

    def run(self) -> None:
        while not self._enough.is_set():
            for name, root in self.units.items():
                self._look(name, root)
            self.looks += 1
            self._enough.wait(self.pause_s)

    def __enter__(self) -> Witness:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self.join()

    def _look(self, name: str, root: Path) -> None:
        try:
            release = root / (root / "current").readlink()
            manifest = (release / "MANIFEST").read_bytes()
            found = [
                (hashlib.sha256((release / path).read_bytes()).hexdigest(), path)
                for path in (line.split(" ", 2)[2] for line in manifest.decode().splitlines())
            ]
        except FileNotFoundError:
            if os.path.lexists(root / "current") and (root / "current").exists():
                self._look_again(name, root)
            return
        wanted = [(line.split(" ")[0], line.split(" ", 2)[2]) for line in manifest.decode().splitlines()]
        if found != wanted or hashlib.sha256(manifest).hexdigest() not in release.name:
            self.mixtures.append(name)

    def _look_again(self, name: str, root: Path) -> None:
        """A release may be removed while it is read, once it is two releases old; the next one is whole."""
        release = root / (root / "current").readlink()
        if not (release / "MANIFEST").exists() and release == root / (root / "current").readlink():
            self.mixtures.append(f"{name}: {release.name} without a manifest")
