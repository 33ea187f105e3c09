"""The units and the hosts they are on, and what befalls those who visit them."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from contextvars import Context
from functools import partial

from recovery.model.estate import HostKey
from recovery.protocol import applier_command
from tests.sim import declared
from tests.sim.declared import MADE
from tests.sim.faults import LINE, Fault, Site, Trace
from tests.sim.hosts import Host, HungUpError, Remote, Trouble
from tests.sim.judge import Judge
from tests.sim.platter import UnitDisk, Written
from tests.sim.unit import SimUnit, StruckError, applier

LONGEST_STEP_S = 0.4
_STEPS = frozenset({"stage", "reload", "probe"})
"""Places that take time; the others are instants between two writes."""


def later(seconds: float, act: Callable[[], object]) -> None:
    """Do something later, whatever becomes of the process that asked for it."""
    asyncio.get_running_loop().call_later(seconds, act, context=Context())


class Field:
    """Units, endpoints and bastions.

    Attributes:
        units: And endpoints, by name.
        hosts: By address and port.
        is_calm: Whether no further fault strikes.
    """

    def __init__(
        self, seed: int, trace: Trace, judge: Judge, fire: Callable[[Fault], None], *, was_deployed: bool
    ) -> None:
        """Make it as it is when a data centre has just been lost.

        Args:
            seed: For chance in timing.
            trace: What befalls whom.
            judge: Looks on.
            fire: Told of each fault that strikes.
            was_deployed: Whether the units still have what they ran, or it was erased with the data centre.
        """
        self.trace, self.judge, self.fire = trace, judge, fire
        self.units: dict[str, SimUnit] = {}
        self.hosts: dict[tuple[str, int], Host] = {}
        self.is_calm = False
        self._by_name: dict[str, Host] = {}
        self._services: dict[str, str] = {}
        self._chances: dict[str, random.Random] = {}
        self._seed = seed
        self._visits: Counter[str] = Counter()
        self._boots: Counter[str] = Counter()
        for _, _, unit in declared.estate().places():
            self._add(unit.name, unit.service, unit.login.address, unit.login.host_key)
            if was_deployed:
                _install(self.units[unit.name])
        for end in declared.estate().endpoint.values():
            self._add(end.name, end.service, end.login.address, end.login.host_key)
            self._by_name[end.name].is_down = end.data_centre == declared.LOST
        for bastion in declared.estate().bastions.values():
            login = bastion.login
            self.hosts[login.address, login.port] = Host(host_key=login.host_key, programs={})
        for unit in self.units.values():
            judge.had(unit)

    def _add(self, name: str, service: str, address: str, host_key: HostKey) -> None:
        self.units[name] = SimUnit(name)
        self._services[name] = service
        host = Host(
            host_key=host_key,
            programs={applier_command(): partial(self._visited, name)},
            befalls=partial(self._on_the_way, name),
        )
        self.hosts[address, 22] = self._by_name[name] = host

    def begin(self) -> None:
        """Let what lasts begin."""
        for fault in self.trace:
            if fault.site is Site.SLOW_LINK:
                self._by_name[fault.who].latency_s = fault.seconds
                self.fire(fault)
            elif fault.site is Site.GONE:
                later(fault.at, partial(self._goes, fault))

    async def calm(self) -> None:
        """Let no further fault strike, and whatever is under way come to its end."""
        self.is_calm = True
        for name, host in self._by_name.items():
            host.latency_s = 0.0
            self.units[name].disk.is_full = False
        while running := [task for host in self._by_name.values() for task in host.running]:
            await asyncio.wait(running)

    def gone(self) -> set[str]:
        """Return who is down that should be up."""
        lost = {end.name for end in declared.estate().endpoint.values() if end.data_centre == declared.LOST}
        return {name for name, host in self._by_name.items() if host.is_down} - lost

    def find_the_gone(self) -> None:
        """Who was gone is there again."""
        for name in self.gone():
            self._by_name[name].is_down = False

    def strikes(self, site: Site, who: str, how: str = "") -> Fault | None:
        """Return the fault that strikes the present visit to a unit at a place, if one does."""
        if self.is_calm:
            return None
        for fault in self.trace:
            if (fault.site, fault.who, fault.at) == (site, who, self._visits[who]) and fault.how in ("", how):
                return fault
        return None

    def is_sick(self, name: str) -> Fault | None:
        """Return the fault that lets a unit's probes fail until it is healed."""
        if self.is_calm:
            return None
        return next((fault for fault in self.trace if (fault.site, fault.who) == (Site.PROBE_FAILS, name)), None)

    def answer(self, unit: SimUnit, nonce: str) -> str | None:
        """Return what a test transaction through a unit's service is answered; None when nobody answers."""
        if unit.loaded is None or unit.loaded.is_torn:
            return None
        made, service = MADE[unit.loaded.digest], self._services[unit.name]
        end = self.units[f"{service}-{made.centre}"]
        if end.loaded is None or self._by_name[end.name].is_down:
            return None
        return f"pulih-probe/1 data-centre={made.centre} service={service} nonce={nonce}"

    def reboot(self, unit: SimUnit, fault: Fault) -> None:
        """Take a unit down where it stands; it comes up later with what its disk has kept."""
        host = self._by_name[unit.name]
        self._boots[unit.name] += 1
        unit.loaded, unit.lock = None, asyncio.Lock()
        host.is_down = True
        host.cut()
        if fault.site is Site.POWER_CUT:
            unit.disk.lose_power(self._chance(unit.name))
        later(fault.seconds, partial(self._boot, unit, host))

    def visits(self, name: str) -> int:
        """Return how often somebody has come to a unit."""
        return self._visits[name]

    def boots(self, name: str) -> int:
        """Return how often a unit has started."""
        return self._boots[name]

    def step_s(self, name: str) -> float:
        """Return how long a unit takes for a step, seconds."""
        return self._chance(name).uniform(0.01, LONGEST_STEP_S)

    def _chance(self, name: str) -> random.Random:
        """Return a unit's own chance, so that what befalls one never depends on another's turn."""
        if name not in self._chances:
            self._chances[name] = random.Random(f"{self._seed} {name}")
        return self._chances[name]

    def _boot(self, unit: SimUnit, host: Host) -> None:
        host.is_down = False
        unit.reload()
        self.judge.serves(unit)

    def _goes(self, fault: Fault) -> None:
        if not self.is_calm:
            self.fire(fault)
            self._by_name[fault.who].is_down = True
            self._by_name[fault.who].cut()

    def _on_the_way(self, name: str) -> Trouble | None:
        self._visits[name] += 1
        for fault in self.trace:
            if fault.site in LINE and (fault.who, fault.at) == (name, self._visits[name]) and not self.is_calm:
                return Trouble(fault.site, fault.how, partial(self.fire, fault))
        return None

    async def _visited(self, name: str, remote: Remote) -> None:
        try:
            await applier(self.units[name], _Way(remote), _Around(self, self.units[name]))
        except StruckError:
            return


