"""A transport in memory: hosts that answer, fail and hang as they are told, in the event loop and without a thread.

It keeps to `recovery.transport.base.Transport` as SSH does (the same contract suite runs on both), takes its time from
the loop, so that a virtual one makes it instant, and uses no chance: the same calls have the same history.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextvars import Context
from functools import partial
from typing import Any, Generic

from recovery.transport import failures
from recovery.transport.base import Conversation, T, Target
from recovery.transport.hostkeys import pinned
from recovery.transport.lines import Incoming, LineTooLongError
from tests.sim.faults import Site
from tests.sim.hosts import Host, HungUpError, Pipe, Program, Remote, Trouble
from tests.sim.loop import PROCESS


class MemoryTransport:
    """Carries conversations to hosts in memory.

    Attributes:
        is_known: Whether hosts let its key in.
    """

    def __init__(self, hosts: Mapping[tuple[str, int], Host], *, is_known: bool = True) -> None:
        self._hosts = hosts
        self.is_known = is_known
        self._visits: dict[asyncio.Task[Any], None] = {}

    async def run(self, target: Target, command: str, conversation: Conversation[T], *, within_s: float) -> T:
        """Hold a conversation in this event loop."""
        visit = asyncio.create_task(self._visit(target, command, conversation, within_s))
        self._visits[visit] = None
        try:
            await asyncio.wait({visit})
        except asyncio.CancelledError:
            visit.cancel()
            await asyncio.wait({visit})
            raise
        finally:
            self._visits.pop(visit, None)
        if visit.cancelled():
            raise failures.given_up(target)
        return visit.result()

    def asked(self, target: Target, header: bytes) -> None:
        """Take note of the first bytes of a conversation; for whoever looks on."""

    def heard(self, target: Target, line: str) -> None:
        """Take note of a line that has come back."""

    def misled(self, target: Target) -> None:
        """Take note that an answer was not the unit's own."""

    def refused(self, target: Target) -> None:
        """Take note that a key or a login was refused."""

    async def close(self) -> None:
        """End the visits; what they have started on the hosts goes on there."""
        visits = list(self._visits)
        for visit in visits:
            visit.cancel()
        if visits:
            await asyncio.wait(visits)

    async def _visit(self, target: Target, command: str, conversation: Conversation[T], within_s: float) -> T:
        limit = asyncio.timeout(within_s)
        session: _MemorySession | None = None
        try:
            async with limit:
                host, trouble = await self._connect(target)
                session = self._start(host, target, command, trouble)
                return await _Driven(conversation, session)
        except TimeoutError as error:
            if not limit.expired():
                raise
            doing = session.doing if session else "connecting"
            raise failures.took_too_long(target, doing, within_s) from error
        finally:
            if session is not None:
                session.hang_up()

    async def _connect(self, target: Target) -> tuple[Host, Trouble | None]:
        trouble: Trouble | None = None
        for login in ([target.bastion.login] if target.bastion else []) + [target.login]:
            host = self._hosts.get((login.address, login.port))
            trouble = host.befalls() if host is not None and not host.is_down else None
            if host is None or host.is_down or _strikes(trouble, Site.REFUSED):
                raise failures.unreachable(target, "connecting", f"nobody listens at {failures.place(login)}")
            if host.latency_s:
                await asyncio.sleep(10 * host.latency_s)
            if host.host_key != login.host_key or _strikes(trouble, Site.WRONG_HOST_KEY):
                found = pinned(host.host_key).fingerprint
                self.refused(target)
                raise failures.wrong_host_key(target, pinned(login.host_key).fingerprint, found)
            host.login_attempts += 1
            if host.refuses_login or not self.is_known or _strikes(trouble, Site.LOGIN_REFUSED):
                self.refused(target)
                raise failures.login_refused(target, "SHA256:in-memory", "the server refused every key")
        if _strikes(trouble, Site.DROP_BEFORE_EXEC):
            raise failures.unreachable(target, "starting the command", "the other side closed the connection")
        return self._hosts[target.login.address, target.login.port], trouble

    def _start(self, host: Host, target: Target, command: str, trouble: Trouble | None) -> _MemorySession:
        remote = Remote(host, Pipe(), Pipe(), Incoming())
        if not host.is_silent and not _strikes(trouble, Site.HANG):
            # In a context of its own: it belongs to the host, and outlives whoever has started it.
            context, loop = Context(), asyncio.get_running_loop()
            running = loop.create_task(_run_program(host.programs[command], remote), context=context)
            host.running.add(running)
            running.add_done_callback(host.running.discard, context=context)
        return _MemorySession(self, remote, target, trouble)


