"""`pulih watch`: a journal followed while it is written, in the terminal and as a page whose changes travel."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from recovery.cli import liveview
from recovery.cli.following import Following
from recovery.cli.liveview import LiveView
from recovery.cli.serving import socket_at
from recovery.errors import PlanError, RefusedError, UnreachableError
from recovery.model.estate import UnitName
from recovery.model.events import Event, RunFinished, RunStarted, UnitFinished, WaveFinished, WaveStarted
from recovery.report.as_html import to_html
from tests.cli_world import Units, pulih, small_estate
from tests.stories import at

Capture = pytest.CaptureFixture[str]
PASSPORT = UnitName("airport-passport")
BEGUN = 2
"""Lines of a journal from which on its run has begun: the forecast, then the beginning."""


@pytest.fixture
def estate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("PULIH_STATE", raising=False)
    return small_estate(tmp_path)


@pytest.fixture
def journal(estate: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> Path:
    """The journal of a run in which one unit failed."""
    units = Units(estate).install(monkeypatch)
    units.fails[PASSPORT] = UnreachableError(PASSPORT, "nobody there")
    assert pulih(capsys, "apply", "--estate", estate).code == 3
    (path,) = (estate.parent / ".pulih" / "runs").glob("*/journal.jsonl")
    return path


@pytest.mark.usefixtures("journal")
def test_a_run_that_has_ended_is_told_from_its_start_to_its_end(estate: Path, capsys: Capture) -> None:
    said = pulih(capsys, "watch", "--estate", estate)
    assert said.code == 0
    assert "failed airport-passport (unreachable): nobody there" in said.err
    assert said.err.splitlines()[-1].startswith("apply ended after ")
    assert said.out.startswith("2 of 3 units verified")


def test_a_run_whose_process_died_is_watched_as_far_as_it_came(estate: Path, journal: Path, capsys: Capture) -> None:
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:-3]) + lines[-3][:20])
    (journal.parent / "process.json").unlink()
    said = pulih(capsys, "watch", "--estate", estate)
    assert said.code == 0
    assert f"was broken off; nobody conducts it now: pulih resume {journal.parent.name}" in said.err


def test_an_edited_journal_is_not_shown(estate: Path, journal: Path, capsys: Capture) -> None:
    journal.write_bytes(journal.read_bytes().replace(b"nobody there", b"nothing wron"))
    assert pulih(capsys, "watch", "--estate", estate).code == 6


@pytest.mark.usefixtures("journal")
def test_watching_writes_nothing(estate: Path, capsys: Capture) -> None:
    def everything() -> dict[Path, tuple[bytes, int]]:
        files = (path for path in estate.parent.rglob("*") if path.is_file())
        return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}

    before = everything()
    pulih(capsys, "watch", "--estate", estate)
    assert everything() == before


def grown(journal: Path, folder: Path) -> Callable[[int], Path]:
    """Return what writes the first so many lines of a journal, and a torn one behind, into another."""
    lines = journal.read_bytes().splitlines(keepends=True)

    def write(count: int) -> Path:
        path = folder / "grown.jsonl"
        path.write_bytes(b"".join(lines[:count]) + (lines[count][:30] if count < len(lines) else b""))
        return path

    return write


def test_a_journal_is_followed_line_by_line_and_a_torn_line_waits(journal: Path, tmp_path: Path) -> None:
    write = grown(journal, tmp_path)
    following = Following(write(0))
    seen: list[Event] = []
    for count in range(1, len(journal.read_bytes().splitlines()) + 1):
        write(count)
        seen += following.events()
    assert isinstance(seen[0], RunStarted)
    assert isinstance(seen[-1], RunFinished)
    ends = [event.outcome.name for event in seen if isinstance(event, UnitFinished)]
    assert {"airport-border-crossing", "airport-passport", "embassy-passport"} <= set(ends)
    assert len(ends) == len(set(ends)) == 7
    began = [event.wave for event in seen if isinstance(event, WaveStarted)]
    assert began == [event.wave for event in seen if isinstance(event, WaveFinished)]
    assert began[-2:] == ["border-crossing", "passport"]


def a_view(path: Path, now: list[datetime], alive: list[bool]) -> LiveView:
    following = Following(path)
    following.more()
    begun = following.story()
    assert begun is not None
    view = LiveView(following, begun, lambda: alive[0], lambda: now[0])
    view.refresh()
    return view


def test_news_travels_as_changes_much_smaller_than_the_page(journal: Path, tmp_path: Path) -> None:
    write, now, alive = grown(journal, tmp_path), [at(0)], [True]
    view = a_view(write(BEGUN), now, alive)
    assert view.version == 1
    assert "Under way" in view.page()
    for count in range(BEGUN + 1, len(journal.read_bytes().splitlines())):
        write(count)
        view.refresh()
    changes = view.since(1)
    assert changes
    assert [number for number, _ in changes] == list(range(2, view.version + 1))
    assert all(len(change) < len(view.page()) / 4 for _, change in changes)


def test_without_news_nothing_travels_but_the_time(journal: Path, tmp_path: Path) -> None:
    now, alive = [at(0)], [True]
    view = a_view(grown(journal, tmp_path)(BEGUN), now, alive)
    view.refresh()
    assert view.version == 1
    now[0] = at(3600 * 24 * 400)
    view.refresh()
    assert view.version == 2
    alive[0] = False
    view.refresh()
    assert "Broken off before its end" in view.page()


def test_at_the_end_the_page_is_the_report(journal: Path) -> None:
    view = a_view(journal, [at(0)], [True])
    following = Following(journal)
    following.more()
    told = following.story()
    assert told is not None
    assert view.page().partition("<main")[2].partition(">")[2] == to_html(told).partition("<main")[2].partition(">")[2]
    version = view.version
    view.refresh()
    assert view.version == version


def test_a_browser_that_missed_too_much_is_told_to_load_the_page_again(
    journal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(liveview, "KEPT_BYTES", 1)
    write = grown(journal, tmp_path)
    view = a_view(write(BEGUN), [at(0)], [True])
    for count in (4, 6, 8):
        write(count)
        view.refresh()
    assert view.version == 4
    assert view.since(1) is None
    assert view.since(5) is None
    assert [number for number, _ in view.since(3) or ()] == [4]
    assert view.since(4) == []


def test_changes_are_json_on_one_line(journal: Path, tmp_path: Path) -> None:
    write = grown(journal, tmp_path)
    view = a_view(write(BEGUN), [at(0)], [True])
    write(7)
    view.refresh()
    for _, change in view.since(1) or ():
        assert "\n" not in change
        assert json.loads(change)


@pytest.mark.parametrize("place", ["0.0.0.0:8080", "192.0.2.1:80", "[::]:8080", "10.0.0.1:1"])
def test_an_address_that_others_can_reach_is_refused(place: str) -> None:
    with pytest.raises(RefusedError, match="ssh -L"):
        socket_at(place)


@pytest.mark.parametrize("place", ["8080", "127.0.0.1", "127.0.0.1:x", "example:80", "127.0.0.1:70000", ":80"])
def test_a_place_that_is_none_is_named(place: str) -> None:
    with pytest.raises(PlanError, match="--serve"):
        socket_at(place)


def test_a_run_that_never_began_has_nothing_to_watch(estate: Path, journal: Path, capsys: Capture) -> None:
    journal.unlink()
    (journal.parent / "process.json").unlink()
    said = pulih(capsys, "watch", "--estate", estate)
    assert said.code == 1
    assert "was killed before it did anything" in said.err
