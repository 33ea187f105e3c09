"""What a journal tells of its run: whole, in pieces as it comes, over several parts, or as an older pulih wrote it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recovery.errors import BrokenRecordError
from recovery.journal import Journal, Line, read
from recovery.model.estate import UnitName
from recovery.model.events import (
    Event,
    RunFinished,
    RunStarted,
    UnitFinished,
    UnitRetried,
    UnitStarted,
    WaveFinished,
    WaveHeld,
    WaveStarted,
)
from recovery.model.outcome import Outcome, RunResult, State
from recovery.model.plan import Selection
from recovery.model.story import NO_SCENE, Retry, Scene, WaveSpan
from recovery.model.visit import Epoch
from recovery.plan import routine
from recovery.record import Recorder
from recovery.retold import Telling, story
from tests.estates import sound_estate
from tests.stories import START, at, run

ESTATE = sound_estate(Path("estate"))
PLAN, _ = routine(ESTATE, "sha256:0", Selection(), commit=None)
WAVE = PLAN.unit_waves[-1]
FIRST, LAST = WAVE.steps[0], WAVE.steps[-1]


def outcome(name: UnitName, state: State, seconds: float) -> Outcome:
    step = next(step for step in PLAN.steps() if step.name == name)
    return Outcome(
        name=name,
        office=step.office,
        region=step.region,
        service=step.service,
        data_centre=step.data_centre,
        state=state,
        digest=None,
        seconds=1.0,
        finished_at=at(seconds) if state is not State.NOT_STARTED else None,
    )


def begun() -> RunResult:
    steps = [outcome(step.name, State.NOT_STARTED, 0) for step in PLAN.steps()]
    return replace(
        run(end_s=0),
        units=tuple(each for each in steps if each.region is not None),
        endpoints=tuple(each for each in steps if each.region is None),
    )


def started(seconds: float = 0.0, result: RunResult | None = None) -> RunStarted:
    return RunStarted(
        run="r",
        verb="apply",
        epoch=Epoch(number=1, holder="h"),
        result=result or begun(),
        scene=Scene.of(ESTATE, PLAN),
        at=at(seconds),
    )


def broken_off() -> list[Event]:
    """A run whose process died: the first unit is done after two tries, the last is under way."""
    return [
        started(),
        WaveStarted(wave=WAVE.name, at=at(1)),
        UnitStarted(step=FIRST, at=at(2)),
        UnitStarted(step=LAST, at=at(2)),
        UnitRetried(name=FIRST.name, attempt=1, reason="the line broke", at=at(3)),
        UnitFinished(outcome=outcome(FIRST.name, State.VERIFIED, 4), at=at(4)),
    ]


def lines(folder: Path, *events: Event) -> tuple[Line, ...]:
    journal = Journal(folder / "journal.jsonl")
    recorder = Recorder(journal)
    for event in events:
        recorder.notice(event)
    journal.close()
    return read(folder / "journal.jsonl")


def test_a_run_that_was_broken_off_tells_who_was_under_way(tmp_path: Path) -> None:
    told = story(lines(tmp_path, *broken_off()))
    assert told is not None
    assert (told.finished, told.resumed_at) == (False, None)
    assert told.under_way == {LAST.name: at(2)}
    assert told.retries == {FIRST.name: (Retry(attempt=1, reason="the line broke", at=at(3)),)}
    assert told.waves == (WaveSpan(name=WAVE.name, started_at=at(1)),)
    assert told.scene == Scene.of(ESTATE, PLAN)
    assert told.result.finished_at == at(4)


def test_a_wave_that_is_held_ends_the_run_and_going_past_it_does_not(tmp_path: Path) -> None:
    def held(folder: Path, *, went_on: bool) -> tuple[str | None, tuple[WaveSpan, ...]]:
        folder.mkdir()
        told = story(
            lines(
                folder,
                *broken_off(),
                WaveHeld(wave=WAVE.name, reason="too many", went_on=went_on, at=at(5)),
                WaveFinished(wave=WAVE.name, passed=went_on, at=at(6)),
                RunFinished(result=replace(begun(), exit_code=5), at=at(6)),
            )
        )
        assert told is not None
        assert told.finished
        assert told.under_way == {}
        return told.held, told.waves

    span = WaveSpan(name=WAVE.name, started_at=at(1), finished_at=at(6), passed=False, held="too many")
    assert held(tmp_path / "stopped", went_on=False) == (WAVE.name, (span,))
    assert held(tmp_path / "past", went_on=True) == (None, (replace(span, passed=True),))


def test_a_resumed_run_counts_from_its_first_start_and_forgets_who_was_under_way(tmp_path: Path) -> None:
    again = replace(begun(), started_at=at(100), lost_at=at(100))
    told = story(lines(tmp_path, *broken_off(), started(100, again), WaveStarted(wave=WAVE.name, at=at(101))))
    assert told is not None
    assert (told.result.started_at, told.result.lost_at, told.resumed_at) == (START, START, at(100))
    assert told.under_way == {}
    assert [span.started_at for span in told.waves] == [at(1), at(101)]


def test_a_run_that_had_ended_and_goes_on_is_not_finished(tmp_path: Path) -> None:
    ended = RunFinished(result=replace(begun(), exit_code=3), at=at(6))
    told = story(lines(tmp_path, *broken_off(), ended, started(100)))
    assert told is not None
    assert not told.finished


@settings(max_examples=30, deadline=None)
@given(cuts=st.lists(st.integers(0, 6), max_size=4).map(sorted))
def test_in_pieces_a_journal_tells_the_same(tmp_path_factory: pytest.TempPathFactory, cuts: list[int]) -> None:
    whole = lines(tmp_path_factory.mktemp("run"), *broken_off())
    telling = Telling()
    for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        telling.take(whole[start:end])
        assert telling.story() == story(whole[:end])


def test_a_journal_older_than_scenes_is_read_without_one(tmp_path: Path) -> None:
    first, *rest = lines(tmp_path, *broken_off())
    old = replace(first, data={key: value for key, value in first.data.items() if key != "scene"})
    told = story([old, *rest])
    assert told is not None
    assert told.scene == NO_SCENE
    assert len(told.waves) == 1


@pytest.mark.parametrize("data", [{}, {"wave": "w", "reason": "r"}, {"name": "n", "attempt": "x", "reason": "r"}])
@pytest.mark.parametrize("kind", ["unit-finished", "wave-held", "unit-retried", "run-started"])
def test_whole_lines_that_make_no_sense_are_not_believed(kind: str, data: dict[str, object]) -> None:
    line = Line(number=1, at=START + timedelta(seconds=1), kind=kind, data=data, hash="")
    with pytest.raises(BrokenRecordError, match="can't be read"):
        story([line])
