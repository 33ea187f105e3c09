"""The live page's server, asked by hand: it answers who knows the token, by its own name, to read, and few at once."""

from __future__ import annotations

import http.client
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import pytest

from recovery.cli.serving import MAX_CONNECTIONS, MAX_HEAD_BYTES
from tests.cli_world import Units, small_estate
from tests.drill.watching import PULIH


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A live page: where it is, and the journal that it shows."""

    port: int
    path: str
    journal: Path

    def ask(self, path: str | None = None, method: str = "GET", **headers: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, self.path if path is None else path, headers=headers)
        return connection.getresponse()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("serving")
    patch = pytest.MonkeyPatch()
    patch.delenv("PULIH_STATE", raising=False)
    estate = small_estate(folder)
    Units(estate).install(patch)
    from recovery.cli.main import main

    assert main(["apply", "--estate", str(estate), "--output", "json"]) == 0
    patch.undo()
    (journal,) = (folder / ".pulih" / "runs").glob("*/journal.jsonl")
    process = subprocess.Popen(
        [*PULIH, "watch", "--serve", "localhost:0", "--estate", str(estate)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        url: SplitResult = urlsplit(str(process.stdout.readline().strip()))
        assert url.port is not None
        yield Served(port=url.port, path=url.path, journal=journal)
    finally:
        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate(timeout=120)
        shutil.rmtree(folder)
    assert (process.returncode, complaints) == (0, "whoever has this address can watch; Ctrl-C ends it\n")


def test_the_page_comes_with_a_policy_and_is_not_kept(served: Served) -> None:
    answer = served.ask()
    assert answer.status == 200
    assert b"3 of 3 units verified" in answer.read()
    policy = answer.getheader("Content-Security-Policy", "")
    assert policy.startswith("default-src 'none'; ")
    assert "connect-src 'self'" in policy
    assert policy.endswith("frame-ancestors 'none'")
    assert "unsafe" not in policy
    assert answer.getheader("Cache-Control") == "no-store"
    assert answer.getheader("Access-Control-Allow-Origin") is None


@pytest.mark.parametrize("path", ["/", "/events", "/x/", "/x/events", "/%00/"])
def test_without_the_token_there_is_nothing(served: Served, path: str) -> None:
    answer = served.ask(path)
    assert answer.status == 404
    assert served.path.strip("/").encode() not in answer.read()


def test_nothing_stands_beside_the_page(served: Served) -> None:
    assert served.ask(f"{served.path}../etc/passwd").status == 404
    assert served.ask(served.path.rstrip("/")).getheader("Location") == served.path


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "localhost.evil.example"])
def test_another_name_is_not_ours(served: Served, host: str) -> None:
    assert served.ask(Host=host).status == 421
    assert served.ask(Host=f"localhost:{served.port}").status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "HEAD"])
def test_it_can_only_be_read(served: Served, method: str) -> None:
    before = served.journal.read_bytes()
    assert served.ask(method=method).status == 405
    assert served.journal.read_bytes() == before


@pytest.mark.parametrize(
    "asked", [b"rubbish\r\n\r\n", b"GET /\r\n\r\n", b"\x00\xff\r\n\r\n", b"A" * (2 * MAX_HEAD_BYTES)]
)
def test_who_does_not_speak_http_is_left(served: Served, asked: bytes) -> None:
    with socket.create_connection(("127.0.0.1", served.port), timeout=30) as connection:
        connection.sendall(asked)
        with suppress(ConnectionResetError):  # it was left before it had said all
            assert connection.recv(1) == b""
    assert served.ask().status == 200


def test_a_browser_of_another_version_is_told_to_load_the_page_again(served: Served) -> None:
    assert served.ask(f"{served.path}events?after=77").read() == b"event: reload\ndata: -\n\n"
    assert served.ask(f"{served.path}events?after=1", **{"Last-Event-ID": "77"}).fp.readline() == b"event: reload\n"


def test_few_watch_at_once_and_the_next_is_told_so(served: Served) -> None:
    watchers = [served.ask(f"{served.path}events?after=1") for _ in range(MAX_CONNECTIONS)]
    assert served.ask().status == 503
    for watcher in watchers:
        assert watcher.fp.readline() == b":\n"
        watcher.close()
