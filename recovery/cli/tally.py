"""Counts how a run goes; each event costs the same however large the estate is."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime

from recovery.model.estate import DataCentreName, RegionName, UnitName
from recovery.model.events import (
    Event,
    PlacementIntended,
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
from recovery.model.forecast import Forecast
from recovery.model.outcome import Cause, Outcome, State
from recovery.model.story import WaveSteps
from recovery.outlook import SoFar

KEPT_FAILURES = 8
"""Failures that stay in sight; older ones stay in the count by cause."""


@dataclass(slots=True)
class Count:
    """How far a group of units is.

    Attributes:
        done: Units that have their outcome, whatever it is.
        failed: Those of them that were quarantined.
        skipped: Those of them that were left as they were, because of another's failure.
    """

    total: int = 0
    done: int = 0
    failed: int = 0
    skipped: int = 0

    def add(self, outcome: Outcome, sign: int = 1) -> None:
        """Count an outcome, or take it back with -1."""
        self.done += sign
        self.failed += sign * (outcome.state is State.QUARANTINED)
        self.skipped += sign * (outcome.state is State.SKIPPED)


@dataclass(slots=True)
class WaveTally:
    """How far a wave is; moments are None until they come."""

    name: str
    count: Count
    started_at: datetime | None = None
    finished_at: datetime | None = None
    passed: bool | None = None

    def elapsed_s(self, now: datetime) -> float:
        """Return the seconds it has taken so far, or took."""
        if self.started_at is None:
            return 0.0
        return ((self.finished_at or now) - self.started_at).total_seconds()

    def eta_s(self, now: datetime) -> float | None:
        """Return the seconds it still needs at its rate so far; None while there is no rate to speak of."""
        if self.started_at is None or self.finished_at is not None or self.count.done == 0:
            return None
        remaining = self.count.total - self.count.done
        return self.elapsed_s(now) / self.count.done * remaining


@dataclass(slots=True)
class Tally:
    """How far a run is.

    Attributes:
        waves: In the order in which they run.
        regions: By name, sorted.
        overall: Units and endpoints together.
        failures: The newest quarantined outcomes, oldest first.
        causes: All quarantined outcomes by cause.
        running: Units being talked to.
        retries: Tries that failed and were repeated.
    """

    run: str = ""
    verb: str = ""
    lost: DataCentreName | None = None
    to: DataCentreName | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    placement_written: bool = False
    waves: list[WaveTally] = field(default_factory=lambda: list[WaveTally]())
    regions: dict[RegionName, Count] = field(default_factory=lambda: dict[RegionName, Count]())
    overall: Count = field(default_factory=Count)
    failures: deque[Outcome] = field(default_factory=lambda: deque[Outcome](maxlen=KEPT_FAILURES))
    causes: Counter[Cause] = field(default_factory=lambda: Counter[Cause]())
    running: int = 0
    retries: int = 0
    _first_at: datetime | None = None
    _lost_at: datetime | None = None
    _forecast: Forecast | None = None
    _earlier: Mapping[UnitName, Outcome] = field(default_factory=dict[UnitName, Outcome])
    _under_way: dict[UnitName, datetime] = field(default_factory=lambda: dict[UnitName, datetime]())
    _wave_of: dict[UnitName, WaveTally] = field(default_factory=lambda: dict[UnitName, WaveTally]())
    _outcomes: dict[UnitName, Outcome] = field(default_factory=lambda: dict[UnitName, Outcome]())
    _by_name: dict[str, WaveTally] = field(default_factory=lambda: dict[str, WaveTally]())

    def notice(self, event: Event) -> None:
        """Count an event."""
        match event:
            case RunStarted():
                self._begin(event)
            case WaveStarted(wave=wave, at=at):
                self.wave(wave).started_at = at
            case UnitStarted(step=step, at=at):
                self.running += 1
                self._under_way[step.name] = at
            case UnitRetried():
                self.retries += 1
            case UnitFinished(outcome=outcome):
                self._finish(outcome)
            case WaveFinished(wave=wave, passed=passed, at=at):
                tally = self.wave(wave)
                tally.finished_at, tally.passed = at, passed
            case PlacementWritten():
                self.placement_written = True
            case RunFinished(at=at):
                self.finished_at = at
                self.running = 0
                self._under_way.clear()
            case WaveHeld() | PlacementIntended():
                pass

    def wave(self, name: str) -> WaveTally:
        """Return the tally of a wave; one that was not announced is added, with nobody in it."""
        if name not in self._by_name:
            self._add_wave(WaveSteps(name=name, steps=()))
        return self._by_name[name]

    def elapsed_s(self, now: datetime) -> float:
        """Return the seconds since the run began, or that it took."""
        if self.started_at is None:
            return 0.0
        return ((self.finished_at or now) - self.started_at).total_seconds()

    def so_far(self) -> SoFar | None:
        """Return what the run has come to, for whoever looks ahead; None before it begins and once it is over."""
        if self.started_at is None or self._first_at is None or self._lost_at is None or self.finished_at is not None:
            return None
        return SoFar(
            started_at=self._first_at,
            begun_at=self.started_at,
            lost_at=self._lost_at,
            outcomes={**self._earlier, **self._outcomes}.values(),
            under_way=dict(self._under_way),
            forecast=self._forecast,
        )

    def _begin(self, event: RunStarted) -> None:
        result = event.result
        fresh = Tally(
            run=event.run,
            verb=event.verb,
            lost=result.lost,
            to=result.to,
            started_at=event.at,
            _first_at=result.started_at,
            _lost_at=result.lost_at,
            _forecast=result.forecast,
            _earlier={outcome.name: outcome for outcome in (*result.units, *result.endpoints)},
        )
        for each in fields(self):  # a run that goes on is counted anew
            setattr(self, each.name, getattr(fresh, each.name))
        regions = Counter(unit.region for unit in event.result.units if unit.region is not None)
        self.regions = {region: Count(total=regions[region]) for region in sorted(regions)}
        for wave in event.scene.waves:
            self._add_wave(wave)

    def _add_wave(self, wave: WaveSteps) -> None:
        tally = WaveTally(name=wave.name, count=Count(total=len(wave.steps)))
        self.waves.append(tally)
        self._by_name[wave.name] = tally
        self.overall.total += len(wave.steps)
        for name in wave.steps:
            self._wave_of[name] = tally

    def _finish(self, outcome: Outcome) -> None:
        before = self._outcomes.get(outcome.name)
        groups = list(self._groups(outcome))
        if before is not None:  # tried again: the newer outcome takes the place of the older
            for count in groups:
                count.add(before, -1)
            if before.state is State.QUARANTINED:
                self.causes[before.cause or Cause.INTERNAL] -= 1
                self.failures = deque(
                    (failure for failure in self.failures if failure.name != outcome.name), KEPT_FAILURES
                )
        self._outcomes[outcome.name] = outcome
        self._under_way.pop(outcome.name, None)
        for count in groups:
            count.add(outcome)
        if outcome.state is State.QUARANTINED:
            self.causes[outcome.cause or Cause.INTERNAL] += 1
            self.failures.append(outcome)
        self.running = max(0, self.running - 1)

    def _groups(self, outcome: Outcome) -> Iterable[Count]:
        yield self.overall
        if outcome.name in self._wave_of:
            yield self._wave_of[outcome.name].count
        if outcome.region is not None and outcome.region in self.regions:
            yield self.regions[outcome.region]