def _strikes(trouble: Trouble | None, site: Site) -> bool:
    if trouble is None or trouble.site is not site:
        return False
    trouble.strike()
    return True


def _of_another(answer: str) -> str:
    """Return what another data centre would have answered, as after a gateway that was not reloaded."""
    return answer.replace("data-centre=cloud-1 ", "data-centre=pdns-2 ")


async def _run_program(program: Program, remote: Remote) -> None:
    try:
        await program(remote)
    except HungUpError:
        pass
    finally:
        remote.stdout.close()
        remote.stdin.close()


class _MemorySession:
    """One program's stdin and stdout; see `base.Session`."""

    def __init__(self, transport: MemoryTransport, remote: Remote, target: Target, trouble: Trouble | None) -> None:
        self._transport = transport
        self._remote = remote
        self._target = target
        self._trouble = trouble
        self._incoming = Incoming()
        self._has_ended = False
        self._is_over = self._is_late = False
        self._lines = 0
        self.doing = "starting the command"
        self.is_waiting = False
        remote.host.pipes |= {remote.stdin: None, remote.stdout: None}
        if (process := PROCESS.get(None)) is not None:
            process.opens(self, self.hang_up)

    async def send(self, data: bytes) -> None:
        """Write all of `data`."""
        is_header = self.doing == "starting the command"
        if is_header:
            self._transport.asked(self._target, data)
        elif _strikes(self._trouble, Site.HALF_BUNDLE):
            self._remote.stdin.put_now(bytes(data[: len(data) // 2]))
            self.hang_up()
        try:
            await self._within_a_step("sending to the command", partial(self._remote.stdin.put, bytes(data)))
        except HungUpError as error:
            # a program that has ended takes nothing more; its answer is still there
            if self._is_over or self._remote.stdin.is_broken:
                raise self._broken() from error

    async def read_line(self) -> str | None:
        """Return the next line."""
        if self._lines == self._remote.host.drop_at_line:
            self._remote.host.cut()
        try:
            while (line := self._incoming.take_line()) is None:
                if self._has_ended:
                    return None
                await self._receive("waiting for the command's answer")
        except LineTooLongError as error:
            raise failures.line_too_long(self._target) from error
        self._lines += 1
        if self._trouble is not None and self._is_cut_at(line):
            self.hang_up()
            raise self._broken()
        if line.startswith("done ") and _strikes(self._trouble, Site.LIES):
            line = f"done sha256:{'0' * 64}"
        if line.startswith("answer ") and _strikes(self._trouble, Site.WRONG_ANSWER):
            self._transport.misled(self._target)
            line = _of_another(line)
        self._transport.heard(self._target, line)
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

    def hang_up(self) -> None:
        """Close the connection: the program sees its input end, and nobody reads its answers."""
        if (process := PROCESS.get(None)) is not None:
            process.closes(self)
        self._remote.host.pipes.pop(self._remote.stdin, None)
        self._remote.host.pipes.pop(self._remote.stdout, None)
        self._is_over = True
        self._remote.stdin.close()
        self._remote.stdout.close(broken=True)

    def _is_cut_at(self, line: str) -> bool:
        word, _, rest = line.partition(" ")
        if word == "at" and self._trouble is not None and self._trouble.step == rest:
            return _strikes(self._trouble, Site.DROP_AT_STEP)
        return word == "done" and _strikes(self._trouble, Site.DROP_AFTER_EXEC)

    async def _receive(self, doing: str) -> None:
        try:
            if self._remote.host.latency_s == 0 and self._remote.stdout.is_ready():
                data = self._remote.stdout.get_now()
            else:
                data = await self._within_a_step(doing, self._remote.stdout.get)
        except HungUpError as error:
            raise self._broken() from error
        self._has_ended = not data
        self._incoming.feed(data)

    async def _within_a_step(self, doing: str, wait: Callable[[], Awaitable[T]]) -> T:
        self.doing, self.is_waiting = doing, True
        limit = asyncio.get_running_loop().call_later(self._target.timeouts.step_s, self._give_up)
        try:
            if self._remote.host.latency_s:
                await asyncio.sleep(self._remote.host.latency_s)
            return await wait()
        except HungUpError:
            if self._is_late:
                self._is_late = False
                raise failures.no_progress(self._target, doing, self._target.timeouts.step_s) from None
            raise
        finally:
            limit.cancel()
            self.is_waiting = False

    def _give_up(self) -> None:
        self._is_late = True
        self.hang_up()

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
