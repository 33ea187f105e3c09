"""The world of one history: units and their hosts, machines and their disks, the leases' store, the declaration."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from recovery.lease import Holder
from recovery.model.visit import Epoch
from recovery.processes import Process
from tests.sim import declared
from tests.sim.bucket import SimBucket
from tests.sim.disk import SimDisk, SimFile
from tests.sim.faults import STORE, Fault, Site, Trace
from tests.sim.field import Field
from tests.sim.judge import Judge
from tests.sim.loop import this_process

if TYPE_CHECKING:
    from tests.sim.orchestrator import Orchestrator

BEGIN = datetime(2024, 6, 20, 0, 54, tzinfo=UTC)
_HOW = {Site.STORE_SILENT: "silent", Site.STORE_AGAIN: "again", Site.STORE_AWAY: "away"}


class Machine:
    """A machine that orchestrators run on.

    Attributes:
        disk: Of it.
        state: The folder of its runs.
        ahead_s: How far its clock is ahead of the true time, seconds.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.disk = SimDisk()
        self.state = self.disk.path("state")
        self.ahead_s = 0.0
        self._boots = 1

    @property
    def boot(self) -> str:
        """Its boot id."""
        return f"{self.name}-{self._boots}"

    def now(self) -> datetime:
        """Return what its clock says."""
        return BEGIN + timedelta(seconds=asyncio.get_running_loop().time() + self.ahead_s)

    def lose_power(self, chance: random.Random) -> None:
        """Start anew with what the disk has kept."""
        self._boots += 1
        self.disk.lose_power(chance)


class World:
    """The world of one history.

    Attributes:
        machine: Of the first operator; it holds the repository of the declaration too.
        other_machine: Of a second operator.
        uses_bucket: Whether the leases are in a bucket rather than on the machine.
        processes: Every orchestrator that was ever started.
        recovered: Names of the runs that have ended with 0.
        left: Names of the runs that got no further than to their plan.
        fired: How often each fault has struck.
        told: What happened, for whoever replays the history.
    """

    def __init__(self, seed: int, trace: Trace) -> None:
        self.trace = trace
        self.seed = seed
        self.chance = random.Random(f"world {seed}")
        self.fired: Counter[Site] = Counter()
        self.told: list[str] = []
        self.machine, self.other_machine = Machine("first"), Machine("second")
        self.bucket = SimBucket()
        self.bucket.befalls = self._at_store
        self.judge = Judge(self.seconds, self.declaration)
        self.bucket.on_write = self._on_lease
        self.machine.disk.on_replace = self.other_machine.disk.on_replace = self._on_replace
        self.uses_bucket = self.chance.random() < 0.5 or any(
            fault.site in (*STORE, Site.MACHINE_LOST) for fault in trace
        )
        self.processes: list[Orchestrator] = []
        self.recovered: set[str] = set()
        self.left: set[str] = set()
        self._store_calls = 0
        self._away_until = 0.0
        first = SimFile(
            declared.written(declared.sound(declared.all_at(declared.LOST), seed % len(declared.LIMITS)).estate)
        )
        self.machine.disk.files[declared.FOLDER] = first
        self.machine.disk.sync(first)
        self._leave_leases()
        was_deployed = self.chance.random() < 0.5
        self.field = Field(seed, trace, self.judge, self.fire, was_deployed=was_deployed)

    def seconds(self) -> float:
        """Return the true time, seconds from the beginning."""
        return asyncio.get_running_loop().time()

    def declaration(self) -> bytes:
        """Return the placement as it stands in the repository."""
        return self.machine.disk.files[declared.FOLDER].content

    def report(self, path: str) -> bytes:
        """Return the report that stands somewhere."""
        files = self.machine.disk.files if path in self.machine.disk.files else self.other_machine.disk.files
        return files[path].content if path in files else b""

    def say(self, line: str) -> None:
        """Note what happens."""
        self.told.append(f"{self.seconds():9.3f} {line}")

    def fire(self, fault: Fault) -> None:
        """Count a fault that strikes."""
        self.fired[fault.site] += 1
        who = f" at {fault.who}" if fault.who else ""
        self.say(f"* {fault.site}{who}{f' ({fault.how})' if fault.how else ''}")

    async def calm(self) -> None:
        """Faults stop: no further one strikes, and what is under way comes to its end."""
        self.field.is_calm = True
        for machine in (self.machine, self.other_machine):
            machine.disk.room_bytes, machine.ahead_s = None, 0.0
        await asyncio.sleep(61)  # longer than any reboot takes, and than a holder may be silent
        await self.field.calm()

    def _leave_leases(self) -> None:
        """Leave the leases of the deployment that was before; it drew the epoch that the units know."""
        for scope in ("region-0", "region-1", declared.LOST):
            left = Holder(
                scope=scope,
                epoch=Epoch(number=1, holder="before"),
                run="before",
                process=Process(machine="first", boot="", namespace="n", pid=1, started="1", where="before@first"),
                since=BEGIN,
                heartbeat=BEGIN,
                released=True,
            ).to_json()
            self.bucket.objects[f"pulih/leases/{scope}.json"] = left
            file = self.machine.disk.path("state", "leases", f"{scope}.json").file(make=True)
            file.content = file.synced = left
            self.judge.holding.writes(scope, left)
        self.machine.disk.sync(None)

    def burn_store(self, fault: Fault) -> None:
        """The leases are lost."""
        self.fire(fault)
        self.bucket.objects.clear()
        self.judge.holding.burns()
        for name in [name for name in self.machine.disk.files if "/leases/" in name]:
            del self.machine.disk.files[name]
        self.machine.disk.names_changed()

    def _on_replace(self, name: str, content: bytes) -> None:
        self._on_lease(name, content)
        if name.endswith("/report.json") and not self.judge.has_store_failed:
            writers = [process for process in self.processes if process is this_process()]
            for part in [writer.part for writer in writers if writer.part is not None]:
                self.judge.reports_as(part)

    def _on_lease(self, name: str, content: bytes) -> None:
        folder, _, file = name.rpartition("/")
        if folder.endswith("leases"):
            self.judge.holding.writes(file.removesuffix(".json"), content)

    def _at_store(self, call: str) -> str:
        if self.field.is_calm:
            return ""
        self._store_calls += call == "put"
        for fault in self.trace:
            if fault.site in _HOW and fault.at == self._store_calls and call == "put":
                self.fire(fault)
                self.judge.has_store_failed = True
                if fault.site is Site.STORE_AWAY:
                    self._away_until = self.seconds() + fault.seconds
                return _HOW[fault.site]
        return "away" if self.seconds() < self._away_until else ""
