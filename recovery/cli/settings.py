"""How a command that connects works: where the estate is, how many at once, who is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from recovery.model.events import Observer


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a command works.

    Attributes:
        estate: Folder of the estate.
        state: Folder of its runs and leases.
        parallel: Most connections at once.
        report_dir: Where the report goes besides the state; None for nowhere.
        log: File that gets the transcript; None for none.
        may_ask: Whether somebody may be asked, where a terminal is there; `--yes` forbids it.
        break_glass: Whether to draw an epoch above the largest any unit reports, because the leases were lost too, or
            are held by a silent run that was lost with its machine.
        past: Waves that may pass their gate whatever failed in them.
        observers: Told of every event, besides the progress and the transcript.
    """

    estate: Path
    state: Path
    parallel: int
    report_dir: Path | None = None
    log: Path | None = None
    may_ask: bool = True
    break_glass: bool = False
    past: frozenset[str] = frozenset()
    observers: tuple[Observer, ...] = ()
