"""Lines that misbehave on demand: a TCP proxy on loopback, slow, narrow, cut off or silent, one port a line.

Runs an event loop of its own in a thread, so that whoever uses it may block. What a line does is set at any moment and
holds for what comes next. Knows bytes only; nothing of SSH.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Any, Self, TypeVar

CHUNK = 4096
AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER with no time to linger: closing sends RST. Source: socket(7), tcp(7)."""

T = TypeVar("T")


class End(StrEnum):
    """How a line ends while it is in use."""

    RESET = "reset"
    SILENCE = "silence"
    """Nothing passes any more and nobody is told: no FIN, no RST."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """What a line does.

    Attributes:
        latency_s: Each way, seconds.
        bytes_per_s: Most that passes a second, each way of each connection; None for as much as it can.
        end: How each connection ends; None for not at all.
        after_bytes: How much passes towards the server before that; 0 means that the server is never reached.
    """

    latency_s: float = 0.0
    bytes_per_s: int | None = None
    end: End | None = None
    after_bytes: int = 0


FAIR = Weather()


class Line:
    """One port that leads to another.

    Attributes:
        weather: What it does from now on.
        port: Where it listens.
        longest: The most bytes that one connection has sent towards the server.
        ended: How many connections the weather has ended.
    """

    def __init__(self, target: int) -> None:
        self.weather = FAIR
        self.port = 0
        self.longest = 0
        self.ended = 0
        self._target = target
        self._open: set[asyncio.StreamWriter] = set()
        self._dead: set[asyncio.StreamWriter] = set()

    async def serve(self) -> asyncio.Server:
        """Begin to listen."""
        server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.port = int(server.sockets[0].getsockname()[1])
        return server

    async def clear(self) -> None:
        """Let the ends of what fell silent know, as a machine does that comes back and remembers no connection."""
        self.weather = FAIR
        for writer in self._dead:
            _reset(writer)
        self._dead.clear()

    async def close(self) -> None:
        """End every connection."""
        await self.clear()
        for writer in self._open:
            _reset(writer)

    async def _carry(self, near: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        if self.weather.end is not None and self.weather.after_bytes == 0:
            self._end(client)
            return
        try:
            far, server = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            _reset(client)
            return
        both = {client, server}
        self._open |= both
        ways = [
            asyncio.create_task(self._pass(near, server, client, is_up=True)),
            asyncio.create_task(self._pass(far, client, server, is_up=False)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        self._open -= both
        if not both & self._dead:
            client.close()
            server.close()

    def _end(self, *writers: asyncio.StreamWriter) -> None:
        self.ended += 1
        if self.weather.end is End.SILENCE:
            # A reader that is never read from again: the kernel takes some more bytes, and nobody answers.
            self._dead |= set(writers)
            return
        for writer in writers:
            _reset(writer)

    async def _pass(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, other: asyncio.StreamWriter, *, is_up: bool
    ) -> None:
        """Carry one way, until its source ends or the weather ends both."""
        due: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        delivering = asyncio.create_task(self._deliver(due, sink))
        clock = asyncio.get_running_loop().time
        passed = 0
        try:
            with suppress(ConnectionError):
                while chunk := await source.read(CHUNK):
                    weather = self.weather
                    if is_up and weather.end is not None and passed + len(chunk) > weather.after_bytes:
                        self._end(sink, other)
                        return
                    passed += len(chunk)
                    if is_up:
                        self.longest = max(self.longest, passed)
                    if sink in self._dead:
                        continue
                    due.put_nowait((clock() + weather.latency_s, chunk))
                due.put_nowait((clock() + self.weather.latency_s, b""))
                await delivering
        finally:
            delivering.cancel()

    async def _deliver(self, due: asyncio.Queue[tuple[float, bytes]], sink: asyncio.StreamWriter) -> None:
        clock = asyncio.get_running_loop().time
        with suppress(ConnectionError):
            while True:
                moment, chunk = await due.get()
                await asyncio.sleep(moment - clock())
                if not chunk:
                    return
                if self.weather.bytes_per_s is not None:
                    await asyncio.sleep(len(chunk) / self.weather.bytes_per_s)
                sink.write(chunk)
                await sink.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
    writer.transport.abort()


class Proxy:
    """Some lines; a context manager.

    Attributes:
        lines: By name.
    """

    def __init__(self, targets: dict[str, int]) -> None:
        """Listen for each of these ports of this machine."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.lines = {name: Line(port) for name, port in targets.items()}
        self._servers = [self._do(line.serve()) for line in self.lines.values()]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def clear(self) -> None:
        """Make every line fair again, and end what fell silent."""
        for line in self.lines.values():
            self._do(line.clear())

    def close(self) -> None:
        """End every line and the thread."""
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        for server in self._servers:
            server.close()
        for line in self.lines.values():
            await line.close()
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}), return_exceptions=True)

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)
