"""The lines that misbehave do so, and no more than that."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.chaos.machines import wait_until
from tests.chaos.proxy import End, Line, Proxy, Weather

SENT = bytes(range(256)) * 100
SILENT_S = 0.3
"""How long we listen to a line before we call it silent, seconds."""


class Echo(threading.Thread):
    """A server that sends back what it gets, one connection after the other, and remembers how each ended."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.got: list[int] = []

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def run(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.got.append(0)
            with connection:
                try:
                    while data := connection.recv(65536):
                        self.got[-1] += len(data)
                        connection.sendall(data)
                except ConnectionError:
                    continue


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    server.start()
    yield server
    server.listener.shutdown(socket.SHUT_RDWR)
    server.listener.close()
    server.join()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    with Proxy({"line": echo.port}) as proxy:
        yield proxy


@pytest.fixture
def line(proxy: Proxy) -> Line:
    return proxy.lines["line"]


def connected(line: Line) -> socket.socket:
    return socket.create_connection(("127.0.0.1", line.port), timeout=10)


def received(connection: socket.socket, size: int) -> bytes:
    """Return what comes back: that many bytes, or fewer when the connection is closed."""
    data = b""
    while len(data) < size and (part := connection.recv(size - len(data))):
        data += part
    return data


def exchanged(connection: socket.socket) -> None:
    """Send everything, and read up to an end that is not told by an error."""
    connection.sendall(SENT)
    while connection.recv(65536):
        pass


def falls_silent(connection: socket.socket) -> bool:
    """Whether nothing comes any more, not even an end."""
    connection.settimeout(SILENT_S)
    try:
        while connection.recv(65536):
            pass
    except TimeoutError:
        return True
    return False


@pytest.mark.parametrize(
    "weather", [Weather(), Weather(latency_s=0.05), Weather(bytes_per_s=200_000)], ids=["fair", "far", "narrow"]
)
def test_a_line_carries_everything_in_its_order(line: Line, weather: Weather) -> None:
    line.weather = weather
    with connected(line) as connection:
        connection.sendall(SENT)
        assert received(connection, len(SENT)) == SENT
    assert line.longest == len(SENT)
    assert line.ended == 0


def test_the_end_of_one_side_is_told_to_the_other(line: Line) -> None:
    with connected(line) as connection:
        connection.sendall(b"before the end")
        assert received(connection, 14) == b"before the end"
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""


@pytest.mark.parametrize("after", [0, 10_000])
def test_a_reset_is_a_reset_and_no_more_passes_than_it_says(line: Line, echo: Echo, after: int) -> None:
    line.weather = Weather(end=End.RESET, after_bytes=after)
    with pytest.raises(ConnectionError), connected(line) as connection:
        exchanged(connection)
    assert line.ended == 1
    assert sum(echo.got) <= after


@pytest.mark.parametrize("after", [0, 10_000])
def test_a_silent_line_tells_nobody_until_it_is_mended(proxy: Proxy, line: Line, echo: Echo, after: int) -> None:
    line.weather = Weather(end=End.SILENCE, after_bytes=after)
    with connected(line) as connection:
        connection.sendall(SENT)
        wait_until(lambda: line.ended == 1, "silence")
        assert falls_silent(connection)
        assert sum(echo.got) <= after
        proxy.clear()
        with pytest.raises(ConnectionResetError):
            received(connection, 1)
    with connected(line) as connection:
        connection.sendall(b"again")
        assert received(connection, 5) == b"again"


def test_nothing_is_left_of_a_proxy_that_is_closed_while_it_carries(echo: Echo) -> None:
    threads = set(threading.enumerate())
    with Proxy({"line": echo.port}) as proxy:
        connection = connected(proxy.lines["line"])
        connection.sendall(b"half a word")
        received(connection, 11)
    with connection, pytest.raises(ConnectionResetError):
        received(connection, 1)
    assert set(threading.enumerate()) <= threads
    with pytest.raises(ConnectionRefusedError):
        connected(proxy.lines["line"])
