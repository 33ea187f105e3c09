"""Hosts in memory: what runs on them, the pipes to it, and what befalls those who visit them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from recovery.model.estate import HostKey
from recovery.transport.lines import Incoming
from tests.sim.faults import Site

PIPE_BYTES = 2 * 1024 * 1024
"""How far a program may run ahead of what is read from it."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What befalls one visit on its way.

    Attributes:
        site: Which fault.
        step: At which step of the applier, where it matters.
        strike: Called when it strikes.
    """

    site: Site
    step: str
    strike: Callable[[], None]


class HungUpError(Exception):
    """The other end of a pipe is gone."""


class Pipe:
    """Bytes one way, kept until they are read."""

    def __init__(self, size_bytes: int = PIPE_BYTES) -> None:
        self._size_bytes = size_bytes
        self._held_bytes = 0
        self._parts: list[bytes] = []
        self._waiting: list[asyncio.Future[None]] = []
        self.is_closed = False
        self.is_broken = False

    async def put(self, data: bytes) -> None:
        """Append, when there is room.

        Raises:
            HungUpError: Nobody will read it.
        """
        while self._held_bytes >= self._size_bytes and not self._is_over():
            await self._change()
        self.put_now(data)

    def put_now(self, data: bytes) -> None:
        """Append a little.

        Raises:
            HungUpError: Nobody will read it.
        """
        if self._is_over():
            raise HungUpError
        self._parts.append(data)
        self._held_bytes += len(data)
        self._notify()

    async def get(self) -> bytes:
        """Return what is there, when there is something; nothing once it was closed.

        Raises:
            HungUpError: It broke.
        """
        while not self.is_ready():
            await self._change()
        return self.get_now()

    def is_ready(self) -> bool:
        """Whether there is something to get, or never will be."""
        return bool(self._parts) or self._is_over()

    def get_now(self) -> bytes:
        """Return what is there.

        Raises:
            HungUpError: It broke.
        """
        if self.is_broken:
            raise HungUpError
        data = b"".join(self._parts) if len(self._parts) != 1 else self._parts[0]
        self._parts.clear()
        self._held_bytes = 0
        self._notify()
        return data

    def close(self, *, broken: bool = False) -> None:
        """No more will come; `broken` also loses what is there."""
        self.is_closed = True
        self.is_broken = self.is_broken or broken
        self._notify()

    def _is_over(self) -> bool:
        return self.is_closed or self.is_broken

    async def _change(self) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        await turn

    def _notify(self) -> None:
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        for turn in waiting:
            if not turn.done():
                turn.set_result(None)


@dataclass(frozen=True, slots=True)
class Remote:
    """What a program on a host sees of the outside.

    Attributes:
        host: It runs on.
        stdin: What is sent to it.
        stdout: What it answers.
        errors: Where its stderr goes.
    """

    host: Host
    stdin: Pipe
    stdout: Pipe
    errors: Incoming

    async def say(self, text: str) -> None:
        """Write to stdout."""
        await self.stdout.put(text.encode())

    def complain(self, data: bytes) -> None:
        """Write to stderr."""
        self.errors.feed_error(data)


Program = Callable[[Remote], Awaitable[None]]
"""A remote command. Like a real one it outlives the connection, unless it writes to it (`HungUpError`)."""


@dataclass(kw_only=True)
class Host:
    """One host.

    Attributes:
        host_key: That it shows.
        programs: By remote command.
        is_down: Nobody listens.
        refuses_login: It lets no key in.
        is_silent: Commands start and never answer.
        latency_s: From one end to the other, seconds; a connection takes ten of them.
        drop_at_line: The connection breaks when this many lines have been answered; None means never.
        login_attempts: How often somebody has asked to be let in.
        befalls: Asked at each visit what befalls it on its way; None means nothing does.
    """

    host_key: HostKey
    programs: Mapping[str, Program]
    is_down: bool = False
    refuses_login: bool = False
    is_silent: bool = False
    latency_s: float = 0.0
    drop_at_line: int | None = None
    login_attempts: int = 0
    befalls: Callable[[], Trouble | None] = lambda: None
    pipes: dict[Pipe, None] = field(default_factory=dict[Pipe, None])
    running: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    def cut(self) -> None:
        """Break every connection that is open."""
        for pipe in list(self.pipes):
            pipe.close(broken=True)
