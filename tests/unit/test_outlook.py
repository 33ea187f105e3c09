"""How the rest of a run is seen: as it was forecast while all goes as forecast, and otherwise as it has gone so far."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from recovery.forecast import History, class_of, dealt, forecast
from recovery.model.estate import Estate, Limits, LinkName, ServiceName, UnitName
from recovery.model.forecast import Forecast
from recovery.model.outcome import Cause, Outcome, State
from recovery.model.plan import Plan, Selection, Step
from recovery.outlook import Outlook, SoFar
from recovery.plan import recovery
from recovery.slots import Slots
from tests.many import an_estate_of
from tests.places import PDNS
from tests.sim import loop

START = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
WIDE = Limits(region=200, bastion=200, link=dict.fromkeys(LinkName, 200))
TIGHT = Limits(region=20, bastion=15, link={LinkName.FIBRE: 14, LinkName.RADIO: 8, LinkName.SATELLITE: 5})
PARALLEL = 12
CLOSE_S = 1.0
"""Of 27: whose turn it is among those that wait is not known from a record, and may be seen otherwise."""


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def planned(units: int = 120, limits: Limits = TIGHT) -> tuple[Plan, Estate, History]:
    estate = an_estate_of(units, regions=3, limits=limits)
    plan, moved = recovery(estate, "", Selection(), lost=PDNS)
    classes = sorted({class_of(step) for step in plan.steps()})
    return plan, moved, History(seconds={key: [1 + number % 7 / 4 for number in range(50)] for key in classes})


@dataclass
class Record:
    """A run in virtual time: when each step began and ended, by the production slots."""

    began: dict[UnitName, float] = field(default_factory=dict[UnitName, float])
    ended: dict[UnitName, float] = field(default_factory=dict[UnitName, float])
    waves: list[float] = field(default_factory=list[float])

    def ended_last(self, service: ServiceName, plan: Plan) -> float:
        """Return when the last step of a service was through."""
        return max(self.ended[step.name] for step in plan.steps() if step.service == service)

    def so_far(self, plan: Plan, now_s: float, states: Mapping[UnitName, State] | None = None) -> SoFar:
        """Return what a run that goes like this has come to at a moment."""
        steps = {step.name: step for step in plan.steps()}
        return SoFar(
            started_at=START,
            begun_at=START,
            lost_at=START,
            outcomes=[
                outcome(steps[name], (states or {}).get(name, State.VERIFIED), end_s - self.began[name], end_s)
                for name, end_s in self.ended.items()
                if end_s <= now_s
            ],
            under_way={name: at(s) for name, s in self.began.items() if s <= now_s < self.ended.get(name, now_s + 1)},
        )


def outcome(step: Step, state: State, seconds: float, end_s: float) -> Outcome:
    return Outcome(
        name=step.name,
        office=step.office,
        region=step.region,
        service=step.service,
        data_centre=step.data_centre,
        state=state,
        digest=None,
        seconds=seconds,
        finished_at=at(end_s),
        cause=Cause.TIMEOUT if state is State.QUARANTINED else None,
    )


async def conducted(plan: Plan, parallel: int, takes_s: Mapping[UnitName, float]) -> Record:
    slots, record, now = Slots(plan.limits, parallel), Record(), asyncio.get_running_loop().time

    async def one(step: Step) -> None:
        async with slots.place(step):
            record.began[step.name] = now()
            await asyncio.sleep(takes_s[step.name])
            record.ended[step.name] = now()

    async def together(steps: Iterable[Step]) -> None:
        async with asyncio.TaskGroup() as group:
            for step in steps:
                group.create_task(one(step))

    for wave in plan.waves:
        await together(wave.canaries)
        await together(wave.rest)
        record.waves.append(now())
    return record


def a_run(plan: Plan, estate: Estate, history: History, factor: float = 1.0, parallel: int = PARALLEL) -> Record:
    takes_s, _ = dealt(plan, estate, history)
    return loop.run(conducted(plan, parallel, {name: seconds * factor for name, seconds in takes_s.items()}))


def ends(made: Forecast) -> list[float]:
    return [wave.ends_s for wave in made.waves]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.33, 0.5, 0.8, 0.97])
def test_while_a_run_goes_as_forecast_it_is_seen_to_end_as_forecast(share: float) -> None:
    plan, estate, history = planned()
    record, made = a_run(plan, estate, history), forecast(plan, estate, history, parallel=PARALLEL)
    assert ends(made) == pytest.approx(record.waves)
    now_s = share * made.seconds
    seen = Outlook(plan, estate, history, parallel=PARALLEL, most=PARALLEL).rest(record.so_far(plan, now_s), at(now_s))
    assert ends(seen) == pytest.approx(record.waves, abs=CLOSE_S)
    assert {one.name: one.ends_s for one in seen.services} == pytest.approx(
        {one.name: one.ends_s for one in made.services}, abs=CLOSE_S
    )
    assert (seen.known, seen.steps, seen.parallel) == (made.known, made.steps, made.parallel)


@pytest.mark.parametrize("factor", [0.4, 3.0])
def test_a_run_that_goes_otherwise_corrects_what_is_seen_of_its_rest(factor: float) -> None:
    plan, estate, history = planned()
    record, made = a_run(plan, estate, history, factor), forecast(plan, estate, history, parallel=PARALLEL)
    actual_s = record.waves[-1]
    assert actual_s == pytest.approx(made.seconds * factor)
    outlook, now_s = Outlook(plan, estate, history, parallel=PARALLEL, most=PARALLEL), 0.4 * actual_s
    seen = outlook.rest(record.so_far(plan, now_s), at(now_s))
    assert seen.seconds == pytest.approx(actual_s, rel=0.1)
    assert abs(made.seconds / actual_s - 1) > 0.5


def test_one_that_hangs_is_expected_to_hang_as_long_again_and_says_nothing_of_the_others() -> None:
    plan, estate, history = planned()
    record, made = a_run(plan, estate, history), forecast(plan, estate, history, parallel=PARALLEL)
    wave = plan.unit_waves[0]
    hanging = wave.rest[-1].name
    ended = {
        name: end_s for name, end_s in record.ended.items() if end_s <= made.waves[len(plan.endpoint_waves)].ends_s
    }
    del ended[hanging]
    stuck = replace(record, began={name: record.began[name] for name in (*ended, hanging)}, ended=ended)
    now_s = record.began[hanging] + 30.0
    outlook = Outlook(plan, estate, history, parallel=PARALLEL, most=PARALLEL)
    seen = outlook.rest(stuck.so_far(plan, now_s), at(now_s))
    place = len(plan.endpoint_waves)
    assert seen.waves[place].ends_s == pytest.approx(now_s + 30.0)
    behind_s = made.seconds - made.waves[place].ends_s
    assert seen.seconds - seen.waves[place].ends_s == pytest.approx(behind_s, abs=CLOSE_S)


def test_what_more_connections_would_bring_is_said_only_when_the_whole_run_anew_would_hold() -> None:
    plan, estate, history = planned(limits=WIDE)
    record = a_run(plan, estate, history)
    now_s = record.waves[len(plan.endpoint_waves) - 1] - 0.001  # units in flight end before the run is resumed
    with_more = forecast(plan, estate, history, parallel=2 * PARALLEL)
    last = plan.order[-1]
    for spare_s, holds_with in ((1, 2 * PARALLEL), (-1, 4 * PARALLEL)):
        rto_s = int(now_s + with_more.seconds + spare_s)
        tight = replace(
            estate,
            services=tuple(replace(one, rto_s=rto_s if one.name == last else 10**6) for one in estate.services),
        )
        outlook = Outlook(plan, tight, history, parallel=PARALLEL, most=4 * PARALLEL)
        seen = outlook.rest(record.so_far(plan, now_s), at(now_s))
        assert [one.name for one in seen.services if not one.is_met] == [last]
        late = next(one for one in seen.services if one.name == last)
        assert late.late_s == pytest.approx(record.ended_last(last, plan) - rto_s, abs=CLOSE_S)
        assert late.holds_with == holds_with
    assert (
        Outlook(plan, tight, history, parallel=PARALLEL, most=PARALLEL)
        .rest(record.so_far(plan, now_s), at(now_s))
        .services[-1]
        .holds_with
        is None
    )


def test_a_service_of_which_something_failed_will_not_be_back() -> None:
    plan, estate, history = planned()
    record = a_run(plan, estate, history)
    first = plan.unit_waves[0].canaries[0]
    now_s = record.waves[len(plan.endpoint_waves)]
    outlook = Outlook(plan, estate, history, parallel=PARALLEL, most=PARALLEL)
    seen = outlook.rest(record.so_far(plan, now_s, {first.name: State.QUARANTINED}), at(now_s))
    assert {one.name for one in seen.services} == set(plan.order) - {first.service}
    assert seen.seconds == pytest.approx(record.waves[-1], abs=CLOSE_S)


def test_what_failed_before_a_run_was_resumed_is_tried_again_and_what_was_verified_is_not() -> None:
    plan, estate, history = planned()
    record = a_run(plan, estate, history)
    failed = plan.unit_waves[-1].rest[-1]
    end_s = record.waves[-1]
    so_far = record.so_far(plan, end_s, {failed.name: State.QUARANTINED})
    resumed_s = end_s + 3600
    outlook = Outlook(plan, estate, history, parallel=PARALLEL, most=PARALLEL)
    seen = outlook.rest(replace(so_far, begun_at=at(resumed_s)), at(resumed_s))
    assert seen.seconds == pytest.approx(resumed_s + dealt(plan, estate, history)[0][failed.name])
    assert {one.name for one in seen.services} == set(plan.order)
