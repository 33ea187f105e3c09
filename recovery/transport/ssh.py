"""Conversations over SSH: a worker thread a conversation, every wait bounded, every foreign error translated once.

A worker connects (through a bastion where there is one), checks the pinned host key, logs in, starts the command and
drives the conversation to its end with session methods that block. `connection.py` has the SSH part, `session.py`
what a conversation sees of it, `failures.py` the words.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from recovery.transport import failures
from recovery.transport.base import DEFAULT_PARALLEL, MAX_PARALLEL, Conversation, T, Target
from recovery.transport.bastions import Bastions
from recovery.transport.command import CommandConnection
from recovery.transport.connection import BROKEN, Connection, LoginRefusedError, WrongHostKeyError
from recovery.transport.deadline import Deadline, ExpiredError
from recovery.transport.forward import BastionConnection, keep_watch
from recovery.transport.hostkeys import PinnedKey, pinned
from recovery.transport.interrupt import Interrupt
from recovery.transport.keys import LoginKeys, load_keys
from recovery.transport.packets import Stream
from recovery.transport.session import SshSession, drive, found_of, translated

AnyConnection = TypeVar("AnyConnection", bound=Connection)


class SshTransport:
    """Carries conversations to hosts over SSH. Implements `recovery.transport.base.Transport`."""

    def __init__(
        self, *, ssh_key: Path | None = None, environment_key: str | None = None, parallel: int = DEFAULT_PARALLEL
    ) -> None:
        """Load the keys; connect nothing yet.

        Args:
            ssh_key: Key file that a practice estate names.
            environment_key: Value of PULIH_SSH_KEY, which counts where `ssh_key` is None; without either, the agent.
            parallel: Conversations at once; more wait for their turn, and their limits begin with it.

        Raises:
            LoginKeyError: There is no usable key.
            ValueError: `parallel` is not between 1 and `MAX_PARALLEL`.
        """
        if not 1 <= parallel <= MAX_PARALLEL:
            raise ValueError(f"parallel is {parallel}; expected 1 to {MAX_PARALLEL}")
        self._keys = load_keys(ssh_key, environment_key)
        self._workers = ThreadPoolExecutor(parallel, thread_name_prefix="pulih-ssh")
        self._bastions = Bastions(self._open_bastion)
        self._visits: dict[Interrupt, asyncio.Future[Any]] = {}

    async def run(self, target: Target, command: str, conversation: Conversation[T], *, within_s: float) -> T:
        """Connect, start `command`, hold the conversation, close the connection; see `base.Transport`.

        Cancelling it closes the connection, and returns when the worker has noticed.
        """
        interrupt = Interrupt()
        task = self._workers.submit(self._visit, target, command, conversation, within_s, interrupt)
        visit = asyncio.wrap_future(task)
        self._visits[interrupt] = visit
        try:
            await asyncio.wait({visit})
            return visit.result()
        except asyncio.CancelledError:
            if not task.cancel():
                interrupt.set()
                await _ended(visit)
            raise
        finally:
            del self._visits[interrupt]

    async def close(self) -> None:
        """Interrupt what still runs, and give back every thread and connection."""
        running = list(self._visits.items())
        for interrupt, _ in running:
            interrupt.set()
        for _, visit in running:
            await _ended(visit)
        self._bastions.close()
        self._workers.shutdown()

    def _visit(
        self, target: Target, command: str, conversation: Conversation[T], within_s: float, interrupt: Interrupt
    ) -> T:
        """Hold one conversation; the whole of a worker thread's task."""
        try:
            interrupt.check()
            return self._hold(target, command, conversation, within_s, interrupt)
        except Exception as error:
            # what breaks when the connection is closed under a conversation is not the unit's doing
            if interrupt.is_set:
                raise failures.given_up(target) from error
            raise

    def _hold(
        self, target: Target, command: str, conversation: Conversation[T], within_s: float, interrupt: Interrupt
    ) -> T:
        deadline = Deadline(within_s)
        connection: CommandConnection | None = None
        is_over = False
        try:
            connection = self._connect(CommandConnection, target, deadline, interrupt)
            deadline.step(target.timeouts.step_s)
            with translated(target, connection):
                connection.begin(command)
            result = drive(conversation, SshSession(connection, target, deadline))
            is_over = True
            return result
        finally:
            if connection is not None:
                deadline.step(target.timeouts.step_s)
                connection.end(politely=is_over)

    def _open_bastion(self, wanted: Target, deadline: Deadline, interrupt: Interrupt) -> BastionConnection:
        return self._connect(BastionConnection, wanted, deadline, interrupt)

    def _connect(
        self, kind: type[AnyConnection], target: Target, deadline: Deadline, interrupt: Interrupt
    ) -> AnyConnection:
        """Return a connection that is logged in to the target."""
        try:
            key = pinned(target.login.host_key)
        except ValueError as error:
            raise failures.unreadable_host_key(target, str(error)) from error
        deadline.step(target.timeouts.connect_s)
        stream = self._stream(kind, target, deadline, interrupt)
        try:
            connection = kind(stream, key, deadline)
            with _connecting(target, connection, key, self._keys):
                connection.handshake()
                connection.log_in(target.login.user, self._keys)
        except BaseException:
            stream.close()
            raise
        return connection

    def _stream(self, kind: type[Connection], target: Target, deadline: Deadline, interrupt: Interrupt) -> Stream:
        """Return a byte stream to the target's SSH server, which `interrupt` ends."""
        if target.bastion is not None:
            try:
                forwarded = self._bastions.stream(target, target.bastion, deadline, interrupt)
            except ExpiredError as error:
                raise failures.took_too_long(target, "connecting", error.limit_s) from error
            with _closed_on_error(forwarded):
                interrupt.guard(forwarded.wake)
            return forwarded
        direct = _connected(target, deadline, interrupt)
        if kind is BastionConnection:
            keep_watch(direct)
        return direct


