"""A run of the production runbook over any transport, with bundles small enough to reason about."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from recovery.clock import WallClock
from recovery.model.bundle import Bundle
from recovery.model.estate import Endpoint, Estate, Login, Office, Region, Unit
from recovery.model.events import Observer
from recovery.model.outcome import RunResult
from recovery.model.plan import Plan, Selection
from recovery.model.visit import Epoch
from recovery.order import Order, World
from recovery.plan import routine
from recovery.render import Renderer, Templates
from recovery.runbook import conduct
from recovery.transport.base import Transport
from tests.places import TEMPLATES
from tests.shells import bundle


class Scripted(Renderer):
    """Gives every unit a bundle whose scripts need no program of its own."""

    def __init__(self, estate: Estate, tag: str, special: Callable[[str], dict[str, str]] = lambda _name: {}) -> None:
        super().__init__(estate, Templates.load(TEMPLATES))
        self._placed = estate
        self._tag = tag
        self._special = special

    def unit(self, region: Region, office: Office, unit: Unit) -> Bundle:
        del office
        return self._scripted(unit.name, unit.service, self._placed.placement.of(unit.service, region.name))

    def endpoint(self, endpoint: Endpoint) -> Bundle:
        return self._scripted(endpoint.name, endpoint.service, endpoint.data_centre)

    def _scripted(self, name: str, service: str, centre: str) -> Bundle:
        answer = f'echo "pulih-probe/1 data-centre={centre} service={service} nonce=$1"'
        return bundle(f"{self._tag}-{name}", **{"probe": answer, **self._special(name)})


def reached(estate: Estate, login: Callable[[str], Login], root: Callable[[str], str]) -> Estate:
    """Return the estate with every unit reached and rooted as a test has it."""

    def unit(declared: Unit) -> Unit:
        return replace(declared, login=login(declared.name), root=root(declared.name))

    def office(declared: Office) -> Office:
        return replace(declared, bastion=None, units=tuple(map(unit, declared.units)))

    return replace(
        estate,
        regions=tuple(replace(region, offices=tuple(map(office, region.offices))) for region in estate.regions),
    )


async def _go_on(_wave: object, _reason: str) -> bool:
    return True


def all_units(estate: Estate) -> Plan:
    """Return the plan of every unit and no endpoint."""
    names = frozenset(unit.name for _, _, unit in estate.places())
    plan, _ = routine(estate, "sha256:scripted", Selection(units=names))
    return plan


def conducted(
    estate: Estate, transport: Transport, renderer: Renderer, *, epoch: int = 1, observers: tuple[Observer, ...] = ()
) -> RunResult:
    """Conduct every unit of an estate once."""
    order = Order(
        run=f"run-{epoch}",
        verb="apply",
        plan=all_units(estate),
        estate=estate,
        renderer=renderer,
        epoch=Epoch(number=epoch, holder=f"holder-{epoch}"),
        parallel=32,
        lost_at=None,
    )
    world = World(
        transport=transport,
        clock=WallClock(),
        chance=random.Random(epoch),
        halted=lambda: None,
        go_on=_go_on,
        write_placement=lambda _moves: None,
        observers=observers,
    )

    async def main() -> RunResult:
        try:
            return await conduct(order, world)
        finally:
            await transport.close()

    return asyncio.run(main())


def receipts(root: Path) -> dict[str, bytes]:
    """Return every unit's receipt by its folder's name."""
    return {path.parent.name: path.read_bytes() for path in sorted(root.glob("*/receipt.json"))}
