"""Processes on a simulated machine that may write to units, with the judge looking on."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, cast

from recovery.errors import HeldError, PulihError, RefusedError
from recovery.model.estate import Estate
from recovery.processes import Process as Identity
from recovery.store import FileStore, Store
from recovery.store_s3 import S3Store
from recovery.transport.base import Conversation, T, Target
from tests.sim.bucket import ADDRESS
from tests.sim.faults import Site
from tests.sim.judge import Part
from tests.sim.loop import Process
from tests.sim.memory import MemoryTransport
from tests.sim.world import Machine, World

_KEEPS_OFF = frozenset(
    {
        Site.STORE_AWAY,
        Site.STORE_SILENT,
        Site.STORE_AGAIN,
        Site.JOURNAL_FULL,
        Site.CLOCK_JUMPS,
        Site.PAUSED,
        Site.OVERTAKEN,
        Site.ENGINE_PAUSED,
    }
)
"""Faults that may keep a process from its leases."""


class Orchestrator(Process):
    """A process that may write to units.

    Attributes:
        part: What the judge knows of it; None until it has its leases.
        wants: Whose leases it asks for.
        breaks_glass: Whether it was told to.
        code: Its exit code; None while it runs, or when it was killed.
    """

    def __init__(self, world: World, machine: Machine, name: str) -> None:
        super().__init__(len(world.processes) + 2)
        world.processes.append(self)
        world.judge.holding.knows(self)
        self.world, self.machine, self.name = world, machine, name
        self.chance = random.Random(f"{world.seed} {self.pid}")
        self.part: Part | None = None
        self.wants: frozenset[str] = frozenset()
        self.breaks_glass = False
        self.code: int | None = None
        self.processes = _Processes(self)
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def launch(self, main: Coroutine[Any, Any, int]) -> None:
        """Start it; `ended` tells when it is over, however."""
        self.world.say(f"{self.name} begins (process {self.pid})")
        self.start(self._run(main))

    def kill(self) -> None:
        """SIGKILL."""
        if not self.is_dead:
            self.world.say(f"{self.name} is killed")
        super().kill()
        if not self.ended.done():
            self.ended.set_result(None)

    def stop(self) -> None:
        """SIGSTOP."""
        self.world.say(f"{self.name} is stopped")
        super().stop()

    def go_on(self) -> None:
        """SIGCONT."""
        if not self.is_dead:
            self.world.say(f"{self.name} goes on")
            super().go_on()
            if self.part is not None and self.part.overtaken_at is None:
                self.part.was_stopped = False

    async def _run(self, main: Coroutine[Any, Any, int]) -> None:
        try:
            self.code = await main
        except PulihError as error:
            if isinstance(error, HeldError) and not self.world.judge.holding.is_anybody(self.wants, besides=self):
                self.world.judge.find(f"{self.name} gave way to somebody else, and there was nobody")
            self.code = 4 if isinstance(error, HeldError) else 5 if isinstance(error, RefusedError) else 1
            self.world.say(f"{self.name}: {type(error).__name__}: {error}")
        except OSError as error:
            self.code = 1
            self.world.say(f"{self.name}: {error}")
        except Exception as error:
            self.code = 1
            self.world.judge.find(f"{self.name} crashed: {type(error).__name__}: {error}")
        self.world.say(f"{self.name} ends with {self.code}")
        if self.part is not None:
            self.part.is_over = True
        if self.is_left_alone() and self.world.judge.holding.of(self):
            self.world.judge.find(f"{self.name} has ended and has not given back {self.world.judge.holding.of(self)}")
        self.is_dead = True
        self.ended.set_result(None)

    def is_left_alone(self) -> bool:
        """Whether nothing has kept anybody from renewing leases and giving them back."""
        return not _KEEPS_OFF & set(self.world.fired)

    # --- what it needs of its machine

    def me(self) -> Identity:
        """Return this process."""
        return Identity(
            machine=self.machine.name,
            boot=self.machine.boot,
            namespace="n",
            pid=self.pid,
            started=str(self.pid),
            where=f"{self.name}@{self.machine.name}",
        )

    def knows_dead(self, other: Identity) -> bool:
        """Whether a process is known here to be dead."""
        if other.machine != self.machine.name:
            return False
        living = {process.pid for process in self.world.processes if not process.is_dead}
        return other.boot != self.machine.boot or other.pid not in living

    def store(self, _estate: Estate) -> Store:
        """Return where the leases are kept."""
        return S3Store(ADDRESS) if self.world.uses_bucket else FileStore(cast(Path, self.machine.state))

    def transport(self, _estate: Estate) -> MemoryTransport:
        """Return the way to units."""
        return _Watched(self)

    def has_part(self, part: Part) -> None:
        """Take note that it has its leases."""
        self.part = part
        self.world.judge.parts.append(part)
        self.world.judge.overtakes(part, self._is_at_work)

    def _is_at_work(self, part: Part) -> bool:
        """Whether a part's process lives, and no clock has jumped, by which it seems silent."""
        if Site.CLOCK_JUMPS in self.world.fired:
            return False
        return any(not other.is_dead for other in self.world.processes if other.part is part)


class _Processes:
    def __init__(self, mine: Orchestrator) -> None:
        self._mine = mine

    def me(self) -> Identity:
        return self._mine.me()

    def is_dead(self, process: Identity) -> bool:
        return self._mine.knows_dead(process)


class _Watched(MemoryTransport):
    """The way to units, with the judge looking on."""

    def __init__(self, orchestrator: Orchestrator) -> None:
        super().__init__(orchestrator.world.field.hosts)
        self._orchestrator = orchestrator
        self._judge = orchestrator.world.judge

    async def run(self, target: Target, command: str, conversation: Conversation[T], *, within_s: float) -> T:
        part = self._orchestrator.part
        if part is None:
            return await super().run(target, command, conversation, within_s=within_s)
        self._judge.tries(part, target.name)
        try:
            return await super().run(target, command, conversation, within_s=within_s)
        finally:
            is_left_alone = self._orchestrator.is_left_alone() and not self._orchestrator.is_dead
            self._judge.leaves(part, target.name, is_left_alone=is_left_alone)

    def refused(self, target: Target) -> None:
        if self._orchestrator.part is not None:
            self._orchestrator.part.barred.add(target.name)

    def asked(self, target: Target, header: bytes) -> None:
        if self._orchestrator.part is not None:
            self._judge.asks(self._orchestrator.part, target.name, header.decode().rstrip("\n"))

    def heard(self, target: Target, line: str) -> None:
        if self._orchestrator.part is not None and line.startswith("done "):
            self._judge.hears(self._orchestrator.part, target.name, line)

    def misled(self, target: Target) -> None:
        if self._orchestrator.part is not None:
            self._judge.misleads(self._orchestrator.part, target.name)
