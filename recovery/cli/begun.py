"""A run from its leases to its report: what surrounds the runbook, and in which order.

The leases come first, then another look at the declaration, then the journal, then the units.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Generator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

from recovery.cli import loading, storing
from recovery.cli.interrupted import Ledger
from recovery.cli.output import note
from recovery.cli.outside import Outside
from recovery.cli.settings import Settings
from recovery.cli.watch import Watch
from recovery.clock import new_run
from recovery.errors import BrokenRecordError, LeaseLostError, PulihError, RefusedError
from recovery.journal import Journal
from recovery.lease import Leases
from recovery.model.estate import Estate
from recovery.model.events import Event, Observer, RunFinished, UnitFinished
from recovery.model.forecast import Forecast
from recovery.model.outcome import RunResult
from recovery.model.plan import Plan, Wave
from recovery.model.story import Story
from recovery.order import Order, World
from recovery.plan import estate_digest, to_json
from recovery.record import Recorder
from recovery.render import Renderer
from recovery.report import forecast_to_json
from recovery.runbook import conduct
from recovery.runs import Runs
from recovery.transport.base import Transport

Planner = Callable[[loading.Declared], tuple[Plan, Estate]]
"""Plans what was asked for; called again when the estate changed before the leases were taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """What somebody has agreed to.

    Attributes:
        sound: The declaration that it was planned from.
        estate: The one that it leads to: with the target placement.
    """

    sound: loading.Declared
    plan: Plan
    estate: Estate


class Run:
    """A run that holds its leases and has its journal open.

    Attributes:
        watch: Knows when it must stop.
        folder: Where its plan, journal and report are.
    """

    def __init__(
        self, outside: Outside, carrier: Transport, order: Order, journal: Journal, watch: Watch, runs: Runs
    ) -> None:
        self.watch = watch
        self.folder = runs.folder / order.run
        self._runs = runs
        self._outside = outside
        self._carrier = carrier
        self._order = order
        self._journal = journal

    def forecast(self, made: Callable[[float], Forecast]) -> Forecast | None:
        """Record how long the run is expected to take, or return what was recorded when it first began.

        Args:
            made: Makes the forecast; given how long before now everything was lost, seconds.
        """
        now, order = self._outside.clock.now(), self._order
        if order.before is not None:
            return order.before.forecast
        expected = made(0.0 if order.lost_at is None else (now - order.lost_at).total_seconds())
        _tell_of(
            "the forecast could not be recorded",
            lambda: self._journal.append("forecast", now, forecast_to_json(expected)),
        )
        return expected

    async def conduct(
        self, go_on: Callable[[Wave, str], Awaitable[bool]], observers: tuple[Observer, ...]
    ) -> RunResult:
        """Conduct it; the first Ctrl-C lets the units in flight finish, the second cuts them off.

        Args:
            go_on: Asked when a wave is held.
            observers: Told of every event, behind the journal.
        """
        outside, ledger = self._outside, Ledger()
        world = World(
            transport=self._carrier,
            clock=outside.clock,
            chance=outside.chance,
            halted=self.watch.halted,
            go_on=go_on,
            write_placement=outside.write_placement,
            observers=(Recording(Recorder(self._journal), self.watch), ledger, self.watch, *observers),
        )
        loop = asyncio.get_running_loop()
        conducting = asyncio.create_task(conduct(self._order, world))
        heartbeat = asyncio.create_task(self.watch.keep_lease())

        def interrupted() -> None:
            if self.watch.interrupt():
                note("stopping: units in flight finish, no further one begins; Ctrl-C again cuts them off")
            else:
                conducting.cancel()

        loop.add_signal_handler(signal.SIGINT, interrupted)
        try:
            return await conducting
        except asyncio.CancelledError:
            result = ledger.cut_off(outside.clock.now())
            if result is None:
                raise
            cut = ledger.cut()
            for outcome in (*result.units, *result.endpoints):
                if outcome.name in cut:  # the journal tells of them too
                    world.tell(UnitFinished(outcome=outcome, at=result.finished_at))
            world.tell(RunFinished(result=result, at=result.finished_at))
            return result
        finally:
            loop.remove_signal_handler(signal.SIGINT)
            heartbeat.cancel()
            await self._carrier.close()

    def report(self, result: RunResult) -> None:
        """Leave the report in the run's folder, unless somebody else conducts the run now: then it is theirs."""
        if not self.watch.is_overtaken():
            _tell_of("the report could not be stored", lambda: storing.write_report(self.story(result), self.folder))

    def story(self, result: RunResult) -> Story:
        """Return what the record tells of the run when it has ended; its result alone where the record is not whole."""
        with suppress(OSError, BrokenRecordError):
            told = self._runs.story(result.run)
            if told is not None and told.finished:
                return told
        return Story(result=result, finished=True)


