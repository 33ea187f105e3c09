"""A transport in memory: hosts that answer, fail and hang as they are told, in the event loop and without a thread.

It keeps to `recovery.transport.base.Transport` as SSH does (the same contract suite runs on both), takes its time from
the loop, so that a virtual one makes it instant, and uses no chance: the same calls have the same history.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic

from recovery.model.estate import HostKey
from recovery.transport import failures
from recovery.transport.base import Conversation, T, Target
from recovery.transport.hostkeys import pinned
from recovery.transport.lines import Incoming, LineTooLongError

PIPE_BYTES = 2 * 1024 * 1024
"""How far a program may run ahead of what is read from it."""


class HungUpError(Exception):
    """The other end of a pipe is gone."""


class Pipe:
    """Bytes one way, kept until they are read."""

    def __init__(self, size_bytes: int = PIPE_BYTES) -> None:
        self._size_bytes = size_bytes
        self._held_bytes = 0
        self._parts: deque[bytes] = deque()
        self._changed = asyncio.Condition()
        self.is_closed = False
        self.is_broken = False

    async def put(self, data: bytes) -> None:
        """Append, when there is room.

        Raises:
            HungUpError: Nobody will read it.
        """
        async with self._changed:
            await self._changed.wait_for(lambda: self._held_bytes < self._size_bytes or self._is_over())
            if self._is_over():
                raise HungUpError
            self._parts.append(data)
            self._held_bytes += len(data)
            self._changed.notify_all()

    async def get(self) -> bytes:
        """Return what is there, at least a byte; nothing when it is closed and empty.

        Raises:
            HungUpError: It broke.
        """
        async with self._changed:
            await self._changed.wait_for(lambda: self._parts or self._is_over())
            if self.is_broken:
                raise HungUpError
            data = self._parts.popleft() if self._parts else b""
            self._held_bytes -= len(data)
            self._changed.notify_all()
            return data

    async def close(self, *, broken: bool = False) -> None:
        """No more will come; `broken` also loses what is there."""
        async with self._changed:
            self.is_closed = True
            self.is_broken = self.is_broken or broken
            self._changed.notify_all()

    def _is_over(self) -> bool:
        return self.is_closed or self.is_broken


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
    """

    host_key: HostKey
    programs: Mapping[str, Program]
    is_down: bool = False
    refuses_login: bool = False
    is_silent: bool = False
    latency_s: float = 0.0
    drop_at_line: int | None = None
    login_attempts: int = 0
    pipes: set[Pipe] = field(default_factory=set[Pipe])

    async def cut(self) -> None:
        """Break every connection that is open."""
        for pipe in list(self.pipes):
            await pipe.close(broken=True)


class MemoryTransport:
    """Carries conversations to hosts in memory.

    Attributes:
        is_known: Whether hosts let its key in.
    """

    def __init__(self, hosts: Mapping[tuple[str, int], Host], *, is_known: bool = True) -> None:
        self._hosts = hosts
        self.is_known = is_known
        self._programs: set[asyncio.Task[None]] = set()
        self._visits: set[asyncio.Task[Any]] = set()

    async def run(self, target: Target, command: str, conversation: Conversation[T], *, within_s: float) -> T:
        """Hold a conversation in this event loop."""
        visit = asyncio.create_task(self._visit(target, command, conversation, within_s))
        self._visits.add(visit)
        try:
            await asyncio.wait({visit})
        except asyncio.CancelledError:
            visit.cancel()
            await asyncio.wait({visit})
            raise
        finally:
            self._visits.discard(visit)
        if visit.cancelled():
            raise failures.given_up(target)
        return visit.result()

    async def close(self) -> None:
        """End what runs, here and on the hosts."""
        tasks = [*self._visits, *self._programs]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _visit(self, target: Target, command: str, conversation: Conversation[T], within_s: float) -> T:
        limit = asyncio.timeout(within_s)
        session: _MemorySession | None = None
        try:
            async with limit:
                host = await self._connect(target)
                session = self._start(host, target, command)
                return await _Driven(conversation, session)
        except TimeoutError as error:
            if not limit.expired():
                raise
            doing = session.doing if session else "connecting"
            raise failures.took_too_long(target, doing, within_s) from error
        finally:
            if session is not None:
                await session.hang_up()

    async def _connect(self, target: Target) -> Host:
        for login in ([target.bastion.login] if target.bastion else []) + [target.login]:
            host = self._hosts.get((login.address, login.port))
            if host is None or host.is_down:
                raise failures.unreachable(target, "connecting", f"nobody listens at {failures.place(login)}")
            await asyncio.sleep(10 * host.latency_s)
            if host.host_key != login.host_key:
                found = pinned(host.host_key).fingerprint
                raise failures.wrong_host_key(target, pinned(login.host_key).fingerprint, found)
            host.login_attempts += 1
            if host.refuses_login or not self.is_known:
                raise failures.login_refused(target, "SHA256:in-memory", "the server refused every key")
        return self._hosts[target.login.address, target.login.port]

    def _start(self, host: Host, target: Target, command: str) -> _MemorySession:
        remote = Remote(host, Pipe(), Pipe(), Incoming())
        if not host.is_silent:
            program = asyncio.create_task(_run_program(host.programs[command], remote))
            self._programs.add(program)
            program.add_done_callback(self._programs.discard)
        return _MemorySession(remote, target)


