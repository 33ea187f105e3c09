"""The transcript of a run: what happened at each unit, a line an event, appended to a file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

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
from recovery.model.outcome import Outcome
from recovery.report.text import printable


class Transcript:
    """Appends a line an event to a file; use it as a context manager.

    A disk that fills up must not stop a recovery: the first failure to write is kept in `error`, and nothing more is
    written.
    """

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            OSError: It can't be written.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8", errors="backslashreplace", buffering=1)
        self._run = "-"
        self.error: OSError | None = None

    def __enter__(self) -> Transcript:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._file.close()
        except OSError as failure:
            self.error = self.error or failure

    def notice(self, event: Event) -> None:
        """Write an event down."""
        if isinstance(event, RunStarted):
            self._run = event.run
        if self.error is not None:
            return
        who, what = _told(event)
        try:
            self._file.write(f"{_moment(event.at)} {self._run} {printable(who)} {printable(what)}\n")
        except OSError as failure:
            self.error = failure


def _told(event: Event) -> tuple[str, str]:
    """Say whom an event is about, and what happened."""
    match event:
        case RunStarted(verb=verb, result=result):
            return "-", f"{verb} begins, plan {result.plan_hash}"
        case WaveStarted(wave=wave):
            return "-", f"wave {wave} begins"
        case WaveFinished(wave=wave, passed=passed):
            return "-", f"wave {wave} ends, {'passed' if passed else 'not passed'}"
        case WaveHeld(reason=reason, went_on=went_on):
            return "-", f"held, {'went on all the same' if went_on else 'stopped'}: {reason}"
        case PlacementIntended(moves=moves):
            changes = ", ".join(f"{move.service}: {move.source} to {move.target}" for move in moves)
            return "-", f"placement about to be written, {changes}"
        case PlacementWritten():
            return "-", "placement written"
        case UnitStarted(step=step):
            return step.name, f"started, {step.service} at {step.data_centre}"
        case UnitRetried(name=name, attempt=attempt, reason=reason):
            return name, f"try {attempt} failed, another follows: {reason}"
        case UnitFinished(outcome=outcome):
            return outcome.name, _ended(outcome)
        case RunFinished(result=result):
            return "-", f"{result.verb} ends, exit code {result.exit_code}"


def _ended(outcome: Outcome) -> str:
    took = f"{outcome.state} after {outcome.seconds:.3f} s"
    if outcome.is_verified:
        return f"{took}, {outcome.digest}"
    cause = outcome.cause.value if outcome.cause is not None else "-"
    return f"{took}, {cause}: {outcome.reason}"


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
