"""A world in memory behind the production transport, store, clock and processes; one seed gives one history."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

from recovery.errors import CommandTimeoutError, HostKeyError, UnreachableError
from recovery.model.bundle import Bundle
from recovery.model.estate import DataCentreName, Endpoint, Estate, Office, Region, Unit, UnitName
from recovery.processes import Process
from recovery.render import Renderer, Templates
from recovery.store import ConflictError, Document
from recovery.transport.base import Conversation, T, Target
from tests.many import an_estate_of
from tests.sim.unit import Pipe, SimUnit, Struck, applier

BEGIN = datetime(2024, 6, 20, 0, 54, tzinfo=UTC)
UNITS = 10
FAULTS = (
    "refused",
    "host-key",
    "drop-before-exec",
    "drop-after-send",
    "lost-acknowledgement",
    "hang",
    "struck",
    "probe-flaps",
)


@cache
def estate() -> Estate:
    return an_estate_of(UNITS)


@cache
def templates() -> Templates:
    return Templates.load(estate().templates)


class OnceRenderer(Renderer):
    """The production renderer, asked once for each bundle: rendering is pure, so all seeds share what it made."""

    def __init__(self, estate: Estate, templates: Templates) -> None:
        super().__init__(estate, templates)
        self._made: dict[str, Bundle] = {}

    def unit(self, region: Region, office: Office, unit: Unit) -> Bundle:
        if unit.name not in self._made:
            self._made[unit.name] = super().unit(region, office, unit)
        return self._made[unit.name]

    def endpoint(self, endpoint: Endpoint) -> Bundle:
        if endpoint.name not in self._made:
            self._made[endpoint.name] = super().endpoint(endpoint)
        return self._made[endpoint.name]


@cache
def renderer(to: str) -> Renderer:
    """Return the renderer of the estate placed at a data centre."""
    return OnceRenderer(placed(to), templates())


@cache
def placed(to: str) -> Estate:
    moves = [(service.name, None, DataCentreName(to)) for service in estate().services]
    return replace(estate(), placement=estate().placement.moved(moves))


class SimStore:
    """Documents in memory, with the same conditional writes."""

    def __init__(self) -> None:
        self.documents: dict[str, bytes] = {}

    def get(self, name: str) -> Document | None:
        content = self.documents.get(name)
        return None if content is None else Document(content=content, version=_version(content))

    def put(self, name: str, content: bytes, *, over: str | None) -> str:
        found = self.get(name)
        if (found.version if found else None) != over:
            raise ConflictError(name)
        self.documents[name] = content
        return _version(content)

    def names(self, prefix: str) -> list[str]:
        return sorted(name for name in self.documents if name.startswith(prefix))


def _version(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class SimMachine:
    """Clock and processes of one operator's machine."""

    def __init__(self, pid: int, dead: set[int]) -> None:
        self.pid = pid
        self._dead = dead

    def now(self) -> datetime:
        return BEGIN + timedelta(seconds=asyncio.get_running_loop().time())

    def me(self) -> Process:
        return Process(machine="m", boot="boot", namespace="n", pid=self.pid, started="1", where=f"operator-{self.pid}")

    def is_dead(self, process: Process) -> bool:
        return process.pid in self._dead


class World:
    """Every unit and endpoint, and the faults that strike visits to them."""

    def __init__(self, chance: random.Random, fault_rate: float) -> None:
        self.chance = chance
        self.fault_rate = fault_rate
        self.fired: Counter[str] = Counter()
        self.forced: dict[UnitName, list[str]] = {}
        self.store = SimStore()
        self.dead: set[int] = set()
        self.units: dict[UnitName, SimUnit] = {}
        self.answers: dict[UnitName, Callable[[], str]] = {}
        self.placement = "pdns-2"
        self.visits: set[asyncio.Task[None]] = set()
        for _, _, unit in estate().places():
            self._add(unit.name, unit.service, None)
        for endpoint in estate().endpoint.values():
            self._add(endpoint.name, endpoint.service, endpoint.data_centre)

    def _add(self, name: UnitName, service: str, centre: str | None) -> None:
        unit = SimUnit(name=name)
        self.units[name] = unit

        def answer() -> str:
            served = centre or ("cloud-1" if unit.loaded in self._digests_at_cloud() else "pdns-2")
            return f"pulih-probe/1 data-centre={served} service={service} nonce={{nonce}}"

        self.answers[name] = answer

    @staticmethod
    @cache
    def _digests_at_cloud() -> frozenset[str]:
        made = renderer("cloud-1")
        return frozenset(made.unit(*place).digest for place in placed("cloud-1").places())

    def fault(self, name: UnitName) -> str:
        """Return what strikes the next visit to a unit: what a test has forced, else whatever chance brings."""
        forced = self.forced.get(name)
        if forced:
            return forced.pop(0)
        return self.chance.choice(FAULTS) if self.chance.random() < self.fault_rate else ""

    def heal(self) -> None:
        """No further fault."""
        self.fault_rate = 0.0

    async def settle(self) -> None:
        """Wait until no applier is at work any more."""
        while self.visits:
            await asyncio.wait(self.visits)

    def broken(self) -> list[str]:
        """Return the invariants that did not hold at some unit."""
        return [line for unit in self.units.values() for line in unit.broken]


