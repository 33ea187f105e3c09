"""The timeline: bars stand where the record says, on an axis that seldom changes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from recovery.model.estate import UnitName
from recovery.model.story import WaveSpan
from recovery.report.advice import what_next
from recovery.report.marks import Mark
from recovery.report.timeline import LENGTH, Axis, Bar, wave_rows
from tests.stories import a_forecast, at, every_ending, forecast_of, outcome, run


@pytest.mark.parametrize(("end_s", "seconds"), [(0, 2), (16, 20), (20, 20), (20.1, 40), (5000, 5400), (3e6, 3e6)])
def test_the_axis_ends_at_a_round_number_behind_the_run(end_s: float, seconds: float) -> None:
    story = replace(every_ending(), result=run(end_s=end_s))
    assert Axis.of(story, story.result.finished_at).seconds == seconds


def test_a_unit_stands_where_it_was_at_work() -> None:
    story = every_ending()
    axis = Axis.of(story, at(16))
    rows = {unit.name: unit for wave in wave_rows(story, axis, at(16), None) for unit in wave.units}
    assert rows[UnitName("counter")].bar == Bar(500, 200, Mark.DONE)  # from 10 s to 14 s of 20 s
    assert rows[UnitName("sick")].bar == Bar(250, 250, Mark.FAILED)
    assert rows[UnitName("sick")].retries == (350,)
    assert rows[UnitName("left")].bar is None
    assert rows[UnitName("late")].bar is None


def test_a_unit_under_way_reaches_to_now() -> None:
    story = replace(every_ending(), finished=False, under_way={UnitName("late"): at(12)})
    rows = wave_rows(story, Axis.of(story, at(18)), at(18), None)
    assert rows[-1].units[-1].bar == Bar(600, 300, Mark.UNDER_WAY)
    assert rows[-1].units[-1].took == "6.0 s"


def test_a_wave_says_whether_it_passed_and_what_was_expected_of_it() -> None:
    story = every_ending()
    story = forecast_of(story, {"border-crossing": 3.0, "passport": 8.0})
    rows = wave_rows(story, Axis.of(story, at(16)), at(16), None)
    passport = rows[-1]
    assert (passport.mark, passport.done, passport.total) == (Mark.FAILED, 1, 4)
    assert passport.bars == (Bar(250, 550, Mark.FAILED),)
    assert (passport.mark_at, passport.forecast_s, passport.ended_s, passport.expected_s) == (400, 8.0, 16.0, None)
    assert passport.note == "2 of 4 failed, 1 allowed"
    assert rows[0].bars == (Bar(0, 50, Mark.DONE),)


def test_a_wave_that_goes_on_says_when_it_is_now_expected_to_end_and_the_axis_reaches_there() -> None:
    story = every_ending()
    under_way = replace(story.waves[-1], finished_at=None, passed=None)
    story = replace(story, finished=False, waves=(*story.waves[:-1], under_way))
    outlook = a_forecast(story, {"border-crossing": 4.0, "passport": 50.0})
    axis = Axis.of(story, at(16), outlook)
    assert axis.seconds == 60
    border, passport = wave_rows(story, axis, at(16), outlook)[1:]
    assert (border.expected_s, border.ended_s) == (None, 4.0)
    assert (passport.expected_s, passport.ended_s, passport.mark_at) == (50.0, None, 833.3)


@pytest.mark.parametrize(("forecast_s", "axis_s", "mark_at"), [(30.0, 40, 750), (33.0, 20, None)])
def test_a_forecast_that_was_far_off_does_not_squeeze_the_timeline(
    forecast_s: float, axis_s: float, mark_at: float | None
) -> None:
    story = forecast_of(every_ending(), {"passport": forecast_s})
    axis = Axis.of(story, at(16))
    assert axis.seconds == axis_s
    assert wave_rows(story, axis, at(16), None)[-1].mark_at == mark_at


def test_a_wave_that_runs_is_under_way_and_one_that_ran_twice_has_two_bars() -> None:
    again = WaveSpan(name="passport", started_at=at(17))
    story = replace(every_ending(), finished=False, waves=(*every_ending().waves, again))
    passport = wave_rows(story, Axis.of(story, at(19)), at(19), None)[-1]
    assert passport.mark is Mark.UNDER_WAY
    assert passport.bars == (Bar(250, 550, Mark.FAILED), Bar(850, 100, Mark.UNDER_WAY))
    assert passport.took == "13 s"


def test_nothing_stands_outside_the_axis() -> None:
    story = replace(every_ending(), result=run(outcome("early", end_s=2, seconds=9), end_s=4))
    axis = Axis.of(story, at(4))
    assert axis.at(-5) == 0
    assert axis.at(99) == LENGTH


@pytest.mark.parametrize(
    ("exit_code", "held", "units", "commands"),
    [
        (0, None, [outcome("a")], ["pulih verify", "pulih drift"]),
        (3, None, every_ending().result.units, ["pulih resume RUN"]),
        (130, None, every_ending().result.units, ["pulih resume RUN"]),
        (4, None, every_ending().result.units, ["pulih runs"]),
        (5, "a, b", every_ending().result.units, ["pulih resume RUN", "pulih resume RUN --past 'a, b'"]),
    ],
)
def test_what_to_type_next_depends_on_how_it_ended(
    exit_code: int, held: str | None, units: list[object], commands: list[str]
) -> None:
    story = replace(every_ending(), result=replace(run(exit_code=exit_code), units=tuple(units)), held=held)
    typed = [step.command.replace(story.result.run, "RUN") for step in what_next(story, is_live=False)]
    assert typed == commands
