"""When each wave and unit was at work, as places on an axis of time; pure geometry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from recovery.model.estate import UnitName
from recovery.model.forecast import Forecast
from recovery.model.outcome import Outcome
from recovery.model.story import Story, WaveSpan, WaveSteps
from recovery.report.marks import Mark, in_words, mark, worst
from recovery.report.text import duration

LENGTH = 1000
"""Units of a drawing from the beginning of the axis to its end."""

_ENDS_S = (2, 4, 8, 12, 20, 40, 60, 120, 180, 240, 360, 480, 720, 1200, 2400, 3600)
_HOURS = (1.5, 2, 3, 4, 6, 8, 12, 16, 24, 36, 48, 72, 96, 144, 192, 240, 360, 480, 720)
TICKS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """From the run's start to a round number of seconds behind its end, so that it changes seldom as a run goes on."""

    start: datetime
    seconds: float

    @staticmethod
    def of(story: Story, at: datetime, outlook: Forecast | None = None) -> Axis:
        """Return the axis that a run needs up to a moment, and to its forecast end if that is not far off.

        Args:
            story: The run.
            at: The moment.
            outlook: How the rest is expected to go.
        """
        start = story.result.started_at
        needed = (max(story.result.finished_at, at) - start).total_seconds()
        forecast = story.result.forecast
        if outlook is not None:
            needed = max(needed, outlook.seconds)
        if forecast is not None and forecast.seconds <= 2 * needed:
            needed = max(needed, forecast.seconds)
        ends = (*_ENDS_S, *(hours * 3600 for hours in _HOURS))
        return Axis(start=start, seconds=next((end for end in ends if end >= needed), needed))

    def place(self, moment: datetime) -> float:
        """Return where a moment is on the axis."""
        return self.at((moment - self.start).total_seconds())

    def at(self, seconds: float) -> float:
        """Return where a number of seconds since the start is."""
        return round(min(max(seconds / self.seconds, 0.0), 1.0) * LENGTH, 1)

    def ticks(self) -> tuple[str, ...]:
        """Return what stands at equal steps along the axis, its end included."""
        return tuple(duration(self.seconds * step / TICKS) for step in range(TICKS + 1))


@dataclass(frozen=True, slots=True)
class Bar:
    """Where a piece of work stands on the axis."""

    x: float
    width: float
    mark: Mark


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitRow:
    """One unit or endpoint on the timeline.

    Attributes:
        retries: Where on the axis a try failed and was repeated.
        note: How it ended: its cause, tries, or nothing to add.
    """

    name: UnitName
    mark: Mark
    bar: Bar | None
    took: str
    retries: tuple[float, ...]
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveRow:
    """One wave on the timeline, and everyone in it.

    Attributes:
        bars: Each time that it ran.
        ended_s: From the start of the run to its end, seconds; None while it has none.
        forecast_s: When it was forecast to end, counted the same way; None without a forecast.
        expected_s: When it is now expected to end, counted the same way; None for one that has ended.
        mark_at: Where on the axis it was forecast to end, or is expected to; None for nowhere.
        note: Why it was held, or that it did not pass; empty otherwise.
    """

    name: str
    mark: Mark
    counts: str
    done: int
    total: int
    took: str
    bars: tuple[Bar, ...]
    ended_s: float | None
    forecast_s: float | None
    expected_s: float | None
    mark_at: float | None
    note: str
    units: tuple[UnitRow, ...]


def wave_rows(story: Story, axis: Axis, at: datetime, outlook: Forecast | None) -> tuple[WaveRow, ...]:
    """Return the waves of a run in their order, as far as the run's record knows them."""
    outcomes = {outcome.name: outcome for outcome in (*story.result.endpoints, *story.result.units)}
    forecast_s, expected_s = (
        {} if made is None else {wave.name: wave.ends_s for wave in made.waves}
        for made in (story.result.forecast, outlook)
    )
    return tuple(
        _wave_row(
            wave,
            [outcomes[name] for name in wave.steps if name in outcomes],
            story,
            axis,
            at,
            (forecast_s.get(wave.name), expected_s.get(wave.name)),
        )
        for wave in story.scene.waves
    )


def _wave_row(
    wave: WaveSteps,
    members: Sequence[Outcome],
    story: Story,
    axis: Axis,
    at: datetime,
    ends_s: tuple[float | None, float | None],
) -> WaveRow:
    spans = [span for span in story.waves if span.name == wave.name]
    marks = [mark(member, story) for member in members]
    state = _state(spans, marks)
    forecast_s, expected_s = ends_s
    ended = spans[-1].finished_at if spans else None
    marked_s = forecast_s if forecast_s is not None else expected_s
    return WaveRow(
        name=wave.name,
        mark=state,
        counts=in_words(marks),
        done=sum(each is Mark.DONE for each in marks),
        total=len(marks),
        took=duration(sum(_seconds(span, story, at) for span in spans)) if spans else "-",
        bars=tuple(
            _bar(axis, span.started_at, span.finished_at or _until(story, at), _passing(span)) for span in spans
        ),
        ended_s=None if ended is None else (ended - axis.start).total_seconds(),
        forecast_s=forecast_s,
        expected_s=expected_s if ended is None else None,
        mark_at=None if marked_s is None or marked_s > axis.seconds else axis.at(marked_s),
        note=next((span.held for span in reversed(spans) if span.held), ""),
        units=tuple(_unit_row(member, story, axis, at) for member in members),
    )


def _state(spans: Sequence[WaveSpan], marks: Sequence[Mark]) -> Mark:
    """A wave that runs is under way, even when one of it has failed already."""
    if spans and spans[-1].finished_at is None:
        return Mark.UNDER_WAY
    return worst(marks)


def _passing(span: WaveSpan) -> Mark:
    """A wave that passed its gate is done, whoever was quarantined in it."""
    return {None: Mark.UNDER_WAY, True: Mark.DONE, False: Mark.FAILED}[span.passed]


def _until(story: Story, at: datetime) -> datetime:
    return story.result.finished_at if story.finished else at


def _seconds(span: WaveSpan, story: Story, at: datetime) -> float:
    return ((span.finished_at or _until(story, at)) - span.started_at).total_seconds()


def _unit_row(outcome: Outcome, story: Story, axis: Axis, at: datetime) -> UnitRow:
    state, retries = mark(outcome, story), story.retries.get(outcome.name, ())
    began = story.under_way.get(outcome.name)
    bar = took = None
    if began is not None:
        bar, took = _bar(axis, began, at, state), (at - began).total_seconds()
    elif outcome.finished_at is not None:
        took = round(outcome.seconds, 3)
        if took:
            end = axis.place(outcome.finished_at)
            start = axis.at((outcome.finished_at - axis.start).total_seconds() - took)
            bar = Bar(start, round(max(end - start, 1.0), 1), state)
    return UnitRow(
        name=outcome.name,
        mark=state,
        bar=bar,
        took=duration(took),
        retries=tuple(axis.place(retry.at) for retry in retries),
        note=", ".join(_notes(outcome, state, len(retries))),
    )


def _notes(outcome: Outcome, state: Mark, retries: int) -> Iterator[str]:
    if state is Mark.FAILED and outcome.cause is not None:
        yield outcome.cause.value
    if retries:
        yield f"{retries + 1} tries"


def _bar(axis: Axis, start: datetime, end: datetime, state: Mark) -> Bar:
    x = axis.place(start)
    return Bar(x, round(max(axis.place(end) - x, 1.0), 1), state)
