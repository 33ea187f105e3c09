"""Shows a mirror's folder over HTTP, as a web server would: with an `ETag`, and 304 for who has the file already."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from recovery.files import read_regular

_MAX_BYTES = 1 << 20


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    folder: Path


class _Handler(BaseHTTPRequestHandler):
    server: _Server  # type: ignore[assignment] # no other server has this handler
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet an answer

    def do_GET(self) -> None:  # the library's name
        path = self.server.folder / self.path.lstrip("/")
        try:
            if not path.resolve().is_relative_to(self.server.folder):
                raise PermissionError(path)
            content = read_regular(path, _MAX_BYTES)
        except (OSError, ValueError):
            self._answer(404, b"", "")
            return
        etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        if self.headers.get("If-None-Match") == etag:
            self._answer(304, b"", etag)
        else:
            self._answer(200, content, etag)

    def _answer(self, status: int, content: bytes, etag: str) -> None:
        self.send_response_only(status)
        if etag:
            self.send_header("ETag", etag)
        if status != 304:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # the library's name
        pass


@contextmanager
def shown(folder: Path) -> Generator[str]:
    """Show a folder at a loopback address, and return that."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.folder = folder.resolve()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
