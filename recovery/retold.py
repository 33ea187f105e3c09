"""From the lines of a journal to what they tell of their run, all at once or as they come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import cast

from recovery.errors import BrokenRecordError
from recovery.journal import Line
from recovery.model.citizens import Citizens
from recovery.model.estate import OfficeName, RegionName, UnitName
from recovery.model.forecast import Forecast
from recovery.model.outcome import Cause, Outcome, RunResult, State
from recovery.model.story import NO_SCENE, OfficePlace, Retry, Scene, Story, WaveSpan, WaveSteps
from recovery.report import citizens_from_json, forecast_from_json, from_json, outcome_from_json


def story(lines: Iterable[Line]) -> Story | None:
    """Return what a journal tells of its run; None when it ends before its first line.

    Raises:
        BrokenRecordError: Its lines are whole but make no sense.
    """
    telling = Telling()
    telling.take(lines)
    return telling.story()


class Telling:
    """Takes the lines of a journal as they come; each costs the same however long the journal is."""

    def __init__(self) -> None:
        self._begun: RunResult | None = None
        self._resumed_at: datetime | None = None
        self._forecast: Forecast | None = None
        self._last_at: datetime | None = None
        self._outcomes: dict[UnitName, Outcome] = {}
        self._finished = False
        self._scene = NO_SCENE
        self._waves: list[WaveSpan] = []
        self._under_way: dict[UnitName, datetime] = {}
        self._retries: dict[UnitName, tuple[Retry, ...]] = {}
        self._held: str | None = None
        self._citizens: Citizens | None = None

    def take(self, lines: Iterable[Line]) -> None:
        """Take the next lines.

        Raises:
            BrokenRecordError: They are whole but make no sense.
        """
        for line in lines:
            try:
                self._take(line)
            except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
                raise BrokenRecordError(f"the journal can't be read: {type(error).__name__}: {error}") from error
            if line.kind != "clients-reconnected":  # written after the run's end, which it does not move
                self._last_at = line.at

    def story(self) -> Story | None:
        """Return what they tell so far; None before the run has begun."""
        if self._begun is None or self._last_at is None:
            return None
        return Story(
            result=replace(
                self._begun,
                finished_at=self._last_at,
                units=tuple(self._outcomes[unit.name] for unit in self._begun.units),
                endpoints=tuple(self._outcomes[endpoint.name] for endpoint in self._begun.endpoints),
                forecast=self._forecast,
                citizens=self._citizens,
            ),
            finished=self._finished,
            resumed_at=self._resumed_at,
            scene=self._scene,
            waves=tuple(self._waves),
            under_way=dict(self._under_way),
            retries=dict(self._retries),
            held=self._held,
        )

    def _take(self, line: Line) -> None:
        data = line.data
        match line.kind:
            case "forecast":
                self._forecast = forecast_from_json(data)
            case "run-started":
                self._resumed_at = None if self._begun is None else line.at
                self._begin(data)
            case "wave-started":
                self._waves.append(WaveSpan(name=str(data["wave"]), started_at=line.at))
            case "unit-started":
                self._under_way[UnitName(str(data["name"]))] = line.at
            case "unit-retried":
                name = UnitName(str(data["name"]))
                retry = Retry(attempt=int(str(data["attempt"])), reason=str(data["reason"]), at=line.at)
                self._retries[name] = (*self._retries.get(name, ()), retry)
            case "unit-finished":
                outcome = outcome_from_json(data)
                self._outcomes[outcome.name] = outcome.after(self._outcomes.get(outcome.name))
                self._under_way.pop(outcome.name, None)
            case "wave-held":
                self._change_wave(str(data["wave"]), held=str(data["reason"]))
                self._held = None if data["went_on"] else str(data["wave"])
            case "wave-finished":
                self._change_wave(str(data["wave"]), finished_at=line.at, passed=bool(data["passed"]))
            case "run-finished":
                self._finish(data)
            case "clients-reconnected":
                self._citizens = citizens_from_json(data)
            case _:
                pass

    def _begin(self, data: Mapping[str, object]) -> None:
        part, begun = from_json(data["report"]), self._begun
        self._begun = part if begun is None else replace(part, started_at=begun.started_at, lost_at=begun.lost_at)
        self._outcomes = {outcome.name: outcome for outcome in (*part.units, *part.endpoints)}
        self._finished, self._held = False, None
        self._under_way.clear()
        if "scene" in data:
            self._scene = _scene(cast(Mapping[str, object], data["scene"]))

    def _change_wave(
        self, name: str, *, held: str = "", finished_at: datetime | None = None, passed: bool | None = None
    ) -> None:
        for place in range(len(self._waves) - 1, -1, -1):
            span = self._waves[place]
            if span.name == name:
                self._waves[place] = replace(span, held=held or span.held, finished_at=finished_at, passed=passed)
                return

    def _finish(self, data: Mapping[str, object]) -> None:
        if self._begun is None:
            return
        self._begun = replace(self._begun, exit_code=int(str(data["exit_code"])))
        self._finished = True
        self._under_way.clear()
        why = data.get("not_started")
        if isinstance(why, dict):
            self._outcomes = {
                name: _not_started(outcome, cast(dict[str, object], why)) for name, outcome in self._outcomes.items()
            }


def _not_started(outcome: Outcome, why: Mapping[str, object]) -> Outcome:
    if outcome.state is not State.NOT_STARTED:
        return outcome
    cause = why.get("cause")
    return replace(outcome, cause=Cause(str(cause)) if cause else None, reason=str(why.get("reason", "")))


def scene_to_json(scene: Scene) -> dict[str, object]:
    """Return a scene as plain values."""
    return {
        "title": scene.title,
        "offices": [
            [office.name, office.title, office.city, office.time_zone, office.region, office.is_abroad]
            for office in scene.offices
        ],
        "waves": [{"name": wave.name, "steps": list(wave.steps)} for wave in scene.waves],
    }


def _scene(data: Mapping[str, object]) -> Scene:
    offices: list[OfficePlace] = []
    for row in cast(Sequence[Sequence[object]], data["offices"]):
        name, title, city, time_zone, region, is_abroad = row
        offices.append(
            OfficePlace(
                name=OfficeName(str(name)),
                title=str(title),
                city=str(city),
                time_zone=str(time_zone),
                region=RegionName(str(region)),
                is_abroad=bool(is_abroad),
            )
        )
    return Scene(
        title=str(data["title"]),
        offices=tuple(offices),
        waves=tuple(
            WaveSteps(name=str(wave["name"]), steps=tuple(UnitName(str(step)) for step in wave["steps"]))
            for wave in cast(Sequence[Mapping[str, Sequence[object]]], data["waves"])
        ),
    )
