"""Who holds which scope, by what stands in the leases' store and by who really lives."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tests.sim.loop import PROCESS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.sim.orchestrator import Orchestrator

SILENT_S = 30.0
"""A holder that has been silent for longer may be taken over."""

FRESH_S = 20.0
"""A writer whose store has not heard of it for longer begins nothing."""

_AT_ONCE_S = 1.0
"""A heartbeat is written as soon as it is taken."""


@dataclass(frozen=True, slots=True)
class Held:
    """What stands in the store of one scope."""

    number: int
    holder: str
    run: str
    pid: int
    heartbeat: datetime
    released: bool

    @staticmethod
    def of(content: bytes) -> Held:
        """Read it."""
        data: dict[str, Any] = json.loads(content)
        heartbeat = datetime.fromisoformat(data["heartbeat"])
        return Held(data["epoch"], data["holder"], data["run"], data["process"]["pid"], heartbeat, data["released"])


class Holding:
    """Sees every write to the leases' store.

    Attributes:
        now: What stands there, by scope.
        heard: The true moment at which a holder was last written there, by its id.
        taken_from: Ids of holders from whom somebody has taken a scope, though he may have got no further.
    """

    def __init__(self, clock: Callable[[], float], find: Callable[[str], None]) -> None:
        self.now: dict[str, Held] = {}
        self.heard: dict[str, float] = {}
        self.taken_from: set[str] = set()
        self._clock, self._find = clock, find
        self._processes: dict[int, Orchestrator] = {}

    def knows(self, process: Orchestrator) -> None:
        """Take note of a process."""
        self._processes[process.pid] = process

    def burns(self) -> None:
        """All of it is lost."""
        self.now.clear()

    def writes(self, scope: str, content: bytes) -> None:
        """A lease was written."""
        written, before = Held.of(content), self.now.get(scope)
        self.now[scope] = written
        if not written.released:
            self.heard[written.holder] = self._clock()
        writer = PROCESS.get(None)
        if writer is None or before is None:
            return
        if before.holder == written.holder:
            if before.pid != writer.pid:
                self._find(f"the lease of {scope} was written by a process that does not hold it")
            told_s = (self._processes[writer.pid].machine.now() - written.heartbeat).total_seconds()
            if abs(told_s) > _AT_ONCE_S:
                self._find(f"the lease of {scope} was renewed with a heartbeat of {told_s:.0f} s ago")
            if before.released and not written.released:
                self._find(f"the lease of {scope} came back after it was released")
            return
        if written.number <= before.number:
            self._find(f"epoch {written.number} was written over {before.number} for {scope}")
        if not before.released:
            self.taken_from.add(before.holder)
            self._takes_over(scope, before, written)

    def _takes_over(self, scope: str, before: Held, written: Held) -> None:
        keeper, taker = self._processes[before.pid], self._processes[written.pid]
        if keeper.is_dead and keeper.machine is taker.machine:
            return
        silent_s = (taker.machine.now() - before.heartbeat).total_seconds()
        if silent_s <= SILENT_S:
            self._find(f"{taker.name} took {scope} from {keeper.name}, which was heard {silent_s:.0f} s ago")
        if before.run != written.run and "-up-" not in before.run and not taker.breaks_glass:
            self._find(f"{taker.name} took {scope} from {keeper.name} without the name of its run")

    def is_anybody(self, scopes: Iterable[str], besides: Orchestrator) -> bool:
        """Whether somebody else holds one of some scopes, as far as it can be known where they are asked for."""
        for held in (self.now[scope] for scope in scopes if scope in self.now):
            keeper = self._processes.get(held.pid)
            if held.released or keeper is None or keeper is besides:
                continue
            if "-up-" in held.run and (besides.machine.now() - held.heartbeat).total_seconds() > SILENT_S:
                continue  # an engine that has fallen silent has no run to resume
            if not (keeper.is_dead and keeper.machine is besides.machine):
                return True
        return False

    def of(self, process: Orchestrator) -> list[str]:
        """Return the scopes that a process holds."""
        return [scope for scope, held in self.now.items() if held.pid == process.pid and not held.released]

    def silent_s(self, holder: str) -> float:
        """Return for how long a holder has not been heard of."""
        return self._clock() - self.heard.get(holder, 0.0)
