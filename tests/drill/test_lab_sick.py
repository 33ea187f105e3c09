"""What a sick host of the lab, and one behind a slow line, look like to a client that is not pulih."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Generator
from pathlib import Path

import asyncssh
import pytest

from recovery import declared, lab
from recovery.errors import LabError
from recovery.lab.sickness import How
from recovery.model.estate import Unit
from tests.labs import Deployment, connected, say

WITHIN_S = 10


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Generator[Path]:
    """A lab at pdns-2 with every unit up; tests heal what they break."""
    folder = tmp_path_factory.mktemp("sick") / "lab"
    lab.up(3, folder)
    try:
        first = Deployment(folder, "pdns-2")
        assert first.endpoints() == ["sent"] * 7
        assert first.units() == ["sent"] * 3
        yield folder
    finally:
        lab.down(folder, purge=True)


@pytest.fixture
def healthy(home: Path) -> Generator[Path]:
    yield home
    lab.heal_unit(home, None)


@pytest.fixture(scope="module")
def unit(home: Path) -> Unit:
    return next(declared.load(home / "estate").places())[2]


@pytest.fixture(scope="module")
def key(home: Path) -> Path:
    return home / "keys" / "client"


def probe(unit: Unit) -> str:
    return f"curl -sS -f -H 'X-Pulih-Nonce: 7' http://127.0.0.1:{unit.gateway_port}/pulih/probe"


def test_a_session_of_one_that_hangs_opens_and_never_answers(healthy: Path, unit: Unit, key: Path) -> None:
    lab.break_unit(healthy, unit.name, "hang")

    async def ask() -> None:
        async with connected(unit.login, key) as connection:
            process = await connection.create_process("echo here", encoding=None)
            process.stdin.write(bytes(1_000_000))
            await process.stdin.drain()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(process.stdout.read(1), 0.5)

    asyncio.run(asyncio.wait_for(ask(), WITHIN_S))
    lab.heal_unit(healthy, unit.name)
    assert say(unit.login, key, "echo here").out == "here\n"


def test_another_host_key_is_another_each_time_and_the_old_one_comes_back(healthy: Path, unit: Unit, key: Path) -> None:
    async def shown() -> str:
        found = await asyncssh.get_server_host_key(unit.login.address, unit.login.port, config=None)
        assert found is not None
        return found.export_public_key().decode().strip()

    keys: list[str] = []
    for _ in range(2):
        lab.break_unit(healthy, unit.name, "wrong-host-key")
        keys.append(asyncio.run(asyncio.wait_for(shown(), WITHIN_S)))
    assert len({*keys, unit.login.host_key}) == 3
    with pytest.raises(asyncssh.HostKeyNotVerifiable):
        say(unit.login, key, "true")
    lab.heal_unit(healthy, unit.name)
    assert say(unit.login, key, "echo here").out == "here\n"


def test_one_that_is_unreachable_refuses_breaks_what_is_there_and_keeps_its_port(
    healthy: Path, unit: Unit, key: Path
) -> None:
    place = (unit.login.address, unit.login.port)
    trace = Path(unit.root) / "went-on"

    async def lose() -> None:
        async with connected(unit.login, key) as connection:
            command = "trap '' HUP PIPE; echo begun; sleep 0.3; echo done >went-on"
            process = await connection.create_process(command)
            assert await process.stdout.readline() == "begun\n"
            await asyncio.to_thread(lab.break_unit, healthy, unit.name, "unreachable")
            await asyncio.wait_for(connection.wait_closed(), WITHIN_S)

    asyncio.run(asyncio.wait_for(lose(), 2 * WITHIN_S))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(place, timeout=WITHIN_S)
    with socket.socket() as mine, pytest.raises(OSError, match="in use"):
        mine.bind(place)
    deadline = time.monotonic() + WITHIN_S
    while not trace.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert trace.exists(), "a command that runs goes on"
    lab.heal_unit(healthy, unit.name)
    assert say(unit.login, key, "echo here").out == "here\n"


def test_the_stand_ins_say_no_at_a_sick_unit_and_nowhere_else(healthy: Path, unit: Unit, key: Path) -> None:
    other = [place[2] for place in declared.load(healthy / "estate").places()][1]
    check = "cd current && nginx -t -q -p . -c gateway/nginx.conf"
    lab.break_unit(healthy, unit.name, "disk-full")
    free = say(unit.login, key, "df -Pk .").out.splitlines()[1].split()
    assert (free[2], free[3], free[4]) == (free[1], "0", "100%")
    assert say(unit.login, key, check).status == 0, "only the disk is full"
    assert say(other.login, key, "df -Pk .").out.splitlines()[1].split()[3] != "0"

    lab.break_unit(healthy, unit.name, "validate-fails")
    refused = say(unit.login, key, check)
    assert refused.status == 1
    assert refused.err.startswith(f'nginx: [emerg] SSL_CTX_use_PrivateKey("{unit.root}/private/tls.key") failed')
    assert refused.err.endswith("test failed\n")
    assert say(unit.login, key, "df -Pk .").out.splitlines()[1].split()[3] != "0", "one sickness at a time"

    lab.break_unit(healthy, unit.name, "probe-fails")
    failed = say(unit.login, key, probe(unit))
    assert (failed.status, failed.out) == (22, "")
    assert failed.err == "curl: (22) The requested URL returned error: 502\n"
    assert say(other.login, key, probe(other)).status == 0

    lab.heal_unit(healthy, unit.name)
    assert say(unit.login, key, probe(unit)).status == 0


def test_a_sickness_shows_in_a_command_that_has_begun(healthy: Path, unit: Unit, key: Path) -> None:
    async def ask() -> bytes:
        async with connected(unit.login, key) as connection:
            process = await connection.create_process("df -Pk . >/dev/null; read -r go; df -Pk .", encoding=None)
            await asyncio.to_thread(lab.break_unit, healthy, unit.name, "disk-full")
            process.stdin.write(b"go\n")
            return await process.stdout.read()

    assert b" 0 100% /" in asyncio.run(asyncio.wait_for(ask(), WITHIN_S))


def test_an_endpoint_with_failing_probes_answers_nobody(healthy: Path, unit: Unit, key: Path) -> None:
    assert lab.status(healthy).serving == 3
    lab.break_unit(healthy, f"{unit.service}-pdns-2", "probe-fails")
    assert say(unit.login, key, probe(unit)).status == 22
    assert lab.status(healthy).serving == 2
    lab.heal_unit(healthy, f"{unit.service}-pdns-2")
    assert lab.status(healthy).serving == 3


def test_status_tells_what_is_broken_until_it_is_healed(healthy: Path, unit: Unit) -> None:
    office = next(place[1] for place in declared.load(healthy / "estate").places())
    assert not lab.status(healthy).broken
    lab.break_unit(healthy, unit.name, "hang")
    lab.break_unit(healthy, "visa-cloud-1", "unreachable")
    lab.break_unit(healthy, unit.name, "disk-full")
    assert lab.slow(healthy, office.name, 20, 0) == 1
    status = lab.status(healthy)
    assert status.broken == {unit.name: How.DISK_FULL, "visa-cloud-1": How.UNREACHABLE}
    assert status.slow == {office.name: (20, 0)}
    assert lab.heal_unit(healthy, unit.name).units == (unit.name,)
    assert lab.heal_unit(healthy, unit.name).units == ()
    healed = lab.heal_unit(healthy, None)
    assert (healed.units, healed.offices) == (("visa-cloud-1",), (office.name,))
    assert (lab.status(healthy).broken, lab.status(healthy).slow) == ({}, {})


def test_names_that_the_lab_does_not_have_are_refused_with_the_nearest(healthy: Path, unit: Unit) -> None:
    with pytest.raises(LabError, match=f"no unit or endpoint {unit.name}x; did you mean {unit.name}"):
        lab.break_unit(healthy, unit.name + "x", "hang")
    with pytest.raises(LabError, match="did you mean passport-cloud-1"):
        lab.heal_unit(healthy, "pasport-cloud-1")
    with pytest.raises(LabError, match="no sickness hnag; did you mean hang"):
        lab.break_unit(healthy, unit.name, "hnag")
    with pytest.raises(LabError, match="no office nowhere; it has "):
        lab.slow(healthy, "nowhere", 1, 1)
    with pytest.raises(LabError, match="0 or more"):
        lab.slow(healthy, next(declared.load(healthy / "estate").places())[1].name, -1, 0)
    assert not lab.status(healthy).broken


def test_a_slow_line_delays_sessions_and_test_transactions_and_only_those_of_its_office(
    healthy: Path, unit: Unit, key: Path
) -> None:
    (_, office, _), (_, _, other) = list(declared.load(healthy / "estate").places())[:2]

    def seconds(command: str, data: bytes = b"") -> float:
        began = time.monotonic()
        assert say(unit.login, key, command, data).status == 0
        return time.monotonic() - began

    lab.slow(healthy, office.name, 100, 0)
    assert seconds("true") > 5 * 0.2, "five round trips at least: keys twice, login, session, command"
    asked = say(unit.login, key, f"date +%s%N; {probe(unit)} >&2; date +%s%N")
    began, ended = map(int, asked.out.split())
    assert ended - began > 0.2 * 1e9, "and its test transaction one"
    lab.slow(healthy, office.name, 0, 800)
    assert seconds("cat >/dev/null", bytes(100_000)) > 1.0, "100,000 bytes a second"
    lab.slow(healthy, office.name, 1000 * WITHIN_S, 0)
    assert say(other.login, key, "echo here").out == "here\n", "a line of ten seconds is not the others' affair"
    lab.slow(healthy, office.name, 0, 0)
    assert not lab.status(healthy).slow
    assert say(unit.login, key, "echo here").out == "here\n"


def test_a_host_behind_a_slow_line_can_be_sick_too_and_its_connections_cut(
    healthy: Path, unit: Unit, key: Path
) -> None:
    office = next(place[1] for place in declared.load(healthy / "estate").places())
    lab.slow(healthy, office.name, 10, 0)
    lab.break_unit(healthy, unit.name, "wrong-host-key")
    with pytest.raises(asyncssh.HostKeyNotVerifiable):
        say(unit.login, key, "true")
    lab.heal_unit(healthy, unit.name)

    async def lose() -> None:
        async with connected(unit.login, key) as connection:
            await asyncio.to_thread(lab.slow, healthy, office.name, 10_000, 0)
            await asyncio.to_thread(lab.break_unit, healthy, unit.name, "unreachable")
            await asyncio.wait_for(connection.wait_closed(), 5)  # at once, not when the end has come over the line

    asyncio.run(asyncio.wait_for(lose(), 2 * WITHIN_S))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((unit.login.address, unit.login.port), timeout=WITHIN_S)
    lab.slow(healthy, office.name, 10, 0)
    lab.heal_unit(healthy, unit.name)
    assert lab.status(healthy).slow == {office.name: (10, 0)}
    assert say(unit.login, key, "echo here").out == "here\n"


def test_what_is_lost_with_its_data_centre_can_be_no_sicker_and_a_new_lab_is_well(tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    lab.up(1, folder)
    try:
        lab.break_unit(folder, "visa-pdns-2", "unreachable")
        lab.lose(folder, "pdns-2")
        assert not lab.status(folder).broken
        with pytest.raises(LabError, match="visa-pdns-2 is lost with pdns-2"):
            lab.break_unit(folder, "visa-pdns-2", "hang")
        lab.heal_unit(folder, "visa-pdns-2")
        login = declared.load(folder / "estate").data_centres[0].endpoints[0].login
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((login.address, login.port), timeout=WITHIN_S)
        lab.break_unit(folder, "visa-cloud-1", "hang")
        lab.down(folder)
        assert not lab.status(folder).broken
        lab.up(1, folder)
        assert not lab.status(folder).broken
    finally:
        lab.down(folder)
