"""How long a plan will take, by what earlier runs on this estate took; and how that is said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from recovery.cli import planview
from recovery.cli.context import where
from recovery.cli.options import MAX_PARALLEL
from recovery.cli.output import note
from recovery.errors import BrokenRecordError
from recovery.forecast import Forecast, History, forecast, observed
from recovery.model.estate import Estate
from recovery.model.outcome import RunResult
from recovery.model.plan import Plan
from recovery.report.text import counted, duration

RUNS = 10
"""Earlier runs that are looked at, the newest first."""


def history(estate: Estate, state: Path) -> History:
    """Return what earlier runs of an estate took.

    A journal that was edited is named and left out: it must hold up no plan.
    """
    from recovery.processes import LinuxProcesses
    from recovery.runs import Runs

    runs = Runs(state, LinuxProcesses(where()))
    results: list[RunResult] = []
    for name in runs.names()[:RUNS]:
        try:
            told = runs.story(name)
        except BrokenRecordError as error:
            note(f"not trusted, and left out of the forecast: {error}")
            continue
        if told is not None:
            results.append(told.result)
    return observed(results, estate)


def plan_lines(plan: Plan, estate: Estate, known: History, parallel: int) -> Iterator[str]:
    """Describe a plan in full, with how long it will take."""
    made = forecast(plan, estate, known, parallel=parallel)
    yield from planview.lines(plan, estate, made)
    yield from lines(made, enough=lambda: enough_parallel(plan, estate, known, parallel))


def enough_parallel(plan: Plan, estate: Estate, known: History, parallel: int) -> int | None:
    """Return how many connections at once would meet every objective, when those given do not; None when none do."""
    for more in (2 * parallel, 4 * parallel, MAX_PARALLEL):
        tried = forecast(plan, estate, known, parallel=min(more, MAX_PARALLEL))
        if tried.parallel > parallel and all(service.is_met for service in tried.services):
            return tried.parallel
    return None


def lines(made: Forecast, enough: Callable[[], int | None]) -> Iterator[str]:
    """Say how long it takes, by what that is known, and which objective would not be met.

    Args:
        made: The forecast.
        enough: Says how many connections at once would meet every objective; asked when these do not.
    """
    if made.known == made.steps:
        source = "by earlier runs on this estate"
    elif made.known:
        source = f"by earlier runs for {made.known:,} of {counted(made.steps, 'step')}, by defaults for the others"
    else:
        source = "by default durations: no earlier run on this estate is known"
    yield f"Forecast: {duration(made.seconds)} with {made.parallel} at once, {source}"
    late = [service for service in made.services if not service.is_met]
    for service in late:
        by_s = service.ends_s - service.rto_s
        yield f"{service.name} will miss its RTO of {duration(service.rto_s)} by {duration(by_s)}"
    better = enough() if late else None
    if better is not None:
        yield f"With `--parallel {better}` every RTO holds"


def to_json(made: Forecast) -> dict[str, object]:
    """Return a forecast as plain values."""
    return {
        "seconds": round(made.seconds, 3),
        "parallel": made.parallel,
        "steps": made.steps,
        "steps_known": made.known,
        "waves": [
            {
                "name": wave.name,
                "steps": wave.steps,
                "starts_s": round(wave.starts_s, 3),
                "ends_s": round(wave.ends_s, 3),
            }
            for wave in made.waves
        ],
        "services": [
            {
                "name": service.name,
                "ends_s": round(service.ends_s, 3),
                "rto_s": service.rto_s,
                "met": service.is_met,
            }
            for service in made.services
        ],
    }
