"""One exec request: a /bin/sh in the host's folder, its pipes to the SSH channel, and its socket to the stand-ins.

As with sshd, a connection that drops closes the shell's stdin, stdout and stderr and leaves it running: the applier
survives that on purpose. It dies with the lab (`reaper`).
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from recovery.lab.hosts import Host
from recovery.lab.standins import Answer, Question

STAND_IN_READS, STAND_IN_WRITES = 7, 8
"""File descriptors of the socket to the lab in a session's shell; 9 is the applier's lock."""
FIRST_FREE = 9
"""First file descriptor that nothing of the lab is copied onto in a shell."""

_SHELL = "/bin/sh"
_READ_BYTES = 65_536
_MAX_QUESTION_BYTES = 65_536
# What Python ignores, a program that inherits it ignored could never turn on again (POSIX, sh, `trap`).
_DEFAULT_SIGNALS = (signal.SIGPIPE, signal.SIGXFSZ)

_STDERR = 1  # Source: RFC 4254, 5.2, SSH_EXTENDED_DATA_STDERR.

Ask = Callable[[Host, Question], Awaitable[Answer]]


class Channel(Protocol):
    """What a shell needs of the SSH channel that it belongs to (`asyncssh.SSHServerChannel`)."""

    def write(self, data: bytes, datatype: int | None = None) -> None:
        """Send to the client's stdout, or to its stderr; OSError when the channel is closed."""
        ...

    def pause_reading(self) -> None:
        """Take no more from the client."""
        ...

    def resume_reading(self) -> None:
        """Take more from the client."""
        ...

    def exit(self, status: int) -> None:
        """Send the exit status and close."""
        ...

    def exit_with_signal(self, signal: str) -> None:
        """Send the signal that ended it and close."""
        ...


