"""The interface between the runbook and whatever carries it to a unit.

A *conversation* is a coroutine over one `Session`: one remote command on one connection. It awaits nothing but the
session's methods. So a transport may run it where it likes: SSH drives a whole conversation in one worker thread, whose
session methods block, with a single hop between threads; a simulation runs it in its event loop.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from recovery.model.estate import Bastion, Login, Timeouts, UnitName

MAX_LINE_BYTES = 4096
"""Longest line a unit may answer; a longer one is a bad answer."""

DEFAULT_PARALLEL = 64
MAX_PARALLEL = 200
"""Connections at once in one process; beyond it, shard over processes.

Source: paramiko with 582 connections at once burns 45 s of CPU over 200 ms lines, with 200 it takes 2.4 s (measured
23 Nov 2026).
"""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One host to talk to.

    Attributes:
        name: Of the unit or endpoint, for errors.
        bastion: The host the connection goes through; None means directly.
        timeouts: Already those of its class of line.
    """

    name: UnitName
    login: Login
    bastion: Bastion | None
    timeouts: Timeouts


class Session(Protocol):
    """One remote command on one connection, its stdin and stdout."""

    async def send(self, data: bytes) -> None:
        """Write all of `data` to the command's stdin.

        Raises:
            UnreachableError: The connection broke.
            CommandTimeoutError: No progress for `step_s`.
        """
        ...

    async def read_line(self) -> str | None:
        r"""Return the next line of stdout without its newline, or None when the command ended.

        A last line without a newline is dropped: a torn answer is no answer. Bytes that are not printable ASCII or
        a tab come back as `\xNN`, so that a unit can't write to the terminal of whoever reads its answer.

        Raises:
            UnreachableError: The connection broke.
            CommandTimeoutError: No progress for `step_s`.
            BadAnswerError: The line is longer than `MAX_LINE_BYTES`.
        """
        ...

    async def read_exactly(self, size_bytes: int) -> bytes:
        """Return the next `size_bytes` of stdout as they came.

        Raises:
            UnreachableError: The connection broke, or the command ended before that many.
            CommandTimeoutError: No progress for `step_s`.
        """
        ...

    async def error_text(self) -> str:
        """Return what the command has written to stderr so far: the last 2,000 characters, made printable."""
        ...


Conversation = Callable[[Session], Awaitable[T]]


class Transport(Protocol):
    """Carries conversations to hosts."""

    async def run(self, target: Target, command: str, conversation: Conversation[T], *, within_s: float) -> T:
        """Connect, start `command`, hold the conversation, close the connection.

        Args:
            target: The host.
            command: The remote command line; a constant of pulih's own, never built from data.
            conversation: Held once, never retried here.
            within_s: Limit for all of it, seconds.

        Raises:
            UnreachableError: No connection came about, or it broke.
            HostKeyError: The host showed another key than the declared one.
            LoginError: The host refused every key.
            CommandTimeoutError: A step or the whole took too long; the connection has been closed.
            Exception: Whatever the conversation raised.
        """
        ...

    async def close(self) -> None:
        """Give back what the transport holds (threads, connections to bastions)."""
        ...
