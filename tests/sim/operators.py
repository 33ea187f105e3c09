"""Operators: processes that do what `pulih apply`, `recover` and `resume` do, on a simulated machine.

From the leases to the report it is the production code of `recovery.cli.begun`; only the machine is another.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import cast

from recovery.cli.begun import Agreed, Run, begun, scopes
from recovery.cli.loading import Declared
from recovery.cli.outside import Outside
from recovery.cli.planned import Request, again, make_plan
from recovery.cli.settings import Settings
from recovery.journal import read
from recovery.model.estate import Estate
from recovery.model.outcome import RunResult
from recovery.model.plan import Move, Plan, Wave
from recovery.plan import to_json
from recovery.retold import story
from recovery.runs import Runs
from recovery.survey import Survey, largest_epoch, read_all
from recovery.writing import write_atomically
from tests.sim import declared
from tests.sim.disk import JOURNAL, SimFile
from tests.sim.faults import Site
from tests.sim.judge import Part
from tests.sim.orchestrator import Orchestrator
from tests.sim.world import Machine, World

PARALLEL = 6

_LOST = timedelta(minutes=5)
"""So long before somebody begins a run the data centre was lost."""


class Operator(Orchestrator):
    """Somebody who types commands.

    Attributes:
        says_yes: What they answer when a wave is held.
        reads_s: How long they read a plan before they agree to it, seconds.
        is_bold: Whether they break the glass although nobody has told them that anything is lost.
        late: Lines of its journal that it was stopped in the midst of writing, and the files it has open for them.
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
        self.late: list[tuple[SimFile, bytes]] = []

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

    def keep_back(self, file: SimFile, line: bytes) -> None:
        """Write a line once it goes on. It knows nothing of that, so that a unit is begun now."""
        self.late.append((file, line))
        entry = json.loads(line)
        if self.part is not None and entry["kind"] == "unit-started":
            self.world.judge.intends(self.part, entry["data"]["name"])

    def go_on(self) -> None:
        """SIGCONT: what it was about to write comes first.

        Where its file has lost its name meanwhile the production code would stop; here it has looked too early.
        """
        late, self.late = self.late, []
        for file, line in late if not self.is_dead else ():
            file.content += line
            if self.part is not None and any(file is kept for kept in self.machine.disk.files.values()):
                self.world.judge.records(self.part, line)
        super().go_on()

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
            self.has_part(Part(who=self.name, scopes=scopes(plan), plan=plan, on_platter=self._on_platter))
            self.result = result = await run.conduct(self._go_on, ())
            run.report(result)
            self._ended(run, result)
            if result.exit_code == 0:
                self.world.recovered.add(run.folder.name)
        return result.exit_code

    def _ended(self, run: Run, result: RunResult) -> None:
        """Let the judge compare what the run says with what it has left."""
        assert self.part is not None
        lines = read(run.folder / JOURNAL)
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

    def _on_platter(self) -> bytes:
        """Return what of the run's journal a power cut would leave."""
        journal = self.machine.disk.files.get(str(self.runs.folder / str(self.run_name) / JOURNAL))
        return journal.synced if journal else b""

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