class Operator:
    """The transport of one orchestrator, which can be paused (SIGSTOP) and killed."""

    def __init__(self, world: World, pid: int) -> None:
        self.world = world
        self.machine = SimMachine(pid, world.dead)
        self.awake = asyncio.Event()
        self.awake.set()
        self.killed = False
        self.started: list[tuple[float, UnitName]] = []

    async def run(self, target: Target, command: str, conversation: Conversation[T], *, within_s: float) -> T:
        assert command.startswith("exec /bin/sh -c ")
        await self.awake.wait()
        world, loop = self.world, asyncio.get_running_loop()
        self.started.append((loop.time(), target.name))
        fault = world.fault(target.name)
        await asyncio.sleep(world.chance.uniform(0.02, 0.7))
        if fault:
            world.fired[fault] += 1
        if fault == "host-key":
            raise HostKeyError(target.name, "another key")
        if fault in ("refused", "drop-before-exec"):
            raise UnreachableError(target.name, fault)
        pipe = Pipe()
        visit = asyncio.create_task(
            applier(world.units[target.name], pipe, world.answers[target.name], self._step(fault))
        )
        world.visits.add(visit)
        visit.add_done_callback(world.visits.discard)
        session = SimSession(self, target, pipe, fault)
        try:
            async with asyncio.timeout(within_s):
                return await conversation(session)
        except TimeoutError as error:
            raise CommandTimeoutError(target.name, f"no end within {within_s:.0f} s") from error
        finally:
            if not session.header_sent:
                pipe.to_unit.put_nowait(None)
            elif fault != "drop-after-send":
                # What is in the pipe arrives; what was never sent never will.
                pipe.to_unit.put_nowait(None)

    async def close(self) -> None:
        return

    def _step(self, fault: str) -> Callable[[str], float]:
        strike = self.world.chance.randrange(1, 8) if fault == "struck" else 0
        count = 0

        def step(name: str) -> float:
            nonlocal count
            count += 1
            if count == strike:
                raise Struck
            if fault == "probe-flaps" and name == "reload":
                return 40.0
            return self.world.chance.uniform(0.01, 0.5)

        return step


class SimSession:
    """One visit's end of the pipe."""

    def __init__(self, operator: Operator, target: Target, pipe: Pipe, fault: str) -> None:
        self._operator = operator
        self._target = target
        self._pipe = pipe
        self._fault = fault
        self._sent = 0
        self.header_sent = False

    async def send(self, data: bytes) -> None:
        await self._operator.awake.wait()
        self._sent += 1
        self.header_sent = True
        if self._fault == "drop-after-send" and self._sent == 2:
            half = len(data) // 2
            self._pipe.to_unit.put_nowait(data[:half])
            self._pipe.to_unit.put_nowait(None)
            raise UnreachableError(self._target.name, "the connection broke half way")
        self._pipe.to_unit.put_nowait(data)

    async def read_line(self) -> str | None:
        await self._operator.awake.wait()
        if self._fault == "hang":
            await asyncio.sleep(self._target.timeouts.step_s)
            raise CommandTimeoutError(self._target.name, "no answer")
        try:
            async with asyncio.timeout(self._target.timeouts.step_s):
                line = await self._pipe.to_us.get()
        except TimeoutError as error:
            raise CommandTimeoutError(self._target.name, "no answer") from error
        await self._operator.awake.wait()
        if self._fault == "lie" and line is not None and line.startswith("done"):
            return "done sha256:" + "0" * 64
        if self._fault == "lost-acknowledgement" and line is not None and line.startswith("done"):
            raise UnreachableError(self._target.name, "the connection broke before the last line")
        return line

    async def read_exactly(self, size_bytes: int) -> bytes:
        raise AssertionError(f"nothing in the simulation sends {size_bytes} bytes back")

    async def error_text(self) -> str:
        return ""
