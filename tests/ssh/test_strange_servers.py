"""What answers at a unit's address may be anything: nobody, something else, or somebody who wishes us ill."""

from __future__ import annotations

import asyncio
import random
import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from recovery.errors import CommandTimeoutError, HostKeyError, UnreachableError
from recovery.model.estate import Login, Timeouts, UnitName
from recovery.transport.base import Target
from recovery.transport.ssh import SshTransport
from tests.keys import new_key
from tests.ssh.talking import deaf, once, quick, talk

HOST_KEY = new_key().public


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return new_key().write(tmp_path / "key")


def at(port: int) -> Target:
    return Target(
        name=UnitName("unit"),
        login=Login(address="127.0.0.1", port=port, user="pulih", host_key=HOST_KEY),
        bastion=None,
        timeouts=Timeouts(connect_s=2, step_s=2, unit_s=10, retries=0),
    )


@contextmanager
def server(answer: Callable[[socket.socket], None]) -> Generator[Target]:
    """Serve every connection with `answer`, one after the other, and yield where."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, suppress(OSError):
                        answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield at(int(listener.getsockname()[1]))
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def says(data: bytes) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        connection.sendall(data)
        connection.settimeout(5)
        while connection.recv(65536):
            continue

    return answer


def hangs_up(connection: socket.socket) -> None:
    connection.recv(1)


def talks_for_ever(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"welcome to the unit\r\n" * 1000)


def never_ends_its_line(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"x" * 65536)


def test_an_address_behind_a_firewall_that_drops_is_unreachable_in_time(key: Path) -> None:
    began_s = time.monotonic()
    with deaf() as port, pytest.raises(UnreachableError, match=r"^unit: no answer within 1 s while connecting"):
        once(key, quick(at(port), connect_s=1))
    assert time.monotonic() - began_s < 3


def test_the_limit_of_the_whole_holds_while_connecting(key: Path) -> None:
    began_s = time.monotonic()
    with deaf() as port, pytest.raises(CommandTimeoutError, match=r"^unit: not done within 0.5 s, last seen conn"):
        once(key, at(port), within_s=0.5)
    assert time.monotonic() - began_s < 2


def test_cancelling_ends_the_wait_for_a_connection_at_once(key: Path) -> None:
    async def main(target: Target) -> float:
        transport = SshTransport(ssh_key=key)
        task = asyncio.create_task(talk(transport, target))
        await asyncio.sleep(0.3)
        began_s = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await transport.close()
        return time.monotonic() - began_s

    with deaf() as port:
        assert asyncio.run(main(quick(at(port), connect_s=20))) < 2


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param(says(b""), "no answer within 2 s while waiting for its SSH version", id="silent"),
        pytest.param(hangs_up, "the (other side closed the connection|connection broke)", id="hangs up"),
        pytest.param(says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "while waiting for its SSH version", id="web server"),
        pytest.param(says(b"SSH-1.5-old\r\n"), "it speaks 'SSH-1.5-old', not SSH 2.0", id="SSH 1"),
        pytest.param(talks_for_ever, "it talks without end", id="endless banner"),
        pytest.param(never_ends_its_line, "it talks without end", id="endless line"),
        pytest.param(
            says(b"SSH-2.0-x\r\n"), "no answer within 2 s while exchanging keys", id="silent after its version"
        ),
        pytest.param(says(b"SSH-2.0-x\r\n\xff\xff\xff\xf4" + bytes(64)), "announced a packet of", id="huge packet"),
        pytest.param(says(b"SSH-2.0-\x1b[31m\xff\r\nnonsense" * 9), "while exchanging keys", id="escapes"),
    ],
)
def test_what_is_no_ssh_server_is_unreachable_and_says_what_it_was(
    key: Path, answer: Callable[[socket.socket], None], said: str
) -> None:
    with server(answer) as target, pytest.raises(UnreachableError, match=f"^unit: .*{said}") as caught:
        once(key, target)
    assert str(caught.value).isprintable()


def test_packets_that_make_no_sense_are_an_error_of_the_unit_and_nothing_worse(key: Path) -> None:
    chance = random.Random(3)
    nonsense: list[bytes] = []

    def packet(payload: bytes) -> bytes:
        padding = 8 - (len(payload) + 5) % 8 + 8
        return (len(payload) + padding + 1).to_bytes(4, "big") + bytes([padding]) + payload + bytes(padding)

    for number in range(120):
        kind = bytes([20 if number % 3 else chance.randrange(256)])
        nonsense.append(packet(kind + chance.randbytes(chance.randrange(0, 200))))

    def answer(connection: socket.socket) -> None:
        connection.sendall(b"SSH-2.0-x\r\n" + nonsense.pop() + nonsense.pop())

    with server(answer) as target:

        async def main() -> None:
            transport = SshTransport(ssh_key=key)
            for _ in range(50):
                with pytest.raises((UnreachableError, HostKeyError)):
                    await talk(transport, target)
            await transport.close()

        asyncio.run(main())
