"""Units behind bastions: one connection for all of them, and failures that name the bastion."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from recovery.errors import HostKeyError, LoginError, UnreachableError
from recovery.model.estate import Bastion
from recovery.transport.base import Session
from recovery.transport.hostkeys import pinned
from recovery.transport.ssh import SshTransport
from tests.contract.transport import closed_port
from tests.keys import new_key
from tests.ssh.sshd import Host, SshServers
from tests.ssh.talking import deaf, once, quick, talk, together
from tests.tools import need

UNITS = tuple(f"unit-{number}" for number in range(12))


@pytest.fixture
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServers]:
    need("sshd")
    hosts = [
        Host(name="bastion"),
        Host(name="closed-bastion", options=("AllowTcpForwarding no",)),
        Host(name="rekeying-bastion", options=("RekeyLimit 256K",)),
        *(Host(name=name) for name in UNITS),
    ]
    with SshServers(tmp_path_factory.mktemp("sshd") / "servers", hosts) as servers:
        yield servers


def elsewhere(bastion: Bastion, **changes: object) -> Bastion:
    return replace(bastion, login=replace(bastion.login, **changes))  # type: ignore[arg-type]


def test_units_behind_one_bastion_share_its_connection(servers: SshServers) -> None:
    bastion = servers.bastion("bastion")
    answers = together(servers.key_file, [servers.target(name, bastion=bastion) for name in UNITS], "echo here")
    assert answers == ["here"] * len(UNITS)
    assert servers.connections("bastion") == 1
    assert servers.login_attempts("bastion") == 1
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("pulih-")]


@pytest.mark.parametrize("name", ["bastion", "rekeying-bastion"])
def test_megabytes_pass_through_a_bastion_as_they_are(servers: SshServers, name: str) -> None:
    sent = bytes(range(256)) * 12_000

    async def conversation(session: Session) -> bytes:
        received = b""
        for start in range(0, len(sent), 512_000):
            part = sent[start : start + 512_000]
            await session.send(part)
            received += await session.read_exactly(len(part))
        return received

    async def main() -> list[bytes]:
        transport = SshTransport(ssh_key=servers.key_file)
        targets = [servers.target(unit, bastion=servers.bastion(name)) for unit in UNITS[:3]]
        try:
            return await asyncio.gather(*(talk(transport, target, "exec cat", conversation) for target in targets))
        finally:
            await transport.close()

    assert asyncio.run(main()) == [sent] * 3
    assert servers.connections(name) == 1


def test_a_bastion_s_connection_lives_longer_than_opening_it_may_take(servers: SshServers) -> None:
    target = quick(servers.target(UNITS[0], bastion=servers.bastion("bastion")), connect_s=2)
    assert once(servers.key_file, target, "sleep 2.5; echo here") == "here"


def test_a_unit_s_own_host_key_counts_behind_a_bastion_too(servers: SshServers) -> None:
    target = servers.target(UNITS[0], bastion=servers.bastion("bastion"))
    wrong = replace(target, login=replace(target.login, host_key=new_key().public))
    with pytest.raises(HostKeyError, match=f"^{UNITS[0]}: 127.0.0.1:{target.login.port} is not the host declared"):
        once(servers.key_file, wrong)
    assert servers.login_attempts(UNITS[0]) == 0


def test_a_bastion_with_another_host_key_is_refused_and_named(servers: SshServers) -> None:
    bastion, other = servers.bastion("bastion"), new_key().public
    targets = [servers.target(name, bastion=elsewhere(bastion, host_key=other)) for name in UNITS[:3]]
    for name, failure in zip(UNITS, together(servers.key_file, targets), strict=False):
        assert isinstance(failure, HostKeyError)
        assert str(failure).startswith(f"{name}: through bastion bastion: ")
        assert pinned(other).fingerprint in str(failure)
    assert servers.login_attempts("bastion") == 0
    assert not any(servers.connections(name) for name in UNITS)


def test_a_bastion_that_lets_us_not_in_is_a_login_error_that_names_it(servers: SshServers) -> None:
    target = servers.target(UNITS[0], bastion=elsewhere(servers.bastion("bastion"), user="daemon"))
    with pytest.raises(LoginError, match=f"^{UNITS[0]}: through bastion bastion: .* for daemon at"):
        once(servers.key_file, target)


def test_a_bastion_that_is_down_is_asked_once_for_all_who_wait(servers: SshServers) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        silent = elsewhere(servers.bastion("bastion"), port=int(listener.getsockname()[1]))
        targets = [quick(servers.target(name, bastion=silent), connect_s=1) for name in UNITS]
        began_s = time.monotonic()
        failures = together(servers.key_file, targets)
        assert time.monotonic() - began_s < 4
        for name, failure in zip(UNITS, failures, strict=True):
            assert isinstance(failure, UnreachableError)
            assert str(failure).startswith(f"{name}: through bastion bastion: ")
        listener.accept()[0].close()
        with pytest.raises(TimeoutError):
            listener.accept()


def test_a_unit_that_the_bastion_cannot_reach_is_told_from_a_bastion_that_is_down(servers: SshServers) -> None:
    target = servers.target(UNITS[0], bastion=servers.bastion("bastion"))
    nowhere = replace(target, login=replace(target.login, port=closed_port()))
    with pytest.raises(
        UnreachableError, match=f"^{UNITS[0]}: through bastion bastion: .*127.0.0.1:{nowhere.login.port}"
    ):
        once(servers.key_file, nowhere)


def test_each_unit_is_told_its_own_reason_when_several_cannot_be_reached(servers: SshServers) -> None:
    bastion, ports = servers.bastion("bastion"), [closed_port() for _ in range(8)]
    targets = [
        replace(servers.target(UNITS[0], bastion=bastion), login=replace(servers.login(UNITS[0]), port=port))
        for port in ports
    ]
    for port, failure in zip(ports, together(servers.key_file, targets), strict=True):
        assert isinstance(failure, UnreachableError)
        assert f"Connection refused; expected it to connect to 127.0.0.1:{port}:" in str(failure)


def test_a_connection_that_the_bastion_makes_too_late_is_given_back(servers: SshServers) -> None:
    """Otherwise it would stay open at the bastion for as long as other units keep ours."""

    async def main(listener: socket.socket, crowd: list[socket.socket]) -> None:
        transport = SshTransport(ssh_key=servers.key_file)
        target = servers.target(UNITS[0], bastion=servers.bastion("bastion"))
        hidden = replace(target, login=replace(target.login, port=int(listener.getsockname()[1])))
        with pytest.raises(UnreachableError, match="no answer within 1 s"):
            await talk(transport, quick(hidden, connect_s=1))
        for one in crowd:
            one.close()
        await asyncio.to_thread(accept_until_closed, listener)
        await transport.close()

    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        crowd = [socket.create_connection(listener.getsockname()) for _ in range(1)]
        asyncio.run(main(listener, crowd))


def accept_until_closed(listener: socket.socket) -> None:
    """Accept what waits, and see the bastion's connection (the one that sends nothing) being closed by it."""
    listener.settimeout(10)
    for _ in range(2):
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(10)
            assert connection.recv(100) == b""


