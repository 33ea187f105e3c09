"""What is shown of a run while it goes on: the counts, the lines, the picture."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from recovery.cli.live import LiveProgress, frame
from recovery.cli.plain import HEARTBEAT_S, PlainProgress
from recovery.cli.tally import KEPT_FAILURES, Tally
from recovery.model.estate import DataCentreName
from recovery.model.events import (
    Event,
    PlacementWritten,
    RunFinished,
    RunStarted,
    UnitFinished,
    UnitRetried,
    UnitStarted,
    WaveFinished,
    WaveHeld,
    WaveStarted,
)
from recovery.model.forecast import Forecast, ServiceForecast, WaveForecast
from recovery.model.outcome import Cause, Outcome, RunResult, State
from recovery.model.plan import Plan, Selection, Step
from recovery.model.story import Scene, WaveSteps
from recovery.model.visit import Epoch
from recovery.plan import recovery
from recovery.report.text import duration
from tests.many import an_estate_of

START = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def a_plan(units: int = 12) -> Plan:
    estate = an_estate_of(units)
    lost, to = list(estate.data_centre)[:2]
    if estate.placement.default[estate.services[0].name] != lost:
        lost, to = to, lost
    plan, _ = recovery(estate, "sha256:0", Selection(), lost=DataCentreName(lost), to=DataCentreName(to))
    return plan


def outcome(step: Step, state: State = State.VERIFIED, cause: Cause | None = None, reason: str = "") -> Outcome:
    return Outcome(
        name=step.name,
        office=step.office,
        region=step.region,
        service=step.service,
        data_centre=step.data_centre,
        state=state,
        digest=None,
        seconds=1.0,
        finished_at=START,
        cause=cause,
        reason=reason,
    )


def a_result(plan: Plan, seconds: float = 0.0) -> RunResult:
    return RunResult(
        run="run-1",
        verb="recover",
        estate_name="nusantara",
        estate_digest=plan.estate_digest,
        plan_hash=plan.hash,
        lost=plan.lost,
        to=plan.to,
        started_at=START,
        finished_at=at(seconds),
        lost_at=START,
        exit_code=0,
        units=tuple(outcome(step, State.NOT_STARTED) for step in plan.steps() if not step.is_endpoint),
        endpoints=(),
        services=(),
    )


def scene(plan: Plan) -> Scene:
    waves = tuple(WaveSteps(name=wave.name, steps=tuple(step.name for step in wave.steps)) for wave in plan.waves)
    return Scene(title="", offices=(), waves=waves)


def begun(plan: Plan) -> RunStarted:
    return RunStarted(
        run="run-1",
        verb="recover",
        epoch=Epoch(number=1, holder="h"),
        result=a_result(plan),
        scene=scene(plan),
        at=START,
    )


def whole_run(plan: Plan) -> Iterator[Event]:
    """Everything goes well, a second a step."""
    yield begun(plan)
    second = 0
    for wave in plan.waves:
        yield WaveStarted(wave=wave.name, at=at(second))
        for step in wave.steps:
            yield UnitStarted(step=step, at=at(second))
            second += 1
            yield UnitFinished(outcome=outcome(step), at=at(second))
        yield WaveFinished(wave=wave.name, passed=True, at=at(second))
    yield RunFinished(result=a_result(plan, second), at=at(second))


def test_a_run_that_goes_on_is_counted_anew() -> None:
    plan, tally = a_plan(), Tally()
    for event in (*whole_run(plan), begun(plan)):
        tally.notice(event)
    assert (tally.overall.done, tally.overall.total) == (0, len(list(plan.steps())))
    assert len(tally.waves) == len(plan.waves)
    assert tally.finished_at is None


def told(tally: Tally, now: datetime, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False, record=True, markup=False)
    console.print(frame(tally, now, width))
    return console.export_text()


def test_at_the_end_every_wave_region_and_total_is_full() -> None:
    plan, tally = a_plan(), Tally()
    for event in whole_run(plan):
        tally.notice(event)
    steps = list(plan.steps())
    assert (tally.overall.done, tally.overall.total, tally.overall.failed) == (len(steps), len(steps), 0)
    assert [(wave.count.done, wave.passed) for wave in tally.waves] == [(len(w.steps), True) for w in plan.waves]
    assert sum(count.done for count in tally.regions.values()) == 12
    assert tally.running == 0
    assert tally.elapsed_s(at(10_000)) == len(steps)


def test_the_eta_is_the_rate_so_far_times_what_remains() -> None:
    plan, tally = a_plan(), Tally()
    wave = max(plan.waves, key=lambda wave: len(wave.steps))
    tally.notice(begun(plan))
    tally.notice(WaveStarted(wave=wave.name, at=at(100)))
    mine = tally.wave(wave.name)
    assert mine.eta_s(at(101)) is None
    tally.notice(UnitFinished(outcome=outcome(wave.steps[0]), at=at(102)))
    assert mine.eta_s(at(102)) == 2.0 * (len(wave.steps) - 1)
    tally.notice(WaveFinished(wave=wave.name, passed=True, at=at(110)))
    assert mine.eta_s(at(111)) is None


def test_a_unit_tried_again_is_counted_once_with_its_newest_outcome() -> None:
    plan, tally = a_plan(), Tally()
    step = plan.unit_waves[0].steps[0]
    tally.notice(begun(plan))
    tally.notice(UnitFinished(outcome=outcome(step, State.QUARANTINED, Cause.TIMEOUT), at=at(1)))
    assert (tally.overall.done, tally.overall.failed, len(tally.failures)) == (1, 1, 1)
    tally.notice(UnitFinished(outcome=outcome(step), at=at(2)))
    assert (tally.overall.done, tally.overall.failed, len(tally.failures)) == (1, 0, 0)
    assert tally.causes.total() == 0


def test_only_the_newest_failures_stay_in_sight_and_all_stay_in_the_count() -> None:
    plan, tally = a_plan(30), Tally()
    tally.notice(begun(plan))
    units = [step for step in plan.steps() if not step.is_endpoint]
    for step in units[:20]:
        tally.notice(UnitFinished(outcome=outcome(step, State.QUARANTINED, Cause.DISK_FULL), at=at(1)))
    assert [failure.name for failure in tally.failures] == [step.name for step in units[20 - KEPT_FAILURES : 20]]
    assert tally.causes[Cause.DISK_FULL] == 20
    assert "Failed: 20 (disk-full 20)" in told(tally, at(2))


def test_an_event_costs_the_same_memory_however_large_the_estate_is() -> None:
    costs: list[int] = []
    for units in (30, 300):
        plan, tally = a_plan(units), Tally()
        tally.notice(begun(plan))
        step = plan.unit_waves[0].steps[0]
        tracemalloc.start()
        tally.notice(UnitFinished(outcome=outcome(step), at=at(1)))
        costs.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert costs[1] < costs[0] * 3


def test_the_picture_names_waves_regions_failures_and_eta() -> None:
    plan, tally = a_plan(), Tally()
    wave = plan.unit_waves[0]
    tally.notice(begun(plan))
    tally.notice(WaveStarted(wave=wave.name, at=at(0)))
    tally.notice(UnitFinished(outcome=outcome(wave.steps[0]), at=at(3)))
    bad = outcome(wave.steps[1], State.QUARANTINED, Cause.VALIDATE_FAILED, "nginx: unknown directive")
    tally.notice(UnitFinished(outcome=bad, at=at(4)))
    picture = told(tally, at(4))
    assert picture.startswith("recover  ")
    assert f"{plan.lost} → {plan.to}" in picture
    assert f"2/{len(wave.steps)}" in picture
    assert "ETA 4.0 s" in picture
    assert "region-0" in picture
    assert f"{wave.steps[1].name}  validate-failed  nginx: unknown directive" in picture


def test_escapes_and_markup_from_a_unit_are_shown_not_obeyed() -> None:
    plan, tally = a_plan(), Tally()
    tally.notice(begun(plan))
    evil = "\x1b[2J[bold red]gone[/] \u202eabc\r\n[link=http://x]y"
    tally.notice(
        UnitFinished(outcome=outcome(plan.unit_waves[0].steps[0], State.QUARANTINED, Cause.BAD_ANSWER, evil), at=at(1))
    )
    picture = told(tally, at(1), width=200)
    assert r"\x1b[2J[bold red]gone[/] \u202eabc\x0d\x0a[link=http://x]y" in picture
    assert "\x1b" not in picture
    assert "\u202e" not in picture


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_the_picture_never_is_wider_than_the_terminal(width: int) -> None:
    plan, tally = a_plan(), Tally()
    for event in whole_run(plan):
        tally.notice(event)
    assert max(len(line) for line in told(tally, at(60), width).split("\n")) <= width


def test_the_live_picture_ends_as_the_run_ended() -> None:
    plan, stream = a_plan(), io.StringIO()
    console = Console(file=stream, width=100, height=50, force_terminal=True, color_system=None, _environ={})
    with LiveProgress(console, lambda: at(30)) as progress:
        for event in whole_run(plan):
            progress.notice(event)
        with progress.paused():
            pass
    steps = len(list(plan.steps()))
    assert f"{steps} of {steps} done" in stream.getvalue().rpartition("recover")[2]


def a_plain(now: list[datetime]) -> tuple[PlainProgress, list[str]]:
    lines: list[str] = []
    return PlainProgress(lines.append, lambda: now[0]), lines


def test_plain_progress_has_a_line_a_wave_begun_and_a_line_a_wave_ended() -> None:
    plan, now = a_plan(), [START]
    progress, lines = a_plain(now)
    for event in whole_run(plan):
        now[0] = event.at
        progress.notice(event)
    steps = len(list(plan.steps()))
    assert lines[0] == f"recover from {plan.lost} to {plan.to}: {steps} steps in {len(plan.waves)} waves, run run-1"
    assert len(lines) == 2 + 2 * len(plan.waves)
    last, count = plan.waves[-1], len(plan.waves)
    many = len(last.steps)
    assert lines[-3:] == [
        f"wave {count}/{count} {last.name}: {many} steps",
        f"wave {last.name} passed: {many} of {many} verified in {many}.0 s",
        f"recover ended after {steps} s",
    ]


def test_plain_progress_names_each_failure_on_one_line() -> None:
    plan, now = a_plan(), [START]
    progress, lines = a_plain(now)
    progress.notice(begun(plan))
    step = plan.unit_waves[0].steps[0]
    bad = outcome(step, State.QUARANTINED, Cause.BAD_ANSWER, "\x1b[31mhello\nworld")
    progress.notice(UnitRetried(name=step.name, attempt=1, reason="again", at=at(1)))
    progress.notice(UnitFinished(outcome=bad, at=at(2)))
    assert lines[1:] == [rf"failed {step.name} (bad-answer): \x1b[31mhello\x0aworld"]


def test_plain_progress_says_that_it_was_held_and_that_the_placement_was_written() -> None:
    plan, now = a_plan(), [START]
    progress, lines = a_plain(now)
    progress.notice(begun(plan))
    wave = plan.unit_waves[0]
    progress.notice(PlacementWritten(moves=plan.moves, at=at(1)))
    progress.notice(WaveHeld(wave=wave.name, reason="3 of 4 failed", went_on=False, at=at(2)))
    assert lines[1:] == [f"placement written: {len(plan.moves)} changes", "held: 3 of 4 failed; stopping"]


def test_a_heartbeat_comes_only_after_a_silence() -> None:
    plan, now = a_plan(), [START]
    progress, lines = a_plain(now)
    progress.heartbeat()
    assert lines == []
    wave = plan.unit_waves[0]
    progress.notice(begun(plan))
    progress.notice(WaveStarted(wave=wave.name, at=START))
    progress.notice(UnitFinished(outcome=outcome(wave.steps[0]), at=at(1)))
    said = len(lines)
    now[0] = at(HEARTBEAT_S - 1)
    progress.heartbeat()
    assert len(lines) == said
    now[0] = at(HEARTBEAT_S)
    progress.heartbeat()
    progress.heartbeat()
    assert lines[said:] == [f"{wave.name}: 1 of {len(wave.steps)} done, ETA {5.0 * (len(wave.steps) - 1):.0f} s"]


def test_the_heartbeat_stops_with_the_run() -> None:
    plan, now = a_plan(), [at(1000)]
    progress, lines = a_plain(now)
    with progress:
        for event in whole_run(plan):
            progress.notice(event)
    said = len(lines)
    now[0] = at(5000)
    progress.heartbeat()
    assert len(lines) == said


def seen(plan: Plan, *, late: bool) -> Forecast:
    """The rest of a run: a wave is through every 100 s; the last service is late when asked for."""
    waves = tuple(
        WaveForecast(name=wave.name, steps=len(wave.steps), starts_s=100.0 * place, ends_s=100.0 * (place + 1))
        for place, wave in enumerate(plan.waves)
    )
    ends_s = {name: made.ends_s for made, wave in zip(waves, plan.waves, strict=True) for name in wave.services}
    last = plan.order[-1]
    return Forecast(
        waves=waves,
        services=tuple(
            ServiceForecast(
                name=name,
                ends_s=ends_s[name],
                rto_s=60 if late and name == last else 36_000,
                holds_with=128 if late and name == last else None,
            )
            for name in plan.order
        ),
        parallel=64,
        known=1,
        steps=1,
    )


@pytest.mark.parametrize("width", [60, 100, 200])
def test_the_picture_says_when_each_wave_and_service_will_be_back_and_what_will_be_missed(width: int) -> None:
    plan, tally = a_plan(), Tally()
    first, last = plan.waves[0], plan.waves[-1]
    tally.notice(begun(plan))
    tally.notice(WaveStarted(wave=first.name, at=at(0)))
    outlook = seen(plan, late=True)
    console = Console(file=io.StringIO(), width=width, force_terminal=False, record=True, markup=False)
    console.print(frame(tally, at(10), width, outlook))
    picture = console.export_text()
    assert max(len(line) for line in picture.split("\n")) <= width
    assert "ETA 1 min 30 s" in picture
    last_s = outlook.waves[-1].ends_s - 10
    assert f"through in {duration(last_s)}" in picture
    assert f"back in {duration(last_s)}" in picture
    service = plan.order[-1]
    assert last.services == (service,)
    late = duration(outlook.seconds - 60)
    if width > 60:
        assert f"{service} will miss its RTO of 1 min by {late}; with `--parallel 128` it holds" in picture
    assert "will miss" not in told(tally, at(10))
    tally.notice(RunFinished(result=a_result(plan, 20), at=at(20)))
    console.print(frame(tally, at(20), width, outlook))
    assert "back in" not in console.export_text()


def test_a_heartbeat_says_when_the_whole_run_is_through_and_once_what_will_be_missed() -> None:
    plan, now, lines = a_plan(), [START], list[str]()
    outlook = seen(plan, late=True)
    progress = PlainProgress(lines.append, lambda: now[0], lambda _so_far, _at: outlook)
    wave = plan.waves[0]
    progress.notice(begun(plan))
    progress.notice(WaveStarted(wave=wave.name, at=START))
    said = len(lines)
    for beat in (1, 2):
        now[0] = at(10 * beat)
        progress.heartbeat()
    now[0] = at(20 + HEARTBEAT_S)
    progress.heartbeat()
    left = [
        f"ETA {duration(outlook.waves[0].ends_s - seconds)}, the whole run in {duration(outlook.seconds - seconds)}"
        for seconds in (20, 20 + HEARTBEAT_S)
    ]
    assert lines[said].startswith(f"{plan.order[-1]} will miss its RTO of 1 min by ")
    assert [line[line.index("ETA") :] for line in lines[said + 1 :]] == left
