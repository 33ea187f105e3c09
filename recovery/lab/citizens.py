"""Starts the citizens' apps of a drill in a process of their own, and tells them what happens."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recovery.errors import LabError
from recovery.lab.launch import environment, last_line
from recovery.model.citizens import Citizen

RECONNECT_WITHIN_S = 20.0
"""Longer than the longest wait between two polls here, with every app of a large crowd trying at once."""

_END_WITHIN_S = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconnected:
    """What became of the apps.

    Attributes:
        told_at: When the first mirror showed the newest manifest; None when none did.
    """

    told_at: datetime | None
    each: tuple[Citizen, ...]


class Citizens:
    """The apps, once they are there; each method tells them that something has happened."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self._log = log
        self._waiting = 0

    def begin(self, **order: object) -> None:
        """Have them installed, which goes on while others are at work."""
        self._send("begin", **order)

    def installed(self) -> None:
        """Wait until they are; nothing may be published before.

        Raises:
            LabError: One of them could not be.
        """
        self._answers()

    def today(self) -> None:
        """Have most of them learn what was published since, and all of them make a transaction.

        Raises:
            LabError: One of them could not.
        """
        self._ask("today")

    def lost(self) -> None:
        """Have them lose the data centre, and try again and again from now on."""
        self._ask("lost")

    def ended(self, within_s: float) -> None:
        """Have all of them online; they find the services within that time or not, while others are at work."""
        self._send("ended", within_s=within_s)

    def found(self) -> Reconnected:
        """Wait for what became of each.

        Raises:
            LabError: They have ended.
        """
        said = self._answers()
        return Reconnected(
            told_at=_moment(said["told_at"]),
            each=tuple(
                Citizen(
                    name=one["name"],
                    kind=one["kind"],
                    reconnected_at=_moment(one["reconnected_at"]),
                    drafts_lost=one["drafts_lost"],
                    reason=one["reason"],
                )
                for one in said["each"]
            ),
        )

    def _send(self, word: str, **order: object) -> None:
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        with suppress(BrokenPipeError):  # what it said before it ended is read next
            self._process.stdin.write(json.dumps({"do": word, **order}) + "\n")
            self._process.stdin.flush()
        self._waiting += 1

    def _ask(self, word: str, **order: object) -> Any:
        self._send(word, **order)
        return self._answers()

    def _answers(self) -> Any:
        """Return the last of the answers that are waited for."""
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        said = "null"
        while self._waiting:
            said = self._process.stdout.readline()
            if not said:
                raise LabError(
                    f"the citizens' apps of this drill ended: {last_line(self._log)} ({self._log} has it all)"
                )
            self._waiting -= 1
        return json.loads(said)


@contextmanager
def citizens(folder: Path) -> Generator[Citizens]:
    """Have citizens' apps for a while.

    Args:
        folder: Theirs; what an earlier drill left there is removed.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    log = folder / "crowd.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "recovery.lab.crowd"],
            cwd="/",
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
            text=True,
        )
    try:
        yield Citizens(process, log)
    finally:
        process.terminate()
        process.wait(_END_WITHIN_S)


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
