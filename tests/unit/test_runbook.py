"""The conductor, in virtual time: who goes when, who is tried again, who is skipped, and what holds a wave."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from recovery.model.estate import DataCentreName, Estate, WavePass
from recovery.model.events import (
    Event,
    PlacementIntended,
    PlacementWritten,
    UnitFinished,
    UnitRetried,
    UnitStarted,
    WaveFinished,
    WaveHeld,
    WaveStarted,
)
from recovery.model.outcome import Cause, Outcome, RunResult, State
from recovery.model.plan import Move, Plan, Selection, Wave
from recovery.model.visit import Epoch
from recovery.order import Halt, Order
from recovery.order import World as RunWorld
from recovery.plan import recovery
from recovery.runbook import conduct
from recovery.transport.base import Conversation, T, Target
from tests.sim import declared
from tests.sim.declared import estate
from tests.sim.faults import Fault, Site
from tests.sim.field import Field
from tests.sim.judge import Judge
from tests.sim.loop import run as run_virtual
from tests.sim.memory import MemoryTransport
from tests.sim.platter import Written
from tests.sim.unit import SimUnit

PDNS = DataCentreName("pdns-2")
NOW = datetime(2024, 6, 20, 0, 54, tzinfo=UTC)


class World:
    """Units that were never deployed, and the clock of whoever comes to them."""

    def __init__(self) -> None:
        before = declared.written(declared.sound(declared.all_at(PDNS)).estate)
        judge = Judge(lambda: 0.0, lambda: before)
        self.field = Field(7, (), judge, lambda _fault: None, was_deployed=False)
        self.chance = random.Random(7)

    @property
    def units(self) -> dict[str, SimUnit]:
        return self.field.units

    def force(self, forced: Mapping[str, Sequence[Site]]) -> None:
        """Let the next visits to some units fail, each in its way."""
        self.field.trace = tuple(
            Fault(site, name, at=self.field.visits(name) + number)
            for name, sites in forced.items()
            for number, site in enumerate(sites, start=1)
        )

    def now(self) -> datetime:
        return NOW + timedelta(seconds=asyncio.get_running_loop().time())


class Operator(MemoryTransport):
    """The way to units, with every visit counted."""

    def __init__(self, field: Field) -> None:
        super().__init__(field.hosts)
        self.started: list[str] = []

    async def run(self, target: Target, command: str, conversation: Conversation[T], *, within_s: float) -> T:
        self.started.append(target.name)
        return await super().run(target, command, conversation, within_s=within_s)


@dataclass
class Seen:
    """Everything a run told."""

    events: list[Event] = field(default_factory=list[Event])

    def notice(self, event: Event) -> None:
        self.events.append(event)

    def started(self) -> list[str]:
        return [event.step.name for event in self.events if isinstance(event, UnitStarted)]


@dataclass
class Told:
    result: RunResult
    seen: Seen
    world: World
    moves: list[Move]
    operator: Operator

    def outcome(self, name: str) -> Outcome:
        return next(found for found in (*self.result.units, *self.result.endpoints) if found.name == name)


def a_plan(placed: Estate) -> tuple[Plan, Estate]:
    return recovery(placed, "sha256:prints", Selection(), lost=PDNS)


def told(
    *,
    forced: Mapping[str, Sequence[Site]] | None = None,
    wave_pass: WavePass | None = None,
    go_on: bool = False,
    halt_after: int | None = None,
    halt_at: type[Event] | None = None,
    before: RunResult | None = None,
    world: World | None = None,
) -> Told:
    """Conduct the recovery of a small estate in memory."""
    plan, target = a_plan(estate())
    target = replace(target, wave_pass=wave_pass or WavePass(share=0.0, failures=99))
    world = world or World()
    world.force(forced or {})
    operator, seen, moves = Operator(world.field), Seen(), list[Move]()

    def halted() -> Halt | None:
        if halt_at is not None and any(isinstance(event, halt_at) for event in seen.events):
            return Halt(cause=Cause.CANCELLED, reason="enough", exit_code=130)
        if halt_after is not None and len(seen.started()) >= halt_after:
            return Halt(cause=Cause.CANCELLED, reason="enough", exit_code=130)
        return None

    async def answer(_wave: Wave, _reason: str) -> bool:
        return go_on

    async def main() -> RunResult:
        return await conduct(
            Order(
                run="run",
                verb="recover",
                plan=plan,
                estate=target,
                renderer=declared.sound(declared.all_at("cloud-1")).renderer,
                epoch=Epoch(number=9, holder="h"),
                parallel=4,
                lost_at=None,
                before=before,
            ),
            RunWorld(
                transport=operator,
                clock=world,
                chance=world.chance,
                halted=halted,
                go_on=answer,
                write_placement=moves.extend,
                observers=(seen,),
            ),
        )

    return Told(run_virtual(main()), seen, world, moves, operator)


BORDER, STAY, PASSPORT = "office-000-border-crossing", "office-002-stay-permit", "office-004-passport"


def visits(run: Told, name: str) -> int:
    return run.operator.started.count(name)


def test_everyone_is_verified_and_the_placement_is_written_before_the_first_unit() -> None:
    run = told()
    assert run.result.exit_code == 0
    assert {outcome.state for outcome in (*run.result.units, *run.result.endpoints)} == {State.VERIFIED}
    written = next(n for n, event in enumerate(run.seen.events) if isinstance(event, PlacementWritten))
    first = next(
        n for n, event in enumerate(run.seen.events) if isinstance(event, UnitStarted) and not event.step.is_endpoint
    )
    proven = [
        n for n, event in enumerate(run.seen.events) if isinstance(event, UnitFinished) and event.outcome.region is None
    ]
    assert max(proven) < written < first


def test_the_second_time_nothing_is_sent_and_the_report_says_unchanged() -> None:
    first = told()
    second = told(world=first.world)
    assert {outcome.state for outcome in second.result.units} == {State.UNCHANGED}


def test_a_resumed_run_keeps_when_a_unit_was_brought_up() -> None:
    first = told(halt_after=9)
    assert first.result.exit_code == 130
    second = told(world=first.world, before=first.result)
    assert second.result.exit_code == 0
    done = [outcome for outcome in first.result.units if outcome.is_verified]
    assert done
    for outcome in done:
        assert second.outcome(outcome.name) == outcome


def test_a_unit_that_fell_back_after_it_was_brought_up_is_reported_as_it_is_now() -> None:
    first = told()
    again = told(world=first.world, before=first.result, forced={BORDER: [Site.WRONG_HOST_KEY]})
    assert again.outcome(BORDER).cause is Cause.HOST_KEY


def test_a_line_that_breaks_is_tried_again_and_a_lost_acknowledgement_still_counts_as_sent() -> None:
    run = told(forced={BORDER: [Site.REFUSED, Site.DROP_AFTER_EXEC]})
    assert run.outcome(BORDER).state is State.VERIFIED
    retried = [event for event in run.seen.events if isinstance(event, UnitRetried)]
    assert [event.attempt for event in retried] == [1, 2]


def test_a_wrong_host_key_is_never_tried_again() -> None:
    run = told(forced={PASSPORT: [Site.WRONG_HOST_KEY]})
    assert (run.outcome(PASSPORT).state, run.outcome(PASSPORT).cause) == (State.QUARANTINED, Cause.HOST_KEY)
    assert visits(run, PASSPORT) == 1
    assert run.result.exit_code == 3


def test_after_the_last_try_the_true_cause_is_named() -> None:
    run = told(forced={PASSPORT: [Site.REFUSED, Site.REFUSED, Site.HANG]})
    assert run.outcome(PASSPORT).cause is Cause.TIMEOUT
    assert visits(run, PASSPORT) == 3


def test_a_unit_that_claims_another_bundle_is_done_is_not_believed() -> None:
    run = told(forced={PASSPORT: [Site.LIES, Site.LIES, Site.LIES]})
    assert run.outcome(PASSPORT).cause is Cause.BAD_ANSWER


def test_units_are_skipped_when_the_endpoint_they_need_failed_and_their_service_does_not_move() -> None:
    run = told(forced={"passport-cloud-1": [Site.WRONG_HOST_KEY]})
    assert {outcome.state for outcome in run.result.units if outcome.service == "passport"} == {State.SKIPPED}
    assert {outcome.state for outcome in run.result.units if outcome.service != "passport"} == {State.VERIFIED}
    assert "passport" not in {move.service for move in run.moves}
    assert "it needs passport-cloud-1, which is quarantined" in run.outcome(PASSPORT).reason


def test_without_identity_nothing_moves_and_no_unit_is_touched() -> None:
    run = told(forced={"identity-cloud-1": [Site.WRONG_HOST_KEY]})
    assert {outcome.state for outcome in run.result.units} == {State.SKIPPED}
    assert [move.service for move in run.moves] == ["time"]
    assert set(run.operator.started) == {"identity-cloud-1", "time-cloud-1"}


def test_a_stopped_run_starts_nobody_else_and_says_so_of_each() -> None:
    run = told(halt_after=7)
    left = [outcome for outcome in run.result.units if outcome.state is State.NOT_STARTED]
    assert left
    assert {outcome.reason for outcome in left} == {"enough"}
    assert len(run.seen.started()) <= 7 + 4


def test_a_stopped_run_does_not_try_again_either() -> None:
    run = told(forced={"identity-cloud-1": [Site.REFUSED, Site.REFUSED]}, halt_after=2)
    assert visits(run, "identity-cloud-1") == 1


def test_a_held_wave_ends_the_run_with_exit_5_unless_somebody_says_go_on() -> None:
    strict = WavePass(share=1.0, failures=0)
    held = told(forced={BORDER: [Site.WRONG_HOST_KEY]}, wave_pass=strict)
    assert held.result.exit_code == 5
    assert {outcome.state for outcome in held.result.units if outcome.service == "passport"} == {State.NOT_STARTED}
    assert [event.went_on for event in held.seen.events if isinstance(event, WaveHeld)] == [False]
    went_on = told(forced={BORDER: [Site.WRONG_HOST_KEY]}, wave_pass=strict, go_on=True)
    assert went_on.result.exit_code == 3
    assert {outcome.state for outcome in went_on.result.units if outcome.service == "passport"} == {State.VERIFIED}


def test_a_failed_canary_is_replaced_once_by_another_of_its_group() -> None:
    plan, _ = a_plan(estate())
    wave = next(wave for wave in plan.unit_waves if wave.rest)
    canary = wave.canaries[0]
    other = next(step for step in wave.rest if (step.link, step.kind) == (canary.link, canary.kind))
    run = told(forced={canary.name: [Site.WRONG_HOST_KEY]})
    proofs = visits(run, other.name)
    assert proofs == 2, "a canary is applied, then proven over a new connection"
    assert visits(told(), other.name) == 1


def test_the_waves_finish_in_the_order_of_the_plan() -> None:
    plan, _ = a_plan(estate())
    finished = [event.wave for event in told().seen.events if isinstance(event, WaveFinished)]
    assert finished == [wave.name for wave in plan.waves]


def test_a_unit_that_had_to_be_brought_up_again_was_back_only_then() -> None:
    first = told()
    first.world.units[BORDER].disk.write(Written())
    second = told(world=first.world, before=first.result)
    assert second.outcome(BORDER).state is State.VERIFIED
    assert second.outcome(BORDER) != first.outcome(BORDER)


def test_no_wave_begins_once_the_run_is_stopped() -> None:
    run = told(halt_after=1)
    assert [event.wave for event in run.seen.events if isinstance(event, WaveStarted)] == [
        "endpoints of identity, time"
    ]


def test_the_placement_stays_when_that_it_is_to_be_written_could_not_be_recorded() -> None:
    run = told(halt_at=PlacementIntended)
    assert run.moves == []
    assert not [event for event in run.seen.events if isinstance(event, PlacementWritten)]
    assert {outcome.state for outcome in run.result.units} == {State.NOT_STARTED}
