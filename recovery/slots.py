"""Who may be in flight at once: limits by region, bastion and class of line, and one for the process.

Steps with the same region, bastion and line wait in one queue, so that giving a place back costs a look at each queue,
not at each unit that waits.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from recovery.model.estate import BastionName, Limits, LinkName, RegionName
from recovery.model.plan import Step

_Key = tuple[RegionName | None, BastionName | None, LinkName]


class Slots:
    """Hands out places in flight."""

    def __init__(self, limits: Limits, parallel: int) -> None:
        self.limits = limits
        self.parallel = parallel
        self._busy: Counter[object] = Counter()
        self._waiting: dict[_Key, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def place(self, step: Step) -> AsyncGenerator[None]:
        """Wait until the step may be in flight, and hold its place."""
        key: _Key = (step.region, step.bastion, step.link)
        queue = self._waiting.setdefault(key, deque())
        if not queue and self._is_free(key):
            self._take(key)
        else:
            turn = asyncio.get_running_loop().create_future()
            queue.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._give_back(key)
                raise
        try:
            yield
        finally:
            self._give_back(key)

    def _limits_of(self, key: _Key) -> list[tuple[object, int]]:
        region, bastion, link = key
        found: list[tuple[object, int]] = [("all", self.parallel), (("link", link), self.limits.link[link])]
        if region is not None:
            found.append((("region", region), self.limits.region))
        if bastion is not None:
            found.append((("bastion", bastion), self.limits.bastion))
        return found

    def _is_free(self, key: _Key) -> bool:
        return all(self._busy[what] < limit for what, limit in self._limits_of(key))

    def _take(self, key: _Key) -> None:
        for what, _ in self._limits_of(key):
            self._busy[what] += 1

    def _give_back(self, key: _Key) -> None:
        for what, _ in self._limits_of(key):
            self._busy[what] -= 1
        if self._busy["all"] >= self.parallel:
            return
        for waiting, queue in self._waiting.items():
            while queue and self._is_free(waiting):
                turn = queue.popleft()
                if not turn.cancelled():  # whoever waited for it has stopped waiting
                    self._take(waiting)
                    turn.set_result(None)
