"""The whole way to fifty units over real sshd, a host key each: apply, apply again, and every way in which it fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from recovery.model.estate import Estate, Timeouts
from recovery.model.outcome import Cause, State
from recovery.transport.ssh import SshTransport
from tests.conducted import Scripted, conducted, reached, receipts
from tests.keys import new_key
from tests.many import an_estate_of
from tests.ssh.sshd import SshServers
from tests.tools import need

UNITS = 50
EPOCHS = count(10)


class Fifty:
    """Fifty running units."""

    def __init__(self, servers: SshServers, units: Path) -> None:
        self.servers = servers
        self.units = units
        plain = an_estate_of(UNITS, timeouts=Timeouts(connect_s=10, step_s=10, unit_s=60, retries=1))
        self.estate = reached(plain, servers.login, lambda name: str(units / name))
        self.names = [unit.name for _, _, unit in self.estate.places()]

    def transport(self) -> SshTransport:
        return SshTransport(parallel=32, ssh_key=self.servers.key_file)

    def one(self, name: str) -> Estate:
        """Return the estate with that one unit."""
        for region in self.estate.regions:
            for office in region.offices:
                if office.units[0].name == name:
                    return replace(self.estate, regions=(replace(region, offices=(office,)),))
        raise KeyError(name)

    def served(self, name: str) -> str:
        """Return the tag of what a unit serves; two tags when it is a mixture."""
        files = (self.units / name / "current").glob("*.conf")
        return " ".join(sorted({file.read_text().split()[0] for file in files}))


@pytest.fixture(scope="module")
def fifty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fifty]:
    need("sshd")
    folder = tmp_path_factory.mktemp("fifty")
    names = [unit.name for _, _, unit in an_estate_of(UNITS).places()]
    with SshServers(folder / "servers", names, log_level="INFO") as servers:
        yield Fifty(servers, folder / "units")


def test_fifty_units_are_applied_and_the_second_time_no_bundle_is_sent(fifty: Fifty) -> None:
    first = conducted(fifty.estate, fifty.transport(), Scripted(fifty.estate, "v1"), epoch=1)
    assert [outcome.state for outcome in first.units] == [State.VERIFIED] * UNITS, first.units
    assert first.exit_code == 0
    written = receipts(fifty.units)
    assert len(written) == UNITS
    second = conducted(fifty.estate, fifty.transport(), Scripted(fifty.estate, "v1"), epoch=2)
    assert [outcome.state for outcome in second.units] == [State.UNCHANGED] * UNITS
    assert receipts(fifty.units) == written


@pytest.fixture
def unit(fifty: Fifty) -> str:
    """One unit that runs `old`."""
    name = fifty.names[0]
    estate = fifty.one(name)
    assert conducted(estate, fifty.transport(), Scripted(estate, "old"), epoch=next(EPOCHS)).exit_code == 0
    return name


def outcome_of(fifty: Fifty, name: str, *, estate: Estate | None = None, **special: str) -> tuple[Cause | None, str]:
    """Bring a unit to `new` with some of its scripts replaced, and return the cause and what it then serves."""
    one = estate or fifty.one(name)
    renderer = Scripted(one, "new", lambda _name: special)
    result = conducted(one, fifty.transport(), renderer, epoch=next(EPOCHS))
    (outcome,) = result.units
    assert outcome.state is (State.VERIFIED if outcome.cause is None else State.QUARANTINED)
    return outcome.cause, fifty.served(name)


def test_another_host_key_is_refused_and_nothing_is_touched(fifty: Fifty, unit: str) -> None:
    stranger = new_key().public
    wrong = reached(
        fifty.one(unit),
        lambda name: replace(fifty.servers.login(name), host_key=stranger),
        lambda name: str(fifty.units / name),
    )
    assert outcome_of(fifty, unit, estate=wrong) == (Cause.HOST_KEY, f"old-{unit}")


def test_a_refused_login_is_named_and_not_tried_again(fifty: Fifty, unit: str, tmp_path: Path) -> None:
    estate = fifty.one(unit)
    stranger = SshTransport(parallel=4, ssh_key=new_key().write(tmp_path / "stranger"))
    began = time.monotonic()
    (outcome,) = conducted(estate, stranger, Scripted(estate, "new"), epoch=next(EPOCHS)).units
    assert (outcome.cause, fifty.served(unit)) == (Cause.LOGIN, f"old-{unit}")
    assert time.monotonic() - began < 10


def test_a_bundle_that_does_not_validate_leaves_the_old_one(fifty: Fifty, unit: str) -> None:
    assert outcome_of(fifty, unit, validate="exit 1") == (Cause.VALIDATE_FAILED, f"old-{unit}")


def test_a_bundle_that_does_not_serve_is_taken_back(fifty: Fifty, unit: str) -> None:
    assert outcome_of(fifty, unit, probe="exit 22") == (Cause.PROBE_FAILED, f"old-{unit}")


def test_a_connection_dropped_in_the_middle_is_tried_again_and_finishes(fifty: Fifty, unit: str) -> None:
    dropped: list[int] = []

    def drop() -> None:
        deadline = time.monotonic() + 20
        while not dropped and time.monotonic() < deadline:
            if (fifty.units / unit / "validating").exists():
                dropped.append(fifty.servers.kill_sessions(unit))
            time.sleep(0.02)

    mark = fifty.units / unit / "validating"
    killer = threading.Thread(target=drop)
    killer.start()
    slow = f"if [ -e {mark} ]; then exit 0; fi; : >{mark}; sleep 3"
    cause, served = outcome_of(fifty, unit, validate=slow)
    killer.join()
    mark.unlink()
    assert dropped == [1]
    assert (cause, served) == (None, f"new-{unit}")


def test_an_applier_killed_half_way_leaves_old_or_new_and_the_next_run_finishes(fifty: Fifty, unit: str) -> None:
    cause, served = outcome_of(fifty, unit, reload="read -r line </proc/$PPID/stat; set -- $line; kill -9 $4")
    assert cause is not None
    assert served in (f"old-{unit}", f"new-{unit}")
    assert outcome_of(fifty, unit) == (None, f"new-{unit}")
