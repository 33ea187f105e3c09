"""An event loop whose time is virtual: when nobody has anything to do it jumps to the next moment that is due."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class StuckError(Exception):
    """Everybody waits for somebody else."""


class _Selector(selectors.SelectSelector):
    """Never waits; tells the loop how far to jump."""

    def __init__(self) -> None:
        super().__init__()
        self.loop: VirtualLoop | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise StuckError("nothing is due and nothing will ever be")
        if timeout > 0 and self.loop is not None:
            self.loop.elapsed_s += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop that takes no time: the same coroutines with the same seed have the same history."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0
        selector = _Selector()
        super().__init__(selector)
        selector.loop = self

    def time(self) -> float:
        """Return the virtual time, seconds."""
        return self.elapsed_s


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in virtual time."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(main)
    finally:
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:
            loop.run_until_complete(asyncio.wait(tasks))
        loop.close()
