"""Who may be in flight at once: limits by region, bastion and class of line, and one for the process.

Steps with the same region, bastion and line wait in one queue, so that giving a place back costs a look at each queue,
not at each unit that waits.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

from recovery.model.estate import BastionName, Limits, LinkName, RegionName
from recovery.model.plan import Step

_Key = tuple[RegionName | None, BastionName | None, LinkName]
T = TypeVar("T")


class Places(Generic[T]):
    """The rule alone: who gets a place, and whose turn it is when one is given back. Pure."""

    def __init__(self, limits: Limits, parallel: int) -> None:
        self.limits = limits
        self.parallel = parallel
        self._busy: Counter[object] = Counter()
        self._waiting: dict[_Key, deque[T]] = {}

    def take(self, step: Step, who: T) -> bool:
        """Take a place for a step if there is one, and return True; else put `who` into its queue."""
        key = _key(step)
        queue = self._waiting.setdefault(key, deque())
        if queue or not self._is_free(key):
            queue.append(who)
            return False
        self._count(key, 1)
        return True

    def give_back(self, step: Step, wants: Callable[[T], bool] = lambda _: True) -> Iterator[T]:
        """Give a step's place back; yield those whose turn it is, each with its place taken.

        Args:
            step: Whose place it was.
            wants: Whether one in a queue still waits.
        """
        self._count(_key(step), -1)
        if self._busy["all"] >= self.parallel:
            return
        for key, queue in self._waiting.items():
            while queue and self._is_free(key):
                who = queue.popleft()
                if wants(who):
                    self._count(key, 1)
                    yield who

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

    def _count(self, key: _Key, more: int) -> None:
        for what, _ in self._limits_of(key):
            self._busy[what] += more


class Slots:
    """Hands out places in flight."""

    def __init__(self, limits: Limits, parallel: int) -> None:
        self._places = Places[asyncio.Future[None]](limits, parallel)

    @asynccontextmanager
    async def place(self, step: Step) -> AsyncGenerator[None]:
        """Wait until the step may be in flight, and hold its place."""
        turn = asyncio.get_running_loop().create_future()
        if not self._places.take(step, turn):
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._give_back(step)
                raise
        try:
            yield
        finally:
            self._give_back(step)

    def _give_back(self, step: Step) -> None:
        for turn in self._places.give_back(step, wants=lambda turn: not turn.cancelled()):
            turn.set_result(None)


def _key(step: Step) -> _Key:
    return step.region, step.bastion, step.link
