"""What a run tells whoever watches it; the runbook knows nothing of terminals, files or pages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from recovery.model.estate import UnitName
from recovery.model.outcome import Outcome, RunResult
from recovery.model.plan import Move, Step
from recovery.model.story import Scene
from recovery.model.visit import Epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted:
    """The run begins, or goes on after it was broken off.

    Attributes:
        epoch: The right to write that it holds.
        result: Everything that is known of the run already: no unit in it yet, or those of before.
    """

    run: str
    verb: str
    epoch: Epoch
    result: RunResult
    scene: Scene
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveStarted:
    """A wave begins."""

    wave: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitStarted:
    """A unit or endpoint has got its place and is being talked to."""

    step: Step
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitRetried:
    """A try failed for a reason that may pass; another follows."""

    name: UnitName
    attempt: int
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitFinished:
    """A unit or endpoint has its outcome."""

    outcome: Outcome
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveFinished:
    """Every unit of a wave has its outcome."""

    wave: str
    passed: bool
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveHeld:
    """A wave did not pass its gate, or its breaker tripped.

    Attributes:
        reason: What was expected and what was found.
        went_on: Whether somebody said to go on all the same.
    """

    wave: str
    reason: str
    went_on: bool
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementIntended:
    """The declaration is about to be changed."""

    moves: tuple[Move, ...]
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementWritten:
    """The declaration now names the target; from here every command pulls the same way."""

    moves: tuple[Move, ...]
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished:
    """The run is over."""

    result: RunResult
    at: datetime


Event = (
    RunStarted
    | WaveStarted
    | UnitStarted
    | UnitRetried
    | UnitFinished
    | WaveFinished
    | WaveHeld
    | PlacementIntended
    | PlacementWritten
    | RunFinished
)


class Observer(Protocol):
    """Anything that wants to know how a run goes."""

    def notice(self, event: Event) -> None:
        """Take note of an event; must be quick and must not raise."""
        ...