async def _run_program(program: Program, remote: Remote) -> None:
    try:
        await program(remote)
    except HungUpError:
        pass
    finally:
        await remote.stdout.close()
        await remote.stdin.close()


class _MemorySession:
    """One program's stdin and stdout; see `base.Session`."""

    def __init__(self, remote: Remote, target: Target) -> None:
        self._remote = remote
        self._target = target
        self._incoming = Incoming()
        self._has_ended = False
        self._is_over = False
        self._lines = 0
        self.doing = "starting the command"
        self.is_waiting = False
        remote.host.pipes |= {remote.stdin, remote.stdout}

    async def send(self, data: bytes) -> None:
        """Write all of `data`."""
        try:
            await self._within_a_step("sending to the command", partial(self._remote.stdin.put, bytes(data)))
        except HungUpError as error:
            # a program that has ended takes nothing more; its answer is still there
            if self._is_over or self._remote.stdin.is_broken:
                raise self._broken() from error

    async def read_line(self) -> str | None:
        """Return the next line."""
        if self._lines == self._remote.host.drop_at_line:
            await self._remote.host.cut()
        try:
            while (line := self._incoming.take_line()) is None:
                if self._has_ended:
                    return None
                await self._receive("waiting for the command's answer")
        except LineTooLongError as error:
            raise failures.line_too_long(self._target) from error
        self._lines += 1
        return line

    async def read_exactly(self, size_bytes: int) -> bytes:
        """Return the next `size_bytes`."""
        while (data := self._incoming.take_exactly(size_bytes)) is None:
            if self._has_ended:
                raise failures.ended_early(self._target, size_bytes, len(self._incoming))
            await self._receive("reading what the command sends")
        return data

    async def error_text(self) -> str:
        """Return the end of stderr."""
        return self._remote.errors.error_text()

    async def hang_up(self) -> None:
        """Close the connection: the program sees its input end, and nobody reads its answers."""
        self._remote.host.pipes -= {self._remote.stdin, self._remote.stdout}
        self._is_over = True
        await self._remote.stdin.close()
        await self._remote.stdout.close(broken=True)

    async def _receive(self, doing: str) -> None:
        try:
            data = await self._within_a_step(doing, self._remote.stdout.get)
        except HungUpError as error:
            raise self._broken() from error
        self._has_ended = not data
        self._incoming.feed(data)

    async def _within_a_step(self, doing: str, wait: Callable[[], Awaitable[T]]) -> T:
        self.doing, self.is_waiting = doing, True
        limit = asyncio.timeout(self._target.timeouts.step_s)
        try:
            async with limit:
                await asyncio.sleep(self._remote.host.latency_s)
                return await wait()
        except TimeoutError as error:
            if not limit.expired():
                raise
            await self.hang_up()
            raise failures.no_progress(self._target, doing, self._target.timeouts.step_s) from error
        finally:
            self.is_waiting = False

    def _broken(self) -> Exception:
        return failures.unreachable(self._target, self.doing, "the other side closed the connection")


class _Driven(Generic[T]):
    """Awaits a conversation and sees to it that it waits for its session only, as the one over SSH has to."""

    def __init__(self, conversation: Conversation[T], session: _MemorySession) -> None:
        self._conversation = conversation
        self._session = session

    def __await__(self) -> Generator[Any, Any, T]:
        steps = self._conversation(self._session).__await__()
        failure: BaseException | None = None
        while True:
            try:
                waits_for = steps.throw(failure) if failure else next(steps)
            except StopIteration as end:
                return end.value
            if not self._session.is_waiting:
                steps.close()
                raise RuntimeError("a conversation may await nothing but its session's methods")
            failure = None
            try:
                yield waits_for
            except BaseException as error:  # handed on to whoever waits
                failure = error
