"""SSH packets over a stream: paramiko's own, read with few system calls and under a deadline."""

# paramiko's stubs know sockets only, and fewer types of bytes than it takes.
# pyright: reportArgumentType=false, reportIncompatibleMethodOverride=false

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol

import paramiko
from paramiko.packet import Packetizer
from typing_extensions import override

from recovery.transport.deadline import Deadline

RECEIVE_BYTES = 32 * 1024
MAX_PACKET_BYTES = 256 * 1024
"""Longest packet that is taken in. Source: OpenSSH, PACKET_MAX_SIZE in packet.h."""

MAX_BANNER_BYTES = 64 * 1024
"""Most that a server may say before its version line."""


class Stream(Protocol):
    """A socket, or what stands for one when the connection goes through a bastion."""

    def recv(self, size_bytes: int, /) -> bytes:
        """Return what has come, at most so much; nothing when it is over."""
        ...

    def send(self, data: bytes, /) -> int:
        """Send a part of it, and return how much."""
        ...

    def settimeout(self, timeout_s: float | None, /) -> None:
        """Have both wait at most so long, and raise `TimeoutError` then; None waits for ever."""
        ...

    def close(self) -> None:
        """Give it back."""
        ...


class Packets(Packetizer):
    """paramiko's packets, read with few system calls and under a deadline."""

    def __init__(self, stream: Stream) -> None:
        super().__init__(stream)
        self.deadline: Deadline | None = None
        self._stream = stream
        self._received = b""

    @override
    def readline(self, timeout: float) -> str:
        while b"\n" not in self._received:
            if len(self._received) > MAX_BANNER_BYTES:
                raise paramiko.SSHException("it talks without end and is no SSH server")
            self._receive()
        line, _, self._received = self._received.partition(b"\n")
        return line.rstrip(b"\r").decode(errors="replace")

    @override
    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        if n > MAX_PACKET_BYTES:
            raise paramiko.SSHException(f"it announced a packet of {n} bytes")
        while len(self._received) < n:
            self._receive()
        data, self._received = self._received[:n], self._received[n:]
        return data

    @override
    def write_all(self, out: bytes) -> None:
        while out:
            self._set_timeout()
            with self._expiring():
                sent = self._stream.send(out)
            if sent == 0:
                raise EOFError
            out = out[sent:]

    def has_arrived(self) -> bool:
        """Whether bytes are here that no packet has been made of yet."""
        if not self._received:
            self._stream.settimeout(0.0)
            try:
                received = self._stream.recv(RECEIVE_BYTES)
            except (BlockingIOError, TimeoutError):
                return False
            if not received:
                raise EOFError
            self._received = received
        return True

    def _receive(self) -> None:
        self._set_timeout()
        with self._expiring():
            received = self._stream.recv(RECEIVE_BYTES)
        if not received:
            raise EOFError
        self._received += received

    def _set_timeout(self) -> None:
        self._stream.settimeout(self.deadline.remaining_s() if self.deadline else None)

    @contextmanager
    def _expiring(self) -> Generator[None]:
        try:
            yield
        except TimeoutError as error:
            # with an errno it is the kernel that gave up, not we
            if self.deadline is None or error.errno is not None:
                raise
            raise self.deadline.expired() from error
