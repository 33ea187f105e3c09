"""Operators: processes that do what `pulih apply`, `recover` and `resume` do, on a simulated machine.

From the leases to the report it is the production code of `recovery.cli.begun`; only the machine is another.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

from recovery.cli.begun import Agreed, Run, begun, scopes
from recovery.cli.loading import Declared
from recovery.cli.outside import Outside
from recovery.cli.planned import Request, again, make_plan
from recovery.cli.settings import Settings
from recovery.errors import HeldError, PulihError, RefusedError
from recovery.journal import read
from recovery.model.estate import Estate
from recovery.model.outcome import RunResult
from recovery.model.plan import Move, Plan, Wave
from recovery.plan import to_json
from recovery.processes import Process as Identity
from recovery.retold import story
from recovery.runs import Runs
from recovery.store import FileStore, Store, write_atomically
from recovery.store_s3 import S3Store
from recovery.survey import Survey, largest_epoch, read_all
from recovery.transport.base import Conversation, T, Target
from tests.sim import declared
from tests.sim.bucket import ADDRESS
from tests.sim.faults import Site
from tests.sim.judge import Part
from tests.sim.loop import Process
from tests.sim.memory import MemoryTransport
from tests.sim.world import Machine, World

PARALLEL = 6

_LOST = timedelta(minutes=5)
"""So long before somebody begins a run the data centre was lost."""

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


class Operator(Orchestrator):
    """Somebody who types commands.

    Attributes:
        says_yes: What they answer when a wave is held.
        reads_s: How long they read a plan before they agree to it, seconds.
        is_bold: Whether they break the glass although nobody has told them that anything is lost.
    """

    def __init__(self, world: World, machine: Machine, name: str, *, says_yes: bool = True) -> None:
        super().__init__(world, machine, name)
        self.says_yes = says_yes
        self.reads_s = 0.0
        self.is_bold = False
        self.records = 0
        self.runs = Runs(cast(Path, machine.state), self.processes)
        self.run_name: str | None = None
        self.result: RunResult | None = None

    async def recover(self) -> int:
        """`pulih recover --lost pdns-2 --yes`, with `--break-glass` where the leases were lost."""
        planner = partial(_planned, lost=declared.LOST)
        return await self._carry_out("recover", planner, break_glass=self.must_break_glass())

    async def apply(self) -> int:
        """`pulih apply`."""
        return await self._carry_out("apply", partial(_planned, lost=None))

    async def resume(self, run: str | None = None) -> int:
        """`pulih resume [RUN]`, with `--break-glass` where the leases were lost."""
        name = self.runs.find(run)
        if name in self.world.recovered:
            return 0
        verb = "recover" if "-recover-" in name else "apply"
        planner = partial(_planned_again, path=self.runs.plan(name))
        return await self._carry_out(verb, planner, resumed=name, break_glass=self.must_break_glass())

    async def read(self) -> int:
        """`pulih drift`: read everybody, and let the judge compare with what is on the disks."""
        sound = self._read()
        plan, estate = _planned(sound, declared.LOST)
        survey = Survey(
            estate=estate,
            renderer=sound.renderer,
            transport=self.transport(estate),
            chance=self.chance,
            steps=tuple(plan.steps()),
            parallel=PARALLEL,
        )
        wanted = declared.bundles(declared.all_of(self.world.declaration()))
        for finding in await read_all(survey):
            unit, digest = self.world.field.units[finding.step.name], wanted[finding.step.name].digest
            if finding.error is not None:
                if finding.step.name not in self.world.field.gone():
                    self.world.judge.find(f"{finding.step.name} could not be read: {finding.error}")
            elif bool(finding.differences) is unit.is_as(digest):
                told = finding.differences or "that nothing differs"
                self.world.judge.find(f"{finding.step.name} was read as if it were another: {told}")
        return 0

    def must_break_glass(self) -> bool:
        """Whether leases are lost, or a machine that held some, which whoever sits there has been told."""
        lost = {Site.STORE_BURNED, Site.MACHINE_LOST}
        return self.is_bold or (self.world.field.is_calm and any(fault.site in lost for fault in self.world.trace))

    def is_unfinished(self) -> str | None:
        """Return the newest recovery on this machine that has begun and did not end well."""
        names = (name for name in self.runs.names() if "-recover-" in name and name not in self.world.recovered)
        return next((name for name in names if name not in self.world.left), None)

    def leave_run(self, name: str) -> None:
        """Leave a run behind that has a plan and did nothing."""
        self.world.left.add(name)
        self.runs.create(name, to_json(_planned(self._read(), declared.LOST)[0]))

    async def _carry_out(
        self,
        verb: str,
        planner: Callable[[Declared], tuple[Plan, Estate]],
        *,
        resumed: str | None = None,
        break_glass: bool = False,
    ) -> int:
        sound = self._read()
        plan, estate = planner(sound)
        settings = Settings(estate=Path(declared.FOLDER), state=cast(Path, self.machine.state), parallel=PARALLEL)
        agreed = Agreed(sound=sound, plan=plan, estate=estate)
        outside = Outside(
            chance=self.chance,
            clock=self.machine,
            processes=self.processes,
            read=self._read,
            look=lambda: self._read().estate,
            write_placement=self._write_placement,
            store=self.store,
            transport=self.transport,
        )
        await asyncio.sleep(self.reads_s)
        self.wants, self.breaks_glass = scopes(plan), break_glass
        above = await self._largest_epoch(agreed, outside) if break_glass else None
        lost_at = None if resumed else self.machine.now() - _LOST
        with begun(settings, outside, verb, planner, agreed, lost_at=lost_at, resumed=resumed, above=above) as run:
            self.run_name = run.folder.name
            self.has_part(Part(who=self.name, scopes=scopes(plan), plan=plan))
            self.result = result = await run.conduct(self._go_on, ())
            run.report(result)
            self._ended(run, result)
            if result.exit_code == 0:
                self.world.recovered.add(run.folder.name)
        return result.exit_code

    def _ended(self, run: Run, result: RunResult) -> None:
        """Let the judge compare what the run says with what it has left."""
        assert self.part is not None
        lines = read(run.folder / "journal.jsonl")
        told = story(lines)
        report = run.folder / "report.json"
        is_recorded = self.machine.disk.room_bytes is None
        if is_recorded and self.part.overtaken_at is None:
            left = report.read_bytes() if report.exists() else None
            self.world.judge.ends(self.part, result, told.result if told else None, left)
            if left is not None:
                self.world.judge.reports[str(report)] = left

    async def _largest_epoch(self, agreed: Agreed, outside: Outside) -> int:
        carrier = outside.transport(agreed.estate)
        try:
            return await largest_epoch(
                Survey(
                    estate=agreed.estate,
                    renderer=declared.OnceRenderer(agreed.estate, agreed.sound.templates),
                    transport=carrier,
                    chance=self.chance,
                    steps=tuple(agreed.plan.steps()),
                    parallel=PARALLEL,
                )
            )
        finally:
            await carrier.close()

    def _read(self) -> Declared:
        return declared.read(self.world.declaration())

    def _write_placement(self, moves: tuple[Move, ...]) -> None:
        assert self.part is not None
        self.check()
        self.world.judge.places(self.part, moves)
        estate = self._read().estate
        moved = replace(estate, placement=estate.placement.moved((m.service, m.region, m.target) for m in moves))
        write_atomically(cast(Path, self.world.machine.disk.path(declared.FOLDER)), declared.written(moved))
        self.world.say(f"{self.name} moves {', '.join(move.service for move in moves)}")

    async def _go_on(self, wave: Wave, reason: str) -> bool:
        if self.part is not None:
            self.part.held.add(wave.name)
            self.part.waved_on |= set(wave.services) if self.says_yes else set()
        self.world.say(f"{self.name}: held, says {'yes' if self.says_yes else 'no'}: {reason}")
        return self.says_yes


def _planned(sound: Declared, lost: str | None) -> tuple[Plan, Estate]:
    asked = Request.of(sound.estate, lost=lost, to=None, regions=None, services=None, units=None)
    return make_plan(sound, asked)


def _planned_again(sound: Declared, path: Path) -> tuple[Plan, Estate]:
    return again(sound, path)