def test_a_bastion_that_forwards_nothing_is_named(servers: SshServers) -> None:
    target = servers.target(UNITS[0], bastion=servers.bastion("closed-bastion"))
    with pytest.raises(UnreachableError, match=r"through bastion closed-bastion: .*AllowTcpForwarding"):
        once(servers.key_file, target)


def test_a_bastion_that_broke_is_reopened_for_the_next_visit(servers: SshServers) -> None:
    target = servers.target(UNITS[0], bastion=servers.bastion("bastion"))

    async def main() -> None:
        transport = SshTransport(ssh_key=servers.key_file)
        loop, has_begun = asyncio.get_running_loop(), asyncio.Event()

        async def conversation(session: Session) -> None:
            await session.read_line()
            loop.call_soon_threadsafe(has_begun.set)
            await session.read_line()

        task = asyncio.create_task(talk(transport, target, "echo; exec sleep 20", conversation))
        await has_begun.wait()
        assert servers.kill_sessions("bastion") == 1
        with pytest.raises(UnreachableError, match=f"^{UNITS[0]}: .*through bastion bastion"):
            await task
        assert await talk(transport, target) == "here"
        assert await talk(transport, servers.target(UNITS[1], bastion=servers.bastion("bastion"))) == "here"
        await transport.close()

    asyncio.run(main())
    assert servers.connections("bastion") == 2


def test_units_that_wait_for_a_bastion_to_connect_notice_when_it_breaks(servers: SshServers) -> None:
    async def main(port: int) -> float:
        transport = SshTransport(ssh_key=servers.key_file)
        target = servers.target(UNITS[0], bastion=servers.bastion("bastion"))
        hidden = replace(target, login=replace(target.login, port=port))
        task = asyncio.create_task(talk(transport, quick(hidden, connect_s=20)))
        await asyncio.sleep(0.7)
        began_s = time.monotonic()
        assert servers.kill_sessions("bastion") == 1
        with pytest.raises(UnreachableError, match="through bastion bastion: the connection to the bastion broke"):
            await task
        await transport.close()
        return time.monotonic() - began_s

    with deaf() as port:
        assert asyncio.run(main(port)) < 5


def test_cancelling_a_unit_ends_its_wait_for_the_bastion_at_once(servers: SshServers) -> None:
    async def main(target_port: int) -> float:
        transport = SshTransport(ssh_key=servers.key_file)
        silent = elsewhere(servers.bastion("bastion"), port=target_port)
        task = asyncio.create_task(talk(transport, servers.target(UNITS[0], bastion=silent)))
        await asyncio.sleep(0.3)
        began_s = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await transport.close()
        return time.monotonic() - began_s

    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert asyncio.run(main(int(listener.getsockname()[1]))) < 2


def test_cancelling_a_unit_behind_a_bastion_leaves_the_others_their_connection(servers: SshServers) -> None:
    async def main() -> str | None:
        transport = SshTransport(ssh_key=servers.key_file)
        bastion = servers.bastion("bastion")
        hanging = asyncio.create_task(talk(transport, servers.target(UNITS[0], bastion=bastion), "exec sleep 20"))
        other = asyncio.create_task(talk(transport, servers.target(UNITS[1], bastion=bastion), "sleep 1.5; echo here"))
        await asyncio.sleep(0.7)
        began_s = time.monotonic()
        hanging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hanging
        assert time.monotonic() - began_s < 1
        answer = await other
        await transport.close()
        return answer

    assert asyncio.run(main()) == "here"
    assert servers.connections("bastion") == 1
