"""What a record tells of its run, whole or as far as it has come: everything that a page about it is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from recovery.model.estate import Estate, OfficeName, RegionName, UnitName
from recovery.model.outcome import RunResult
from recovery.model.plan import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficePlace:
    """An office as a reader knows it.

    Attributes:
        title: Its name as people read it; any text.
        is_abroad: Whether it is a mission, which belongs on the map of the world.
    """

    name: OfficeName
    title: str
    city: str
    time_zone: str
    region: RegionName
    is_abroad: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveSteps:
    """A wave of the plan: its name, and its units or endpoints in their order."""

    name: str
    steps: tuple[UnitName, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a run works on, besides its outcomes.

    Attributes:
        title: Of the estate, as people read it.
        offices: Those of the plan, in the order declared.
        waves: Of the plan, in their order.
    """

    title: str
    offices: tuple[OfficePlace, ...]
    waves: tuple[WaveSteps, ...]

    @staticmethod
    def of(estate: Estate, plan: Plan) -> Scene:
        """Return the scene of a plan."""
        touched = {step.office for step in plan.steps()}
        return Scene(
            title=estate.title,
            offices=tuple(
                OfficePlace(
                    name=office.name,
                    title=office.title,
                    city=office.city,
                    time_zone=office.time_zone,
                    region=region.name,
                    is_abroad=office.kind == "mission",
                )
                for region in estate.regions
                for office in region.offices
                if office.name in touched
            ),
            waves=tuple(
                WaveSteps(name=wave.name, steps=tuple(step.name for step in wave.steps)) for wave in plan.waves
            ),
        )


NO_SCENE = Scene(title="", offices=(), waves=())
"""Of a run whose record is older than scenes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveSpan:
    """One go at a wave; a run that was resumed may have several.

    Attributes:
        passed: None while it runs.
        held: Why it was held; empty when it was not.
    """

    name: str
    started_at: datetime
    finished_at: datetime | None = None
    passed: bool | None = None
    held: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """A try that failed for a reason that may pass."""

    attempt: int
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What a record tells of its run.

    Attributes:
        result: Everything known so far; the exit code is that of the last part that ended.
        finished: Whether the run, or its last part, came to its end.
        resumed_at: When its last part began; None for a run that was not resumed.
        under_way: Units and endpoints that have begun and have no outcome yet, and when they began.
        retries: Tries that were repeated, by unit or endpoint.
        held: The wave that ended the run; None when none did.
    """

    result: RunResult
    finished: bool
    resumed_at: datetime | None = None
    scene: Scene = NO_SCENE
    waves: tuple[WaveSpan, ...] = ()
    under_way: Mapping[UnitName, datetime] = field(default_factory=dict[UnitName, datetime])
    retries: Mapping[UnitName, tuple[Retry, ...]] = field(default_factory=dict[UnitName, tuple[Retry, ...]])
    held: str | None = None