async def _ended(visit: asyncio.Future[T]) -> None:
    """Wait until a worker has done, however often the wait is cancelled, and take no notice of how it ended."""
    cancelled: asyncio.CancelledError | None = None
    while not visit.done():
        try:
            await asyncio.wait({visit})
        except asyncio.CancelledError as error:
            cancelled = error
    if not visit.cancelled():
        visit.exception()
    if cancelled is not None:
        raise cancelled


def _connected(target: Target, deadline: Deadline, interrupt: Interrupt) -> socket.socket:
    """Return a TCP connection to the target, which `interrupt` ends."""
    doing = "connecting"
    direct: socket.socket | None = None
    try:
        direct = socket.socket(socket.AF_INET6 if ":" in target.login.address else socket.AF_INET)
        interrupt.guard(partial(_shut_down, direct))
        direct.settimeout(deadline.remaining_s())
        direct.connect((target.login.address, target.login.port))
        # packets are small and follow each other: without this each waits for the answer to the one before
        direct.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except Exception as error:
        if direct is not None:
            direct.close()
        interrupt.check()
        if isinstance(error, ExpiredError):
            raise _connect_expired(target, doing, error) from error
        if isinstance(error, TimeoutError) and error.errno is None:
            raise _connect_expired(target, doing, deadline.expired()) from error
        if isinstance(error, OSError):
            raise failures.unreachable(target, doing, error.strerror or str(error)) from error
        raise
    return direct


def _connect_expired(target: Target, doing: str, expired: ExpiredError) -> Exception:
    if expired.is_whole:
        return failures.took_too_long(target, doing, expired.limit_s)
    return failures.unreachable(target, doing, f"no answer within {expired.limit_s:g} s")


@contextmanager
def _connecting(target: Target, connection: Connection, key: PinnedKey, keys: LoginKeys) -> Generator[None]:
    """Translate what can go wrong between the first byte and being logged in."""
    try:
        yield
    except WrongHostKeyError as error:
        raise failures.wrong_host_key(target, key.fingerprint, failures.outside(error.found)) from error
    except LoginRefusedError as error:
        raise failures.login_refused(target, keys.describe(), failures.outside(error)) from error
    except ExpiredError as error:
        raise _connect_expired(target, connection.doing, error) from error
    except BROKEN as error:
        raise failures.unreachable(target, connection.doing, found_of(error)) from error


@contextmanager
def _closed_on_error(stream: Stream) -> Generator[None]:
    try:
        yield
    except BaseException:
        stream.close()
        raise


def _shut_down(direct: socket.socket) -> None:
    with suppress(OSError):
        direct.shutdown(socket.SHUT_RDWR)
