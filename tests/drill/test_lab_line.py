"""Connections that are carried over an office's line, with a real clock and real sockets."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable

from recovery.lab.line import Line, carry

LATENCY_S = 0.1
Use = Callable[[socket.socket, socket.socket], Awaitable[None]]


def carried(line: Line, use: Use) -> None:
    """Use the two far ends of a connection that a line carries: the client's and the host's."""

    async def main() -> None:
        client, outer = socket.socketpair()
        inner, host = socket.socketpair()
        for end in (client, outer, inner, host):
            end.setblocking(False)
        carrying = asyncio.create_task(carry(line, outer, inner))
        try:
            await asyncio.wait_for(use(client, host), 10)
        finally:
            client.close()
            host.close()
            await asyncio.wait_for(carrying, 5)
            assert (outer.fileno(), inner.fileno()) == (-1, -1)

    asyncio.run(main())


async def read(source: socket.socket, size_bytes: int) -> bytes:
    loop, data = asyncio.get_running_loop(), b""
    while len(data) < size_bytes and (part := await loop.sock_recv(source, size_bytes)):
        data += part
    return data


def test_a_byte_takes_the_latency_in_each_direction() -> None:
    async def use(client: socket.socket, host: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        for sender, receiver in ((client, host), (host, client)):
            began = time.monotonic()
            await loop.sock_sendall(sender, b"x")
            assert await read(receiver, 1) == b"x"
            assert LATENCY_S <= time.monotonic() - began < 2

    carried(Line(latency_ms=100), use)


def test_what_follows_closely_pays_the_latency_once() -> None:
    chunks = 20

    async def use(client: socket.socket, host: socket.socket) -> None:
        began = time.monotonic()
        size_bytes = chunks * Line().chunk_bytes
        sending = asyncio.create_task(asyncio.get_running_loop().sock_sendall(client, bytes(size_bytes)))
        assert await read(host, size_bytes) == bytes(size_bytes)
        await sending
        assert time.monotonic() - began < (chunks - 5) * LATENCY_S, "one after the other would take 20"

    carried(Line(latency_ms=100), use)


def test_much_goes_at_the_rate_and_arrives_whole_and_in_order() -> None:
    data = bytes(range(256)) * 100

    async def use(client: socket.socket, host: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        began = time.monotonic()
        sending = asyncio.create_task(loop.sock_sendall(client, data))
        assert await read(host, len(data)) == data
        await sending
        assert 0.4 <= time.monotonic() - began < 4  # 25,600 bytes at 64,000 a second

    carried(Line(kbit_s=512), use)


def test_two_connections_share_the_rate() -> None:
    line = Line(kbit_s=512)

    async def main() -> float:
        loop = asyncio.get_running_loop()
        began = time.monotonic()

        async def one() -> None:
            client, outer = socket.socketpair()
            inner, host = socket.socketpair()
            for end in (client, outer, inner, host):
                end.setblocking(False)
            carrying = asyncio.create_task(carry(line, outer, inner))
            await loop.sock_sendall(client, bytes(12_800))
            await read(host, 12_800)
            client.close()
            host.close()
            await carrying

        await asyncio.gather(one(), one())
        return time.monotonic() - began

    assert 0.4 <= asyncio.run(asyncio.wait_for(main(), 10)) < 4


def test_the_end_of_one_direction_is_carried_and_the_other_goes_on() -> None:
    async def use(client: socket.socket, host: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        client.shutdown(socket.SHUT_WR)
        assert await loop.sock_recv(host, 1) == b""
        await loop.sock_sendall(host, b"still here")
        assert await read(client, 10) == b"still here"

    carried(Line(latency_ms=1), use)


def test_whoever_sends_without_end_to_one_who_does_not_read_is_held_up() -> None:
    async def use(client: socket.socket, host: socket.socket) -> None:
        assert host.fileno() >= 0
        sent, idle = 0, 0
        while idle < 20 and sent < 50_000_000:
            try:
                sent += client.send(bytes(65_536))
                idle = 0
            except BlockingIOError:
                idle += 1
            await asyncio.sleep(0.01)
        # What the kernel's four buffers hold, and at most 256 KiB on the way.
        assert sent < 2_000_000

    carried(Line(latency_ms=1), use)
