"""moto's S3 on loopback, made as atomic as S3 promises to be, and told to misbehave.

moto looks whether a condition holds and writes in two steps, between which another request may come; here one request
follows the other.
"""

from __future__ import annotations

import http.client
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from itertools import count
from types import TracebackType
from typing import Any, Self

import pytest
from moto.moto_server.werkzeug_app import (  # pyright: ignore[reportMissingTypeStubs] - moto ships none of it
    DomainDispatcherApplication,
    create_backend_app,
)
from werkzeug.serving import WSGIRequestHandler, make_server

KEY_ID, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
"""Source: AWS's own documentation, where they are the example."""
_BUCKETS = count(1)


class _Quiet(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing."""


class Server:
    """An S3 server; a context manager.

    Attributes:
        endpoint: Its URL.
        requests: Method and path of each request.
        lose: How many of the next writes are done and not answered: the connection breaks.
        fail: How many of the next writes are done and answered with 503.
        refuse: How many of the next writes are not done and answered with 409, as S3 does in a race.
        keeps_conditions: False writes whatever was asked for.
        latency_s: How long each answer takes.
        page: How many names one answer lists at most; 0 leaves it to S3.
        error: Code and status that every request is answered with, when there is one.
    """

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.lose = self.fail = self.refuse = 0
        self.keeps_conditions = True
        self.latency_s = 0.0
        self.page = 0
        self.error: tuple[str, int] | None = None
        self._app: Any = DomainDispatcherApplication(create_backend_app)
        self._one_at_a_time = threading.Lock()
        self._server = make_server("127.0.0.1", 0, self, threaded=True, request_handler=_Quiet)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def writes(self) -> int:
        """Return how many writes of documents there were; the store's own check is none."""
        return sum(request.startswith("PUT ") and "/leases/" in request for request in self.requests)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        is_write = environ["REQUEST_METHOD"] == "PUT" and "/leases/" in environ["PATH_INFO"]
        self.requests.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}")
        time.sleep(self.latency_s)
        if self.error is not None:
            return _answer(start_response, *self.error)
        if not self.keeps_conditions:
            environ = {
                key: value for key, value in environ.items() if key not in ("HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH")
            }
        if self.page and "list-type=2" in environ["QUERY_STRING"]:
            environ["QUERY_STRING"] += f"&max-keys={self.page}"
        with self._one_at_a_time:
            if is_write and self.refuse:
                self.refuse -= 1
                return _answer(start_response, "ConditionalRequestConflict", 409)
            answer: list[bytes] = list(self._app(environ, start_response))
            if is_write and self.lose:
                self.lose -= 1
                environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
                raise ConnectionResetError
            if is_write and self.fail:
                self.fail -= 1
                return _answer(start_response, "SlowDown", 503)
        return answer


def _answer(start_response: Callable[..., Any], code: str, status: int) -> list[bytes]:
    message = f"The key {KEY_ID} may not; we calculated the signature with {SECRET}"
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
    start_response(f"{status} X", [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
    return [body]


def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this test's clients find credentials, and none of this machine's own settings."""
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)


def new_bucket(server: Server) -> str:
    """Make a bucket and return its name."""
    name = f"leases-{next(_BUCKETS)}"
    with closing(http.client.HTTPConnection(server.endpoint.removeprefix("http://"), timeout=10)) as connection:
        connection.request("PUT", f"/{name}")  # moto looks at no signature
        assert connection.getresponse().status == 200
    return name
