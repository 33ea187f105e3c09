"""A run's forecast, from the moment before it to its report, and how whoever watches it sees its rest."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from recovery.cli.following import Following
from recovery.cli.forecasting import EVERY, REST, Paced, Watched
from recovery.cli.liveview import LiveView
from recovery.errors import UnreachableError
from recovery.model.estate import UnitName
from recovery.model.events import UnitStarted
from recovery.model.forecast import Forecast
from recovery.outlook import Outlook, SoFar
from recovery.processes import LinuxProcesses
from recovery.runs import Runs
from tests.cli_world import Units, pulih, small_estate
from tests.stories import a_forecast, at, every_ending

Capture = pytest.CaptureFixture[str]
PASSPORT = UnitName("airport-passport")


@pytest.fixture
def estate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("PULIH_STATE", raising=False)
    return small_estate(tmp_path)


@pytest.fixture
def units(estate: Path, monkeypatch: pytest.MonkeyPatch) -> Units:
    return Units(estate, pause_s=0.01).install(monkeypatch)


def journals(estate: Path) -> list[Path]:
    return sorted((estate.parent / ".pulih" / "runs").glob("*/journal.jsonl"), key=lambda path: path.stat().st_mtime_ns)


def lines(journal: Path, kind: str) -> list[dict[str, Any]]:
    told = [json.loads(line) for line in journal.read_text().splitlines()]
    return [line["data"] for line in told if line["kind"] == kind]


def test_a_run_records_its_forecast_before_it_begins_and_its_report_sets_it_beside_what_came(
    estate: Path, units: Units, capsys: Capture, tmp_path: Path
) -> None:
    assert pulih(capsys, "apply", "--estate", estate).code == 0
    planned = json.loads(pulih(capsys, "plan", "--estate", estate, "--output", "json").out)["forecast"]
    units.digests.clear()
    assert pulih(capsys, "apply", "--estate", estate, "--report-dir", tmp_path / "report").code == 0
    first, second = journals(estate)
    assert json.loads(second.read_text().splitlines()[0])["kind"] == "forecast"
    assert lines(second, "forecast") == [planned]
    assert lines(first, "forecast")[0]["steps_known"] == 0
    assert planned["steps_known"] == 7
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert report["forecast"] == planned
    assert "by earlier runs on this estate; it took " in (tmp_path / "report" / "report.md").read_text()
    page = (tmp_path / "report" / "report.html").read_text()
    assert "by earlier runs on this estate; it took " in page
    assert pulih(capsys, "report", report["run"], "--estate", estate, "--report-dir", tmp_path / "again").code == 0
    for name in ("report.html", "report.md", "report.json"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "report" / name).read_bytes()


def test_a_run_that_is_resumed_keeps_the_forecast_it_began_with(estate: Path, units: Units, capsys: Capture) -> None:
    units.fails[PASSPORT] = UnreachableError(PASSPORT, "nobody there")
    assert pulih(capsys, "apply", "--estate", estate).code == 3
    units.fails.clear()
    assert pulih(capsys, "resume", "--estate", estate).code == 0
    (journal,) = journals(estate)
    assert len(lines(journal, "forecast")) == 1
    assert "by default durations: no earlier run on this estate is known." in (journal.parent / "report.md").read_text()


def test_a_loss_that_lies_back_counts_in_what_is_said_to_be_missed(estate: Path, units: Units, capsys: Capture) -> None:
    assert pulih(capsys, "apply", "--estate", estate).code == 0
    recover = ("recover", "--lost", "pdns-2", "--yes", "--estate", estate)
    assert pulih(capsys, *recover, "--lost-at", "2024-06-20T00:54:00+07:00").code == 0
    services = lines(journals(estate)[-1], "forecast")[0]["services"]
    assert all(not one["met"] and one["lost_s"] > 10**7 and one["holds_with"] is None for one in services)
    assert units.visited


@pytest.fixture
def broken_off(estate: Path, units: Units, capsys: Capture) -> Path:
    """The journal of a run that has come to its middle, on an estate that an earlier run was on."""
    assert pulih(capsys, "apply", "--estate", estate).code == 0
    units.digests.clear()
    assert pulih(capsys, "apply", "--estate", estate).code == 0
    journal = journals(estate)[-1]
    told = journal.read_bytes().splitlines(keepends=True)
    middle = [place for place, line in enumerate(told) if b'"unit-started"' in line][3]
    journal.write_bytes(b"".join(told[: middle + 1]))
    return journal


def a_look(estate: Path, journal: Path) -> tuple[Watched, Following]:
    runs = Runs(estate.parent / ".pulih", LinuxProcesses("test"))
    following = Following(journal)
    return Watched(estate, runs, journal.parent.name), following


def test_whoever_watches_sees_how_the_rest_will_go(estate: Path, broken_off: Path) -> None:
    seeing, following = a_look(estate, broken_off)
    following.know(seeing.plan)
    begun = [event.step.name for event in following.events() if isinstance(event, UnitStarted)]
    assert len(begun) == 4
    told = following.story()
    assert told is not None
    outlook = seeing(SoFar.of(told), told.result.finished_at)
    assert outlook is not None
    assert outlook.seconds > (told.result.finished_at - told.result.started_at).total_seconds()
    view = LiveView(following, told, lambda: True, lambda: told.result.finished_at, seeing)
    view.refresh()
    assert "to go." in view.page()
    assert "Now expected" in view.page()


def test_an_estate_that_has_changed_since_tells_nothing_of_the_rest(
    estate: Path, broken_off: Path, capsys: Capture
) -> None:
    path = estate / "estate.yaml"
    path.write_text(path.read_text().replace("region: 32", "region: 31"))
    seeing, following = a_look(estate, broken_off)
    assert "how the rest of the run will go can't be told: the estate has changed since" in capsys.readouterr().err
    following.more()
    told = following.story()
    assert told is not None
    assert seeing.plan is None
    assert seeing(SoFar.of(told), told.result.finished_at) is None


class Counting(Outlook):
    """Counts how often it is played, and has a clock on which each play takes a while."""

    def __init__(self, takes_s: float) -> None:
        self.takes_s, self.plays = takes_s, 0

    def rest(self, so_far: SoFar, at: datetime) -> Forecast:
        del so_far, at
        self.plays += 1
        return replace(a_forecast(every_ending(), {}), steps=self.plays)

    def spent(self) -> float:
        return self.plays * self.takes_s


@pytest.mark.parametrize(
    ("takes_s", "pause_s"), [(0.001, EVERY.total_seconds()), (0.5, REST * 0.5)], ids=["quick", "slow"]
)
def test_the_rest_is_played_as_seldom_as_it_must_be(takes_s: float, pause_s: float) -> None:
    outlook = Counting(takes_s)
    seeing: Callable[[SoFar, datetime], Forecast | None] = Paced(outlook, outlook.spent)
    so_far = SoFar.of(every_ending())
    seen = [seeing(so_far, at(step / 10)) for step in range(int(10 * 3 * pause_s))]
    assert outlook.plays == 3
    assert [one.steps for one in seen if one is not None] == sorted(one.steps for one in seen if one is not None)