class Shell:
    """A running /bin/sh.

    Args:
        host: Where it runs.
        command: Its command string.
        environment: All of its environment.
        ask: Answers its stand-ins.
        channel: The SSH channel; what it is sent goes to stdin, what the shell writes goes to it.

    Raises:
        OSError: It could not be started.
    """

    def __init__(
        self,
        host: Host,
        command: str,
        environment: dict[str, str],
        ask: Ask,
        channel: Channel,
    ) -> None:
        self.host = host
        self._ask = ask
        self._channel: Channel | None = channel
        self._loop = asyncio.get_running_loop()
        self._unsent = bytearray()
        self._has_more = True
        self._status: int | None = None
        self._question = b""
        self._answering: set[asyncio.Task[None]] = set()
        self._stdin, self._outputs, self._socket, self.pid = self._start(command, environment)

    def _start(
        self, command: str, environment: dict[str, str]
    ) -> tuple[int, dict[int, int | None], socket.socket, int]:
        his_in, my_in = os.pipe()
        my_out, his_out = os.pipe()
        my_err, his_err = os.pipe()
        mine, his = socket.socketpair()
        try:
            os.chdir(self.host.root)  # inherited by the shell; the lab itself uses absolute paths only
            pid = os.posix_spawn(
                _SHELL,
                ["sh", "-c", command],
                environment,
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, his_in, 0),
                    (os.POSIX_SPAWN_DUP2, his_out, 1),
                    (os.POSIX_SPAWN_DUP2, his_err, 2),
                    (os.POSIX_SPAWN_DUP2, his.fileno(), STAND_IN_READS),
                    (os.POSIX_SPAWN_DUP2, his.fileno(), STAND_IN_WRITES),
                ],
                setsid=True,
                setsigdef=_DEFAULT_SIGNALS,
            )
        except OSError:
            for descriptor in (my_in, my_out, my_err):
                os.close(descriptor)
            mine.close()
            raise
        finally:
            for descriptor in (his_in, his_out, his_err):
                os.close(descriptor)
            his.close()
        for descriptor in (my_in, my_out, my_err):
            os.set_blocking(descriptor, False)
        mine.setblocking(False)
        return my_in, {my_out: None, my_err: _STDERR}, mine, pid

    def listen(self) -> None:
        """Begin to carry what the shell and its stand-ins write."""
        self.resume_output()
        self._loop.add_reader(self._socket, self._on_question)

    def ended(self, status: int) -> None:
        """Take note that the shell has ended.

        Args:
            status: Its exit status; the number of the signal that ended it, negative.
        """
        self._status = status
        self._finish()

    def feed(self, data: bytes) -> None:
        """Write to the shell's stdin; the channel is stopped while more is waiting than a pipe takes."""
        if self._stdin < 0:
            return
        self._unsent += data
        self._write()

    def feed_end(self) -> None:
        """Close the shell's stdin behind what is still waiting."""
        self._has_more = False
        if not self._unsent:
            self._close_stdin()

    def pause_output(self) -> None:
        """Stop reading what the shell writes."""
        for descriptor in self._outputs:
            self._loop.remove_reader(descriptor)

    def resume_output(self) -> None:
        """Go on reading what the shell writes."""
        for descriptor in self._outputs:
            self._loop.add_reader(descriptor, self._on_output, descriptor)

    def hang_up(self) -> None:
        """The connection is gone: close the shell's stdin, stdout and stderr, and let it go on.

        stdin last: its end is what wakes a reader, who must not find the others still open.
        """
        self._channel = None
        self._unsent.clear()
        for descriptor in tuple(self._outputs):
            self._close_output(descriptor)
        self._close_stdin()

    def _write(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: os.write(self._stdin, self._unsent)]
        except BlockingIOError:
            self._loop.add_writer(self._stdin, self._write)
            if self._channel is not None:
                self._channel.pause_reading()
            return
        except BrokenPipeError:
            self._unsent.clear()  # the shell has closed its stdin; what else comes is dropped, as sshd does
            self._has_more = False
        self._loop.remove_writer(self._stdin)
        if self._channel is not None:
            self._channel.resume_reading()
        if not self._has_more:
            self._close_stdin()

    def _close_stdin(self) -> None:
        if self._stdin >= 0:
            self._loop.remove_writer(self._stdin)
            os.close(self._stdin)
            self._stdin = -1

    def _on_output(self, descriptor: int) -> None:
        try:
            data = os.read(descriptor, _READ_BYTES)
        except BlockingIOError:
            return
        if not data or self._channel is None:
            self._close_output(descriptor)
            self._finish()
            return
        try:
            self._channel.write(data, self._outputs[descriptor])
        except OSError:
            self.hang_up()  # the client has closed the channel

    def _close_output(self, descriptor: int) -> None:
        self._loop.remove_reader(descriptor)
        del self._outputs[descriptor]
        os.close(descriptor)

    def _finish(self) -> None:
        """Send the exit status once the shell has ended and everything it wrote is on its way."""
        if self._status is None or self._outputs or self._channel is None:
            return
        channel, self._channel = self._channel, None
        if self._status >= 0:
            channel.exit(self._status)
        else:
            channel.exit_with_signal(signal.Signals(-self._status).name.removeprefix("SIG"))
        self._close_stdin()

    def _on_question(self) -> None:
        try:
            data = self._socket.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        *lines, self._question = (self._question + data).split(b"\n")
        for line in lines:
            question = Question.read(line)
            if question is not None:
                task = self._loop.create_task(self._answer(question))
                self._answering.add(task)
                task.add_done_callback(self._answering.discard)
        if not data or len(self._question) > _MAX_QUESTION_BYTES:
            self._loop.remove_reader(self._socket)
            self._socket.close()

    async def _answer(self, question: Question) -> None:
        answer = await self._ask(self.host, question)
        try:
            self._socket.send(question.answered(answer))
        except OSError:
            return  # whoever asked has gone


def environment(host: Host, user: str, stand_ins: Path) -> dict[str, str]:
    """Return the environment of a host's sessions, the stand-ins first in its PATH."""
    return {
        "HOME": str(host.root),
        "LOGNAME": user,
        "PATH": f"{stand_ins}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "PWD": str(host.root),
        "SHELL": _SHELL,
        "USER": user,
    }