@contextmanager
def begun(
    settings: Settings,
    outside: Outside,
    verb: str,
    planner: Planner,
    agreed: Agreed,
    *,
    lost_at: datetime | None = None,
    resumed: str | None = None,
    above: int | None = None,
) -> Generator[Run]:
    """Take the leases, look at the declaration again, open the journal; give everything back at the end.

    Args:
        settings: How to work.
        outside: The machine.
        verb: The command, for the run's name and its report.
        planner: Plans what was asked for.
        agreed: What was planned, and agreed to.
        lost_at: From when the time to recover counts; None means from the start.
        resumed: The run that goes on; None begins a new one.
        above: With break-glass, the largest epoch that any unit reports; then the leases of a silent run that is not on
            this machine are taken over too.

    Raises:
        RefusedError: The estate changed since it was agreed to.
        HeldError: Another run holds a lease.
        BrokenRecordError: The journal of the run that goes on was edited.
    """
    clock, runs = outside.clock, Runs(settings.state, outside.processes)
    name = resumed or new_run(verb, clock.now(), outside.chance)
    with ExitStack() as stack:
        lease = Leases(outside.store(agreed.sound.estate), clock, outside.processes, outside.chance).take(
            scopes(agreed.plan), name, over=resumed, above=above, is_here=lambda run: run in runs.names()
        )
        stack.callback(_tell_of, "the lease could not be given back", lease.release)
        agreed = _as_it_is_now(outside, agreed, planner)
        plan, estate, carrier = agreed.plan, agreed.estate, outside.transport(agreed.sound.estate)
        if resumed is None:
            runs.create(name, to_json(plan))
        journal = runs.conduct(name)
        stack.callback(journal.close)
        told = runs.story(name)
        if above is not None:
            gone = [f"{run} of {where}" for run, where in lease.taken_over.items()]
            over = f"; taken over from {', '.join(gone)}" if gone else ""
            note(f"break-glass: epoch {lease.epoch.number}, above the {above} that units report{over}")
            broken = {"above": above, "epoch": lease.epoch.number, "taken_over": gone}
            journal.append("break-glass", clock.now(), broken, durable=True)
        order = Order(
            run=name,
            verb=verb,
            plan=plan,
            estate=estate,
            renderer=Renderer(estate, agreed.sound.templates),
            epoch=lease.epoch,
            parallel=settings.parallel,
            lost_at=lost_at if told is None else told.result.lost_at,
            before=None if told is None else told.result,
        )
        watch = Watch(lease, lambda: runs.is_cancel_requested(name))
        yield Run(outside, carrier, order, journal, watch, runs)


class Recording:
    """The journal's observer: a run that can't be recorded starts no further unit."""

    def __init__(self, recorder: Recorder, watch: Watch) -> None:
        """Record with `recorder`, and stop the run by `watch`."""
        self._recorder = recorder
        self._watch = watch
        self._lost = False

    def notice(self, event: Event) -> None:
        """Record an event, while the journal is ours and its disk takes it."""
        if self._lost:
            return
        try:
            self._recorder.notice(event)
        except LeaseLostError as error:
            self._lost = True
            self._watch.lose(str(error))
        except OSError as error:
            self._lost = True
            self._watch.stop(f"the run can't be recorded any more: {error}")
            note(f"the journal can't be written: {error}")


def _tell_of(what: str, act: Callable[[], None]) -> None:
    """Do something at the end of a run whose failure must not hide how the run ended."""
    try:
        act()
    except (OSError, PulihError) as error:
        note(f"{what}: {error}")


def scopes(plan: Plan) -> frozenset[str]:
    """Return the regions and data centres that a plan touches."""
    touched = {step.data_centre if step.region is None else step.region for step in plan.steps()}
    return frozenset(touched | {plan.to} if plan.to is not None else touched)


def _as_it_is_now(outside: Outside, agreed: Agreed, planner: Planner) -> Agreed:
    """Look at the declaration again now that the leases are held: it may have changed while somebody was asked.

    Raises:
        RefusedError: It would now be another plan than the one that was agreed to.
    """
    if estate_digest(outside.look()) == estate_digest(agreed.sound.estate):
        return agreed
    fresh = outside.read()
    plan, estate = planner(fresh)
    if plan.hash != agreed.plan.hash:
        raise RefusedError(
            f"{fresh.estate.folder} was changed while this was being agreed: the plan was {agreed.plan.hash} and would "
            f"now be {plan.hash}. Nothing was touched; look at the new plan and begin again."
        )
    return Agreed(sound=fresh, plan=plan, estate=estate)
