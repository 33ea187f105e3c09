"""When a unit is tried again, in virtual time."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from pathlib import Path

from recovery.errors import UnreachableError
from recovery.model.estate import Timeouts
from recovery.model.plan import Selection
from recovery.plan import routine
from recovery.transport.base import Conversation, Session, T, Target
from recovery.visits import Hosts, visit
from tests.estates import sound_estate
from tests.sim.loop import run

ESTATE = sound_estate(Path("estate"))
STEP = next(iter(routine(ESTATE, "sha256:0", Selection())[0].steps()))


class Failing:
    """A way to a unit on which every try takes a while and fails."""

    def __init__(self, takes_s: float) -> None:
        self._takes_s = takes_s
        self.began: list[float] = []
        self.ended: list[float] = []

    async def run(self, target: Target, command: str, conversation: Conversation[T], *, within_s: float) -> T:
        del command, conversation, within_s
        loop = asyncio.get_running_loop()
        self.began.append(loop.time())
        await asyncio.sleep(self._takes_s)
        self.ended.append(loop.time())
        raise UnreachableError(target.name, "nobody listens")

    async def close(self) -> None: ...


async def _nothing(_session: Session) -> None: ...


def tried(takes_s: float, *, retries: int, seed: int = 1) -> Failing:
    timeouts = Timeouts(connect_s=30, step_s=30, unit_s=60, retries=retries)
    host = Hosts(ESTATE).of(STEP)
    host = replace(host, target=replace(host.target, timeouts=timeouts))
    line = Failing(takes_s)

    async def hold() -> None:
        try:
            await visit(line, host, _nothing, chance=random.Random(seed))
        except UnreachableError:
            return
        raise AssertionError("a visit that failed was none")

    run(hold())
    return line


def test_tries_are_as_many_as_declared_and_ever_further_apart_by_chance() -> None:
    for seed in range(20):
        line = tried(0.1, retries=4, seed=seed)
        assert len(line.began) == 5
        pauses = [began - ended for began, ended in zip(line.began[1:], line.ended, strict=False)]
        for pause, bound in zip(pauses, (1.0, 2.0, 4.0, 8.0), strict=True):
            assert bound / 4 <= pause <= bound
    assert len({tuple(tried(0.1, retries=2, seed=seed).began) for seed in range(5)}) == 5


def test_no_try_begins_when_a_unit_s_time_is_used_up() -> None:
    line = tried(25.0, retries=9)
    assert len(line.began) == 3
    assert line.began[-1] < 60 <= line.ended[-1]
