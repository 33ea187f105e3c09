"""What is told to people who do not watch a run: that it began, that a wave is held, that it ended. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from recovery.model.events import RunStarted
from recovery.model.outcome import RunResult
from recovery.model.plan import Wave
from recovery.report.facts import service_actuals, totals
from recovery.report.text import counted, duration, printable

SCHEMA = "pulih/notice/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One thing that is told.

    Attributes:
        type: `run.started`, `wave.held` or `run.finished`.
        text: A sentence that stands alone; chat services show the field of that name.
        facts: What else programs may want, as plain values.
    """

    type: str
    run: str
    at: datetime
    text: str
    facts: Mapping[str, object]

    def to_json(self) -> dict[str, object]:
        """Return it as plain values."""
        moment = self.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {
            "schema": SCHEMA,
            "type": self.type,
            "text": self.text,
            "run": self.run,
            "at": moment,
            **self.facts,
        }


def started(event: RunStarted) -> Notice:
    """Say that a run has begun, or goes on."""
    earlier, lost, to = totals(event.result.units), event.result.lost, event.result.to
    goes_on = f" goes on: {earlier.verified:,} of" if earlier.not_started < earlier.units else " has begun:"
    return Notice(
        type="run.started",
        run=event.run,
        at=event.at,
        text=printable(f"pulih {event.verb} {event.run}{goes_on} {counted(earlier.units, 'unit')}{_way(lost, to)}"),
        facts={"verb": event.verb, "lost": lost, "to": to, "units": earlier.units, "epoch": event.epoch.number},
    )


def held(run: str, wave: Wave, reason: str, at: datetime) -> Notice:
    """Say that a wave waits for somebody to decide."""
    return Notice(
        type="wave.held",
        run=run,
        at=at,
        text=printable(
            f"pulih {run} is held: {reason}. Mend it, then `pulih resume {run}`; or go on past what "
            f"failed with `pulih resume {run} --past {wave.name}`."
        ),
        facts={"wave": wave.name, "reason": printable(reason)},
    )


def finished(result: RunResult) -> Notice:
    """Say how a run ended."""
    total = totals(result.units)
    missed = [actual.name for actual in service_actuals(result) if not actual.met]
    seconds = (result.finished_at - result.started_at).total_seconds()
    parts = [f"{total.verified:,} of {counted(total.units, 'unit')} verified in {duration(seconds)}"]
    parts += [
        f"{count:,} {word}"
        for word, count in (
            ("quarantined", total.quarantined),
            ("skipped", total.skipped),
            ("not started", total.not_started),
        )
        if count
    ]
    if missed:
        parts.append(f"objective missed by {', '.join(missed)}")
    return Notice(
        type="run.finished",
        run=result.run,
        at=result.finished_at,
        text=printable(f"pulih {result.verb} {result.run} ended with exit {result.exit_code}: {'; '.join(parts)}"),
        facts={
            "verb": result.verb,
            "lost": result.lost,
            "to": result.to,
            "exit_code": result.exit_code,
            "seconds": round(seconds, 3),
            "totals": asdict(total),
            "services": [asdict(actual) for actual in service_actuals(result)],
        },
    )


def _way(lost: str | None, to: str | None) -> str:
    return "" if lost is None else f", from {lost} to {to}"
