"""A Pulumi update: the provider's resources as the engine asks for them, in a process of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from infra.declaration import ENDPOINT, UNIT, Deployable, declaration
from infra.provider import resources, rights
from infra.provider.checking import Properties
from infra.provider.resources import Resources, Urn
from recovery.errors import PulihError
from recovery.lease import Lease, Leases
from recovery.model.estate import Estate
from recovery.processes import Processes
from recovery.store import Store
from recovery.transport.base import Transport
from tests.sim import declared
from tests.sim.judge import Part
from tests.sim.loop import this_process
from tests.sim.orchestrator import Orchestrator
from tests.sim.standing import StandIn, put


class Engine(Orchestrator):
    """The engine with its provider; it says what befell each resource, and goes on with the others."""

    async def update(self, stack: str, reading_s: float) -> int:
        """`pulumi up` of one stack.

        Args:
            stack: Name of a region or a data centre.
            reading_s: How long somebody reads the preview before they say yes.
        """
        folder = Path(declared.FOLDER).parent
        known = declaration(folder, stack)
        provider = Resources(_Silent())
        provider.folder = folder
        await asyncio.sleep(min(1.0, reading_s / 4))  # the program has read the declaration, the provider has not
        wrong = [fault for found in known.deployables.values() for fault in await provider.check(*_asked(stack, found))]
        await asyncio.sleep(reading_s)
        is_failed = bool(wrong)
        for group in _groups(() if wrong else known.deployables.values()):
            told = await asyncio.gather(*(self._apply(provider, stack, found) for found in group))
            is_failed = is_failed or not all(told)
        await provider.close()
        return 1 if is_failed else 0

    async def _apply(self, provider: Resources, stack: str, found: Deployable) -> bool:
        urn, _ = _asked(stack, found)
        try:
            await provider.apply(urn, found.inputs)
        except PulihError as error:
            self.world.say(f"{self.name}: {found.step.name}: {error}")
            return False
        return True


def _asked(stack: str, found: Deployable) -> tuple[Urn, Properties]:
    kind = ENDPOINT if found.step.is_endpoint else UNIT
    return Urn(f"urn:pulumi:{stack}::pulih::{kind}::{found.step.name}"), found.inputs


class _Silent:
    async def warn(self, urn: str, text: str) -> None: ...

    def note(self, urn: str, text: str) -> None: ...


class _SeenLeases(Leases):
    """The production leases, with the judge told when the provider takes one."""

    def take(self, scopes: Iterable[str], run: str, **options: Any) -> Lease:
        wanted = frozenset(scopes)
        lease = super().take(wanted, run, **options)
        engine, number, holder = _engine(), lease.epoch.number, lease.epoch.holder
        engine.has_part(Part(who=engine.name, scopes=wanted, plan=None, epoch=number, holder=holder))
        return lease


def _engine() -> Engine:
    return cast(Engine, this_process())


def _groups(found: Iterable[Deployable]) -> list[list[Deployable]]:
    """Return what the engine starts together: first what nothing else must be up for."""
    services = declared.estate().service
    groups: dict[int, list[Deployable]] = {}
    for deployable in found:
        groups.setdefault(len(services[deployable.step.service].after), []).append(deployable)
    return [groups[key] for key in sorted(groups)]


@contextmanager
def plugged_in() -> Generator[None]:
    """Let the provider run in simulated processes: their clock, chance, leases and way to units."""
    chance = SimpleNamespace(SystemRandom=lambda: _engine().chance)

    def transport(estate: Estate, _parallel: int) -> Transport:
        return _engine().transport(estate)

    def processes(_where: str) -> Processes:
        return _engine().processes

    def store(estate: Estate, _state: Path) -> Store:
        return _engine().store(estate)

    stand_ins: tuple[StandIn, ...] = (
        (resources, "transport", transport),
        (resources, "random", chance),
        (rights, "random", chance),
        (rights, "Leases", _SeenLeases),
        (rights, "WallClock", lambda: _engine().machine),
        (rights, "LinuxProcesses", processes),
        (rights, "leases_store", store),
    )
    with put(stand_ins):
        yield
