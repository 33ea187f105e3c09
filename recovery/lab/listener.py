"""One bound TCP port that takes SSH connections directly, over a slow line, or not at all, and can change that.

While it changes, a connection that comes waits in the kernel's queue; while it takes none, the port is refused and
stays its own.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Coroutine

import asyncssh

from recovery.lab.line import Line, carry

log = logging.getLogger("pulih.lab")

_BACKLOG = 128
_PAUSE_S = 0.1


class Listener:
    """Takes connections at one port.

    Args:
        bound: Bound to it, not listening yet.
    """

    def __init__(self, bound: socket.socket) -> None:
        self._socket = bound
        self._acceptor: asyncssh.SSHAcceptor | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._carried: set[asyncio.Task[None]] = set()

    async def take(self, options: asyncssh.SSHServerConnectionOptions) -> None:
        """Take connections directly."""
        await self._pause()
        self._acceptor = await asyncssh.listen(sock=self._socket, backlog=_BACKLOG, config=None, options=options)

    async def take_over(self, line: Line, options: asyncssh.SSHServerConnectionOptions) -> None:
        """Take connections over a line."""
        await self._pause()
        self._socket.listen(_BACKLOG)
        self._socket.setblocking(False)
        self._accepting = asyncio.get_running_loop().create_task(self._accept(line, options))

    async def refuse(self) -> None:
        """Refuse connections."""
        was_open = self._acceptor is not None or self._accepting is not None
        await self._pause()
        if was_open:
            self._socket.shutdown(socket.SHUT_RDWR)  # it stops listening and stays bound (Linux)

    def cut(self) -> None:
        """Break the connections that are carried over a line."""
        for task in self._carried:
            task.cancel()

    def close(self) -> None:
        """Refuse connections for good, and give the port back."""
        if self._acceptor is not None:
            self._acceptor.close()
        if self._accepting is not None:
            self._accepting.cancel()
        self.cut()
        self._socket.close()

    async def _pause(self) -> None:
        """Have nobody take connections; they go on to queue."""
        if self._acceptor is not None:
            kept = self._socket.dup()  # of the same listening port: the acceptor closes its own
            self._acceptor.close()
            self._acceptor, self._socket = None, kept
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.wait({self._accepting})
            self._accepting = None

    async def _accept(self, line: Line, options: asyncssh.SSHServerConnectionOptions) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                outer, _ = await loop.sock_accept(self._socket)
            except OSError as error:  # no descriptor left, or the client has gone again
                log.warning("a connection was not taken: %s", error)
                await asyncio.sleep(_PAUSE_S)
                continue
            self._begin(_serve_over(line, outer, options))

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._carried.add(task)
        task.add_done_callback(self._carried.discard)


async def _serve_over(line: Line, outer: socket.socket, options: asyncssh.SSHServerConnectionOptions) -> None:
    """Be the SSH server of one connection that comes over a line."""
    outer.setblocking(False)
    outer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    inner, servers = socket.socketpair()
    inner.setblocking(False)
    server = asyncio.get_running_loop().create_task(_serve(servers, options))
    try:
        await carry(line, outer, inner)
    finally:
        server.cancel()  # a login that is waited for will not come; a session has ended with its connection
        await asyncio.gather(server, return_exceptions=True)


async def _serve(connected: socket.socket, options: asyncssh.SSHServerConnectionOptions) -> None:
    await asyncssh.run_server(connected, config=None, options=options)
