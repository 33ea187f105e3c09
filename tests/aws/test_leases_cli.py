"""Commands whose leases are in S3: shared, refused with 4, and gone on without when the store is lost."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from recovery.clock import WallClock
from recovery.lease import Leases
from recovery.processes import LinuxProcesses
from recovery.store_s3 import S3Store
from tests.aws.server import SECRET, Server, credentials, new_bucket
from tests.cli_world import Units, pulih, small_estate

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    credentials(monkeypatch)
    for name in ("PULIH_ESTATE", "PULIH_STATE", "PULIH_LEASES"):
        monkeypatch.delenv(name, raising=False)
    with Server() as server:
        yield server


@pytest.fixture
def place(server: Server) -> str:
    return f"s3://{new_bucket(server)}/pulih?region=us-east-1&endpoint={server.endpoint}"


@pytest.fixture
def estate(tmp_path: Path, place: str) -> Path:
    folder = small_estate(tmp_path)
    with (folder / "estate.yaml").open("a") as file:
        file.write(f"leases: {place}\n")
    return folder


@pytest.fixture
def units(estate: Path, monkeypatch: pytest.MonkeyPatch) -> Units:
    return Units(estate).install(monkeypatch)


@pytest.mark.usefixtures("units")
def test_a_run_holds_its_leases_in_the_bucket_and_gives_them_back(estate: Path, place: str, capsys: Capture) -> None:
    for number in (1, 2):
        said = pulih(capsys, "apply", "--estate", estate)
        assert said.code == 0, said.err
        assert "break-glass" not in said.err
        holders = Leases(S3Store(place), WallClock(), LinuxProcesses("x@y"), random.Random(1)).holders()
        assert {holder.scope for holder in holders} >= {"east", "west"}
        assert all(holder.released and holder.epoch.number == number for holder in holders)
    assert not (estate.parent / ".pulih" / "leases").exists()


def test_what_another_operator_holds_there_is_not_touched(
    estate: Path, place: str, units: Units, capsys: Capture
) -> None:
    theirs = Leases(S3Store(place), WallClock(), LinuxProcesses("duty@elsewhere"), random.Random(1))
    lease = theirs.take(["west"], "run-of-another")
    held = pulih(capsys, "apply", "--estate", estate)
    assert (held.code, units.visited) == (4, [])
    assert "west is held by duty@elsewhere" in held.err
    lease.release()
    assert pulih(capsys, "apply", "--estate", estate).code == 0


def test_when_the_store_is_lost_the_error_says_how_to_go_on_and_that_way_works(
    server: Server, estate: Path, units: Units, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.error = ("AccessDenied", 403)
    refused = pulih(capsys, "apply", "--estate", estate)
    assert (refused.code, units.visited) == (1, [])
    assert refused.err.startswith("error: can't list leases/ in s3://")
    assert "PULIH_LEASES=file" in refused.err
    assert SECRET not in refused.err
    monkeypatch.setenv("PULIH_LEASES", "file")
    went_on = pulih(capsys, "apply", "--estate", estate)
    assert went_on.code == 0
    assert f"break-glass: leases are kept in {estate.parent / '.pulih'}" in went_on.err
    assert (estate.parent / ".pulih" / "leases" / "west.json").exists()
    monkeypatch.setenv("PULIH_LEASES", "none")
    wrong = pulih(capsys, "apply", "--estate", estate)
    assert (wrong.code, "PULIH_LEASES is 'none'" in wrong.err) == (1, True)


def test_a_store_that_is_lost_at_the_end_of_a_run_does_not_take_its_report(
    server: Server, estate: Path, tmp_path: Path, capsys: Capture, units: Units
) -> None:
    def lose(_: object) -> None:
        if len(units.visited) >= 5:
            server.error = ("SlowDown", 503)

    units.hook = lose
    said = pulih(capsys, "apply", "--estate", estate, "--report-dir", tmp_path / "report")
    assert (tmp_path / "report" / "report.json").exists()
    assert "the lease could not be given back" in said.err


def test_no_command_imports_boto3_before_it_needs_it() -> None:
    """It takes longer than a command that reads a file."""
    code = "import sys, recovery.cli.main; sys.exit('boto3' in sys.modules or 'botocore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=30).returncode == 0
