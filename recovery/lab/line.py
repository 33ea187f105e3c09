"""The line of an office: how long a byte is on its way, how many go a second, and connections carried over it.

What it is: a delay and a rate of bytes, in each direction, inside the lab process, so that a round trip costs twice the
latency. What it is not: a network. A TCP connection comes about at once, nothing is lost, and what the kernel's buffers
at either end take is not seen.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass, field

_MAX_CHUNK_BYTES = 4096
_MIN_CHUNK_BYTES = 128
_CHUNKS_ON_THE_WAY = 64
"""With the size of a chunk, the most that one connection may have on its way in a direction: 256 KiB."""
_CHUNK_S = 0.05
"""On a slow line a chunk is what goes through in so long, so that those who share it take turns."""


@dataclass(slots=True)
class Lane:
    """One direction of a line, which everything that goes that way shares.

    Attributes:
        free_at_s: From when it takes more, seconds of the event loop's clock.
    """

    free_at_s: float = 0.0


@dataclass(slots=True, eq=False)
class Line:
    """The line of one office, shared by all its hosts.

    Attributes:
        latency_ms: How long a byte is on its way, in each direction, milliseconds.
        kbit_s: Rate in each direction, thousands of bits a second; 0 is as fast as it goes.
        up: From the office.
        down: To the office.
    """

    latency_ms: int = 0
    kbit_s: int = 0
    up: Lane = field(default_factory=Lane)
    down: Lane = field(default_factory=Lane)

    @property
    def is_slow(self) -> bool:
        """Whether it delays anything."""
        return self.latency_ms > 0 or self.kbit_s > 0

    @property
    def chunk_bytes(self) -> int:
        """How much is taken from a connection at once."""
        if self.kbit_s == 0:
            return _MAX_CHUNK_BYTES
        return max(_MIN_CHUNK_BYTES, min(_MAX_CHUNK_BYTES, int(self.kbit_s * 125 * _CHUNK_S)))

    def change(self, latency_ms: int, kbit_s: int) -> None:
        """Have other values from now on; connections that are carried over it already feel them too."""
        self.latency_ms, self.kbit_s = latency_ms, kbit_s
        self.up.free_at_s = self.down.free_at_s = 0.0

    def departure_s(self, lane: Lane, size_bytes: int, now_s: float) -> float:
        """Put so many bytes on a lane, behind what is there, and return when the last of them has left."""
        lane.free_at_s = max(lane.free_at_s, now_s)
        if self.kbit_s:
            lane.free_at_s += size_bytes / (self.kbit_s * 125)
        return lane.free_at_s

    async def cross(self, lane: Lane, size_bytes: int) -> None:
        """Wait as long as so many bytes take from one end to the other."""
        if not self.is_slow:
            return
        departure_s = self.departure_s(lane, size_bytes, asyncio.get_running_loop().time())
        await _until(departure_s + self.latency_ms / 1000)


async def carry(line: Line, outer: socket.socket, inner: socket.socket) -> None:
    """Carry a connection over a line until both directions have ended, or it breaks; then close both sockets.

    Args:
        line: The line.
        outer: Towards the office's clients: what is read there goes to the office, down the line.
        inner: Towards the host.
    """
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_carry_one_way(line, line.down, outer, inner))
            group.create_task(_carry_one_way(line, line.up, inner, outer))
    except* OSError:
        pass  # one side is gone, and with it the connection
    finally:
        outer.close()
        inner.close()


async def _carry_one_way(line: Line, lane: Lane, source: socket.socket, sink: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    on_the_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_CHUNKS_ON_THE_WAY)
    async with asyncio.TaskGroup() as group:
        group.create_task(_deliver(on_the_way, sink))
        data = b"something"
        while data:
            data = await loop.sock_recv(source, line.chunk_bytes)
            departure_s = line.departure_s(lane, len(data), loop.time())
            await on_the_way.put((departure_s + line.latency_ms / 1000, data))
            await _until(departure_s)


async def _deliver(on_the_way: asyncio.Queue[tuple[float, bytes]], sink: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    while True:
        arrival_s, data = await on_the_way.get()
        await _until(arrival_s)
        if not data:
            sink.shutdown(socket.SHUT_WR)
            return
        await loop.sock_sendall(sink, data)


async def _until(moment_s: float) -> None:
    await asyncio.sleep(max(0.0, moment_s - asyncio.get_running_loop().time()))
