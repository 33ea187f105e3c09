"""kill -9 of a recovery at any point, then `resume`: everything ends as declared, and nothing is done twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from recovery import lab
from tests.drill.watching import PULIH, Witness, begin, finished, pulih, roots, wait_for

UNITS, FEW = 60, 20


@contextmanager
def after_a_loss(folder: Path, units: int) -> Generator[Path]:
    lab.up(units, folder)
    try:
        applied = pulih("apply", "--estate", str(folder / "estate"))
        assert applied.returncode == 0, applied.stderr
        lab.lose(folder, "pdns-2")
        yield folder
    finally:
        lab.down(folder)


@pytest.fixture
def many(tmp_path: Path) -> Generator[Path]:
    """A lab of sixty units that has just lost pdns-2."""
    with after_a_loss(tmp_path / "lab", UNITS) as folder:
        yield folder


@pytest.fixture
def home(tmp_path: Path) -> Generator[Path]:
    """A lab of a few units that has just lost pdns-2."""
    with after_a_loss(tmp_path / "lab", FEW) as folder:
        yield folder


def receipts(folder: Path) -> dict[str, bytes]:
    return {name: (root / "receipt.json").read_bytes() for name, root in roots(folder).items()}


_ELSEWHERE = [pytest.param(after, marks=pytest.mark.thorough) for after in (15, 30)]


@pytest.mark.parametrize("killed_after", [5, *_ELSEWHERE, 45])
def test_a_killed_recovery_is_resumed_and_no_unit_is_mixed_or_done_twice(many: Path, killed_after: int) -> None:
    estate = str(many / "estate")
    before = {path.name for path in (many / ".pulih" / "runs").iterdir()}
    with Witness(roots(many)) as witness:
        recover = begin("recover", "--lost", "pdns-2", "--yes", "--parallel", "8", "--estate", estate)
        run = wait_for(many, before, killed_after, recover)
        os.kill(recover.pid, signal.SIGKILL)
        recover.communicate()
        done = finished(many, run)
        assert killed_after <= len(done) < UNITS
        time.sleep(0.5)  # the appliers that the kill left behind come to their end
        written = receipts(many)
        resumed = pulih("resume", "--estate", estate, "--output", "json")
    assert resumed.returncode == 0, resumed.stderr
    report = json.loads(resumed.stdout)
    assert report["run"] == run
    assert (report["totals"]["verified"], report["totals"]["units"]) == (UNITS, UNITS)
    after = receipts(many)
    assert [name for name in done if after[name] != written[name]] == []
    assert witness.looks > 3
    assert witness.mixtures == []
    drift = pulih("drift", "--estate", estate)
    assert drift.returncode == 0, drift.stdout


def test_a_run_that_was_killed_is_listed_as_interrupted_and_can_be_cancelled(home: Path) -> None:
    estate = str(home / "estate")
    before = {path.name for path in (home / ".pulih" / "runs").iterdir()}
    recover = begin("recover", "--lost", "pdns-2", "--yes", "--parallel", "4", "--estate", estate)
    run = wait_for(home, before, 3, recover)
    os.kill(recover.pid, signal.SIGKILL)
    recover.communicate()
    listed = json.loads(pulih("runs", "--estate", estate, "--output", "json").stdout)
    assert listed["schema"] == "pulih/runs/v1"
    assert {key: listed["runs"][0][key] for key in ("run", "state", "exit_code")} == {
        "run": run,
        "state": "interrupted",
        "exit_code": None,
    }
    cancelled = pulih("cancel", run, "--estate", estate)
    assert cancelled.returncode == 0
    assert "is cancelled" in cancelled.stdout
    assert "cloud-1" in cancelled.stdout
    again = pulih("recover", "--lost", "pdns-2", "--yes", "--estate", estate)
    assert again.returncode == 0, again.stderr


def test_ctrl_c_lets_units_in_flight_finish_and_resume_goes_on(home: Path) -> None:
    estate = str(home / "estate")
    before = {path.name for path in (home / ".pulih" / "runs").iterdir()}
    recover = begin("recover", "--lost", "pdns-2", "--yes", "--parallel", "4", "--estate", estate)
    run = wait_for(home, before, 5, recover)
    recover.send_signal(signal.SIGINT)
    out, _ = recover.communicate(timeout=120)
    assert recover.returncode == 130, out
    assert f"pulih resume {run}" in out
    report = json.loads((home / ".pulih" / "runs" / run / "report.json").read_text())
    assert report["totals"]["quarantined"] == 0
    assert report["totals"]["not_started"] > 0
    resumed = pulih("resume", run, "--estate", estate)
    assert resumed.returncode == 0, resumed.stderr


def test_cancel_stops_a_running_recovery(many: Path) -> None:
    estate = str(many / "estate")
    before = {path.name for path in (many / ".pulih" / "runs").iterdir()}
    recover = begin("recover", "--lost", "pdns-2", "--yes", "--parallel", "2", "--estate", estate)
    run = wait_for(many, before, 5, recover)
    cancelled = pulih("cancel", run, "--estate", estate)
    out, _ = recover.communicate(timeout=120)
    assert (cancelled.returncode, recover.returncode) == (0, 130), out
    assert "placement" in cancelled.stdout


def test_a_second_operator_is_told_who_holds_what(many: Path) -> None:
    estate = str(many / "estate")
    before = {path.name for path in (many / ".pulih" / "runs").iterdir()}
    recover = begin("recover", "--lost", "pdns-2", "--yes", "--parallel", "2", "--estate", estate)
    run = wait_for(many, before, 2, recover)
    second = pulih("apply", "--estate", estate)
    assert second.returncode == 4
    assert run in second.stderr
    assert f"process {recover.pid}" in second.stderr
    out, _ = recover.communicate(timeout=180)
    assert recover.returncode == 0, out


def test_a_stopped_writer_is_taken_over_and_refused_when_it_wakes(home: Path) -> None:
    estate = str(home / "estate")
    before = {path.name for path in (home / ".pulih" / "runs").iterdir()}
    recover = begin("recover", "--lost", "pdns-2", "--yes", "--parallel", "2", "--estate", estate)
    run = wait_for(home, before, 5, recover)
    os.kill(recover.pid, signal.SIGSTOP)
    try:
        early = pulih("resume", run, "--estate", estate)
        assert early.returncode == 4, early.stderr
        # The applier gives up on a silent writer after 25 s, so that its lock is free when a takeover is allowed.
        time.sleep(31)
        taken = pulih("resume", run, "--estate", estate)
        assert taken.returncode == 0, taken.stderr
    finally:
        os.kill(recover.pid, signal.SIGCONT)
    out, _ = recover.communicate(timeout=180)
    assert recover.returncode == 4, out
    assert "taken over" in out
    assert pulih("drift", "--estate", estate).returncode == 0
    told = pulih("report", run, "--estate", estate, "--output", "json")
    assert told.returncode == 0, told.stderr
    stored = json.loads((home / ".pulih" / "runs" / run / "report.json").read_text())
    for report in (json.loads(told.stdout), stored):
        assert (report["exit_code"], report["totals"]["verified"]) == (0, FEW)


def test_an_estate_that_moved_by_one_byte_refuses_the_run_and_an_edited_journal_is_found(home: Path) -> None:
    estate = home / "estate"
    before = {path.name for path in (home / ".pulih" / "runs").iterdir()}
    recover = begin("recover", "--lost", "pdns-2", "--yes", "--parallel", "4", "--estate", str(estate))
    run = wait_for(home, before, 5, recover)
    os.kill(recover.pid, signal.SIGKILL)
    recover.communicate()
    region = next((estate / "regions").glob("*.yaml"))
    kept = region.read_text()
    region.write_text(kept + "#")
    refused = pulih("resume", run, "--estate", str(estate))
    assert refused.returncode == 5, refused.stderr
    assert "no longer fits" in refused.stderr
    region.write_text(kept)
    journal = home / ".pulih" / "runs" / run / "journal.jsonl"
    content = bytearray(journal.read_bytes())
    content[len(content) // 2] ^= 1
    journal.write_bytes(content)
    for verb in (["resume", run], ["runs"], ["runs", "show", run], ["report", run], ["cancel", run]):
        assert pulih(*verb, "--estate", str(estate)).returncode == 6, verb


def test_a_plan_whose_waves_were_edited_is_refused(home: Path) -> None:
    estate = str(home / "estate")
    plan = home / "plan.json"
    assert pulih("plan", "--lost", "pdns-2", "--out", str(plan), "--estate", estate).returncode == 0
    edited = json.loads(plan.read_text())
    edited["waves"] = edited["waves"][:1]
    plan.write_text(json.dumps(edited))
    refused = pulih("recover", str(plan), "--yes", "--estate", estate)
    assert refused.returncode == 5
    assert "its waves would not be what is carried out" in refused.stderr


def test_a_hang_up_does_not_stop_a_run_that_was_started_with_nohup(many: Path) -> None:
    before = {path.name for path in (many / ".pulih" / "runs").iterdir()}
    verb = ["recover", "--lost", "pdns-2", "--yes", "--parallel", "4", "--estate", str(many / "estate")]
    recover = subprocess.Popen(
        ["nohup", *PULIH, *verb], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True
    )
    wait_for(many, before, 5, recover)
    recover.send_signal(signal.SIGHUP)
    out, _ = recover.communicate(timeout=180)
    assert recover.returncode == 0, out
