"""One seeded history: an estate that loses a data centre, operators that are killed, paused or two at once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from recovery.errors import HeldError, LeaseLostError
from recovery.journal import Line
from recovery.lease import Lease, Leases
from recovery.model.estate import UnitName
from recovery.model.events import Event, RunStarted, UnitFinished, UnitStarted
from recovery.model.outcome import Cause, Outcome, RunResult
from recovery.model.plan import Move, Plan, Selection, Wave
from recovery.order import Halt, Order
from recovery.order import World as RunWorld
from recovery.plan import recovery, routine
from recovery.record import Recorder, story
from recovery.runbook import conduct
from tests.sim.loop import run as run_virtual
from tests.sim.world import Operator, World, estate, placed, renderer

PRINTS = "sha256:simulated"


@dataclass
class MemoryJournal:
    """The lines of a journal, kept in memory so that a seed costs no disk.

    Attributes:
        dead: Whether the process that writes it was killed: nothing is written any more.
    """

    dead: bool = False

    lines: list[Line] = field(default_factory=list[Line])

    def append(self, kind: str, at: datetime, data: Mapping[str, object], *, durable: bool = False) -> None:
        del durable
        if not self.dead:
            self.lines.append(Line(number=len(self.lines) + 1, at=at, kind=kind, data=dict(data), hash=""))


class Diary:
    """An observer that checks the order of intents and results, and remembers the outcomes."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.outcomes: dict[str, Outcome] = {}

    def notice(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self.begun.clear()
        if isinstance(event, UnitStarted):
            self.begun.append(event.step.name)
        if isinstance(event, UnitFinished):
            self.outcomes[event.outcome.name] = event.outcome


@dataclass
class History:
    """What one seed did."""

    seed: int
    world: World
    journals: dict[str, MemoryJournal] = field(default_factory=dict[str, MemoryJournal])
    trace: list[str] = field(default_factory=list[str])
    broken: list[str] = field(default_factory=list[str])

    def say(self, line: str) -> None:
        self.trace.append(f"{asyncio.get_running_loop().time():9.3f} {line}")


def play(seed: int) -> History:
    """Play one seed to its end, in virtual time."""
    return run_virtual(_play(seed))


async def _play(seed: int) -> History:
    chance = random.Random(seed)
    world = World(chance, fault_rate=0.0)
    history = History(seed, world)
    first = Operator(world, 1)
    await _run(history, first, "apply")
    world.fault_rate = chance.choice((0.0, 0.1, 0.3))
    before = {name: unit.current.digest for name, unit in world.units.items() if unit.current}
    kind = chance.choice(("quiet", "killed", "paused", "two"))
    history.say(f"recover, {kind}, faults {world.fault_rate}")
    world.dead.add(1)
    operator = Operator(world, 2)
    task = asyncio.create_task(_run(history, operator, "recover"))
    if kind == "killed":
        await _wait(task, chance.uniform(0.1, 25))
        await _kill(history, operator, task)
    elif kind == "paused":
        await _wait(task, chance.uniform(0.1, 15))
        await _overtake(history, operator, task, chance)
    elif kind == "two":
        await _wait(task, chance.uniform(0.0, 10))
        await _second(history, world, task)
    await asyncio.wait([task])
    world.heal()
    await world.settle()
    await _converge(history, before)
    return history


async def _wait(task: asyncio.Task[Any], seconds: float) -> None:
    await asyncio.wait([task], timeout=seconds)


async def _kill(history: History, operator: Operator, task: asyncio.Task[Any]) -> None:
    """Kill -9: nothing of the operator runs any more; what the units were told they finish or drop."""
    history.say("killed")
    operator.killed = True
    for journal in history.journals.values():
        journal.dead = True
    history.world.dead.add(operator.machine.pid)
    task.cancel()
    await asyncio.wait([task])


async def _overtake(history: History, operator: Operator, task: asyncio.Task[Any], chance: random.Random) -> None:
    """SIGSTOP, a takeover once it has been silent for long enough, SIGCONT while the new holder is at work."""
    if task.done():
        return
    history.say("stopped")
    operator.awake.clear()
    await asyncio.sleep(31)
    other = Operator(history.world, 3)
    takeover = asyncio.create_task(_run(history, other, "recover", over="recover-2"))
    await asyncio.sleep(chance.uniform(0.0, 20))
    visited = {name for _, name in other.started}
    woke = asyncio.get_running_loop().time()
    history.say("woken")
    operator.awake.set()
    await asyncio.wait([task, takeover])
    epochs = {name: unit.epoch[1] for name, unit in history.world.units.items()}
    late = [name for when, name in operator.started if when > woke + 1.0]
    if late and visited:
        history.broken.append(f"a writer that was overtaken went on to {', '.join(late)}")
    if not visited <= {name for name, holder in epochs.items() if holder}:
        history.broken.append("a unit lost the epoch of the new holder")


async def _second(history: History, world: World, task: asyncio.Task[Any]) -> None:
    if task.done():
        return
    other = Operator(world, 4)
    try:
        await _run(history, other, "recover")
    except HeldError as error:
        history.say(f"second operator: {error}")
        if "recover-2" not in str(error) or other.started:
            history.broken.append(f"the second operator was told: {error}")
    else:
        if not task.done():
            history.broken.append("two operators held the same scopes at once")


async def _run(
    history: History, operator: Operator, verb: str, *, earlier: MemoryJournal | None = None, over: str | None = None
) -> RunResult:
    """What the command line does, with everything outside in memory."""
    world, machine = history.world, operator.machine
    plan, target = _plan(world, verb)
    name = f"{verb}-{machine.pid}"
    scopes = {step.region or step.data_centre for step in plan.steps()}
    lease = Leases(world.store, machine, machine, world.chance).take(scopes, name, over=over)
    journal, diary = MemoryJournal(lines=[] if earlier is None else list(earlier.lines)), Diary()
    history.journals[name] = journal

    told = None if earlier is None else story(earlier.lines)

    def write_placement(moves: tuple[Move, ...]) -> None:
        if operator.killed:
            return
        world.placement = moves[0].target

    outside = RunWorld(
        transport=operator,
        clock=machine,
        chance=world.chance,
        halted=lambda: _halted(operator, lease),
        go_on=_always,
        write_placement=write_placement,
        observers=(Recorder(journal), diary),
    )
    order = Order(
        run=name,
        verb=verb,
        plan=plan,
        estate=target,
        renderer=renderer(target.placement.default[target.services[0].name]),
        epoch=lease.epoch,
        parallel=6,
        lost_at=None,
        before=None if told is None else told.result,
    )
    heart = asyncio.create_task(_heartbeat(operator, lease))
    try:
        result = await conduct(order, outside)
    finally:
        heart.cancel()
    if not operator.killed:
        lease.release()
    _check_report(history, result, diary)
    retold = story(journal.lines)
    if not operator.killed and (retold is None or _gist(retold.result) != _gist(result)):
        history.broken.append(f"the journal of {name} tells another story than its report")
    history.say(f"{name}: exit {result.exit_code}")
    return result


def _plan(world: World, verb: str) -> tuple[Plan, Any]:
    now = placed(world.placement)
    if verb == "apply":
        return routine(now, PRINTS, Selection())
    return recovery(now, PRINTS, Selection(), lost=type(next(iter(estate().data_centre)))("pdns-2"))


def _halted(operator: Operator, lease: Lease) -> Halt | None:
    if operator.killed:
        return Halt(cause=Cause.CANCELLED, reason="killed", exit_code=137)
    if not operator.awake.is_set():
        return None
    try:
        lease.renew()
    except LeaseLostError as error:
        return Halt(cause=Cause.STALE_EPOCH, reason=str(error), exit_code=4)
    return None


async def _heartbeat(operator: Operator, lease: Lease) -> None:
    while True:
        await asyncio.sleep(5)
        await operator.awake.wait()
        if operator.killed:
            return
        try:
            lease.renew()
        except LeaseLostError:
            return


async def _always(_wave: Wave, _reason: str) -> bool:
    return True


def _gist(result: RunResult) -> list[tuple[str, str, str | None]]:
    return [(outcome.name, outcome.state, outcome.digest) for outcome in (*result.units, *result.endpoints)]


def _check_report(history: History, result: RunResult, diary: Diary) -> None:
    """The report agrees with the units, and every result had its intent."""
    for outcome in (*result.units, *result.endpoints):
        unit = history.world.units[outcome.name]
        ours = unit.epoch[0] <= max(unit.accepted, default=0) and unit.applied
        if outcome.is_verified and not ours:
            history.broken.append(f"{outcome.name} is reported {outcome.state} and was never brought up")
        if outcome.is_verified and outcome.digest not in unit.applied:
            history.broken.append(f"{outcome.name} is reported with {outcome.digest}, which it never had")
    for name, outcome in diary.outcomes.items():
        if outcome.is_verified and name not in diary.begun:
            history.broken.append(f"{name} has a result without an intent")


async def _converge(history: History, before: dict[UnitName, str]) -> None:
    """Faults have stopped: one more run brings everything to the declaration, and yet another changes nothing."""
    world = history.world
    world.dead.update({2, 3, 4})
    for unit in world.units.values():
        served = unit.current.digest if unit.current else None
        if served not in (None, before.get(UnitName(unit.name)), *unit.applied):
            history.broken.append(f"{unit.name} serves {served}, which is neither its old nor a new bundle")
    result = await _run(history, Operator(world, 5), "recover", earlier=history.journals.get("recover-2"))
    if result.exit_code != 0:
        history.broken.append(f"did not converge: exit {result.exit_code}")
    await world.settle()
    sent = {name: len(unit.applied) for name, unit in world.units.items()}
    wanted = renderer("cloud-1")
    for place in placed("cloud-1").places():
        unit = world.units[place[2].name]
        digest = wanted.unit(*place).digest
        if unit.current is None or (unit.current.digest, unit.loaded, unit.receipt) != (digest, digest, digest):
            history.broken.append(f"{unit.name} is not as declared at the end")
    world.dead.add(5)
    again = await _run(history, Operator(world, 6), "recover")
    if again.exit_code != 0 or sent != {name: len(unit.applied) for name, unit in world.units.items()}:
        history.broken.append("doing it twice was not the same as once")
    history.broken.extend(world.broken())
