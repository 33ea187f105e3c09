"""The citizens' apps of a drill in its report: counted once, stored with the run, shown on every page."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from recovery.cli.citizens import keep, lines
from recovery.cli.settings import Settings
from recovery.cli.storing import stored_story
from recovery.cli.summary import BAD, GOOD
from recovery.errors import BrokenRecordError, StoredReportError
from recovery.journal import Journal
from recovery.lab.citizens import Reconnected
from recovery.model.citizens import Citizen, Citizens
from recovery.model.estate import ServiceName
from recovery.model.events import RunFinished, RunStarted, UnitFinished, WaveFinished, WaveStarted
from recovery.model.outcome import RunResult
from recovery.model.story import Scene, Story, WaveSteps
from recovery.model.visit import Epoch
from recovery.record import Recorder
from recovery.report import citizen_totals, from_json, to_json, to_markdown
from recovery.report.as_html import to_html
from tests.stories import at, outcome, run

WAVE = "citizen-app"


def citizen(name: str, kind: str, seconds: float | None, *, lost: int = 0, reason: str = "") -> Citizen:
    moment = None if seconds is None else at(seconds)
    return Citizen(name=name, kind=kind, reconnected_at=moment, drafts_lost=lost, reason=reason)


def citizens(*each: Citizen, passed_s: float | None = 10) -> Citizens:
    passed_at = None if passed_s is None else at(passed_s)
    return Citizens(told_at=at(20), wave=WAVE, passed_at=passed_at, each=each)


GOOD_ONES = citizens(citizen("app-1", "offline", 21), citizen("app-2", "offline", 22), citizen("app-3", "behind", 24.5))
BAD_ONES = citizens(
    citizen("app-1", "offline", 9.5),
    citizen("app-2", "offline", None, reason="no <b>way</b> | there"),
    citizen("app-3", "behind", 24.5, lost=2),
)


def test_they_are_counted_from_when_they_could_know() -> None:
    total = citizen_totals(GOOD_ONES)
    assert (total.clients, total.reconnected, total.median_s, total.last_s) == (3, 3, 2.0, 4.5)
    assert total.is_good


@pytest.mark.parametrize(
    "one",
    [
        citizen("late", "offline", None),
        citizen("early", "offline", 9.999),
        citizen("forgetful", "offline", 21, lost=1),
    ],
)
def test_one_that_is_not_as_it_should_be_is_enough(one: Citizen) -> None:
    assert not citizen_totals(replace(GOOD_ONES, each=(*GOOD_ONES.each, one))).is_good


def test_before_a_wave_that_never_passed_everybody_is_early() -> None:
    assert citizen_totals(citizens(*GOOD_ONES.each, passed_s=None)).before_the_wave == 3


@pytest.mark.parametrize("those", [GOOD_ONES, BAD_ONES, citizens(), replace(GOOD_ONES, told_at=None)])
def test_a_report_with_apps_reads_back_as_it_was_written(those: Citizens) -> None:
    told = replace(run(outcome("a")), citizens=those)
    assert from_json(json.loads(json.dumps(to_json(told)))) == told
    assert "clients" not in to_json(run(outcome("a")))


def test_figures_in_a_stored_report_are_counted_again() -> None:
    document = json.loads(json.dumps(to_json(replace(run(outcome("a")), citizens=BAD_ONES))))
    document["clients"]["reconnected"] = 3
    assert citizen_totals(from_json(document).citizens or citizens()).reconnected == 2
    document["clients"]["each"][0]["drafts_lost"] = "none"
    with pytest.raises(StoredReportError, match=r"report\.clients\.each\[0\]\.drafts_lost: expected a number"):
        from_json(document)


def test_pages_name_who_is_missing_and_say_how_many_are_back() -> None:
    told = replace(run(outcome("a")), citizens=BAD_ONES)
    written = to_markdown(Story(result=told, finished=True))
    assert "**2 of 3 apps** found the services again" in written
    assert "Drafts lost: 2. Reconnected before their wave (citizen-app) had passed: 1." in written
    assert r"| app-2 | offline | no &lt;b&gt;way&lt;/b&gt; \| there |" in written
    page = to_html(Story(result=told, finished=True))
    assert "2 of 3 apps" in page
    assert "app-2 (offline): no &lt;b&gt;way&lt;/b&gt; | there" in page
    plain = Story(result=run(outcome("a")), finished=True)
    for other in (to_markdown(plain), to_html(plain)):
        assert "apps" not in other


def test_a_command_ends_with_a_line_of_them() -> None:
    assert list(lines(None)) == []
    ((said, style),) = lines(GOOD_ONES)
    assert said.startswith("3 of 3 apps found the services again without a reinstall, half of them 2.0 s after")
    assert (said.endswith("; 0 drafts lost"), style) == (True, GOOD)
    (said, style), (missing, _) = lines(BAD_ONES)
    assert (said.endswith("; 2 drafts lost, 1 before the wave citizen-app had passed"), style) == (True, BAD)
    assert missing == "  app-2 (offline): no <b>way</b> | there"


def recorded(state: Path, told: RunResult, *, passed: bool = True) -> Settings:
    """Leave a journal in which the wave of the apps' service ended ten seconds after the start."""
    folder = state / "runs" / told.run
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text("{}")
    journal = Journal(folder / "journal.jsonl")
    recorder = Recorder(journal)
    scene = Scene(title="x", offices=(), waves=(WaveSteps(name=WAVE, steps=tuple(unit.name for unit in told.units)),))
    begun = replace(told, units=tuple(told.units))
    epoch = Epoch(number=1, holder="me")
    recorder.notice(RunStarted(run=told.run, verb="recover", epoch=epoch, result=begun, scene=scene, at=at(0)))
    recorder.notice(WaveStarted(wave=WAVE, at=at(1)))
    for unit in told.units:
        recorder.notice(UnitFinished(outcome=unit, at=at(5)))
    recorder.notice(WaveFinished(wave=WAVE, passed=passed, at=at(10)))
    recorder.notice(RunFinished(result=told, at=at(16)))
    journal.close()
    return Settings(estate=state / "estate", state=state, parallel=1, report_dir=state / "report")


