"""What the judge knows of one process's part of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from recovery.model.plan import Plan, Step
from tests.sim import declared


@dataclass
class Part:
    """One process's part of a run.

    Attributes:
        who: For the trace.
        scopes: Whose leases it has taken.
        plan: What it carries out; the engine has none.
        epoch: Its right to write; 0 before its journal has begun.
        holder: The id that comes with it.
        on_platter: Asks what of its journal a power cut leaves; None when it writes none.
        intents: Units in its journal as begun.
        outcomes: State of units in its journal as ended.
        asked: Mode of the last visit, by unit.
        heard: Digest of the last `done` that came back, by unit and mode.
        overtaken_at: When somebody took its leases; None while it holds them.
        was_stopped: Whether it was stopped when they were taken: it learns of it before its next unit.
        barred: Units whose key or login was refused.
        in_flight: Units that it is visiting.
        waved_on: Waves that somebody has let pass whatever failed in them.
        stops_from: From when on it may begin nothing more: it was told to stop, or a wave was held for good.
        tries: How often each unit was tried.
        began: When each unit was begun.
        misled: Units whose last answer was not their own, by mode.
        rest_of: Services whose canaries are through, so that the rest of their wave has begun.
        is_told: Whether a unit has refused it for a newer epoch.
        held: Waves at which somebody was asked whether to go on, and of which the journal does not say so yet.
    """

    who: str
    scopes: frozenset[str]
    plan: Plan | None
    epoch: int = 0
    holder: str = ""
    on_platter: Callable[[], bytes] | None = None
    intents: set[str] = field(default_factory=set[str])
    outcomes: dict[str, str] = field(default_factory=dict[str, str])
    asked: dict[str, str] = field(default_factory=dict[str, str])
    heard: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    overtaken_at: float | None = None
    was_stopped: bool = False
    barred: set[str] = field(default_factory=set[str])
    in_flight: set[str] = field(default_factory=set[str])
    waved_on: set[str] = field(default_factory=set[str])
    stops_from: float | None = None
    tries: Counter[str] = field(default_factory=Counter[str])
    began: dict[str, float] = field(default_factory=dict[str, float])
    misled: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    rest_of: set[str] = field(default_factory=set[str])
    held: set[str] = field(default_factory=set[str])
    is_told: bool = False
    placement_intended: bool = False
    is_over: bool = False

    @cached_property
    def steps(self) -> dict[str, Step]:
        """What it carries out, by unit."""
        return {str(step.name): step for step in self.plan.steps()} if self.plan else {}

    @cached_property
    def ranks(self) -> dict[str, tuple[int, int, str]]:
        """Whose turn comes before whose: endpoints by what they come after, then units by their service's RTO."""
        services = {name: declared.estate().service[step.service] for name, step in self.steps.items()}
        return {
            name: (0, len(services[name].after), "") if step.region is None else (1, services[name].rto_s, step.service)
            for name, step in self.steps.items()
        }

    @cached_property
    def canaries(self) -> set[str]:
        """The first of each class of line among a service's units, unless that would be all of them."""
        found: set[str] = set()
        units = [step for step in self.steps.values() if step.region is not None]
        for service in {step.service for step in units}:
            mine = [step for step in units if step.service == service]
            first: dict[object, str] = {}
            for step in mine:
                first.setdefault(step.link, step.name)
            if len(first) < len(mine):
                found |= set(first.values())
        return found
