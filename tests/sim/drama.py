"""Who does what in a history, and what strikes the first operator at each record of its journal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

from tests.sim import declared
from tests.sim.disk import JOURNAL, SimFile
from tests.sim.engine import Engine
from tests.sim.faults import RECORD, Fault, Site
from tests.sim.field import later
from tests.sim.loop import KilledError, this_process
from tests.sim.operators import Operator
from tests.sim.world import World

TRIES = 3
"""So many commands must be enough once faults have stopped."""

LONGEST_S = 400.0
"""So long may one of them take, in virtual time."""

LOOKED_AT_TWICE = 0.15
"""In this share of histories everybody is read in the end, and a recovery more sends nothing to anybody."""

READ_ON_THE_WAY = 0.05
"""In this share of histories everybody is read before they are brought to the declaration; and whenever somebody runs
what is declared and lacks the receipt, which only a close look tells."""

ANOTHER_RUN = "20240619T000000Z-recover-000000"
"""Of somebody who got no further than to its plan."""

_CUT_OFF_WITHIN_S = 0.1
"""So long may it take in virtual time until a process that was interrupted twice has ended; a unit takes longer."""

_SILENT_S = 31.0
"""A holder that has been silent for longer than 30 s may be taken over."""


class Drama:
    """One history.

    Attributes:
        first: The operator who recovers first; record faults strike only them.
    """

    def __init__(self, world: World) -> None:
        self.world, self.judge = world, world.judge
        self.first = Operator(world, world.machine, "first", says_yes=world.chance.random() < 0.5)
        self._acts: list[asyncio.Task[None]] = []
        for machine in (world.machine, world.other_machine):
            machine.disk.on_record = self._on_record
            machine.disk.after_record = self._after_record

    async def safety(self) -> None:
        """Recover while anything may happen, and go on once if it did not end well."""
        world = self.world
        world.field.begin()
        for fault in world.trace:
            if fault.site is Site.SECOND_OPERATOR:
                self._act(self._second_operator(fault))
            elif fault.site in (Site.ENGINE_UPDATE, Site.ENGINE_KILLED, Site.ENGINE_PAUSED):
                self._act(self._engine(fault))
            elif fault.site is Site.MACHINE_LOST:
                self._act(self._lose_machine(fault))
        await asyncio.sleep(world.chance.choice((0.0, 2.0)))
        self.first.launch(self.first.recover())
        await self._all_over()
        if world.chance.random() < (0.15 if world.recovered else 0.5):
            await self._go_on("again")

    async def liveness(self) -> None:
        """Faults have stopped: everybody who can be reached comes to the declaration, the others are named."""
        world = self.world
        await world.calm()
        for fault in world.trace:
            if fault.site is Site.STORE_BURNED:
                world.burn_store(fault)
        gone = world.field.gone()
        if world.chance.random() < READ_ON_THE_WAY or self._lacks_receipt():
            await self._command("reader on the way", Operator.read)
        if gone:
            for attempt in range(TRIES - 1):
                await self._go_on(f"without the gone {attempt}")
            self._check_named(await self._go_on("without the gone, at last"), gone)
            world.field.find_the_gone()
        for attempt in range(TRIES):
            if world.recovered and not self._differs():
                break
            await self._go_on(f"last {attempt}")
        if not world.recovered:
            self.judge.find(f"not recovered after {TRIES} commands without faults")
        for sentence in self._differs():
            self.judge.find(sentence)
        for path, left in self.judge.reports.items():
            if world.report(path) != left:
                self.judge.find(f"{path} is not what its run has left in the end")
        if world.chance.random() < LOOKED_AT_TWICE:
            await self._look_twice()

    async def _look_twice(self) -> None:
        """Read everybody, and recover once more: nothing differs and nothing is sent."""
        sent = {name: unit.sent for name, unit in self.world.field.units.items()}
        operator = await self._command("once more", Operator.recover)
        if operator.code != 0 or sent != {name: unit.sent for name, unit in self.world.field.units.items()}:
            self.judge.find(f"doing it once more was not the same as once: {operator.code}")
        await self._command("reader", Operator.read)

    # --- what is typed

    async def _go_on(self, name: str) -> Operator:
        """Resume the recovery that did not end well; begin one if there is none."""
        return await self._command(name, _resume_or_recover)

    async def _command(self, name: str, command: Callable[[Operator], Coroutine[Any, Any, int]]) -> Operator:
        operator = Operator(self.world, self.world.machine, name)
        began = self.world.seconds()
        operator.launch(command(operator))
        await self._all_over()
        if self.world.field.is_calm and self.world.seconds() - began > LONGEST_S:
            self.judge.find(f"{name} took {self.world.seconds() - began:.0f} s")
        return operator

    async def _all_over(self) -> None:
        """Wait until every process has ended and nobody is still to come."""
        while True:
            open_ends = [process.ended for process in self.world.processes if not process.ended.done()]
            acts = [act for act in self._acts if not act.done()]
            if not open_ends and not acts:
                return
            await asyncio.wait([*open_ends, *acts], return_when=asyncio.FIRST_COMPLETED)

    def _act(self, what: Coroutine[Any, Any, None]) -> None:
        self._acts.append(asyncio.get_running_loop().create_task(what, context=Context()))

    async def _second_operator(self, fault: Fault) -> None:
        world = self.world
        await asyncio.sleep(fault.at)
        elsewhere = world.uses_bucket and fault.how != "resume"
        second = Operator(world, world.other_machine if elsewhere else world.machine, "second")
        second.reads_s = fault.seconds
        world.fire(fault)
        second.is_bold = fault.how == "break-glass"
        commands = {"apply": Operator.apply, "resume": Operator.resume}
        second.launch(commands.get(fault.how, Operator.recover)(second))

    async def _engine(self, fault: Fault) -> None:
        world = self.world
        await asyncio.sleep(fault.at)
        engine = Engine(world, world.machine, "engine")
        if fault.site is Site.ENGINE_UPDATE:
            world.fire(fault)
            engine.launch(engine.update(fault.how, fault.seconds))
            return
        engine.launch(engine.update(fault.how, 0.0))
        if fault.site is Site.ENGINE_PAUSED:
            await asyncio.sleep(0.5)
            if not engine.ended.done():
                world.fire(fault)
                await self._pause(engine, fault)
            return
        await asyncio.sleep(fault.seconds / 10)
        if not engine.ended.done():
            world.fire(fault)
            engine.kill()

    async def _pause(self, engine: Engine, fault: Fault) -> None:
        """Stop an engine that has begun; somebody recovers behind its lease, and it goes on while they do, or after."""
        engine.stop()
        await asyncio.sleep(_SILENT_S)
        operator = Operator(self.world, self.world.machine, "past the engine")
        operator.launch(operator.recover())
        await asyncio.sleep(fault.seconds / 4)
        engine.go_on()

    async def _lose_machine(self, fault: Fault) -> None:
        """Somebody else recovers, from a machine that is lost in the middle of it and takes the run along."""
        await asyncio.sleep(fault.at)
        lost = Operator(self.world, self.world.other_machine, "lost")
        lost.launch(lost.recover())
        await asyncio.sleep(fault.seconds)
        if not lost.ended.done():
            self.world.fire(fault)
            lost.kill()

    # --- what strikes the first operator

    def _on_record(self, file: SimFile, line: bytes) -> bool:
        operator = this_process()
        assert isinstance(operator, Operator)
        operator.records += 1
        if operator is not self.first:
            return False
        if operator.late:
            operator.keep_back(file, line)
            return True
        for fault in self._struck(operator.records):
            if fault.site is Site.KILLED and fault.how == "before":
                self.world.fire(fault)
                operator.kill()
                raise KilledError
            if fault.site is Site.TORN_RECORD:
                self.world.fire(fault)
                file.content += line[: len(line) // 2]
                operator.kill()
                raise KilledError
            if fault.site is Site.JOURNAL_FULL:
                self.world.fire(fault)
                self.world.machine.disk.room_bytes = len(line) // 2
                self._is_to_stop(operator)
            if _is_within(fault, line) and operator.run_name is not None:
                self.world.fire(fault)
                operator.keep_back(file, line)
                operator.stop()
                self._act(self._overtake(operator.run_name, fault))
                return True
        return False

    def _after_record(self, line: bytes) -> None:
        operator = this_process()
        assert isinstance(operator, Operator)
        if operator.part is not None:
            self.judge.records(operator.part, line)
        if operator is self.first:
            for fault in self._struck(operator.records):
                if not _is_within(fault, line):
                    self._strike(operator, fault)

    def _struck(self, record: int) -> list[Fault]:
        if self.world.field.is_calm:
            return []
        return [fault for fault in self.world.trace if fault.site in RECORD and fault.at == record]

    def _strike(self, operator: Operator, fault: Fault) -> None:
        world = self.world
        match fault.site:
            case Site.KILLED if fault.how == "after":
                world.fire(fault)
                operator.kill()
                raise KilledError
            case Site.POWER_LOST:
                world.fire(fault)
                self._lose_power()
                raise KilledError
            case Site.PAUSED | Site.OVERTAKEN:
                world.fire(fault)
                operator.stop()
                if fault.site is Site.OVERTAKEN and operator.run_name is not None:
                    self._act(self._overtake(operator.run_name, fault))
                else:
                    later(fault.seconds, operator.go_on)
            case Site.CLOCK_JUMPS:
                world.fire(fault)
                operator.machine.ahead_s += fault.seconds
            case Site.INTERRUPTED if operator.interrupt is not None:
                world.fire(fault)
                self._is_to_stop(operator)
                operator.interrupt()
                if fault.how == "twice":
                    later(0.2, lambda: self._cut_off(operator))
            case Site.CANCELLED if operator.run_name is not None:
                world.fire(fault)
                operator.runs.request_cancel(operator.run_name)
                self._is_to_stop(operator)
            case _:
                pass

    def _cut_off(self, operator: Operator) -> None:
        if operator.interrupt is not None:
            operator.interrupt()
            later(_CUT_OFF_WITHIN_S, lambda: self._check_cut_off(operator))

    def _check_cut_off(self, operator: Operator) -> None:
        if not operator.is_stopped and not operator.ended.done():
            self.judge.find(f"{operator.name} was interrupted twice and is still at work")

    def _is_to_stop(self, operator: Operator) -> None:
        if operator.part is not None and operator.part.stops_from is None:
            operator.part.stops_from = self.world.seconds()

    async def _overtake(self, run: str, fault: Fault) -> None:
        """Somebody resumes the run of a process that has been silent; it wakes up while they are at work, or after.

        Or they don't name it: they begin a run, or resume another one that was left behind, and must be refused.
        """
        await asyncio.sleep(_SILENT_S)
        taker = Operator(self.world, self.world.machine, "taker")
        if fault.how == "another":
            taker.leave_run(ANOTHER_RUN)
        resumed = ANOTHER_RUN if fault.how == "another" else run
        taker.launch(taker.recover() if fault.how == "recover" else taker.resume(resumed))
        await asyncio.sleep(fault.seconds / 4)
        self.first.go_on()

    def _lose_power(self) -> None:
        world = self.world
        lost = [process for process in world.processes if process.machine is world.machine and not process.is_dead]
        for process in lost:
            process.kill()
        world.machine.lose_power(world.chance)
        for process in lost:
            if isinstance(process, Operator) and process.part is not None and process.run_name is not None:
                journal = world.machine.disk.files.get(str(process.runs.folder / process.run_name / JOURNAL))
                self.judge.loses_power(process.part, journal)

    # --- what must hold in the end

    def _check_named(self, operator: Operator, gone: set[str]) -> None:
        """Whoever can't be reached is named, and nobody else is left out but those who need them."""
        result = operator.result
        if result is None:
            self.judge.find(f"{operator.name} ended with {operator.code} and no result")
            return
        outcomes = {str(outcome.name): outcome for outcome in (*result.units, *result.endpoints)}
        for name in gone:
            if name in outcomes and outcomes[name].state == "skipped":
                continue  # it needs somebody who is gone too
            if name in outcomes and (outcomes[name].state, outcomes[name].cause) != ("quarantined", "unreachable"):
                self.judge.find(f"{name} is gone and reported {outcomes[name].state}, {outcomes[name].cause}")
        for name, outcome in outcomes.items():
            if name not in gone and not outcome.is_verified and outcome.state != "skipped":
                self.judge.find(f"{name} can be reached and is reported {outcome.state}: {outcome.reason}")
            if outcome.state == "skipped" and not any(missing in outcome.reason for missing in gone):
                self.judge.find(f"{name} is skipped and nobody that it needs is gone: {outcome.reason}")
        if operator.code != (3 if gone & set(outcomes) else 0):
            self.judge.find(f"{operator.name} exits with {operator.code} while {', '.join(sorted(gone))} is gone")

    def _lacks_receipt(self) -> bool:
        wanted = declared.bundles(declared.all_of(self.world.declaration()))
        units = [(self.world.field.units[name], wanted[name].digest) for name in declared.names()]
        return any(unit.current and unit.current.digest == digest and not unit.is_as(digest) for unit, digest in units)

    def _differs(self) -> list[str]:
        """Say what is not as declared, by a look at the disks."""
        world = self.world
        found = [] if self.judge.moved() else ["the declaration does not name the target in the end"]
        wanted = declared.bundles(declared.all_of(world.declaration()))
        for name in declared.names():
            unit, digest = world.field.units[name], wanted[name].digest
            self.judge.serves(unit)
            runs = unit.loaded.digest if unit.loaded else None
            if (unit.current and unit.current.digest, runs) != (digest, digest):
                found.append(f"{name} does not run what is declared in the end")
            if f'"digest":"{digest}"' not in (unit.disk.now.receipt or ""):
                found.append(f"{name} has no receipt of what it runs in the end")
        return found


async def _resume_or_recover(operator: Operator) -> int:
    """Do what somebody does who finds the recovery not ended."""
    run = operator.is_unfinished()
    return await (operator.recover() if run is None else operator.resume(run))


def _is_within(fault: Fault, line: bytes) -> bool:
    """Whether a process is stopped while it writes a line, and not behind it.

    What it does next without waiting can't be put off here; behind a line about a unit that is nothing much, behind
    others it may be the placement.
    """
    return fault.how == "within" and b'"kind":"unit-' in line
