"""What is written into the journal of each event; `retold.py` reads it again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Protocol

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
from recovery.model.outcome import RunResult, State
from recovery.model.plan import Move
from recovery.report import outcome_to_json, to_json
from recovery.retold import scene_to_json


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
                    "scene": scene_to_json(event.scene),
                }
                self._journal.append("run-started", event.at, data, durable=True)
            case WaveStarted():
                self._journal.append("wave-started", event.at, {"wave": event.wave})
            case UnitStarted():
                self._journal.append("unit-started", event.at, {"name": event.step.name})
            case UnitRetried():
                retried = {"name": event.name, "attempt": event.attempt, "reason": event.reason}
                self._journal.append("unit-retried", event.at, retried)
            case UnitFinished():
                self._journal.append("unit-finished", event.at, outcome_to_json(event.outcome))
            case WaveFinished():
                passed = {"wave": event.wave, "passed": event.passed}
                self._journal.append("wave-finished", event.at, passed, durable=True)
            case WaveHeld():
                held = {"wave": event.wave, "reason": event.reason, "went_on": event.went_on}
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


def _why_not_started(result: RunResult) -> dict[str, object] | None:
    """Why the run ended before everybody's turn: the same for all whose turn did not come."""
    for outcome in (*result.units, *result.endpoints):
        if outcome.state is State.NOT_STARTED:
            return {"cause": outcome.cause.value if outcome.cause else None, "reason": outcome.reason}
    return None


def _moves(moves: Iterable[Move]) -> list[dict[str, object]]:
    return [{"service": move.service, "region": move.region, "from": move.source, "to": move.target} for move in moves]


def _seconds(result: RunResult) -> float:
    return round((result.finished_at - result.started_at).total_seconds(), 3)
