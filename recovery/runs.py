"""The runs of an estate, as folders beside it: plan, journal, report, who conducts it, and a request to stop."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from recovery.errors import PlanError
from recovery.files import read_regular
from recovery.journal import Journal, read
from recovery.model.story import Story
from recovery.processes import Process, Processes
from recovery.retold import story
from recovery.store import MAX_DOCUMENT_BYTES
from recovery.writing import write_atomically

_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


class RunState(StrEnum):
    """How a run stands."""

    RUNNING = "running"
    DONE = "done"
    PARTIAL = "partial"
    HELD = "held"
    CANCELLED = "cancelled"
    OVERTAKEN = "overtaken"
    INTERRUPTED = "interrupted"
    """Its process died before it ended: `pulih resume` goes on."""


_BY_EXIT_CODE = {
    0: RunState.DONE,
    3: RunState.PARTIAL,
    4: RunState.OVERTAKEN,
    5: RunState.HELD,
    130: RunState.CANCELLED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """One line of the history.

    Attributes:
        exit_code: None while it runs, or when it was broken off.
    """

    run: str
    verb: str
    state: RunState
    started_at: datetime
    exit_code: int | None


class Runs:
    """The runs below one state folder."""

    def __init__(self, state: Path, processes: Processes) -> None:
        self.folder = state / "runs"
        self._processes = processes

    def create(self, run: str, plan: Mapping[str, object]) -> None:
        """Make the folder of a new run, with its plan."""
        fresh = self.folder / f".{run}"
        fresh.mkdir(parents=True, mode=0o700)
        write_atomically(fresh / "plan.json", (json.dumps(plan, ensure_ascii=False, indent=1) + "\n").encode())
        fresh.rename(self.folder / run)

    def conduct(self, run: str) -> Journal:
        """Say that this process conducts the run from now on, and open its journal.

        Raises:
            BrokenRecordError: The journal was edited.
        """
        folder = self.folder / run
        journal = Journal(folder / "journal.jsonl")
        write_atomically(folder / "process.json", json.dumps(asdict(self._processes.me())).encode())
        (folder / "cancel").unlink(missing_ok=True)
        return journal

    def find(self, run: str | None) -> str:
        """Return the run that is meant: the newest when none is named.

        Raises:
            PlanError: There is no such run, or none at all.
        """
        names = self.names()
        if run is None and names:
            return names[0]
        if run is not None and run in names:
            return run
        newest = (
            f"; the newest are {', '.join(names[:3])}, and `pulih runs` lists all"
            if names
            else "; `pulih apply` or `pulih recover` begins one, and --estate DIR (or PULIH_STATE) looks elsewhere"
        )
        raise PlanError(f"There is no run{f' {run!r}' if run else ''} in {self.folder}{newest}.")

    def names(self) -> list[str]:
        """Return the names of all runs, the newest first: they begin with the moment they began."""
        if not self.folder.is_dir():
            return []
        found = (path.parent.name for path in self.folder.glob("*/plan.json"))
        return sorted((name for name in found if _RUN.fullmatch(name)), reverse=True)

    def plan(self, run: str) -> Path:
        """Return the file that holds a run's plan."""
        return self.folder / run / "plan.json"

    def story(self, run: str) -> Story | None:
        """Return what a run's journal tells, its chain checked; None when it was killed before its first line.

        Raises:
            BrokenRecordError: The journal was edited.
        """
        return story(read(self.folder / run / "journal.jsonl"))

    def is_alive(self, run: str) -> bool:
        """Whether the process that conducts the run may still live."""
        process = self._process(run)
        return process is not None and not self._processes.is_dead(process)

    def info(self, run: str) -> RunInfo | None:
        """Return the line of a run in the history; None when it was killed before it did anything.

        Raises:
            BrokenRecordError: The journal was edited.
        """
        told = self.story(run)
        if told is None:
            return None
        if told.finished:
            state = _BY_EXIT_CODE.get(told.result.exit_code, RunState.PARTIAL)
        else:
            state = RunState.RUNNING if self.is_alive(run) else RunState.INTERRUPTED
        return RunInfo(
            run=run,
            verb=told.result.verb,
            state=state,
            started_at=told.result.started_at,
            exit_code=told.result.exit_code if told.finished else None,
        )

    def request_cancel(self, run: str) -> None:
        """Ask the process that conducts the run to start no further unit."""
        (self.folder / run / "cancel").touch()

    def is_cancel_requested(self, run: str) -> bool:
        """Whether somebody asked the run to stop."""
        return (self.folder / run / "cancel").exists()

    def _process(self, run: str) -> Process | None:
        try:
            content = read_regular(self.folder / run / "process.json", MAX_DOCUMENT_BYTES)
            return Process.of(json.loads(content))
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
