"""The figures of a report, counted in one place so that JSON, Markdown and terminal never disagree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from recovery.model.estate import RegionName, ServiceName
from recovery.model.outcome import Cause, Outcome, RunResult, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """How many units ended how; endpoints are never counted here.

    `units` = `verified` + `quarantined` + `skipped` + `not_started`; `verified` = `applied` + `unchanged`.
    """

    units: int
    verified: int
    applied: int
    unchanged: int
    quarantined: int
    skipped: int
    not_started: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceActual:
    """A service's recovery time objective beside what it took.

    Attributes:
        rto_s: Objective, seconds.
        actual_s: From the loss to the last unit or endpoint verified, seconds; None while one of them is not.
        met: Whether all are verified, and in time.
    """

    name: ServiceName
    title: str
    rto_s: int
    actual_s: float | None
    met: bool


def totals(outcomes: Iterable[Outcome]) -> Totals:
    """Count outcomes by state."""
    counts = Counter(outcome.state for outcome in outcomes)
    return Totals(
        units=counts.total(),
        verified=counts[State.VERIFIED] + counts[State.UNCHANGED],
        applied=counts[State.VERIFIED],
        unchanged=counts[State.UNCHANGED],
        quarantined=counts[State.QUARANTINED],
        skipped=counts[State.SKIPPED],
        not_started=counts[State.NOT_STARTED],
    )


def service_actuals(result: RunResult) -> tuple[ServiceActual, ...]:
    """Set each service's actual time to recover against its objective, in the order of the run."""
    by_service: dict[ServiceName, list[Outcome]] = {}
    for outcome in (*result.endpoints, *result.units):
        by_service.setdefault(outcome.service, []).append(outcome)
    actuals: list[ServiceActual] = []
    for target in result.services:
        actual_s = _actual_s(by_service.get(target.name, []), result)
        actuals.append(
            ServiceActual(
                name=target.name,
                title=target.title,
                rto_s=target.rto_s,
                actual_s=actual_s,
                met=actual_s is not None and actual_s <= target.rto_s,
            )
        )
    return tuple(actuals)


def _actual_s(outcomes: list[Outcome], result: RunResult) -> float | None:
    """Return the seconds until all were verified; None when one is not, or there is none to speak of."""
    finished = [outcome.finished_at for outcome in outcomes if outcome.is_verified]
    moments = [moment for moment in finished if moment is not None]
    if not outcomes or len(moments) < len(outcomes):
        return None
    return round((max(moments) - result.lost_at).total_seconds(), 3)


def failures_by_cause(outcomes: Iterable[Outcome]) -> tuple[tuple[Cause, tuple[Outcome, ...]], ...]:
    """Group what was quarantined by cause, the most frequent first."""
    groups: dict[Cause, list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.state is State.QUARANTINED:
            groups.setdefault(outcome.cause or Cause.INTERNAL, []).append(outcome)
    ordered = sorted(groups.items(), key=lambda group: (-len(group[1]), group[0].value))
    return tuple((cause, tuple(members)) for cause, members in ordered)


def by_region(outcomes: Iterable[Outcome]) -> tuple[tuple[RegionName, Totals], ...]:
    """Count units by region, in the order in which regions first appear."""
    groups: dict[RegionName, list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.region is not None:
            groups.setdefault(outcome.region, []).append(outcome)
    return tuple((region, totals(members)) for region, members in groups.items())


def slowest(outcomes: Iterable[Outcome], count: int) -> tuple[Outcome, ...]:
    """Return the units that took longest, the slowest first; those that never started took no time."""
    started = (outcome for outcome in outcomes if outcome.finished_at is not None)
    # Rounded as in JSON, so that a report that was stored and read again reads the same.
    return tuple(sorted(started, key=lambda outcome: (-round(outcome.seconds, 3), outcome.name))[:count])
