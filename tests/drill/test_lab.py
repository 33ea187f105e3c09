"""The practice estate: up, sessions, stand-ins, the loss of a data centre, down, and what a kill leaves."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable, Generator
from pathlib import Path

import asyncssh
import pytest

from recovery import declared, lab
from recovery.errors import LabError
from recovery.model.estate import Estate, HostKey, LinkName, Login, Unit
from tests.keys import new_key
from tests.labs import Deployment, card, connected, processes, say

UNITS = 8
LOGINS_WITHIN_S = 20
LEAVE_SLEEPERS = "exec >/dev/null 2>&1; trap '' HUP TERM INT; setsid sleep 300 & sleep 300 & sleep 0.1"
"""Leaves a process in a session of its own and one in the shell's, both deaf to the signals that one may ignore."""


def until(holds: Callable[[], bool], within_s: float = 10) -> bool:
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def has_ended(folder: Path) -> bool:
    """Whether a lab says that it has ended; one that is just dying says neither that nor anything else."""
    try:
        return not lab.status(folder).alive
    except LabError:
        return False


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[1])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Generator[Path]:
    """One lab that tests share; they leave its data centres alone."""
    folder = tmp_path_factory.mktemp("shared") / "lab"
    lab.up(UNITS, folder)
    try:
        yield folder
    finally:
        lab.down(folder, purge=True)


@pytest.fixture
def own(tmp_path: Path) -> Generator[Path]:
    """A folder for a lab of a test's own; whatever is in it is ended afterwards."""
    folder = tmp_path / "lab"
    try:
        yield folder
    finally:
        lab.down(folder)
        assert processes(folder) == []


@pytest.fixture(scope="module")
def estate(home: Path) -> Estate:
    return declared.load(home / "estate")


@pytest.fixture(scope="module")
def unit(estate: Estate) -> Unit:
    return next(estate.places())[2]


@pytest.fixture(scope="module")
def key(home: Path) -> Path:
    return home / "keys" / "client"


def test_the_estate_is_a_practice_estate_with_everything_at_the_first_data_centre(home: Path, estate: Estate) -> None:
    assert estate.practice
    assert not estate.illustrative
    assert estate.ssh_key == home / "keys" / "client"
    assert (home / "keys" / "client").stat().st_mode & 0o777 == 0o600
    assert set(estate.placement.default.values()) == {"pdns-2"}
    assert set(estate.placement.default) == {service.name for service in estate.services}
    assert not estate.bastions
    assert {unit.service for _, _, unit in estate.places()} == {"border-crossing", "passport", "stay-permit"}
    assert {office.link for _, office, _ in estate.places()} == set(LinkName)
    assert len(estate.regions) == UNITS
    assert len({login.port for login in logins(estate)}) == UNITS + 14


def logins(estate: Estate) -> list[Login]:
    hosts = [endpoint.login for centre in estate.data_centres for endpoint in centre.endpoints]
    return [unit.login for _, _, unit in estate.places()] + hosts


def test_the_card_says_who_and_where_everything_is_to_its_owner_only(home: Path, estate: Estate) -> None:
    told = card(home)
    assert (home / "lab.json").stat().st_mode & 0o777 == 0o600
    assert told["schema"] == "pulih/lab/v1"
    assert told["pid"] == lab.status(home).pid
    assert told["units"] == {
        unit.name: {
            "region": region.name,
            "office": office.name,
            "service": unit.service,
            "dir": str(home / "units" / unit.name),
            "address": "127.0.0.1",
            "port": unit.login.port,
        }
        for region, office, unit in estate.places()
    }
    assert set(told["data_centres"]) == {"pdns-2", "cloud-1"}
    assert len(told["data_centres"]["cloud-1"]["endpoints"]) == 7


