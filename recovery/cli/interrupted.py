"""What became of everyone when a run is cut off at once, so that it too ends in a report."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from recovery.model.estate import UnitName
from recovery.model.events import Event, RunStarted, UnitFinished, UnitRetried, UnitStarted
from recovery.model.outcome import Cause, Outcome, RunResult, State

EXIT_CODE = 130
"""128 + SIGINT. Source: the convention of POSIX shells."""

BEFORE_ITS_TURN = "the run was interrupted before its turn"
"""Why a unit was not started."""


class Ledger:
    """An observer that remembers who has begun and who has ended."""

    def __init__(self) -> None:
        self._begun: RunResult | None = None
        self._began: dict[UnitName, datetime] = {}
        self._outcomes: dict[UnitName, Outcome] = {}
        self._reasons: dict[UnitName, str] = {}

    def notice(self, event: Event) -> None:
        """Remember an event."""
        match event:
            case RunStarted(result=result):
                self._begun = result
            case UnitStarted(step=step, at=at):
                self._began[step.name] = at
            case UnitRetried(name=name, reason=reason):
                self._reasons[name] = reason
            case UnitFinished(outcome=outcome):
                self._outcomes[outcome.name] = outcome
            case _:
                pass

    def cut_off(self, now: datetime) -> RunResult | None:
        """Return the result of the run as it stands; None when it had not begun."""
        if self._begun is None:
            return None
        return replace(
            self._begun,
            finished_at=now,
            exit_code=EXIT_CODE,
            units=tuple(self._final(outcome, now) for outcome in self._begun.units),
            endpoints=tuple(self._final(outcome, now) for outcome in self._begun.endpoints),
        )

    def cut(self) -> frozenset[UnitName]:
        """Return who has begun and has no outcome."""
        return frozenset(self._began.keys() - self._outcomes.keys())

    def _final(self, before: Outcome, now: datetime) -> Outcome:
        """What became of a unit: its outcome, or that it was cut off, or what was known before."""
        if before.name in self._outcomes:
            return self._outcomes[before.name]
        began = self._began.get(before.name)
        if began is None:
            if before.state is not State.NOT_STARTED:
                return before
            return replace(before, cause=Cause.CANCELLED, reason=BEFORE_ITS_TURN)
        last = f"; the try before failed: {self._reasons[before.name]}" if before.name in self._reasons else ""
        return replace(
            before,
            state=State.QUARANTINED,
            digest=None,
            seconds=max(0.0, (now - began).total_seconds()),
            finished_at=now,
            cause=Cause.CANCELLED,
            reason=f"the run was cut off while it worked on it{last}",
        )
