"""A forecast plays the plan as a run does: held against the production slots in virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from recovery.forecast import NO_HISTORY, History, default_s, forecast, observed
from recovery.model.estate import Estate, Limits, LinkName, ServiceName, UnitName
from recovery.model.outcome import Outcome, RunResult, State
from recovery.model.plan import Plan, Selection, Step
from recovery.plan import recovery, routine
from recovery.slots import Slots
from tests.estates import sound_estate
from tests.many import an_estate_of
from tests.places import PDNS
from tests.sim import loop

TIGHT = Limits(region=9, bastion=7, link={LinkName.FIBRE: 11, LinkName.RADIO: 5, LinkName.SATELLITE: 3})
MOMENT = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)


def a_plan(estate: Estate) -> Plan:
    plan, _ = recovery(estate, "", Selection(), lost=PDNS)
    return plan


def some_history(estate: Estate, seed: int = 1) -> History:
    """Return durations that are all different, and sums that no other order of adding makes."""
    chance = random.Random(seed)
    classes = {(step.kind, step.link) for step in a_plan(estate).steps()}
    return History(seconds={key: [chance.randint(1, 4000) / 64 for _ in range(400)] for key in sorted(classes)})


async def run(plan: Plan, parallel: int, takes_s: Mapping[Step, float]) -> tuple[list[float], dict[ServiceName, float]]:
    """Do what the runbook does when nothing fails; return when each wave and each service was through."""
    slots = Slots(plan.limits, parallel)
    services: dict[ServiceName, float] = {}

    async def one(step: Step) -> None:
        async with slots.place(step):
            await asyncio.sleep(takes_s[step])
        services[step.service] = asyncio.get_running_loop().time()

    async def together(steps: Iterable[Step]) -> None:
        async with asyncio.TaskGroup() as group:
            for step in steps:
                group.create_task(one(step))

    ends: list[float] = []
    for wave in plan.waves:
        await together(wave.canaries)
        await together(wave.rest)
        ends.append(asyncio.get_running_loop().time())
    return ends, services


@pytest.mark.parametrize("parallel", [3, 16, 200])
def test_a_forecast_is_what_the_production_slots_do_with_the_same_durations(parallel: int) -> None:
    estate = an_estate_of(240, regions=3, limits=TIGHT)
    plan, history = a_plan(estate), some_history(estate)
    dealt = {key: iter(seconds) for key, seconds in history.seconds.items()}
    takes_s = {step: next(dealt[step.kind, step.link]) for step in plan.steps()}
    ends, services = loop.run(run(plan, parallel, takes_s))
    played = forecast(plan, estate, history, parallel=parallel)
    assert [wave.ends_s for wave in played.waves] == ends
    assert {service.name: service.ends_s for service in played.services} == services
    assert played.seconds == ends[-1]
    assert [wave.starts_s for wave in played.waves] == [0.0, *ends[:-1]]
    assert [wave.steps for wave in played.waves] == [len(wave.steps) for wave in plan.waves]
    assert (played.known, played.steps) == (len(takes_s), len(takes_s))


def test_without_an_earlier_run_a_slow_line_takes_longer_and_a_canary_two_visits() -> None:
    estate = replace(an_estate_of(30, regions=1), links=sound_estate(Path()).links)
    links = estate.links
    fibre, satellite = links[LinkName.FIBRE], links[LinkName.SATELLITE]
    assert default_s(satellite, 1) > default_s(fibre, 1)
    assert default_s(satellite, 2) - default_s(satellite, 1) == pytest.approx(11 * satellite.rtt_ms / 1000)
    plan, _ = routine(estate, "", Selection(units=frozenset({next(estate.places())[2].name})))
    played = forecast(plan, estate, NO_HISTORY, parallel=64)
    assert played.seconds == default_s(links[next(plan.steps()).link], 1)
    assert (played.known, played.steps) == (0, 1)


def test_a_service_that_comes_back_too_late_is_not_met() -> None:
    estate = an_estate_of(60, regions=1)
    plan = a_plan(estate)
    ends_s = {service.name: service.ends_s for service in forecast(plan, estate, NO_HISTORY, parallel=4).services}
    tight = replace(
        estate,
        services=tuple(
            replace(service, rto_s=int(ends_s[service.name]) + (0 if service.name == "passport" else 1))
            for service in estate.services
        ),
    )
    played = forecast(plan, tight, NO_HISTORY, parallel=4)
    assert [service.name for service in played.services if not service.is_met] == ["passport"]
    assert all(service.is_met for service in forecast(plan, tight, NO_HISTORY, parallel=64).services)


def a_result(estate: Estate, seconds: Mapping[UnitName, float], state: State = State.VERIFIED) -> RunResult:
    outcomes = tuple(
        Outcome(
            name=unit.name,
            office=office.name,
            region=region.name,
            service=unit.service,
            data_centre=PDNS,
            state=state,
            digest=None,
            seconds=seconds[unit.name],
            finished_at=MOMENT,
        )
        for region, office, unit in estate.places()
        if unit.name in seconds
    )
    return RunResult(
        run="r",
        verb="apply",
        estate_name="e",
        estate_digest="",
        plan_hash="",
        lost=None,
        to=None,
        started_at=MOMENT,
        finished_at=MOMENT,
        lost_at=MOMENT,
        exit_code=0,
        units=outcomes,
        endpoints=(),
        services=(),
    )


def test_the_run_that_saw_most_of_a_class_tells_what_it_takes_and_only_bundles_that_were_sent_count() -> None:
    estate = an_estate_of(12, regions=1)
    names = [unit.name for _, office, unit in estate.places() if office.link == estate.regions[0].offices[0].link]
    service = [name for name in names if name.endswith("passport")]
    every, one = dict.fromkeys(service, 3.0), {service[0]: 9.0}
    key = ("passport-counter", estate.regions[0].offices[0].link)
    assert len(service) > 1
    assert observed([a_result(estate, one), a_result(estate, every)], estate).seconds == {key: [3.0] * len(service)}
    newest = a_result(estate, {name: 5.0 + place for place, name in enumerate(service)})
    means = [4.0 + place / 2 for place in range(len(service))]
    assert observed([newest, a_result(estate, one), a_result(estate, every)], estate).seconds == {key: means}
    older = a_result(estate, dict.fromkeys(service, 1000.0))
    five = [a_result(estate, every)] * 5
    assert observed([*five, older], estate).seconds == {key: [3.0] * len(service)}
    assert observed([a_result(estate, every, State.UNCHANGED)], estate).seconds == {}
    assert (
        observed([a_result(an_estate_of(400), dict.fromkeys([UnitName("office-300-passport")], 1.0))], estate).seconds
        == {}
    )
