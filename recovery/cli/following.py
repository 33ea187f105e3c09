"""Follows a run by its journal, whoever conducts it: reads what has come since, and writes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import cast

from recovery.journal import Follower, Line
from recovery.model.estate import DataCentreName, RegionName, ServiceName, UnitName
from recovery.model.events import (
    Event,
    PlacementIntended,
    PlacementWritten,
    RunFinished,
    RunStarted,
    UnitFinished,
    UnitStarted,
    WaveFinished,
    WaveHeld,
    WaveStarted,
)
from recovery.model.plan import Move, Plan, Step
from recovery.model.story import Story
from recovery.model.visit import Epoch
from recovery.report import outcome_from_json
from recovery.retold import Telling


class Following:
    """A run as far as its journal tells of it."""

    def __init__(self, journal: Path) -> None:
        self._follower = Follower(journal)
        self._telling = Telling()
        self._steps: Mapping[UnitName, Step] = {}

    def know(self, plan: Plan | None) -> None:
        """Tell of steps that begin, too, which the journal only names."""
        if plan is not None:
            self._steps = {step.name: step for step in plan.steps()}

    def more(self) -> tuple[Line, ...]:
        """Read what has come since.

        Raises:
            BrokenRecordError: The journal was edited.
        """
        lines = self._follower.more()
        self._telling.take(lines)
        return lines

    def events(self) -> Iterator[Event]:
        """Read what has come since, as whoever watches a run is told of it: waves, outcomes, beginning and end.

        Raises:
            BrokenRecordError: The journal was edited.
        """
        for line in self._follower.more():
            self._telling.take([line])
            yield from self._event(line)

    def story(self) -> Story | None:
        """Return what is known so far; None before the run has begun."""
        return self._telling.story()

    def _event(self, line: Line) -> Iterable[Event]:
        at, data = line.at, line.data
        match line.kind:
            case "run-started" | "run-finished":
                told = self.story()
                if told is None:  # it ended before it began
                    return
                if line.kind == "run-finished":
                    yield RunFinished(result=told.result, at=at)
                    return
                yield RunStarted(
                    run=told.result.run,
                    verb=told.result.verb,
                    epoch=Epoch(number=int(str(data["epoch"])), holder=str(data["holder"])),
                    result=told.result,
                    scene=told.scene,
                    at=at,
                )
            case "wave-started":
                yield WaveStarted(wave=str(data["wave"]), at=at)
            case "unit-started" if (step := self._steps.get(UnitName(str(data["name"])))) is not None:
                yield UnitStarted(step=step, at=at)
            case "unit-finished":
                yield UnitFinished(outcome=outcome_from_json(data), at=at)
            case "wave-held":
                wave, reason = str(data["wave"]), str(data["reason"])
                yield WaveHeld(wave=wave, reason=reason, went_on=bool(data["went_on"]), at=at)
            case "wave-finished":
                yield WaveFinished(wave=str(data["wave"]), passed=bool(data["passed"]), at=at)
            case "placement-intended":
                yield PlacementIntended(moves=_moves(data), at=at)
            case "placement-written":
                yield PlacementWritten(moves=_moves(data), at=at)
            case _:
                pass


def _moves(data: Mapping[str, object]) -> tuple[Move, ...]:
    return tuple(
        Move(
            service=ServiceName(str(move["service"])),
            region=None if move["region"] is None else RegionName(str(move["region"])),
            source=DataCentreName(str(move["from"])),
            target=DataCentreName(str(move["to"])),
        )
        for move in cast(list[dict[str, object]], data["moves"])
    )
