"""Short ways to hold a conversation in a test."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from recovery.transport.base import Conversation, Session, T, Target
from recovery.transport.ssh import SshTransport

WITHIN_S = 30.0


def quick(target: Target, *, connect_s: float = 10, step_s: float = 10) -> Target:
    """Return a target with other limits."""
    return replace(target, timeouts=replace(target.timeouts, connect_s=connect_s, step_s=step_s))


async def first_line(session: Session) -> str | None:
    return await session.read_line()


async def talk(
    transport: SshTransport,
    target: Target,
    command: str = "echo here",
    conversation: Conversation[T] = first_line,
    *,
    within_s: float = WITHIN_S,
) -> T:
    """Hold one conversation."""
    return await transport.run(target, command, conversation, within_s=within_s)


def once(
    key: Path,
    target: Target,
    command: str = "echo here",
    conversation: Conversation[T] = first_line,
    *,
    within_s: float = WITHIN_S,
) -> T:
    """Hold one conversation over a transport of its own."""

    async def main() -> T:
        transport = SshTransport(ssh_key=key)
        try:
            return await talk(transport, target, command, conversation, within_s=within_s)
        finally:
            await transport.close()

    return asyncio.run(main())


def together(key: Path, targets: Iterable[Target], command: str = "echo here") -> list[str | BaseException | None]:
    """Hold a conversation with each target at once, over one transport; failures come back as values."""

    async def main() -> list[str | BaseException | None]:
        transport = SshTransport(ssh_key=key)
        try:
            return await asyncio.gather(
                *(talk(transport, target, command) for target in targets), return_exceptions=True
            )
        finally:
            await transport.close()

    return asyncio.run(main())


@contextmanager
def deaf() -> Generator[int]:
    """Yield a port that accepts no connection and refuses none, as behind a firewall that drops."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            with suppress(BlockingIOError):
                one.connect(listener.getsockname())
        time.sleep(0.05)
        try:
            yield int(listener.getsockname()[1])
        finally:
            for one in waiting:
                one.close()
