"""`apply` and `recover`: what they touch, ask, write and return; units in memory."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest

from recovery.cli import asking, running
from recovery.cli.main import main
from recovery.cli.plain import PlainProgress
from recovery.cli.watch import Watch
from recovery.clock import WallClock
from recovery.errors import HostKeyError, PlanError, UnreachableError
from recovery.lease import Leases
from recovery.model.estate import UnitName
from recovery.model.events import Event
from recovery.model.outcome import Cause, State
from recovery.processes import LinuxProcesses
from recovery.report import from_json
from recovery.store import FileStore
from tests.cli_world import Units, pulih, small_estate

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch


@pytest.fixture
def estate(tmp_path: Path, monkeypatch: Patch) -> Path:
    monkeypatch.delenv("PULIH_ESTATE", raising=False)
    monkeypatch.delenv("PULIH_STATE", raising=False)
    return small_estate(tmp_path)


@pytest.fixture
def units(estate: Path, monkeypatch: Patch) -> Units:
    return Units(estate).install(monkeypatch)


def report(folder: Path) -> dict[str, object]:
    return json.loads((folder / "report.json").read_bytes())


@pytest.mark.usefixtures("units")
def test_apply_brings_every_unit_up_and_the_second_sends_nothing(estate: Path, capsys: Capture) -> None:
    first = pulih(capsys, "apply", "--estate", estate)
    assert first.code == 0
    assert re.match(r"3 of 3 units verified in [\d.]+ s: 3 sent, 0 unchanged; 4 of 4 endpoints\n", first.out)
    second = pulih(capsys, "apply", "--estate", estate, "--output", "json")
    assert (second.code, json.loads(second.out)["totals"]["unchanged"]) == (0, 3)


@pytest.mark.usefixtures("units")
def test_recover_moves_the_placement_and_a_second_one_sends_nothing(
    estate: Path, capsys: Capture, tmp_path: Path
) -> None:
    assert pulih(capsys, "apply", "--estate", estate).code == 0
    words = ("recover", "--lost", "pdns-2", "--yes", "--estate", estate, "--report-dir")
    assert pulih(capsys, *words, tmp_path / "first").code == 0
    placement = (estate / "placement.yaml").read_text()
    assert "pdns-2" not in placement.replace("# since", "")
    assert "# since the move" in placement
    assert pulih(capsys, *words, tmp_path / "second").code == 0
    first, second = report(tmp_path / "first"), report(tmp_path / "second")
    assert (first["lost"], first["to"]) == ("pdns-2", "cloud-1")
    totals = (first["totals"], second["totals"])
    assert [(total["applied"], total["unchanged"]) for total in totals if isinstance(total, dict)] == [(3, 0), (0, 3)]
    assert (tmp_path / "first" / "report.md").read_text().startswith("# small: 3 of 3 units verified\n")


def test_one_units_failure_is_a_value_and_the_others_go_on(
    estate: Path, units: Units, capsys: Capture, tmp_path: Path
) -> None:
    name = UnitName("embassy-passport")
    units.fails[name] = UnreachableError(name, "nobody \x1b[31mthere")
    said = pulih(capsys, "apply", "--estate", estate, "--report-dir", tmp_path / "r", "--log", tmp_path / "log")
    assert said.code == 3
    assert "2 of 3 units verified" in said.out
    assert "unreachable 1: embassy-passport" in said.out
    assert r"failed embassy-passport (unreachable): nobody \x1b[31mthere" in said.err
    assert "\x1b" not in said.out + said.err + (tmp_path / "r" / "report.md").read_text()
    log = (tmp_path / "log").read_text()
    assert "embassy-passport started, passport at pdns-2" in log
    assert r"embassy-passport quarantined after" in log
    assert log.splitlines()[-1].endswith("apply ends, exit code 3")


def test_a_selection_touches_only_what_it_names(estate: Path, units: Units, capsys: Capture) -> None:
    assert pulih(capsys, "apply", "--estate", estate, "--unit", "airport-passport").code == 0
    assert {name for _, name in units.visited} == {"airport-passport"}


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--region", "wset"), "--region wset: the estate has no such region; did you mean west?"),
        (("--service", "pasport"), "--service pasport: the estate has no such service; did you mean passport?"),
        (("--unit", "zzz"), "--unit zzz: the estate has no such unit; there are embassy-passport, "),
        (("--unit", "embassy-passport-old"), "--unit embassy-passport-old: it is declared retired"),
    ],
)
def test_a_wrong_name_is_an_error_that_suggests_the_nearest(
    estate: Path, units: Units, capsys: Capture, words: tuple[str, ...], complaint: str
) -> None:
    said = pulih(capsys, "apply", "--estate", estate, *words)
    assert (said.code, units.visited) == (1, [])
    assert complaint in said.err


def test_recover_without_a_terminal_and_without_yes_is_refused_with_the_line_to_type(
    estate: Path, units: Units, capsys: Capture
) -> None:
    said = pulih(
        capsys, "recover", "--lost", "pdns-2", "--service", "passport", "--service", "time", "--estate", estate
    )
    line = f"pulih recover --lost pdns-2 --service passport --service time --estate {estate} --yes"
    assert (said.code, units.visited) == (5, [])
    assert said.err.rstrip().endswith(line)
    assert not (estate.parent / ".pulih").exists()


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("yes\n", 0), ("n\n", 5), ("\n", 5), ("", 5)])
def test_recover_on_a_terminal_shows_the_plan_and_asks(
    estate: Path, units: Units, capsys: Capture, monkeypatch: Patch, tmp_path: Path, answer: str, code: int
) -> None:
    monkeypatch.setattr(asking, "can_ask", lambda: True)
    monkeypatch.setattr("recovery.cli.context.can_ask", lambda: True)
    typed = tmp_path / "typed"
    typed.write_text(answer)
    with typed.open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        said = pulih(capsys, "recover", "--lost", "pdns-2", "--estate", estate)
    assert said.code == code
    assert "Recovery of small from pdns-2 to cloud-1: 3 units in 2 offices of 2 regions, 4 endpoints" in said.err
    assert "Go ahead? [y/N]" in said.err
    assert bool(units.visited) == (code == 0)


def test_recover_follows_a_stored_plan_and_refuses_one_that_no_longer_fits(
    estate: Path, units: Units, capsys: Capture, tmp_path: Path
) -> None:
    plan = tmp_path / "plan.json"
    assert pulih(capsys, "plan", "--lost", "pdns-2", "--region", "west", "--out", plan, "--estate", estate).code == 0
    services = (estate / "services.yaml").read_text()
    (estate / "services.yaml").write_text(services.replace("rto_min: 1440", "rto_min: 1441"))
    refused = pulih(capsys, "recover", plan, "--yes", "--estate", estate)
    assert (refused.code, units.visited) == (5, [])
    assert "no longer fits" in refused.err
    (estate / "services.yaml").write_text(services)
    assert pulih(capsys, "recover", plan, "--yes", "--estate", estate).code == 0
    assert "airport-passport" in {name for _, name in units.visited}
    assert "embassy-passport" not in {name for _, name in units.visited}


@pytest.mark.usefixtures("units")
@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "is not a plan"),
        ("[]", "expected an object"),
        ('{"schema": "pulih/report/v1"}', "its schema is 'pulih/report/v1'"),
        ('{"schema": "pulih/plan/v1", "lost": null, "to": null}', "routine deployment"),
        ('{"schema": "pulih/plan/v1", "lost": "pdns-2", "to": "cloud-1"}', "selection.regions is missing"),
    ],
)
def test_what_is_no_recovery_plan_is_an_error(
    estate: Path, capsys: Capture, tmp_path: Path, content: str, complaint: str
) -> None:
    (tmp_path / "plan.json").write_text(content)
    said = pulih(capsys, "recover", tmp_path / "plan.json", "--yes", "--estate", estate)
    assert said.code == 1
    assert complaint in said.err


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ((), "say which data centre is lost"),
        (("plan.json", "--lost", "pdns-2"), "leave out --lost"),
        (("--lost", "pdns2"), "--lost pdns2: the estate has no such data centre; did you mean pdns-2?"),
        (("--lost", "pdns-2", "--to", "cloud"), "--to cloud: the estate has no such data centre"),
        (("--lost", "pdns-2", "--to", "pdns-2"), "can't take over from itself"),
        (("--lost", "pdns-2", "--lost-at", "noon"), "expected a moment"),
    ],
)
def test_a_recovery_that_makes_no_sense_is_an_error(
    estate: Path, units: Units, capsys: Capture, words: tuple[str, ...], complaint: str
) -> None:
    said = pulih(capsys, "recover", *words, "--yes", "--estate", estate)
    assert (said.code, units.visited) == (1, [])
    assert complaint in said.err


def test_the_moment_of_loss_is_read_with_its_offset_and_lies_in_the_past() -> None:
    now = datetime(2024, 6, 21, tzinfo=UTC)
    assert running.moment("2024-06-20T00:54:00+07:00", now) == datetime(2024, 6, 19, 17, 54, tzinfo=UTC)
    for wrong in ("2024-06-20T00:54:00", "2024-06-22T00:00:00Z", "yesterday"):
        with pytest.raises(PlanError, match="--lost-at"):
            running.moment(wrong, now)


@pytest.mark.usefixtures("units")
def test_the_time_to_recover_counts_from_the_moment_of_loss(estate: Path, capsys: Capture, tmp_path: Path) -> None:
    words = ("recover", "--lost", "pdns-2", "--yes", "--estate", estate, "--lost-at", "2024-06-20T00:54:00+07:00")
    assert pulih(capsys, *words, "--report-dir", tmp_path).code == 0
    services = report(tmp_path)["services"]
    assert isinstance(services, list)
    assert report(tmp_path)["lost_at"] == "2024-06-19T17:54:00.000000Z"
    assert '"met": true' not in (tmp_path / "report.json").read_text()


def test_while_another_run_holds_a_lease_nothing_is_touched_and_the_exit_code_is_4(
    estate: Path, units: Units, capsys: Capture
) -> None:
    leases = Leases(
        FileStore(estate.parent / ".pulih"), WallClock(), LinuxProcesses("somebody@here"), random.SystemRandom()
    )
    lease = leases.take(["west"], "run-of-another")
    held = pulih(capsys, "apply", "--estate", estate)
    assert (held.code, units.visited) == (4, [])
    assert "west is held by somebody@here" in held.err
    assert "run-of-another" in held.err
    assert pulih(capsys, "apply", "--estate", estate, "--region", "east").code == 0
    lease.release()
    assert pulih(capsys, "apply", "--estate", estate).code == 0


def test_a_lease_taken_over_stops_the_run_with_4(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    leases = Leases(store, _Later(), LinuxProcesses("me@here"), random.SystemRandom())
    lease = leases.take(["east"], "run-1")
    found = store.get("leases/east.json")
    assert found is not None
    store.put("leases/east.json", found.content + b" ", over=found.version)
    halt = Watch(lease, lambda: False).halted()
    assert halt is not None
    assert (halt.exit_code, halt.cause) == (4, Cause.STALE_EPOCH)


class _Later:
    """A clock on which every look is a minute later."""

    def __init__(self) -> None:
        self._looks = 0

    def now(self) -> datetime:
        self._looks += 1
        return datetime(2026, 11, 23, 17, self._looks, tzinfo=UTC)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_run_lets_units_in_flight_finish_and_ends_in_a_report_with_130(
    estate: Path, units: Units, capsys: Capture, tmp_path: Path, number: signal.Signals
) -> None:
    def interrupt(name: UnitName) -> None:
        if name == "airport-border-crossing":
            os.kill(os.getpid(), number)

    units.hook, units.pause_s = interrupt, 0.05
    said = pulih(capsys, "apply", "--estate", estate, "--report-dir", tmp_path)
    assert said.code == 130
    assert "stopping: units in flight finish" in said.err
    stored = from_json(report(tmp_path))
    states = {unit.name: unit.state for unit in stored.units}
    assert states == {
        "airport-border-crossing": State.VERIFIED,
        "airport-passport": State.NOT_STARTED,
        "embassy-passport": State.NOT_STARTED,
    }
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_ctrl_c_cuts_units_off_and_still_ends_in_a_report(
    estate: Path, units: Units, capsys: Capture, tmp_path: Path
) -> None:
    def interrupt(name: UnitName) -> None:
        if name == "airport-border-crossing":
            units.pause_s = 30.0
            asyncio.get_running_loop().call_later(0.05, os.kill, os.getpid(), signal.SIGINT)
            asyncio.get_running_loop().call_later(0.10, os.kill, os.getpid(), signal.SIGINT)

    units.hook = interrupt
    assert pulih(capsys, "apply", "--estate", estate, "--report-dir", tmp_path).code == 130
    stored = from_json(report(tmp_path))
    cut = next(unit for unit in stored.units if unit.name == "airport-border-crossing")
    assert (stored.exit_code, cut.state, cut.cause) == (130, State.QUARANTINED, Cause.CANCELLED)
    assert cut.reason == "the run was cut off while it worked on it"
    assert {unit.state for unit in stored.units if unit is not cut} == {State.NOT_STARTED}
    told = from_json(json.loads(pulih(capsys, "report", "--estate", estate, "--output", "json").out))
    assert told.units == stored.units, "the journal tells of them too"


def test_a_run_that_was_asked_to_cancel_starts_no_further_unit(estate: Path, units: Units, capsys: Capture) -> None:
    def cancel(name: UnitName) -> None:
        if name == "airport-border-crossing":
            (run,) = (estate.parent / ".pulih" / "runs").iterdir()
            (run / "cancel").touch()

    units.hook = cancel
    said = pulih(capsys, "apply", "--estate", estate)
    assert said.code == 130
    assert "2 not started" in said.out


def test_a_held_wave_stops_the_run_with_5_where_nobody_can_be_asked(
    tmp_path: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    folder = small_estate(tmp_path, **{"failures: 2": "failures: 0"})
    units = Units(folder).install(monkeypatch)
    name = UnitName("airport-border-crossing")
    units.fails[name] = HostKeyError(name, "showed another key")
    said = pulih(capsys, "apply", "--estate", folder)
    assert said.code == 5
    assert "held: wave border-crossing: 1 of 1 failed (1 host-key), 0 may; stopping" in said.err
    assert "not started 2: the run was held: wave border-crossing" in said.out


def test_a_report_folder_that_cannot_be_written_is_found_before_the_first_unit(
    estate: Path, units: Units, capsys: Capture, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    said = pulih(capsys, "apply", "--estate", estate, "--report-dir", tmp_path / "file" / "report")
    assert (said.code, units.visited) == (1, [])


def test_an_estate_changed_while_somebody_was_asked_is_planned_again(
    estate: Path, units: Units, capsys: Capture, monkeypatch: Patch
) -> None:
    def change(*_: object) -> None:
        west = estate / "regions" / "west.yaml"
        west.write_text(west.read_text().replace("gateway_port: 8081", "gateway_port: 8082"))

    monkeypatch.setattr(running, "_ask", change)
    said = pulih(capsys, "recover", "--lost", "pdns-2", "--estate", estate)
    assert (said.code, units.visited) == (5, [])
    assert "was changed while this was being agreed" in said.err
    leases = list((estate.parent / ".pulih").rglob("leases/*.json"))
    assert leases
    assert all('"released": true' in lease.read_text() for lease in leases)


@pytest.mark.usefixtures("units")
def test_the_state_goes_where_the_environment_says(
    estate: Path, capsys: Capture, monkeypatch: Patch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PULIH_STATE", str(tmp_path / "elsewhere"))
    assert pulih(capsys, "apply", "--estate", estate).code == 0
    (run,) = (tmp_path / "elsewhere" / "runs").iterdir()
    assert {path.name for path in run.iterdir()} >= {
        *("plan.json", "journal.jsonl", "report.json", "report.md", "report.html", "junit.xml")
    }
    assert not (estate.parent / ".pulih").exists()


@pytest.mark.usefixtures("units")
def test_progress_that_fails_does_not_stop_a_run(estate: Path, capsys: Capture, monkeypatch: Patch) -> None:
    def fail(_progress: PlainProgress, _event: Event) -> None:
        raise RuntimeError("no terminal any more")

    monkeypatch.setattr(PlainProgress, "notice", fail)
    said = pulih(capsys, "apply", "--estate", estate)
    assert said.code == 0
    assert said.err == "the progress was not shown to its end: RuntimeError: no terminal any more\n"


@pytest.mark.usefixtures("units")
def test_a_run_goes_on_when_nobody_reads_stderr_any_more(estate: Path, monkeypatch: Patch, tmp_path: Path) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    stderr = open(theirs, "w", buffering=1)  # noqa: PTH123, SIM115 - closing it would fail, for what it still holds
    monkeypatch.setattr("sys.stderr", stderr)
    assert main(["apply", "--estate", str(estate), "--report-dir", str(tmp_path)]) == 0
    assert from_json(report(tmp_path)).exit_code == 0
    with pytest.raises(BrokenPipeError):
        stderr.close()
