"""Stories of runs for tests of what is made from them: a few units in known cities, ended in every way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from recovery.model.estate import DataCentreName, OfficeName, RegionName, ServiceName, UnitName
from recovery.model.forecast import Forecast, ServiceForecast, WaveForecast
from recovery.model.outcome import Cause, Outcome, RunResult, ServiceTarget, State
from recovery.model.story import OfficePlace, Retry, Scene, Story, WaveSpan, WaveSteps

START = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
PASSPORT, BORDER = ServiceName("passport"), ServiceName("border-crossing")
HOSTILE = "<script>document.title='taken'</script>"
"""The name of an office, which any text may be."""


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def outcome(
    name: str,
    state: State = State.VERIFIED,
    *,
    service: ServiceName = PASSPORT,
    office: str | None = "medan",
    end_s: float = 10.0,
    seconds: float = 5.0,
    cause: Cause | None = None,
    reason: str = "",
) -> Outcome:
    failed = state in (State.QUARANTINED, State.SKIPPED)
    return Outcome(
        name=UnitName(name),
        office=None if office is None else OfficeName(office),
        region=None if office is None else RegionName("aceh"),
        service=service,
        data_centre=DataCentreName("cloud-1"),
        state=state,
        digest=None if failed else "sha256:" + "0" * 64,
        seconds=0.0 if state is State.NOT_STARTED else seconds,
        finished_at=None if state is State.NOT_STARTED else at(end_s),
        cause=cause or (Cause.TIMEOUT if failed else None),
        reason=reason,
    )


def place(
    name: str, city: str, time_zone: str = "Asia/Jakarta", *, title: str = "", is_abroad: bool = False
) -> OfficePlace:
    return OfficePlace(
        name=OfficeName(name),
        title=title or f"Office of {city}",
        city=city,
        time_zone=time_zone,
        region=RegionName("aceh"),
        is_abroad=is_abroad,
    )


OFFICES = (
    place("medan", "Medan"),
    place("padang", "Padang"),
    place("hostile", "Surabaya", title=HOSTILE),
    place("tokyo", "Tokyo", "Asia/Tokyo", is_abroad=True),
    place("nowhere", "Atlantis", title="Embassy under the sea"),
)


def run(*units: Outcome, endpoints: tuple[Outcome, ...] = (), exit_code: int = 0, end_s: float = 16.0) -> RunResult:
    return RunResult(
        run="20261123T170000Z-recover-3f9a1c",
        verb="recover",
        estate_name="nusantara",
        estate_digest="sha256:" + "1" * 64,
        plan_hash="sha256:" + "2" * 64,
        lost=DataCentreName("pdns-2"),
        to=DataCentreName("cloud-1"),
        started_at=START,
        finished_at=at(end_s),
        lost_at=START,
        exit_code=exit_code,
        units=units,
        endpoints=endpoints,
        services=(
            ServiceTarget(name=BORDER, title="Border crossing", rto_s=1800),
            ServiceTarget(name=PASSPORT, title="Passport", rto_s=12),
        ),
    )


def forecast_of(
    story: Story, ends_s: Mapping[str, float], *, lost_s: float = 0.0, holds_with: int | None = None
) -> Story:
    """Return a run with a forecast: when each wave, and the service of its name, is through."""
    return replace(story, result=replace(story.result, forecast=a_forecast(story, ends_s, lost_s, holds_with)))


def a_forecast(
    story: Story, ends_s: Mapping[str, float], lost_s: float = 0.0, holds_with: int | None = None
) -> Forecast:
    return Forecast(
        waves=tuple(
            WaveForecast(name=wave.name, steps=len(wave.steps), starts_s=0.0, ends_s=ends_s.get(wave.name, 0.5))
            for wave in story.scene.waves
        ),
        services=tuple(
            ServiceForecast(
                name=target.name,
                ends_s=ends_s[target.name],
                rto_s=target.rto_s,
                lost_s=lost_s,
                holds_with=holds_with,
            )
            for target in story.result.services
            if target.name in ends_s
        ),
        parallel=64,
        known=3,
        steps=6,
    )


def every_ending() -> Story:
    """A recovery in which units ended in every way there is."""
    units = (
        outcome("gate", State.UNCHANGED, service=BORDER, end_s=4, seconds=2),
        outcome("counter", office="padang", end_s=14, seconds=4),
        outcome(
            "sick", State.QUARANTINED, office="hostile", cause=Cause.DISK_FULL, reason="12 KiB free, <b>40</b> needed"
        ),
        outcome("left", State.SKIPPED, office="tokyo", reason="its endpoint failed", seconds=0),
        outcome("late", State.NOT_STARTED, office="nowhere"),
    )
    endpoint = outcome("border-crossing-cloud-1", service=BORDER, office=None, end_s=1, seconds=1)
    return Story(
        result=run(*units, endpoints=(endpoint,), exit_code=3),
        finished=True,
        scene=Scene(
            title="Services of Nusantara",
            offices=OFFICES,
            waves=(
                WaveSteps(name="endpoints of border-crossing", steps=(endpoint.name,)),
                WaveSteps(name="border-crossing", steps=(UnitName("gate"),)),
                WaveSteps(name="passport", steps=tuple(unit.name for unit in units[1:])),
            ),
        ),
        waves=(
            WaveSpan(name="endpoints of border-crossing", started_at=at(0), finished_at=at(1), passed=True),
            WaveSpan(name="border-crossing", started_at=at(1), finished_at=at(4), passed=True),
            WaveSpan(
                name="passport", started_at=at(5), finished_at=at(16), passed=False, held="2 of 4 failed, 1 allowed"
            ),
        ),
        retries={UnitName("sick"): (Retry(attempt=1, reason="the line broke", at=at(7)),)},
    )
