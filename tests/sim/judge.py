"""The judge: looks on at everything and writes down each promise that was broken.

It knows the world as it is, which no orchestrator does, and works out by itself what the runbook works out too: order,
canaries, dependencies, totals.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from recovery.cli.watch import HELD
from recovery.model.outcome import RunResult
from recovery.model.plan import Move, Plan, Step
from tests.sim import declared
from tests.sim.holding import FRESH_S, SILENT_S, Holding
from tests.sim.part import Part
from tests.sim.reckoning import BRINGS, faults_of

if TYPE_CHECKING:
    from tests.sim.disk import SimFile
    from tests.sim.unit import SimUnit

RENEWED_WITHIN_S = 15.0
"""A writer looks at its lease every 5 s and renews it when it is 10 s old, so it may not know for 15 s that a taker
whose clock runs ahead has overtaken it; the epoch guards the units meanwhile."""

_AGAIN = frozenset({"unreachable", "timeout", "bad-answer", "probe-failed"})
"""Causes that may pass by themselves."""

_PATIENCE_S = 40.0
"""A unit's time, 60 s, is nearly used up after that: it may be given up before its last try."""


class Judge:
    """Looks on.

    Attributes:
        broken: Every promise that was broken, one sentence each.
        proven: Units whose probe has passed, with epoch and digest.
        now_declared: The declaration as it stands.
        holding: Who holds which scope.
        reports: What runs have left as their reports, by path.
        has_store_failed: Whether the leases' store has ever not answered as it should.
    """

    def __init__(self, clock: Callable[[], float], now_declared: Callable[[], bytes]) -> None:
        self.broken: list[str] = []
        self.parts: list[Part] = []
        self.proven: set[tuple[str, int, str]] = set()
        self.now_declared = now_declared
        self.holding = Holding(clock, self.find)
        self.reports: dict[str, bytes] = {}
        self.has_store_failed = False
        self._clock = clock
        self._largest: dict[str, tuple[int, str]] = {}
        self._allowed: dict[str, set[str]] = {}
        self._swapped: dict[str, tuple[int, float]] = {}
        self._region = {str(unit.name): region.name for region, _, unit in declared.estate().places()}
        self._ends = {str(end.name): end for end in declared.estate().endpoint.values()}

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
        self._swapped[unit.name] = self._largest[unit.name][0], self._clock()

    def probe_passed(self, name: str, epoch: int, digest: str) -> None:
        """A test transaction at a unit was answered."""
        self.proven.add((name, epoch, digest))

    # --- what goes over the lines

    def tries(self, part: Part, name: str) -> None:
        """A process begins a visit."""
        if name in part.barred:
            self.find(f"{part.who} tried {name} again after its key or login was refused")
        part.in_flight.add(name)
        part.tries[name] += 1
        for limit in self._exceeded(part, name):
            self.find(f"{part.who} visits more units of one {limit} at once than may be")
        silent_s = self.holding.silent_s(part.holder)
        if part.stops_from is not None and self._clock() > part.stops_from and part.overtaken_at is None:
            self.find(f"{part.who} began a visit to {name} although it was to stop")
        if part.overtaken_at is not None:
            late_s = self._clock() - part.overtaken_at
            if part.was_stopped or late_s > RENEWED_WITHIN_S:
                self.find(f"{part.who} began a visit to {name} although it was overtaken {late_s:.1f} s before")
        elif silent_s > FRESH_S:
            self.find(f"{part.who} began a visit to {name}, and its leases were last renewed {silent_s:.1f} s before")

    def _exceeded(self, part: Part, name: str) -> Iterator[str]:
        """Yield the limits that a process exceeds with its visits; the engine has its own."""
        if part.plan is None:
            return
        limits = declared.read(self.now_declared()).estate.limits
        step, beside = part.steps[name], [part.steps[other] for other in part.in_flight]
        if step.region is not None and sum(other.region == step.region for other in beside) > limits.region:
            yield "region"
        if step.bastion is not None and sum(other.bastion == step.bastion for other in beside) > limits.bastion:
            yield "bastion"
        if sum(other.link == step.link for other in beside) > limits.link[step.link]:
            yield "class of line"

    def leaves(self, part: Part, name: str, *, is_left_alone: bool) -> None:
        """A process ends a visit.

        Args:
            part: The process's part.
            name: The unit's.
            is_left_alone: Whether nothing has kept it from renewing its leases meanwhile.
        """
        part.in_flight.discard(name)
        silent_s = self.holding.silent_s(part.holder)
        if is_left_alone and part.overtaken_at is None and silent_s > RENEWED_WITHIN_S:
            self.find(f"{part.who} was at work and renewed its leases {silent_s:.1f} s before")

    def asks(self, part: Part, name: str, header: str) -> None:
        """A process has sent its header."""
        _, mode, _, _, digest, *_ = header.split(" ")
        part.asked[name] = mode
        part.heard.pop((name, mode), None)
        part.misled.discard((name, mode))
        if mode != "apply":
            return
        if part.on_platter is not None and name not in part.intents:
            self.find(f"{name} was visited before the journal of {part.who} said so")
        if part.on_platter is not None and b'"kind":"run-started"' not in part.on_platter():
            self.find(f"{name} was visited before the disk of {part.who} had that its run has begun")
        scope = self._region[name] if name in self._region else self._ends[name].data_centre
        held = self.holding.now.get(scope)
        if part.overtaken_at is None and (held is None or held.holder != part.holder):
            self.find(f"{part.who} brings {name} something and does not hold {scope}")
        wanted = declared.bundles(declared.all_of(self.now_declared())).get(name)
        if part.overtaken_at is None and (wanted is None or wanted.digest != digest):
            self.find(f"{name} was brought what is not declared now")

    def hears(self, part: Part, name: str, line: str) -> None:
        """A last line has come back."""
        part.heard[name, part.asked[name]] = line.removeprefix("done ")

    def misleads(self, part: Part, name: str) -> None:
        """A unit's test transaction was answered by somebody else."""
        part.misled.add((name, part.asked[name]))

    # --- what the journal says

    def records(self, part: Part, line: bytes) -> None:
        """A line stands in a journal."""
        entry: dict[str, Any] = json.loads(line)
        kind, data = entry["kind"], entry["data"]
        if kind in ("unit-started", "wave-started"):
            self._begins(part, data["wave"] if kind == "wave-started" else data["name"])
        if kind == "run-started":
            part.epoch, part.holder = data["epoch"], data["holder"]
            if part.epoch <= self.largest_epoch():
                self.find(f"{part.who} has epoch {part.epoch}, and a unit has accepted {self.largest_epoch()}")
        elif kind == "unit-started":
            self.intends(part, data["name"])
            self._in_turn(part, data["name"])
        elif kind == "unit-finished":
            part.outcomes[data["name"]] = data["state"]
            self._result(part, data)
        elif kind == "wave-held":
            part.held.discard(data["wave"])
            part.stops_from = part.stops_from if data["went_on"] else -1.0
        elif kind == "placement-intended":
            part.placement_intended = True

    def intends(self, part: Part, name: str) -> None:
        """A unit is begun, as far as its run knows."""
        part.intents.add(name)
        part.began.setdefault(name, self._clock())

    def _begins(self, part: Part, what: str) -> None:
        """Nothing is begun by who was told to stop, or has heard from a unit that somebody else writes."""
        if part.stops_from is not None and self._clock() > part.stops_from:
            self.find(f"{part.who} began {what} although it was to stop")
        if part.is_told and part.overtaken_at is not None and not self.has_store_failed:
            self.find(f"{part.who} began {what} although a unit had refused it for a newer epoch")

    def _result(self, part: Part, data: dict[str, Any]) -> None:
        name, state, digest = data["name"], data["state"], data["digest"]
        part.is_told = part.is_told or data["cause"] == "stale-epoch"
        if state != "skipped" and name not in part.intents:
            self.find(f"{name} has a result in the journal of {part.who} and no intent")
        if state in BRINGS:
            if part.heard.get((name, "apply")) != digest:
                self.find(f"{name} is {state} for {part.who}, which never heard that it was done")
            if (name, part.epoch, digest) not in self.proven:
                self.find(f"{name} is {state} for {part.who} without a test transaction")
            if name in self._vanguard(part, name) and part.heard.get((name, "probe")) != digest:
                self.find(f"canary {name} is {state} for {part.who} without a test transaction over a new connection")
            if (self._swapped.get(name, (0, 0.0)) >= (part.epoch, part.began[name])) != (state == "verified"):
                self.find(
                    f"{name} is {state} for {part.who}, which has sent it {'' if state == 'unchanged' else 'no '}bundle"
                )
            if {(name, "apply"), (name, "probe")} & part.misled:
                self.find(f"{name} is {state} for {part.who}, which was answered by somebody else")
        elif not data["reason"] or not data["cause"]:
            self.find(f"{name} is {state} for {part.who} without a cause")
        elif data["reason"].startswith("a fault of pulih itself"):
            self.find(f"{name} has met {data['reason']}")
        if state == "quarantined":
            self._given_up(part, name, data["cause"])

    def _given_up(self, part: Part, name: str, cause: str) -> None:
        """A unit was tried as often as it should be, before it was given up."""
        tries, most = part.tries[name], 1 + declared.estate().timeouts.retries
        took_s = self._clock() - part.began[name]
        if cause in _AGAIN and tries < most and took_s < _PATIENCE_S:
            self.find(f"{part.who} gave {name} up after {tries} tries and {took_s:.0f} s: {cause}")
        if tries > most * (2 if name in self._vanguard(part, name) else 1):
            self.find(f"{part.who} has tried {name} {tries} times")

    def _in_turn(self, part: Part, name: str) -> None:
        steps, ranks = part.steps, part.ranks
        for other in steps:
            if ranks[other] < ranks[name] and other not in part.outcomes:
                self.find(f"{part.who} began {name} before {other}, of an earlier wave, was through")
        vanguard = self._vanguard(part, name)
        for first in vanguard if name not in vanguard else ():
            if first not in part.outcomes:
                self.find(f"{part.who} began {name} before {first}, which goes before it, was through")
        self._none_held(part, name)
        for needed in self._needs(steps[name], part.plan):
            if needed in steps and part.outcomes.get(needed) not in BRINGS:
                self.find(f"{part.who} began {name}, which needs {needed}, and that is {part.outcomes.get(needed)}")

    def _none_held(self, part: Part, name: str) -> None:
        """No wave has lost more than it may, unless somebody has said to go on."""
        rule = declared.estate().wave_pass
        for rank in {rank for rank in part.ranks.values() if rank <= part.ranks[name]}:
            wave = [other for other in part.steps if part.ranks[other] == rank]
            services = {part.steps[other].service for other in wave}
            if services & part.waved_on:
                continue
            counted = wave
            if rank == part.ranks[name]:  # its gate is asked once: between those who go first and the rest
                counted = self._vanguard(part, name)
                if name in counted or services & part.rest_of or not part.canaries & set(wave):
                    continue
                part.rest_of |= services
            failed = [other for other in counted if part.outcomes.get(other) == "quarantined"]
            if len(failed) > max(rule.failures, int((1 - rule.share) * len(wave))):
                self.find(f"{part.who} began {name} although {', '.join(failed)} before it had failed")

    def _vanguard(self, part: Part, name: str) -> list[str]:
        """Return who goes first in a unit's wave: its canaries, and for each that failed the next of its class."""
        wave = [other for other in part.steps if part.ranks[other] == part.ranks[name]]
        first = [other for other in wave if other in part.canaries]
        rest = [other for other in wave if other not in part.canaries]
        for canary in list(first):
            if part.outcomes.get(canary) == "quarantined":
                mine = (other for other in rest if part.steps[other].link == part.steps[canary].link)
                if (second := next(mine, None)) is not None:
                    rest.remove(second)
                    first.append(second)
        return first

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
        if part.on_platter is None or b'"kind":"placement-intended"' not in part.on_platter():
            self.find(f"{part.who} changed the placement before its disk had that it would")
        for move in moves:
            for service in (move.service, *declared.estate().service[move.service].after):
                target = f"{service}-{move.target}"
                if part.outcomes.get(target) not in BRINGS:
                    self.find(f"{part.who} moved {move.service} to {move.target} before {target} was proven")
        touched = sorted(name for name in part.asked if name in self._region)
        if touched:
            self.find(f"{part.who} changed the placement after it had touched {', '.join(touched)}")

    def overtakes(self, taker: Part, is_at_work: Callable[[Part], bool]) -> None:
        """A process has taken leases: whoever else was at work in its scopes is overtaken.

        Args:
            taker: The process's part.
            is_at_work: Whether another one's process runs, and no clock has jumped.
        """
        for part in self.parts:
            if part is not taker and part.scopes & taker.scopes and part.overtaken_at is None and not part.is_over:
                part.overtaken_at = self._clock()
                if is_at_work(part) and self.holding.silent_s(part.holder) <= SILENT_S:
                    self.find(f"{taker.who} and {part.who} both hold {', '.join(sorted(part.scopes & taker.scopes))}")

    def reports_as(self, part: Part) -> None:
        """A process that can ask the store leaves a report."""
        if part.overtaken_at is not None:
            self.find(f"{part.who} leaves a report although it was overtaken")

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
        if part.held:
            self.find(f"{part.who} was held at {', '.join(part.held)}, and its journal does not say so")
        gave_way = result.exit_code == HELD and part.holder in self.holding.taken_from
        if part.overtaken_at is None and not gave_way:
            for sentence in faults_of(part, result, retold, report):
                self.find(sentence)