def test_a_command_runs_in_the_units_own_folder_with_a_bare_environment(unit: Unit, key: Path) -> None:
    answer = say(unit.login, key, "pwd; cat; echo wrong >&2; exit 7", b"from stdin\n")
    assert answer.out == f"{unit.root}\nfrom stdin\n"
    assert answer.err == "wrong\n"
    assert answer.status == 7
    environment = say(unit.login, key, "env").out
    assert {line.partition("=")[0] for line in environment.splitlines()} <= {
        *("HOME", "LOGNAME", "PATH", "PWD", "SHELL", "USER", "OLDPWD", "_", "SHLVL"),
    }


def test_a_shell_has_its_own_streams_and_the_stand_ins_socket_open_and_nothing_else(unit: Unit, key: Path) -> None:
    answer = say(unit.login, key, "ls /proc/$$/fd")
    assert answer.out.split() == ["0", "1", "2", "7", "8"]


def test_a_broken_pipe_ends_a_program_in_a_session_as_it_does_everywhere(unit: Unit, key: Path) -> None:
    # Python ignores SIGPIPE; a shell that inherited that could not turn it on again.
    answer = say(unit.login, key, "(yes; echo $? >&2) | head -n 1")
    assert (answer.out, answer.err) == ("y\n", "141\n")


def test_a_megabyte_goes_there_and_back(unit: Unit, key: Path) -> None:
    data = bytes(range(33, 127)) * 12_000
    assert say(unit.login, key, "cat", data).out.encode() == data


def test_a_command_ended_by_a_signal_says_so(unit: Unit, key: Path) -> None:
    assert say(unit.login, key, "kill -TERM $$").status == -signal.SIGTERM


@pytest.mark.parametrize("what", ["shell", "terminal", "subsystem", "forwarding"])
def test_nothing_but_commands_is_offered(unit: Unit, key: Path, what: str) -> None:
    async def ask() -> None:
        async with connected(unit.login, key) as connection:
            match what:
                case "shell":
                    await connection.create_process()
                case "terminal":
                    await connection.create_process("true", term_type="vt100")
                case "subsystem":
                    await connection.create_process(subsystem="sftp")
                case _:
                    await connection.create_connection(asyncssh.SSHTCPSession[bytes], "127.0.0.1", unit.login.port)

    with pytest.raises(asyncssh.ChannelOpenError):
        asyncio.run(asyncio.wait_for(ask(), LOGINS_WITHIN_S))


def test_another_host_key_than_the_declared_one_is_seen_by_the_client(unit: Unit, estate: Estate, key: Path) -> None:
    other = next(login.host_key for login in logins(estate) if login.host_key != unit.login.host_key)
    mistaken = Login(address=unit.login.address, port=unit.login.port, user=unit.login.user, host_key=HostKey(other))
    with pytest.raises(asyncssh.HostKeyNotVerifiable):
        say(mistaken, key, "true")


def test_another_key_and_another_user_are_refused(unit: Unit, key: Path, tmp_path: Path) -> None:
    stranger = new_key().write(tmp_path / "stranger")
    with pytest.raises(asyncssh.PermissionDenied):
        say(unit.login, stranger, "true")

    async def as_root() -> None:
        async with connected(unit.login, key, user="root"):
            pass

    with pytest.raises(asyncssh.PermissionDenied):
        asyncio.run(asyncio.wait_for(as_root(), LOGINS_WITHIN_S))


def test_a_dropped_connection_leaves_the_command_running_with_its_streams_closed(unit: Unit, key: Path) -> None:
    trace = Path(unit.root) / "survived"

    async def drop() -> None:
        async with connected(unit.login, key) as connection:
            command = "trap '' HUP PIPE; echo begun; cat >/dev/null; echo lost || echo broken >survived"
            process = await connection.create_process(command)
            assert await process.stdout.readline() == "begun\n"
            connection.abort()

    asyncio.run(asyncio.wait_for(drop(), LOGINS_WITHIN_S))
    assert until(trace.exists)
    assert until(lambda: trace.read_text(encoding="ascii") == "broken\n")


