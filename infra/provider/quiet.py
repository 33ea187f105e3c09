"""Tells failures last, so that one unit's failure does not keep the engine from starting the others.

The engine starts no further step once one has failed (but for --continue-on-error, which its users report integrity
errors with). So a failure waits here until nobody else is at work.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

SETTLED_S = 0.3
"""How long nobody must have begun or ended before a failure is told, seconds: the engine starts the next step of its
queue within milliseconds of an answer."""

_LOOK_S = 0.05


class Quiet:
    """Knows whether anybody is at work."""

    def __init__(self, settled_s: float = SETTLED_S) -> None:
        self._settled_s = settled_s
        self._busy = 0
        self._since_s = 0.0
        self._is_over = asyncio.Event()

    @asynccontextmanager
    async def at_work(self) -> AsyncGenerator[None]:
        """Be at work for a while."""
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            self._since_s = asyncio.get_running_loop().time()

    def stir(self) -> None:
        """Note that the engine is still asking."""
        self._since_s = asyncio.get_running_loop().time()

    def end(self) -> None:
        """Let nobody wait any more: the deployment is being stopped."""
        self._is_over.set()

    async def wait(self) -> None:
        """Return when nobody is at work, and nobody has been for a moment."""
        loop = asyncio.get_running_loop()
        while not self._is_over.is_set() and (self._busy or loop.time() - self._since_s < self._settled_s):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._is_over.wait(), _LOOK_S)
