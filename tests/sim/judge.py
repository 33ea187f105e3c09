"""The judge: looks on at everything and writes down each promise that was broken.

It knows the world as it is, which no orchestrator does, and works out by itself what the runbook works out too: order,
canaries, dependencies, totals.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from recovery.model.outcome import Outcome, RunResult
from recovery.model.plan import Move, Plan, Step
from recovery.report import to_json
from tests.sim import declared

if TYPE_CHECKING:
    from tests.sim.disk import SimFile
    from tests.sim.unit import SimUnit

RENEWED_WITHIN_S = 15.0
"""A writer looks at its lease every 5 s and renews it when it is 10 s old, so it may not know for 15 s that a taker
whose clock runs ahead has overtaken it; the epoch guards the units meanwhile."""

_BRINGS = ("verified", "unchanged")


@dataclass
class Part:
    """One process's part of a run.

    Attributes:
        who: For the trace.
        scopes: Whose leases it has taken.
        plan: What it carries out; the engine has none.
        epoch: Its right to write; 0 before its journal has begun.
        has_journal: Whether it writes one.
        intents: Units in its journal as begun.
        outcomes: State of units in its journal as ended.
        asked: Mode of the last visit, by unit.
        heard: Digest of the last `done` that came back, by unit and mode.
        overtaken_at: When somebody took its leases; None while it holds them.
        was_stopped: Whether it was stopped when they were taken: it learns of it before its next unit.
        barred: Units whose key or login was refused.
        in_flight: Units that it is visiting.
        waved_on: Waves that somebody has let pass whatever failed in them.
    """

    who: str
    scopes: frozenset[str]
    plan: Plan | None
    epoch: int = 0
    holder: str = ""
    has_journal: bool = True
    intents: set[str] = field(default_factory=set[str])
    outcomes: dict[str, str] = field(default_factory=dict[str, str])
    asked: dict[str, str] = field(default_factory=dict[str, str])
    heard: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    overtaken_at: float | None = None
    was_stopped: bool = False
    barred: set[str] = field(default_factory=set[str])
    in_flight: set[str] = field(default_factory=set[str])
    waved_on: set[str] = field(default_factory=set[str])
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


class Judge:
    """Looks on.

    Attributes:
        broken: Every promise that was broken, one sentence each.
        proven: Units whose probe has passed, with epoch and digest.
        now_declared: The declaration's placement as it stands.
    """

    def __init__(self, clock: Callable[[], float], now_declared: Callable[[], bytes]) -> None:
        self.broken: list[str] = []
        self.parts: list[Part] = []
        self.proven: set[tuple[str, int, str]] = set()
        self.now_declared = now_declared
        self._clock = clock
        self._largest: dict[str, tuple[int, str]] = {}
        self._allowed: dict[str, set[str]] = {}
        self._region = {str(unit.name): region.name for region, _, unit in declared.estate().places()}
        self._ends = {end.name: end for end in declared.estate().endpoint.values()}

    def find(self, sentence: str) -> None:
        """Write down a promise that was broken."""
        if sentence not in self.broken:
            self.broken.append(sentence)

    # --- what the units see

    def had(self, unit: SimUnit) -> None:
        """Note what a unit runs before anything happens."""
        self._allowed[unit.name] = {unit.loaded.digest} if unit.loaded else set()

    def accepted(self, name: str, epoch: tuple[int, str], digest: str) -> None:
        """A unit has let a writer in."""
        largest = self._largest.get(name, (0, ""))
        if epoch[0] < largest[0] or (epoch[0] == largest[0] and epoch[1] != largest[1]):
            self.find(f"{name} let epoch {epoch[0]} write after {largest[0]}")
        self._largest[name] = max(epoch, largest)
        if digest != "-":
            self._allowed[name].add(digest)

    def largest_epoch(self) -> int:
        """Return the largest epoch that any unit has accepted."""
        return max((number for number, _ in self._largest.values()), default=0)

    def serves(self, unit: SimUnit) -> None:
        """A unit's service has taken something up, or is looked at."""
        if unit.loaded is None:
            return
        if unit.loaded.is_torn:
            self.find(f"{unit.name} serves a bundle that is not whole")
        if unit.loaded.digest not in self._allowed[unit.name]:
            self.find(f"{unit.name} serves neither its old bundle nor a new one")

    def swaps(self, unit: SimUnit, digest: str) -> None:
        """A unit puts another bundle in place."""
        if unit.current is not None and unit.current.digest == digest and not unit.current.is_torn:
            self.find(f"{unit.name} was sent a bundle that it had already")

    def probe_passed(self, name: str, epoch: int, digest: str) -> None:
        """A test transaction at a unit was answered."""
        self.proven.add((name, epoch, digest))

    # --- what goes over the lines

    def tries(self, part: Part, name: str) -> None:
        """A process begins a visit."""
        if name in part.barred:
            self.find(f"{part.who} tried {name} again after its key or login was refused")
        part.in_flight.add(name)
        region = self._region.get(name)
        beside = [other for other in part.in_flight if self._region.get(other) == region]
        if region is not None and len(beside) > declared.REGION_LIMIT:
            self.find(f"{part.who} visits {len(beside)} units of {region} at once, {declared.REGION_LIMIT} may be")
        if part.overtaken_at is not None:
            late_s = self._clock() - part.overtaken_at
            if part.was_stopped or late_s > RENEWED_WITHIN_S:
                self.find(f"{part.who} began a visit to {name} although it was overtaken {late_s:.1f} s before")

    def leaves(self, part: Part, name: str) -> None:
        """A process ends a visit."""
        part.in_flight.discard(name)

    def asks(self, part: Part, name: str, header: str) -> None:
        """A process has sent its header."""
        _, mode, _, _, digest, *_ = header.split(" ")
        part.asked[name] = mode
        part.heard.pop((name, mode), None)
        if mode != "apply":
            return
        if part.has_journal and name not in part.intents:
            self.find(f"{name} was visited before the journal of {part.who} said so")
        wanted = declared.bundles(declared.all_of(self.now_declared())).get(name)
        if part.overtaken_at is None and (wanted is None or wanted.digest != digest):
            self.find(f"{name} was brought what is not declared now")

    def hears(self, part: Part, name: str, line: str) -> None:
        """A last line has come back."""
        part.heard[name, part.asked[name]] = line.removeprefix("done ")

    # --- what the journal says

    def records(self, part: Part, line: bytes) -> None:
        """A line stands in a journal."""
        entry: dict[str, Any] = json.loads(line)
        kind, data = entry["kind"], entry["data"]
        if kind == "run-started":
            part.epoch, part.holder = data["epoch"], data["holder"]
            if part.epoch <= self.largest_epoch():
                self.find(f"{part.who} has epoch {part.epoch}, and a unit has accepted {self.largest_epoch()}")
        elif kind == "unit-started":
            part.intents.add(data["name"])
            self._in_turn(part, data["name"])
        elif kind == "unit-finished":
            part.outcomes[data["name"]] = data["state"]
            self._result(part, data)
        elif kind == "placement-intended":
            part.placement_intended = True

    def _result(self, part: Part, data: dict[str, Any]) -> None:
        name, state, digest = data["name"], data["state"], data["digest"]
        if state != "skipped" and name not in part.intents:
            self.find(f"{name} has a result in the journal of {part.who} and no intent")
        if state in _BRINGS:
            if part.heard.get((name, "apply")) != digest:
                self.find(f"{name} is {state} for {part.who}, which never heard that it was done")
            if (name, part.epoch, digest) not in self.proven:
                self.find(f"{name} is {state} for {part.who} without a test transaction")
            if name in part.canaries and part.heard.get((name, "probe")) != digest:
                self.find(f"canary {name} is {state} for {part.who} without a test transaction over a new connection")
        elif not data["reason"] or not data["cause"]:
            self.find(f"{name} is {state} for {part.who} without a cause")

    def _in_turn(self, part: Part, name: str) -> None:
        steps, ranks = part.steps, part.ranks
        for other in steps:
            if ranks[other] < ranks[name] and other not in part.outcomes:
                self.find(f"{part.who} began {name} before {other}, of an earlier wave, was through")
        if name not in part.canaries:
            for canary in part.canaries:
                if ranks[canary] == ranks[name] and canary not in part.outcomes:
                    self.find(f"{part.who} began {name} before canary {canary} was through")
        self._none_held(part, name)
        for needed in self._needs(steps[name], part.plan):
            if needed in steps and part.outcomes.get(needed) not in _BRINGS:
                self.find(f"{part.who} began {name}, which needs {needed}, and that is {part.outcomes.get(needed)}")

    def _none_held(self, part: Part, name: str) -> None:
        """No earlier wave has lost more than it may, unless somebody has said to go on."""
        rule = declared.estate().wave_pass
        for rank in {rank for rank in part.ranks.values() if rank < part.ranks[name]}:
            wave = [other for other in part.steps if part.ranks[other] == rank]
            failed = [other for other in wave if part.outcomes.get(other) == "quarantined"]
            services = {part.steps[other].service for other in wave}
            if len(failed) > max(rule.failures, int((1 - rule.share) * len(wave))) and not services & part.waved_on:
                self.find(f"{part.who} began {name} although {', '.join(failed)} of an earlier wave had failed")

    def _needs(self, step: Step, plan: Plan | None) -> list[str]:
        after = declared.estate().service[step.service].after
        services = [*after, *([step.service] if step.region is not None else [])]
        centre = dict(declared.all_of(self.now_declared()))
        return [
            end.name
            for end in self._ends.values()
            if end.service in services and end.data_centre == ((plan and plan.to) or centre[end.service])
        ]

    # --- what becomes of the declaration, the leases and the runs

    def places(self, part: Part, moves: tuple[Move, ...]) -> None:
        """A process changes the declaration."""
        if not part.placement_intended:
            self.find(f"{part.who} changed the placement before its journal said so")
        for move in moves:
            for service in (move.service, *declared.estate().service[move.service].after):
                target = f"{service}-{move.target}"
                if part.outcomes.get(target) not in _BRINGS:
                    self.find(f"{part.who} moved {move.service} to {move.target} before {target} was proven")
        touched = sorted(name for name in part.asked if name in self._region)
        if touched:
            self.find(f"{part.who} changed the placement after it had touched {', '.join(touched)}")

    def overtakes(self, taker: Part, may_live: Callable[[Part], bool]) -> None:
        """A process has taken leases: whoever else was at work in its scopes is overtaken.

        Args:
            taker: The process's part.
            may_live: Whether nothing has kept another one from being heard.
        """
        for part in self.parts:
            if part is not taker and part.scopes & taker.scopes and part.overtaken_at is None and not part.is_over:
                part.overtaken_at = self._clock()
                if may_live(part):
                    self.find(f"{taker.who} took the leases of {part.who}, which was alive and had been heard")

    def loses_power(self, part: Part, journal: SimFile | None) -> None:
        """The machine of a run has lost its power; look at what its journal still says."""
        kinds = [json.loads(line)["kind"] for line in (journal.content if journal else b"").splitlines(True)[:-1]]
        if part.asked and "run-started" not in kinds:
            self.find(f"{part.who} has touched units, and its journal does not know it after a power cut")
        if part.placement_intended and self.moved() and "placement-intended" not in kinds:
            self.find(f"{part.who} has moved the placement, and its journal does not know it after a power cut")

    def moved(self) -> bool:
        """Whether the declaration names the target."""
        return dict(declared.all_of(self.now_declared()))["identity"] == declared.TARGET

    def ends(self, part: Part, result: RunResult, retold: RunResult | None, report: bytes | None) -> None:
        """A run has ended by itself; what it says, its journal and its report must be the same."""
        if part.overtaken_at is not None:
            return
        if retold is None or _gist(retold) != _gist(result):
            self.find(f"the journal of {part.who} tells another story than its report")
        said = to_json(result)
        if report is not None and json.loads(report) != json.loads(json.dumps(said)):
            self.find(f"the report on {part.who}'s disk is not that of its run")
        totals = cast(dict[str, int], said["totals"])
        counted = {state: sum(unit.state == state for unit in result.units) for state in ("quarantined", "skipped")}
        brought = sum(unit.state in _BRINGS for unit in result.units)
        if totals["verified"] != brought or any(totals[state] != count for state, count in counted.items()):
            self.find(f"the totals of {part.who} are {totals}, counted are {brought} verified and {counted}")
        if totals["units"] != len(result.units):
            self.find(f"{part.who} reports {totals['units']} units of {len(result.units)}")
        if result.exit_code == 0 and not all(_is_brought(outcome) for outcome in (*result.units, *result.endpoints)):
            self.find(f"{part.who} ended with 0 although not everybody is verified")


def _is_brought(outcome: Outcome) -> bool:
    return outcome.state in _BRINGS


def _gist(result: RunResult) -> list[tuple[str, str, str | None, str]]:
    outcomes = (*result.units, *result.endpoints)
    return [(outcome.name, outcome.state, outcome.digest, outcome.reason) for outcome in outcomes]
