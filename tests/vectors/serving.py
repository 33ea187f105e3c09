"""A mirror over real HTTP, honest or not: what each of its files does when it is asked for.

A file is its bytes, or a `Trick`. Everything that is not there is answered 404. An answer of 200 carries an `ETag`.
"""

from __future__ import annotations

import hashlib
import ssl
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_ENDLESS_S = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Trick:
    """What a file does instead of being served.

    Attributes:
        what: `endless` (spaces without end after the content), `endless-head`, `padded` (spaces after the content up
            to `number` bytes), `slow` (a byte every 50 ms), `status` (answers `number`), `redirect` (302), `short`
            (closes half-way), `not-modified` (304 whatever was asked).
        content: What is served before the trick.
        number: As `what` says.
    """

    what: str
    content: bytes = b""
    number: int = 0


Files = Mapping[str, "bytes | Trick"]


@dataclass
class Site:
    """What a mirror shows at the moment, and what it was asked.

    Attributes:
        asked: Path and status of each answer.
    """

    url: str
    files: Files = field(default_factory=dict[str, "bytes | Trick"])
    asked: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    site: Site

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # a client that hangs up is what is tested


class _Handler(BaseHTTPRequestHandler):
    server: _Server  # type: ignore[assignment] # no other server has this handler
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet an answer

    def do_GET(self) -> None:  # the library's name
        path = self.path.lstrip("/")
        found = self.server.site.files.get(path)
        if isinstance(found, Trick):
            self.close_connection = True
            with suppress(ConnectionError):
                self._play(found)
            return
        etag = "" if found is None else f'"{hashlib.sha256(found).hexdigest()[:32]}"'
        if found is None:
            self._answer(404, b"not found\n", etag)
        elif self.headers.get("If-None-Match") == etag:
            self._answer(304, b"", etag)
        else:
            self._answer(200, found, etag)

    def _answer(self, status: int, content: bytes, etag: str) -> None:
        self.server.site.asked.append((self.path.lstrip("/"), status))
        self.send_response_only(status)
        self.send_header("Date", self.date_time_string())
        if etag:
            self.send_header("ETag", etag)
        if status != 304:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _play(self, trick: Trick) -> None:
        until = time.monotonic() + _ENDLESS_S
        match trick.what:
            case "endless":
                self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n" + trick.content)
                while time.monotonic() < until:
                    self.wfile.write(b" " * 4096)
            case "endless-head":
                self.wfile.write(b"HTTP/1.1 200 OK\r\n")
                while time.monotonic() < until:
                    self.wfile.write(b"X-More: " + b"x" * 4000 + b"\r\n")
            case "slow":
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(trick.content)}\r\n\r\n".encode()
                for byte in head + trick.content:
                    if time.monotonic() > until:
                        return
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
                    time.sleep(0.05)
            case "short":
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(trick.content)}\r\n\r\n".encode()
                self.wfile.write(head + trick.content[: len(trick.content) // 2])
            case "padded":
                self._answer(200, trick.content.ljust(trick.number), "")
            case "not-modified":
                self._answer(304, b"", "")
            case "redirect":
                self.send_response_only(302)
                self.send_header("Location", "/metadata/1.root.json")
                self.end_headers()
            case _:
                self._answer(trick.number, b"no\n", "")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # the library's name
        pass


@contextmanager
def serving(files: Files | None = None, *, context: ssl.SSLContext | None = None) -> Generator[Site]:
    """Serve files on loopback; what is served may be changed through the site."""
    server = _Server(("127.0.0.1", 0), _Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.site = Site(url=f"http://127.0.0.1:{server.server_address[1]}/", files=dict(files or {}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
