from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from recovery.model.estate import Limits, LinkName
from recovery.model.plan import Selection, Step
from recovery.plan import routine
from recovery.slots import Slots
from tests.many import an_estate_of

LIMITS = Limits(region=7, bastion=5, link={LinkName.FIBRE: 6, LinkName.RADIO: 3, LinkName.SATELLITE: 2})


async def most_at_once(steps: list[Step], slots: Slots) -> Counter[object]:
    busy: Counter[object] = Counter()
    most: Counter[object] = Counter()

    async def one(step: Step) -> None:
        async with slots.place(step):
            keys: tuple[object, ...] = ("all", step.region, step.bastion, step.link)
            for key in keys:
                busy[key] += 1
                most[key] = max(most[key], busy[key])
            for _ in range(hash(step.name) % 5 + 1):
                await asyncio.sleep(0)
            for key in keys:
                busy[key] -= 1

    async with asyncio.TaskGroup() as group:
        for step in steps:
            group.create_task(one(step))
    return most


def test_no_limit_is_ever_passed_and_each_is_used_up() -> None:
    plan, _ = routine(an_estate_of(200, regions=3), "", Selection())
    steps = [step for step in plan.steps() if not step.is_endpoint]
    most = asyncio.run(most_at_once(steps, Slots(LIMITS, parallel=10)))
    assert most["all"] == 10
    assert {name: most[name] for name in LinkName} == dict(LIMITS.link)
    assert max(most[f"bastion-{n}"] for n in range(3)) == LIMITS.bastion


def test_a_full_bastion_does_not_hold_the_others_back() -> None:
    plan, _ = routine(an_estate_of(40, regions=2), "", Selection())
    steps = [step for step in plan.steps() if step.region is not None]

    async def scenario() -> None:
        slots = Slots(Limits(region=50, bastion=1, link=dict.fromkeys(LinkName, 50)), parallel=50)
        first, other = (next(step for step in steps if step.bastion == f"bastion-{n}") for n in range(2))
        waiting = [step for step in steps if step.bastion == first.bastion and step is not first]
        async with slots.place(first):
            tasks = [asyncio.create_task(slots.place(step).__aenter__()) for step in waiting]
            await asyncio.sleep(0)
            async with asyncio.timeout(1), slots.place(other):
                pass
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(scenario())


@pytest.mark.parametrize("at_its_turn", [False, True])
def test_one_that_stops_waiting_gives_its_turn_to_the_next(at_its_turn: bool) -> None:
    plan, _ = routine(an_estate_of(6, regions=1), "", Selection())
    first, second, third = [step for step in plan.steps() if step.region is not None][:3]

    async def scenario() -> None:
        slots = Slots(LIMITS, parallel=1)
        async with slots.place(first):
            gone = asyncio.create_task(slots.place(second).__aenter__())
            await asyncio.sleep(0)
            if not at_its_turn:
                gone.cancel()
                await asyncio.gather(gone, return_exceptions=True)
        gone.cancel()  # else it is its turn now, and it has not heard of it
        await asyncio.gather(gone, return_exceptions=True)
        async with asyncio.timeout(1), slots.place(third):
            pass

    asyncio.run(scenario())


def test_everybody_may_stop_waiting_at_once() -> None:
    plan, _ = routine(an_estate_of(40, regions=2), "", Selection())
    steps = [step for step in plan.steps() if step.region is not None]

    async def scenario() -> None:
        slots = Slots(LIMITS, parallel=3)

        async def one(step: Step) -> None:
            async with slots.place(step):
                await asyncio.sleep(60)

        tasks = [asyncio.create_task(one(step)) for step in steps]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(error, asyncio.CancelledError) for error in ended), ended
        async with asyncio.timeout(1):
            assert (await most_at_once(steps, slots))["all"] == 3, "as many places as before"

    asyncio.run(scenario())