def test_a_stand_in_takes_no_answer_that_was_meant_for_an_earlier_one(unit: Unit, key: Path) -> None:
    # The first asks and is ended before it has read its answer.
    early = r"printf '1\037df\037%s\037-Pk\037.\n' / >&8; sleep 0.2"
    answer = say(unit.login, key, f"{early}; systemctl reload nothing; echo status $?; df -Pk . | wc -l")
    assert answer.out == "status 5\n2\n"
    assert answer.err == "systemctl: Unit nothing.service not found.\n"


@pytest.mark.parametrize(
    ("command", "status", "complaint"),
    [
        ("nginx -t -q -p . -c none.conf", 1, "No such file"),
        ("nginx -g 'daemon on;'", 1, "only tests"),
        ("nginx -t -z", 1, "no option -z"),
        ("nft -c -f none.nft", 1, "No such file"),
        ("chronyd -p -f none.conf", 1, "No such file"),
        ("chronyd -f none.conf", 1, "only prints"),
        ("systemctl reload pulih-gateway", 1, "Job for pulih-gateway.service failed"),
        ("systemctl stop pulih-gateway", 1, "can't stop"),
        ("curl -sS http://127.0.0.1:8080/pulih/probe", 7, "Connection refused"),
        ("curl -sS http://endpoint.example/", 6, "Could not resolve"),
        ("curl --proxy x http://127.0.0.1:8080/", 2, "--proxy"),
        ("sudo -n false", 1, ""),
        ("sudo -u root true", 1, "no option -u"),
        ("df -h", 1, "knows -P and -k"),
    ],
)
def test_a_stand_in_says_what_it_can_not(unit: Unit, key: Path, command: str, status: int, complaint: str) -> None:
    answer = say(unit.login, key, command)
    assert answer.status == status
    assert complaint in answer.err


def test_sudo_finds_the_stand_ins_and_the_systems_programs(unit: Unit, key: Path) -> None:
    assert say(unit.login, key, "sudo -n df -Pk . | wc -l; sudo -n printf '%s|' 'a b' c").out == "2\na b|c|"


def test_a_data_centre_is_lost_with_all_that_it_served_and_the_other_takes_over(own: Path) -> None:
    lab.up(UNITS, own)
    first = Deployment(own, "pdns-2")
    refused = first.units()
    assert all("step `probe` failed" in what for what in refused), refused
    assert first.endpoints() == ["sent"] * 7
    assert first.units() == ["sent"] * UNITS
    assert first.units() == ["same"] * UNITS
    status = lab.status(own)
    assert (status.with_release, status.serving, status.lost) == (UNITS, UNITS, ())

    unit, key = next(first.estate.places())[2], own / "keys" / "client"
    ask = f"curl -sS -f -H 'X-Pulih-Nonce: 7' http://127.0.0.1:{unit.gateway_port}/pulih/probe"
    assert say(unit.login, key, ask).out == f"pulih-probe/1 data-centre=pdns-2 service={unit.service} nonce=7\n"
    assert say(unit.login, key, ask.replace("/pulih/probe", "/")).status == 22

    assert lab.lose(own, "pdns-2") == UNITS
    assert say(unit.login, key, ask).status == 7
    status = lab.status(own)
    assert (status.with_release, status.serving, status.lost) == (0, 0, ("pdns-2",))
    assert not list(own.glob("units/*/releases"))
    assert not list(own.glob("units/*/current"))
    for endpoint in first.estate.data_centre[first.at].endpoints:
        for port in (endpoint.port, endpoint.login.port):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), timeout=5)
    with pytest.raises(LabError, match="lost already"):
        lab.lose(own, "pdns-2")
    with pytest.raises(LabError, match=r"no data centre nowhere in this lab; it has cloud-1, pdns-2"):
        lab.lose(own, "nowhere")
    assert until(lambda: not list((own / "erased").iterdir()))

    second = Deployment(own, "cloud-1")
    assert second.endpoints() == ["sent"] * 7
    assert second.units() == ["sent"] * UNITS
    status = lab.status(own)
    assert (status.with_release, status.serving, status.lost) == (UNITS, UNITS, ("pdns-2",))


