"""A conversation's session over SSH, whose methods block the thread that drives the conversation."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, suppress

from recovery.transport import failures
from recovery.transport.base import Conversation, Session, T, Target
from recovery.transport.command import CommandConnection, CommandRefusedError
from recovery.transport.connection import BROKEN
from recovery.transport.deadline import Deadline, ExpiredError
from recovery.transport.lines import LineTooLongError

SEND_BYTES = 32 * 1024


class SshSession:
    """A session whose methods block; see `base.Session`."""

    def __init__(self, connection: CommandConnection, target: Target, deadline: Deadline) -> None:
        self._connection = connection
        self._incoming = connection.incoming
        self._target = target
        self._deadline = deadline

    async def send(self, data: bytes) -> None:
        """Write all of `data`."""
        rest = memoryview(data)
        with translated(self._target, self._connection, "sending to the command"):
            while rest:
                self._deadline.step(self._target.timeouts.step_s)
                rest = rest[self._connection.write(bytes(rest[:SEND_BYTES])) :]

    async def read_line(self) -> str | None:
        """Return the next line."""
        with translated(self._target, self._connection, "waiting for the command's answer"):
            self._deadline.step(self._target.timeouts.step_s)
            while (line := self._incoming.take_line()) is None:
                if self._connection.has_ended:
                    return None
                self._receive()
            return line

    async def read_exactly(self, size_bytes: int) -> bytes:
        """Return the next `size_bytes`."""
        with translated(self._target, self._connection, "reading what the command sends"):
            self._deadline.step(self._target.timeouts.step_s)
            while (data := self._incoming.take_exactly(size_bytes)) is None:
                if self._connection.has_ended:
                    raise failures.ended_early(self._target, size_bytes, len(self._incoming))
                self._receive()
            return data

    async def error_text(self) -> str:
        """Return the end of stderr, as far as it is here."""
        self._deadline.step(self._target.timeouts.step_s)
        with suppress(*BROKEN, ExpiredError, CommandRefusedError):
            self._connection.receive_what_is_here()
        return self._incoming.error_text()

    def _receive(self) -> None:
        before = len(self._incoming)
        self._connection.receive()
        if len(self._incoming) > before:
            self._deadline.step(self._target.timeouts.step_s)


def drive(conversation: Conversation[T], session: Session) -> T:
    """Run a conversation to its end in this thread.

    Raises:
        RuntimeError: It awaited something else than its session.
    """
    steps = conversation(session).__await__()
    try:
        next(steps)
    except StopIteration as end:
        return end.value
    steps.close()
    raise RuntimeError("a conversation may await nothing but its session's methods")


@contextmanager
def translated(target: Target, connection: CommandConnection, doing: str | None = None) -> Generator[None]:
    """Translate what can go wrong once logged in."""
    if doing is not None:
        connection.doing = doing
    try:
        yield
    except LineTooLongError as error:
        raise failures.line_too_long(target) from error
    except CommandRefusedError as error:
        raise failures.no_commands(target, failures.outside(error)) from error
    except ExpiredError as error:
        connection.end()
        told = failures.took_too_long if error.is_whole else failures.no_progress
        raise told(target, connection.doing, error.limit_s) from error
    except BROKEN as error:
        raise failures.unreachable(target, connection.doing, found_of(error)) from error


def found_of(error: Exception) -> str:
    """Return what broke the connection, as people say it."""
    if isinstance(error, EOFError):
        return "the other side closed the connection"
    if isinstance(error, OSError) and error.strerror:
        return f"the connection broke ({error.strerror})"
    return failures.outside(error)
