"""How long a plan will take by what earlier runs on this estate took, and how the rest of a run will go."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

from recovery.cli import planview
from recovery.cli.context import where
from recovery.cli.output import note
from recovery.errors import BrokenRecordError, PulihError
from recovery.forecast import History, forecast, observed
from recovery.model.estate import Estate
from recovery.model.forecast import Forecast
from recovery.model.outcome import RunResult
from recovery.model.plan import Plan
from recovery.outlook import Outlook, SoFar
from recovery.report.foresight import misses, source
from recovery.report.text import duration
from recovery.runs import Runs
from recovery.transport.base import MAX_PARALLEL

RUNS = 10
"""Earlier runs that are looked at, the newest first."""

EVERY = timedelta(seconds=1)
"""How often the rest of a run is played at most."""

REST = 20
"""The play rests this many times as long as it took, so that it costs a run at most a twentieth of a core."""

Seeing = Callable[[SoFar, datetime], Forecast | None]
"""Says how the rest of a run will go by what it has come to at a moment; None when nobody can tell."""


def history(estate: Estate, state: Path, *, before: str | None = None) -> History:
    """Return what earlier runs of an estate took.

    A journal that was edited or can't be read is named and left out: it must hold up no plan.

    Args:
        estate: The estate.
        state: Folder of its runs.
        before: Only runs that are older than this one.
    """
    from recovery.processes import LinuxProcesses

    runs = Runs(state, LinuxProcesses(where()))
    return observed(_results(runs, before), estate)


def _results(runs: Runs, before: str | None) -> Iterator[RunResult]:
    names = [name for name in runs.names() if before is None or name < before]
    for name in names[:RUNS]:
        try:
            told = runs.story(name)
        except (BrokenRecordError, OSError) as error:
            note(f"not trusted, and left out of the forecast: {error}")
            continue
        if told is not None:
            yield told.result


def made_before(plan: Plan, estate: Estate, known: History, parallel: int, lost_s: float = 0.0) -> Forecast:
    """Forecast a run before it begins, and what would make it meet the objectives that it misses."""
    return forecast(plan, estate, known, parallel=parallel, lost_s=lost_s, most=MAX_PARALLEL)


def plan_lines(plan: Plan, estate: Estate, made: Forecast) -> Iterator[str]:
    """Describe a plan in full, with how long it will take."""
    yield from planview.lines(plan, estate, made)
    yield from lines(made)


def lines(made: Forecast) -> Iterator[str]:
    """Say how long it takes, by what that is known, which objective would be missed, and with what it would not be."""
    yield f"Forecast: {duration(made.seconds)} with {made.parallel} at once, {source(made)}"
    yield from misses(made)


class Paced:
    """Plays the rest of a run for whoever looks, as seldom as it must be to cost little."""

    def __init__(self, outlook: Outlook, spent: Callable[[], float] = time.thread_time) -> None:
        """Look ahead with `outlook`; what that takes is told by `spent`, seconds of CPU."""
        self._outlook = outlook
        self._spent = spent
        self._last: Forecast | None = None
        self._next_at: datetime | None = None

    def __call__(self, so_far: SoFar, at: datetime) -> Forecast | None:
        """Return how the rest will go, as it was seen last."""
        if self._next_at is None or at >= self._next_at:
            began_s = self._spent()
            self._last = self._outlook.rest(so_far, at)
            self._next_at = at + max(EVERY, timedelta(seconds=REST * (self._spent() - began_s)))
        return self._last


def blind(_so_far: SoFar, _at: datetime) -> Forecast | None:
    """See nothing of the rest."""
    return None


class Watched:
    """Sees the rest of a run that another process conducts.

    It is planned again from the estate as it is now; where that would be another plan, or the run's record tells no
    forecast, nothing is seen.

    Attributes:
        plan: The run's plan; None where it can't be made again.
    """

    def __init__(self, folder: Path, runs: Runs, name: str) -> None:
        """Look at a run.

        Args:
            folder: Of the estate.
            runs: Where the run is.
            name: Its name.
        """
        from recovery.cli.planned import same_steps
        from recovery.declared import load

        self.plan: Plan | None = None
        self._make: Callable[[Plan, int], Seeing] | None = None
        self._seeing: Seeing | None = None
        try:
            self.plan, estate = same_steps(load(folder), runs.plan(name))
        except (PulihError, OSError) as error:
            note(f"how the rest of the run will go can't be told: {error}")
            return
        known = history(estate, runs.folder.parent, before=name)
        self._make = lambda plan, parallel: Paced(Outlook(plan, estate, known, parallel=parallel, most=MAX_PARALLEL))

    def __call__(self, so_far: SoFar, at: datetime) -> Forecast | None:
        """Return how the rest will go, by what the run has come to at a moment."""
        if self._make is None or self.plan is None or so_far.forecast is None:
            return None
        if self._seeing is None:
            self._seeing = self._make(self.plan, so_far.forecast.parallel)
        return self._seeing(so_far, at)
