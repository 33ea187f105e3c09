"""Between a run and its journal: what is written of each event, and what a journal tells of its run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol, cast

from recovery.errors import BrokenRecordError
from recovery.journal import Line
from recovery.model.estate import UnitName
from recovery.model.events import (
    Event,
    PlacementIntended,
    PlacementWritten,
    RunFinished,
    RunStarted,
    UnitFinished,
    UnitRetried,
    UnitStarted,
    WaveFinished,
    WaveHeld,
    WaveStarted,
)
from recovery.model.outcome import Cause, Outcome, RunResult, State
from recovery.model.plan import Move
from recovery.report import from_json, outcome_from_json, outcome_to_json, to_json


class Lines(Protocol):
    """Whatever takes a journal's lines."""

    def append(self, kind: str, at: datetime, data: Mapping[str, object], *, durable: bool = False) -> None:
        """Write one line; see `Journal.append`."""
        ...


class Recorder:
    """An observer that writes the journal: intents before, results after."""

    def __init__(self, journal: Lines) -> None:
        self._journal = journal

    def notice(self, event: Event) -> None:
        """Write one line."""
        match event:
            case RunStarted():
                data: dict[str, object] = {
                    "epoch": event.epoch.number,
                    "holder": event.epoch.holder,
                    "report": to_json(event.result),
                }
                self._journal.append("run-started", event.at, data, durable=True)
            case WaveStarted():
                self._journal.append("wave-started", event.at, {"wave": event.wave.name})
            case UnitStarted():
                self._journal.append("unit-started", event.at, {"name": event.step.name})
            case UnitRetried():
                retried = {"name": event.name, "attempt": event.attempt, "reason": event.reason}
                self._journal.append("unit-retried", event.at, retried)
            case UnitFinished():
                self._journal.append("unit-finished", event.at, outcome_to_json(event.outcome))
            case WaveFinished():
                passed = {"wave": event.wave.name, "passed": event.passed}
                self._journal.append("wave-finished", event.at, passed, durable=True)
            case WaveHeld():
                held = {"wave": event.wave.name, "reason": event.reason, "went_on": event.went_on}
                self._journal.append("wave-held", event.at, held, durable=True)
            case PlacementIntended():
                self._journal.append("placement-intended", event.at, {"moves": _moves(event.moves)}, durable=True)
            case PlacementWritten():
                self._journal.append("placement-written", event.at, {"moves": _moves(event.moves)}, durable=True)
            case RunFinished():
                ended: dict[str, object] = {
                    "exit_code": event.result.exit_code,
                    "seconds": _seconds(event.result),
                    "not_started": _why_not_started(event.result),
                }
                self._journal.append("run-finished", event.at, ended, durable=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What a journal tells of its run.

    Attributes:
        result: Everything known so far; the exit code is that of the last part that ended.
        finished: Whether the run, or its last part, came to its end.
    """

    result: RunResult
    finished: bool


def story(lines: Sequence[Line]) -> Story | None:
    """Return what a journal tells of its run; None when it ends before its first line.

    Raises:
        BrokenRecordError: Its lines are whole but make no sense.
    """
    try:
        return _story(lines)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise BrokenRecordError(f"the journal can't be read: {type(error).__name__}: {error}") from error


def _story(lines: Sequence[Line]) -> Story | None:
    begun: RunResult | None = None
    outcomes: dict[UnitName, Outcome] = {}
    finished = False
    for line in lines:
        if line.kind == "run-started":
            part = from_json(line.data["report"])
            begun = part if begun is None else replace(part, started_at=begun.started_at, lost_at=begun.lost_at)
            outcomes = {outcome.name: outcome for outcome in (*begun.units, *begun.endpoints)}
            finished = False
        elif line.kind == "unit-finished":
            outcome = outcome_from_json(line.data)
            outcomes[outcome.name] = outcome.after(outcomes.get(outcome.name))
        elif line.kind == "run-finished" and begun is not None:
            begun = replace(begun, exit_code=int(str(line.data["exit_code"])))
            finished = True
            why = line.data.get("not_started")
            if isinstance(why, dict):
                outcomes = {
                    name: _not_started(outcome, cast(dict[str, object], why)) for name, outcome in outcomes.items()
                }
    if begun is None:
        return None
    result = replace(
        begun,
        finished_at=lines[-1].at,
        units=tuple(outcomes[unit.name] for unit in begun.units),
        endpoints=tuple(outcomes[endpoint.name] for endpoint in begun.endpoints),
    )
    return Story(result=result, finished=finished)


def _why_not_started(result: RunResult) -> dict[str, object] | None:
    """Why the run ended before everybody's turn: the same for all whose turn did not come."""
    for outcome in (*result.units, *result.endpoints):
        if outcome.state is State.NOT_STARTED:
            return {"cause": outcome.cause.value if outcome.cause else None, "reason": outcome.reason}
    return None


def _not_started(outcome: Outcome, why: Mapping[str, object]) -> Outcome:
    if outcome.state is not State.NOT_STARTED:
        return outcome
    cause = why.get("cause")
    return replace(outcome, cause=Cause(str(cause)) if cause else None, reason=str(why.get("reason", "")))


def _moves(moves: Iterable[Move]) -> list[dict[str, object]]:
    return [{"service": move.service, "region": move.region, "from": move.source, "to": move.target} for move in moves]


def _seconds(result: RunResult) -> float:
    return round((result.finished_at - result.started_at).total_seconds(), 3)
