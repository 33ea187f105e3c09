"""How long this process lives: as long as the engine that started it, and not a moment longer.

A killed engine tells nobody. But it holds the other end of our standard input, so its death is seen at once; and where
that is no pipe, by the parent we then no longer have.
"""

from __future__ import annotations

import asyncio
import os
import signal
import stat
from contextlib import suppress

_LOOK_S = 1.0


class Lifetime:
    """Knows when it is time to end."""

    def __init__(self) -> None:
        self._engine = os.getppid()
        self._over = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._over.set)
        self._watches_input = _is_pipe(0)
        if self._watches_input:
            loop.add_reader(0, self._look)

    async def wait(self) -> None:
        """Return when the engine wants no more, or is gone."""
        while os.getppid() == self._engine:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), _LOOK_S)
                break
        if self._watches_input:
            asyncio.get_running_loop().remove_reader(0)

    def _look(self) -> None:
        """Read what nobody ever sends; the end of it is the engine's."""
        if not os.read(0, 4096):
            self._over.set()


def _is_pipe(descriptor: int) -> bool:
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