def test_down_ends_it_once_keeps_its_files_and_gives_back_its_ports(own: Path) -> None:
    pid = lab.up(3, own).pid
    guard = parent(pid)
    estate = declared.load(own / "estate")
    lab.down(own)
    assert processes(own) == []
    assert not Path(f"/proc/{pid}").exists()
    assert not Path(f"/proc/{guard}").exists(), "not even as a zombie"
    for login in logins(estate):
        with socket.socket() as mine:
            mine.bind((login.address, login.port))
    status = lab.status(own)
    assert (status.alive, status.pid, status.units) == (False, pid, 3)
    lab.down(own)
    with pytest.raises(LabError, match="no lab runs in"):
        lab.lose(own, "pdns-2")


def test_down_ends_what_a_session_has_left_running(own: Path) -> None:
    lab.up(1, own)
    unit = next(declared.load(own / "estate").places())[2]
    say(unit.login, own / "keys" / "client", LEAVE_SLEEPERS)
    assert len([line for line in processes(own) if "sleep 300" in line]) == 2
    lab.down(own)
    assert processes(own) == []


@pytest.mark.parametrize("killed", ["server", "guard"])
def test_a_killed_lab_leaves_no_process_and_can_come_up_again(own: Path, killed: str) -> None:
    pid = lab.up(2, own).pid
    unit = next(declared.load(own / "estate").places())[2]
    key = own / "keys" / "client"
    say(unit.login, key, LEAVE_SLEEPERS)
    assert len([line for line in processes(own) if "sleep 300" in line]) == 2
    guard = parent(pid)
    assert guard != os.getpid()
    os.kill(pid if killed == "server" else guard, signal.SIGKILL)
    assert until(lambda: processes(own) == [])
    assert until(lambda: has_ended(own))
    (own / ".pulih").mkdir()
    assert lab.up(2, own).pid != pid
    assert lab.status(own).alive
    assert (own / ".pulih").is_dir()
    lab.down(own, purge=True)
    assert not own.exists()


def test_a_second_lab_in_the_same_folder_is_refused_and_harms_nothing(home: Path, unit: Unit, key: Path) -> None:
    with pytest.raises(LabError, match=r"a lab runs in .* already; `pulih lab down"):
        lab.up(2, home)
    assert lab.status(home).units == UNITS
    assert say(unit.login, key, "echo here").out == "here\n"


def test_a_folder_with_foreign_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years", encoding="ascii")
    with pytest.raises(LabError, match="holds files that are no lab's"):
        lab.up(2, tmp_path)
    with pytest.raises(LabError, match="holds no lab"):
        lab.down(tmp_path, purge=True)
    lab.down(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("units", [0, 583])
def test_a_number_of_units_that_the_estate_does_not_have_is_refused(tmp_path: Path, units: int) -> None:
    with pytest.raises(LabError, match=f"a lab has 1 to 582 units, asked for {units}"):
        lab.up(units, tmp_path / "lab")
    assert not (tmp_path / "lab").exists()


def test_a_lab_takes_orders_in_a_folder_deeper_than_a_sockets_address(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * (118 - len(str(tmp_path))))
    lab.up(1, folder)
    try:
        assert lab.status(folder).alive
    finally:
        lab.down(folder)


def test_a_folder_with_nothing_but_a_history_is_no_foreign_one(own: Path) -> None:
    (own / ".pulih" / "runs").mkdir(parents=True)
    lab.up(1, own)
    assert (own / ".pulih" / "runs").is_dir()


def test_a_folder_whose_name_is_no_word_of_the_protocol_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="applier's protocol"):
        lab.up(1, tmp_path / "my lab")


def test_a_lab_that_cannot_start_says_why_and_leaves_no_process(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recovery.lab.practice.USER", "pulih")
    monkeypatch.setattr("recovery.lab.fresh._private", lambda _key: "no key")  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    with pytest.raises(LabError, match=r"the lab did not start: .*KeyImportError"):
        lab.up(1, own)
    assert processes(own) == []
    monkeypatch.undo()
    lab.up(1, own)
