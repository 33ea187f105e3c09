"""Files that are none, or too large, in the place of each that pulih reads: refused, by name, at once."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from recovery import journal
from recovery.cli import planned, storing
from recovery.declared import load
from recovery.errors import (
    BrokenRecordError,
    DeclarationError,
    LabError,
    LoginKeyError,
    PlanError,
    PulihError,
    StoredReportError,
)
from recovery.lab import manage
from recovery.processes import LinuxProcesses
from recovery.render import Templates
from recovery.runs import Runs
from recovery.store import FileStore
from recovery.transport.keys import load_keys
from tests.cli_world import pulih
from tests.estates import write_files
from tests.hostile.readers import sound
from tests.hostile.stored import RESULT, honest_journal

Capture = pytest.CaptureFixture[str]
HUGE_BYTES = 2 << 30


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _huge(path: Path) -> None:
    path.touch()
    os.truncate(path, HUGE_BYTES)


def _folder(path: Path) -> None:
    path.mkdir()


WAYS: dict[str, Callable[[Path], None]] = {"fifo": _fifo, "device": _device, "two gigabytes": _huge, "folder": _folder}
SAID = "is not a regular file|is larger than|Is a directory|is a directory"


@pytest.fixture(params=list(WAYS))
def put(request: pytest.FixtureRequest) -> Callable[[Path], None]:
    """Put something in the place of a file."""

    def there(path: Path) -> None:
        path.unlink(missing_ok=True)
        WAYS[request.param](path)

    return there


@pytest.mark.parametrize("name", ["estate.yaml", "placement.yaml", "regions/west.yaml", "trust-anchors.pem"])
def test_in_an_estate(put: Callable[[Path], None], tmp_path: Path, name: str) -> None:
    put(write_files(tmp_path) / name)
    with pytest.raises(DeclarationError, match=SAID) as caught:
        load(tmp_path)
    assert name in str(caught.value)


@pytest.mark.parametrize("name", ["x.j2", "unit.yaml"])
def test_among_templates(put: Callable[[Path], None], tmp_path: Path, name: str) -> None:
    (tmp_path / "counter").mkdir()
    put(tmp_path / "counter" / name)
    with pytest.raises(DeclarationError, match=SAID) as caught:
        Templates.load(tmp_path)
    assert name in str(caught.value)


def test_as_a_plan(put: Callable[[Path], None], tmp_path: Path) -> None:
    put(tmp_path / "plan.json")
    with pytest.raises(PlanError, match=rf"plan\.json: ({SAID})"):
        planned.from_file(sound(), tmp_path / "plan.json")


def test_as_a_journal(put: Callable[[Path], None], tmp_path: Path) -> None:
    put(tmp_path / "journal.jsonl")
    with pytest.raises((BrokenRecordError, OSError), match=SAID):
        journal.read(tmp_path / "journal.jsonl")


def test_as_a_stored_report(put: Callable[[Path], None], tmp_path: Path) -> None:
    put(tmp_path / "report.json")
    with pytest.raises(StoredReportError, match=SAID):
        storing.read_report(tmp_path / "report.json")


def test_as_a_lease(put: Callable[[Path], None], tmp_path: Path) -> None:
    put(tmp_path / "lease.json")
    with pytest.raises((PulihError, OSError), match=SAID):
        FileStore(tmp_path).get("lease.json")


def test_as_a_labs_card(put: Callable[[Path], None], tmp_path: Path) -> None:
    put(tmp_path / "lab.json")
    with pytest.raises(LabError, match=SAID):
        manage.status(tmp_path)


def test_as_what_tells_who_conducts_a_run(put: Callable[[Path], None], tmp_path: Path) -> None:
    (tmp_path / "runs" / "r").mkdir(parents=True)
    put(tmp_path / "runs" / "r" / "process.json")
    assert not Runs(tmp_path, LinuxProcesses("a@b")).is_alive("r")


def test_a_journal_without_an_end_is_exit_6_and_names_the_file(capsys: Capture, tmp_path: Path) -> None:
    write_files(tmp_path / "estate")
    run = tmp_path / ".pulih" / "runs" / RESULT.run
    run.mkdir(parents=True)
    (run / "plan.json").write_text("{}")
    honest = honest_journal()
    (run / "journal.jsonl").write_bytes(honest + b'{"number":' + b"1" * (journal.MAX_LINE_BYTES + 1))
    said = pulih(capsys, "runs", "--estate", tmp_path / "estate")
    assert said.code == 6
    line = honest.count(b"\n") + 1
    assert f"{run / 'journal.jsonl'}:{line}: this journal was edited: a line of " in said.err


def test_a_key_file_that_is_none(tmp_path: Path, put: Callable[[Path], None]) -> None:
    put(tmp_path / "key")
    with pytest.raises(LoginKeyError, match=SAID):
        load_keys(tmp_path / "key", None)


def test_more_regions_than_any_country_has(tmp_path: Path) -> None:
    write_files(tmp_path)
    for number in range(1000):
        (tmp_path / "regions" / f"region-{number}.yaml").touch()
    with pytest.raises(DeclarationError) as raised:
        load(tmp_path)
    (mistake,) = raised.value.mistakes
    assert "expected at most 1,000 regions" in mistake.message
