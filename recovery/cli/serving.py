"""Serves a live page on this machine: GET only, to who knows the token, at a loopback address under its own name.

A page of another site can make a browser ask us, even by a name that it has pointed here (DNS rebinding). It does not
know the token, and its name is not ours. Source: Fetch Standard; OWASP on DNS rebinding.
"""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import parse_qs, urlsplit

from recovery.cli.liveview import LiveView
from recovery.cli.output import note, say
from recovery.errors import PlanError, RefusedError
from recovery.report.as_html import policy

MAX_CONNECTIONS = 16
"""At once; a browser holds one for each page that it shows."""

MAX_HEAD_BYTES = 8192
PATIENCE_S = 10.0
"""How long a browser may take to ask, or to take what it is sent, seconds."""

REFRESH_S = 0.5
"""How often the page is looked at while somebody watches, seconds."""

REST = 4
"""The view rests this many times as long as it worked, so that it costs the run at most a fifth of a core."""

BEAT_S = 5.0
"""Longest silence towards a browser, seconds."""


def socket_at(place: str) -> socket.socket:
    """Listen at a place such as `127.0.0.1:8080`.

    Raises:
        PlanError: It is not an address and a port.
        RefusedError: The address is not a loopback one.
        OSError: The port is taken.
    """
    host, _, port = place.rpartition(":")
    host = "127.0.0.1" if host == "localhost" else host.strip("[]")
    try:
        address, number = ipaddress.ip_address(host), int(port)
    except ValueError:
        raise PlanError(f"--serve {place}: expected an address and a port, such as 127.0.0.1:8080") from None
    if not 0 <= number <= 65535:
        raise PlanError(f"--serve {place}: a port is 0 to 65535")
    if not address.is_loopback:
        raise RefusedError(
            f"--serve {place}: that address can be reached from other machines. Give a loopback one, and let others in "
            "through SSH: ssh -L 8080:127.0.0.1:8080 THIS-MACHINE"
        )
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    return socket.create_server((host, number), family=family)


def serve(view: LiveView, listener: socket.socket) -> int:
    """Serve a view until Ctrl-C.

    Raises:
        BrokenRecordError: The journal was edited.
    """
    asyncio.run(_Server(view, listener).run())
    return 0


class _Server:
    def __init__(self, view: LiveView, listener: socket.socket) -> None:
        self._view = view
        self._listener = listener
        host, port = listener.getsockname()[:2]
        self._name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._hosts = {self._name, f"localhost:{port}"}
        self._token = secrets.token_urlsafe(24)
        self._connections: set[asyncio.Task[None] | None] = set()
        self._watchers = 0
        self._news = asyncio.Condition()

    async def run(self) -> None:
        """Serve until Ctrl-C, then close every connection."""
        loop, enough = asyncio.get_running_loop(), asyncio.Event()
        loop.add_signal_handler(signal.SIGINT, enough.set)
        server = await asyncio.start_server(self._connected, sock=self._listener, limit=MAX_HEAD_BYTES)
        say(f"http://{self._name}/{self._token}/")
        sys.stdout.flush()
        note("whoever has this address can watch; Ctrl-C ends it")
        rendering = asyncio.create_task(self._keep_up())
        ended = asyncio.create_task(enough.wait())
        try:
            await asyncio.wait([rendering, ended], return_when=asyncio.FIRST_COMPLETED)
            if rendering.done():
                rendering.result()
        finally:
            loop.remove_signal_handler(signal.SIGINT)
            server.close()
            connections = [task for task in self._connections if task is not None]
            for task in (rendering, ended, *connections):
                task.cancel()
            await asyncio.gather(rendering, ended, *connections, return_exceptions=True)

    async def _keep_up(self) -> None:
        """Look for news while somebody watches."""
        loop = asyncio.get_running_loop()
        while True:
            spent_s = 0.0
            if self._watchers:
                began = loop.time()
                await self._refresh()
                spent_s = loop.time() - began
            await asyncio.sleep(max(REFRESH_S, REST * spent_s))

    async def _refresh(self) -> None:
        self._view.refresh()
        async with self._news:
            self._news.notify_all()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._connections.add(task)
        try:
            if len(self._connections) > MAX_CONNECTIONS:
                await _answer(writer, "503 Service Unavailable", "too many watch already\n")
            else:
                await self._converse(reader, writer)
        except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asked has gone, dawdles, or does not speak HTTP
        except asyncio.CancelledError:
            pass  # the server ends, and this is the outermost of the connection
        finally:
            self._connections.discard(task)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE_S)
        first, *rest = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
        if method != "GET":
            await _answer(writer, "405 Method Not Allowed", "this page can only be read\n", {"Allow": "GET"})
        elif headers.get("host") not in self._hosts:
            await _answer(writer, "421 Misdirected Request", "not by this name\n")
        else:
            await self._show(writer, target, headers)

    async def _show(self, writer: asyncio.StreamWriter, target: str, headers: Mapping[str, str]) -> None:
        asked = urlsplit(target)
        token, _, rest = asked.path.removeprefix("/").partition("/")
        if not secrets.compare_digest(token.encode(), self._token.encode()) or rest not in ("", "events"):
            await _answer(writer, "404 Not Found", "nothing here\n")
        elif rest == "events":
            after = headers.get("last-event-id") or parse_qs(asked.query).get("after", ["-1"])[0]
            await self._stream(writer, int(after))
        elif asked.path.endswith("/"):
            self._view.refresh()
            safe = {"Content-Security-Policy": f"{policy(self._view.script)}; frame-ancestors 'none'"}
            await _answer(writer, "200 OK", self._view.page(), safe, kind="text/html; charset=utf-8")
        else:
            await _answer(writer, "301 Moved Permanently", "", {"Location": f"/{self._token}/"})

    async def _stream(self, writer: asyncio.StreamWriter, version: int) -> None:
        """Send changes as they come (server-sent events), for as long as the browser listens."""
        writer.write(_head("200 OK", "text/event-stream", {}))
        self._watchers += 1
        try:
            while True:
                changes = self._view.since(version)
                if changes is None:
                    await _send(writer, "event: reload\ndata: -\n\n")
                    return
                if changes:
                    version = changes[-1][0]
                messages = [f"id: {number}\ndata: {change}\n\n" for number, change in changes]
                await _send(writer, "".join(messages) or ":\n\n")
                await self._news_behind(version)
        finally:
            self._watchers -= 1

    async def _news_behind(self, version: int) -> None:
        """Wait for a version behind this one, or for as long as a browser may hear nothing."""
        with suppress(TimeoutError):
            async with asyncio.timeout(BEAT_S), self._news:
                await self._news.wait_for(lambda: self._view.version != version)


async def _answer(
    writer: asyncio.StreamWriter,
    status: str,
    text: str,
    more: Mapping[str, str] | None = None,
    *,
    kind: str = "text/plain; charset=utf-8",
) -> None:
    body = text.encode("utf-8", "backslashreplace")
    writer.write(_head(status, kind, {"Content-Length": str(len(body)), **(more or {})}))
    writer.write(body)
    await asyncio.wait_for(writer.drain(), PATIENCE_S)


async def _send(writer: asyncio.StreamWriter, text: str) -> None:
    writer.write(text.encode())
    await asyncio.wait_for(writer.drain(), PATIENCE_S)


def _head(status: str, kind: str, more: Mapping[str, str]) -> bytes:
    headers = {
        "Content-Type": kind,
        "Cache-Control": "no-store",
        "Connection": "close",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        **more,
    }
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
