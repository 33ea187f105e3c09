"""A run's result as `pulih/report/v1`, and back: the fields are one of pulih's stable interfaces."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeVar, cast

from recovery.errors import StoredReportError
from recovery.model.citizens import Citizen, Citizens
from recovery.model.estate import DataCentreName, OfficeName, RegionName, ServiceName, UnitName
from recovery.model.forecast import Forecast, ServiceForecast, WaveForecast
from recovery.model.outcome import Cause, Outcome, RunResult, ServiceTarget, State
from recovery.report.apps import citizen_totals, citizens_by_kind
from recovery.report.facts import service_actuals, totals

SCHEMA = "pulih/report/v1"

MAX_NUMBER = 10**12
"""Thirty thousand years in seconds; what is larger, infinite or not a number at all was not written by pulih."""

_Word = TypeVar("_Word", bound=StrEnum)
_Made = TypeVar("_Made")


def to_json(result: RunResult) -> dict[str, object]:
    """Return the report of a run as plain values, in the order in which they are best read."""
    report: dict[str, object] = {
        "schema": SCHEMA,
        "run": result.run,
        "verb": result.verb,
        "estate": result.estate_name,
        "estate_digest": result.estate_digest,
        "plan_hash": result.plan_hash,
        "lost": result.lost,
        "to": result.to,
        "started_at": _moment(result.started_at),
        "finished_at": _moment(result.finished_at),
        "lost_at": _moment(result.lost_at),
        "seconds": round((result.finished_at - result.started_at).total_seconds(), 3),
        "exit_code": result.exit_code,
        "totals": asdict(totals(result.units)),
        "services": [asdict(actual) for actual in service_actuals(result)],
        "forecast": None if result.forecast is None else forecast_to_json(result.forecast),
        "endpoints": [outcome_to_json(outcome) for outcome in result.endpoints],
        "units": [outcome_to_json(outcome) for outcome in result.units],
    }
    if result.citizens is not None:
        report["clients"] = citizens_to_json(result.citizens)
    return report


def citizens_to_json(citizens: Citizens) -> dict[str, object]:
    """Return what became of the citizens' apps of a drill as plain values: figures first, then each app."""
    return {
        **asdict(citizen_totals(citizens)),
        "told_at": _moment(citizens.told_at),
        "wave": citizens.wave,
        "wave_passed_at": _moment(citizens.passed_at),
        "kinds": [{"kind": kind, **asdict(of_kind)} for kind, of_kind in citizens_by_kind(citizens)],
        "each": [
            {
                "name": citizen.name,
                "kind": citizen.kind,
                "reconnected_at": _moment(citizen.reconnected_at),
                "drafts_lost": citizen.drafts_lost,
                "reason": citizen.reason,
            }
            for citizen in citizens.each
        ],
    }


def forecast_to_json(made: Forecast) -> dict[str, object]:
    """Return a forecast as plain values, exactly as it is; moments are seconds from the start of the run."""
    return {
        "seconds": made.seconds,
        "parallel": made.parallel,
        "steps": made.steps,
        "steps_known": made.known,
        "waves": [asdict(wave) for wave in made.waves],
        "services": [
            {
                "name": service.name,
                "ends_s": service.ends_s,
                "rto_s": service.rto_s,
                "lost_s": service.lost_s,
                "met": service.is_met,
                "holds_with": service.holds_with,
            }
            for service in made.services
        ],
    }


def outcome_to_json(outcome: Outcome) -> dict[str, object]:
    """Return what became of one unit or endpoint as plain values."""
    return {
        "name": outcome.name,
        "office": outcome.office,
        "service": outcome.service,
        "region": outcome.region,
        "data_centre": outcome.data_centre,
        "state": outcome.state.value,
        "digest": outcome.digest,
        "seconds": round(outcome.seconds, 3),
        "finished_at": _moment(outcome.finished_at),
        "cause": None if outcome.cause is None else outcome.cause.value,
        "reason": outcome.reason,
    }


