"""The transport in memory keeps the contract that SSH keeps, and fails in the ways it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import replace
from typing import Any

import pytest

from recovery.errors import CommandTimeoutError, LoginError, UnreachableError
from recovery.model.estate import Bastion, BastionName, Login, Timeouts, UnitName
from recovery.transport.base import T, Target
from tests.contract import commands
from tests.contract.transport import *  # noqa: F403  the suite's tests, collected here
from tests.contract.transport import all_lines
from tests.contract.world import HOSTS
from tests.keys import new_key
from tests.sim.hosts import Host
from tests.sim.loop import run
from tests.sim.memory import MemoryTransport
from tests.sim.programs import PROGRAMS

TIMEOUTS = Timeouts(connect_s=10, step_s=10, unit_s=60, retries=0)


class _EndsItsHosts(MemoryTransport):
    """A transport whose hosts end with it, so that nothing of a test outlives it."""

    def __init__(self, hosts: Mapping[tuple[str, int], Host], *, is_known: bool) -> None:
        super().__init__(hosts, is_known=is_known)
        self._places = hosts

    async def close(self) -> None:
        await super().close()
        running = [task for host in self._places.values() for task in host.running]
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)


class MemoryWorld:
    """Hosts in memory, and a loop in virtual time."""

    def __init__(self) -> None:
        self.hosts = {name: Host(host_key=new_key().public, programs=PROGRAMS) for name in HOSTS}
        self._places = {("127.0.0.1", 70000 + number): host for number, host in enumerate(self.hosts.values())}

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        return run(main)

    def transport(self, *, is_known: bool = True) -> MemoryTransport:
        return _EndsItsHosts(self._places, is_known=is_known)

    def target(self, name: str) -> Target:
        host = self.hosts[name]
        address, port = next(place for place, found in self._places.items() if found is host)
        login = Login(address=address, port=port, user="pulih", host_key=host.host_key)
        return Target(name=UnitName(name), login=login, bastion=None, timeouts=TIMEOUTS)

    def login_attempts(self, name: str) -> int:
        return self.hosts[name].login_attempts

    async def cut(self, name: str) -> None:
        self.hosts[name].cut()


@pytest.fixture
def world() -> MemoryWorld:
    return MemoryWorld()


def lines_of(world: MemoryWorld, command: str, target: Target | None = None) -> list[str]:
    async def main() -> list[str]:
        transport = world.transport()
        try:
            return await transport.run(target or world.target(HOSTS[0]), command, all_lines, within_s=60)
        finally:
            await transport.close()

    return world.run(main())


def test_a_host_can_be_down(world: MemoryWorld) -> None:
    world.hosts[HOSTS[0]].is_down = True
    with pytest.raises(UnreachableError, match="nobody listens"):
        lines_of(world, commands.LINES)


def test_a_host_can_refuse_the_login(world: MemoryWorld) -> None:
    world.hosts[HOSTS[0]].refuses_login = True
    with pytest.raises(LoginError):
        lines_of(world, commands.LINES)


def test_a_host_can_be_silent(world: MemoryWorld) -> None:
    world.hosts[HOSTS[0]].is_silent = True
    with pytest.raises(CommandTimeoutError, match="nothing happened for 10 s"):
        lines_of(world, commands.LINES)


def test_a_connection_can_drop_at_a_line(world: MemoryWorld) -> None:
    world.hosts[HOSTS[0]].drop_at_line = 2
    with pytest.raises(UnreachableError, match="closed the connection"):
        lines_of(world, commands.LINES)
    world.hosts[HOSTS[0]].drop_at_line = None
    assert lines_of(world, commands.LINES) == ["one", "two", "", "four"]


def test_the_way_can_lead_through_a_bastion_that_is_down(world: MemoryWorld) -> None:
    bastion = Bastion(name=BastionName("b"), title="b", login=world.target(HOSTS[1]).login)
    target = replace(world.target(HOSTS[0]), bastion=bastion)
    assert lines_of(world, commands.TORN, target) == ["whole"]
    world.hosts[HOSTS[1]].is_down = True
    with pytest.raises(UnreachableError, match="through bastion b"):
        lines_of(world, commands.TORN, target)


def test_a_line_s_delay_passes_in_virtual_time_only(world: MemoryWorld) -> None:
    world.hosts[HOSTS[0]].latency_s = 5

    async def main() -> float:
        transport = world.transport()
        await transport.run(world.target(HOSTS[0]), commands.LINES, all_lines, within_s=600)
        await transport.close()
        return asyncio.get_running_loop().time()

    assert world.run(main()) >= 55