def _install(unit: SimUnit) -> None:
    """Let a unit run what it ran before the loss."""
    release = declared.release(unit.name, declared.all_at(declared.LOST))
    receipt = f'{{"digest":"{release.digest}","epoch":1,"holder":"before","run":"before","applied_at":""}}'
    unit.disk = UnitDisk(
        Written(releases={release.digest: release}, current=release.digest, receipt=receipt, epoch=(1, "before"))
    )
    unit.reload()


class _Way:
    """Stdin and stdout of an applier, over the pipes of a connection."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._rest = b""

    async def line(self) -> bytes | None:
        while b"\n" not in self._rest:
            if not (more := await self._more()):
                return None
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    async def exactly(self, size: int) -> bytes:
        while len(self._rest) < size:
            if not (more := await self._more()):
                break
            self._rest = self._rest + more if self._rest else more
        found, self._rest = self._rest[:size], self._rest[size:]
        return found

    def say(self, line: str) -> None:
        try:
            self._remote.stdout.put_now(f"{line}\n".encode())
        except HungUpError:
            return  # the applier ignores SIGPIPE

    async def _more(self) -> bytes:
        try:
            return await self._remote.stdin.get()
        except HungUpError:
            return b""


class _Around:
    """What one visit of a unit's applier meets."""

    def __init__(self, field: Field, unit: SimUnit) -> None:
        self._field, self._unit = field, unit
        self._boots = field.boots(unit.name)
        self._probes = 0

    async def at(self, place: str) -> None:
        """Take time, and be struck if that is what comes."""
        field, unit = self._field, self._unit
        if place in _STEPS:
            await asyncio.sleep(field.step_s(unit.name))
        if field.boots(unit.name) != self._boots:
            raise StruckError
        field.judge.serves(unit)
        if not any(fault.who == unit.name for fault in field.trace):
            return
        for site in (Site.APPLIER_KILLED, Site.REBOOT, Site.POWER_CUT, Site.DISK_FULL):
            fault = field.strikes(site, unit.name, place)
            if fault is None:
                continue
            field.fire(fault)
            if site is Site.DISK_FULL:
                unit.disk.is_full = True
                continue
            if site is not Site.APPLIER_KILLED:
                field.reboot(unit, fault)
            raise StruckError

    def validates(self) -> bool:
        """Whether the staged bundle is found valid."""
        fault = self._field.strikes(Site.VALIDATE_FAILS, self._unit.name)
        if fault is not None:
            self._field.fire(fault)
        return fault is None

    def let_in(self, epoch: tuple[int, str], digest: str) -> None:
        """Note that a writer's epoch was accepted."""
        self._field.judge.accepted(self._unit.name, epoch, digest)

    def swaps(self, digest: str) -> None:
        """Note that another bundle is put in place."""
        self._unit.sent += 1
        self._field.judge.swaps(self._unit, digest)

    def answer(self, nonce: str, epoch: int) -> str | None:
        """Return what a test transaction is answered; None when it fails."""
        field, unit = self._field, self._unit
        self._probes += 1
        fault = field.is_sick(unit.name) or field.strikes(Site.PROBE_FLAPS, unit.name)
        if fault is not None and (fault.site is Site.PROBE_FAILS or self._probes == 1):
            field.fire(fault)
            return None
        answered = field.answer(unit, nonce)
        if answered is not None and unit.loaded is not None and unit.current is not None:
            field.judge.probe_passed(unit.name, epoch, unit.current.digest)
        return answered