def _moment(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def from_json(document: object) -> RunResult:
    """Read a stored report; figures that follow from the outcomes are counted again, not believed.

    Raises:
        StoredReportError: It is not a report, or not one that this version understands.
    """
    report = _Fields(document, "report")
    if (schema := report.text("schema")) != SCHEMA:
        raise StoredReportError(
            f"report.schema: found {schema!r}, expected {SCHEMA!r}; render it with the pulih that made it"
        )
    lost, to = report.text_or_none("lost"), report.text_or_none("to")
    return RunResult(
        run=report.text("run"),
        verb=report.text("verb"),
        estate_name=report.text("estate"),
        estate_digest=report.text("estate_digest"),
        plan_hash=report.text("plan_hash"),
        lost=None if lost is None else DataCentreName(lost),
        to=None if to is None else DataCentreName(to),
        started_at=report.moment("started_at"),
        finished_at=report.moment("finished_at"),
        lost_at=report.moment("lost_at"),
        exit_code=int(report.number("exit_code")),
        units=tuple(_to_outcome(unit) for unit in report.members("units")),
        endpoints=tuple(_to_outcome(endpoint) for endpoint in report.members("endpoints")),
        services=tuple(
            ServiceTarget(
                name=ServiceName(service.text("name")),
                title=service.text("title"),
                rto_s=int(service.number("rto_s")),
            )
            for service in report.members("services")
        ),
        forecast=report.member_or_none("forecast", _to_forecast),
        citizens=report.member_or_none("clients", _to_citizens),
    )


def citizens_from_json(document: object) -> Citizens:
    """Read what became of the citizens' apps of a drill; figures are counted again, not believed.

    Raises:
        StoredReportError: It is not that.
    """
    return _to_citizens(_Fields(document, "clients"))


def _to_citizens(fields: _Fields) -> Citizens:
    return Citizens(
        told_at=fields.moment_or_none("told_at"),
        wave=fields.text("wave"),
        passed_at=fields.moment_or_none("wave_passed_at"),
        each=tuple(
            Citizen(
                name=citizen.text("name"),
                kind=citizen.text("kind"),
                reconnected_at=citizen.moment_or_none("reconnected_at"),
                drafts_lost=int(citizen.number("drafts_lost")),
                reason=citizen.text("reason"),
            )
            for citizen in fields.members("each")
        ),
    )


def forecast_from_json(document: object) -> Forecast:
    """Read a forecast.

    Raises:
        StoredReportError: It is not one.
    """
    return _to_forecast(_Fields(document, "forecast"))


def outcome_from_json(document: object) -> Outcome:
    """Read what became of one unit or endpoint.

    Raises:
        StoredReportError: It is not that.
    """
    return _to_outcome(_Fields(document, "outcome"))


def _to_forecast(fields: _Fields) -> Forecast:
    return Forecast(
        waves=tuple(
            WaveForecast(
                name=wave.text("name"),
                steps=int(wave.number("steps")),
                starts_s=wave.number("starts_s"),
                ends_s=wave.number("ends_s"),
            )
            for wave in fields.members("waves")
        ),
        services=tuple(
            ServiceForecast(
                name=ServiceName(service.text("name")),
                ends_s=service.number("ends_s"),
                rto_s=int(service.number("rto_s")),
                lost_s=service.number("lost_s"),
                holds_with=service.count_or_none("holds_with"),
            )
            for service in fields.members("services")
        ),
        parallel=int(fields.number("parallel")),
        known=int(fields.number("steps_known")),
        steps=int(fields.number("steps")),
    )


def _to_outcome(fields: _Fields) -> Outcome:
    office, region, cause = (fields.text_or_none(key) for key in ("office", "region", "cause"))
    return Outcome(
        name=UnitName(fields.text("name")),
        office=None if office is None else OfficeName(office),
        region=None if region is None else RegionName(region),
        service=ServiceName(fields.text("service")),
        data_centre=DataCentreName(fields.text("data_centre")),
        state=fields.one_of("state", State),
        digest=fields.text_or_none("digest"),
        seconds=fields.number("seconds"),
        finished_at=fields.moment_or_none("finished_at"),
        cause=None if cause is None else fields.one_of("cause", Cause),
        reason=fields.text("reason"),
    )


class _Fields:
    """One JSON object whose fields are taken out by type, each mistake named with its path."""

    def __init__(self, value: object, path: str) -> None:
        if not isinstance(value, Mapping):
            raise StoredReportError(f"{path}: expected an object")
        self._values = cast(Mapping[str, object], value)
        self._path = path

    def _get(self, key: str) -> object:
        if key not in self._values:
            raise StoredReportError(f"{self._path}.{key}: missing")
        return self._values[key]

    def _wrong(self, key: str, expected: str) -> StoredReportError:
        return StoredReportError(f"{self._path}.{key}: expected {expected}")

    def text(self, key: str) -> str:
        value = self._get(key)
        if not isinstance(value, str):
            raise self._wrong(key, "text")
        return value

    def text_or_none(self, key: str) -> str | None:
        return None if self._get(key) is None else self.text(key)

    def number(self, key: str) -> float:
        value = self._get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not -MAX_NUMBER <= value <= MAX_NUMBER:
            raise self._wrong(key, "a number")
        return value

    def count_or_none(self, key: str) -> int | None:
        return None if self._get(key) is None else int(self.number(key))

    def moment(self, key: str) -> datetime:
        try:
            moment = datetime.fromisoformat(self.text(key))
            if moment.tzinfo is None:
                raise self._wrong(key, "a moment with its offset from UTC")
            return moment.astimezone(UTC)
        except (ValueError, OverflowError) as error:
            if isinstance(error, StoredReportError):
                raise
            raise self._wrong(key, "a moment such as 2024-06-20T00:54:00Z") from None

    def moment_or_none(self, key: str) -> datetime | None:
        return None if self._get(key) is None else self.moment(key)

    def one_of(self, key: str, words: type[_Word]) -> _Word:
        try:
            return words(self.text(key))
        except ValueError:
            raise self._wrong(key, "one of " + ", ".join(words)) from None

    def member_or_none(self, key: str, read: Callable[[_Fields], _Made]) -> _Made | None:
        """What reports made before there was such a field do not have."""
        return None if (value := self._values.get(key)) is None else read(_Fields(value, f"{self._path}.{key}"))

    def members(self, key: str) -> list[_Fields]:
        value = self._get(key)
        if not isinstance(value, list):
            raise self._wrong(key, "a list")
        values = cast(list[object], value)
        return [_Fields(member, f"{self._path}.{key}[{index}]") for index, member in enumerate(values)]