def test_what_became_of_them_is_kept_with_the_run_and_does_not_make_it_longer(tmp_path: Path) -> None:
    told = run(replace(outcome("a"), service=ServiceName("citizen-app")))
    settings = recorded(tmp_path, told)
    whole = keep(settings, told, Reconnected(told_at=at(20), each=GOOD_ONES.each))
    assert whole.citizens == replace(GOOD_ONES, wave=WAVE, passed_at=at(10))
    kept = stored_story(tmp_path, told.run)
    assert kept.finished
    assert kept.result.citizens == whole.citizens
    assert kept.result.finished_at == at(16)
    for folder in (tmp_path / "report", tmp_path / "runs" / told.run):
        assert json.loads((folder / "report.json").read_text())["clients"]["reconnected"] == 3
        assert "3 of 3 apps" in (folder / "report.html").read_text()


def test_a_wave_that_was_held_has_not_passed(tmp_path: Path) -> None:
    told = run(replace(outcome("a"), service=ServiceName("citizen-app")))
    settings = recorded(tmp_path, told, passed=False)
    whole = keep(settings, told, Reconnected(told_at=None, each=GOOD_ONES.each))
    assert whole.citizens is not None
    assert (whole.citizens.passed_at, citizen_totals(whole.citizens).before_the_wave) == (None, 3)


def test_a_line_of_apps_that_makes_no_sense_is_a_broken_record(tmp_path: Path) -> None:
    told = run(outcome("a"))
    recorded(tmp_path, told)
    journal = Journal(tmp_path / "runs" / told.run / "journal.jsonl")
    journal.append("clients-reconnected", at(30) + timedelta(seconds=1), {"each": 7})
    journal.close()
    with pytest.raises(BrokenRecordError):
        stored_story(tmp_path, told.run)
