"""Questions to whoever sits at the terminal, and what happens where nobody does."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable

from recovery.cli.context import can_ask
from recovery.cli.output import note
from recovery.cli.progress import Progress
from recovery.errors import RefusedError
from recovery.model.plan import Wave

_YES = frozenset({"y", "yes"})


def confirm(question: str, *, line_to_type: str) -> None:
    """Ask for a yes.

    Args:
        question: One sentence.
        line_to_type: The command that needs no answer, for whoever runs this without a terminal.

    Raises:
        RefusedError: Nobody can be asked, or the answer is no.
    """
    if not can_ask():
        raise RefusedError(f"nobody can be asked here, and --yes was not given. To go ahead, type: {line_to_type}")
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in _YES:
        raise RefusedError("not agreed to; nothing was touched")


def asking(
    progress: Progress,
    is_stopping: Callable[[], bool],
    *,
    may_ask: bool,
    past: frozenset[str],
    on_held: Callable[[Wave, str], None],
) -> Callable[[Wave, str], Awaitable[bool]]:
    """Return how a run asks, while it goes on, whether to go on past a held wave.

    Args:
        progress: Paused while somebody is asked.
        is_stopping: Whether the run is stopping already, so that no answer is awaited.
        may_ask: Whether somebody may be asked at all.
        past: Waves that somebody has said yes to before.
        on_held: Called when a wave waits for an answer, or will not get one.
    """

    async def go_on(wave: Wave, reason: str) -> bool:
        if wave.name in past:
            return True
        on_held(wave, reason)
        if not (may_ask and can_ask()):
            return False
        with progress.paused():
            note(f"held: {reason}")
            sys.stderr.write("Go on all the same? [y/N] ")
            sys.stderr.flush()
            return (await _line(is_stopping)).strip().lower() in _YES

    return go_on


async def _line(is_stopping: Callable[[], bool]) -> str:
    """Read a line from the terminal without a thread, so that Ctrl-C and the lease's heartbeat still work."""
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[str] = loop.create_future()

    def readable() -> None:
        if not answered.done():
            answered.set_result(sys.stdin.readline())

    loop.add_reader(sys.stdin.fileno(), readable)
    try:
        while not is_stopping():
            await asyncio.wait({answered}, timeout=0.2)
            if answered.done():
                return answered.result()
        return ""
    finally:
        loop.remove_reader(sys.stdin.fileno())
