"""Carries out a plan: estate, agreement, leases, run, report. The verbs and the drill all come through here."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from recovery.cli import loading, storing
from recovery.cli.asking import asking
from recovery.cli.connecting import leases_store, transport
from recovery.cli.context import now, where
from recovery.cli.guarded import Guarded, tell_of_failures
from recovery.cli.interrupted import Ledger
from recovery.cli.output import note
from recovery.cli.progress import shown
from recovery.cli.settings import Settings
from recovery.cli.transcript import Transcript
from recovery.cli.watch import Watch
from recovery.clock import WallClock, new_run
from recovery.declared import load, write_placement
from recovery.errors import LeaseLostError, PulihError, RefusedError
from recovery.lease import Leases
from recovery.model.estate import Estate
from recovery.model.events import Event, RunFinished, WaveHeld
from recovery.model.outcome import RunResult
from recovery.model.plan import Plan
from recovery.order import Order, World
from recovery.plan import estate_digest, to_json
from recovery.processes import LinuxProcesses
from recovery.record import Recorder
from recovery.render import Renderer
from recovery.runbook import conduct
from recovery.runs import Runs
from recovery.survey import Survey, largest_epoch

Planner = Callable[[loading.Declared], tuple[Plan, Estate]]
"""Plans what was asked for; called again when the estate changed before the leases were taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a run left.

    Attributes:
        folder: Where its report is.
        held: The wave that held it; None when none did.
    """

    result: RunResult
    folder: Path
    held: str | None


class _Hold:
    """Remembers the wave that held a run."""

    def __init__(self) -> None:
        self.wave: str | None = None

    def notice(self, event: Event) -> None:
        if isinstance(event, WaveHeld):
            self.wave = None if event.went_on else event.wave.name


def carry_out(
    settings: Settings,
    verb: str,
    planner: Planner,
    *,
    agree: Callable[[Plan, Estate], None],
    lost_at: datetime | None = None,
    resumed: str | None = None,
) -> Done:
    """Plan, ask, take the leases, conduct, report.

    Args:
        settings: How to work.
        verb: The command, for the run's name and its report.
        planner: Plans what was asked for.
        agree: Shown the plan before anything is touched; raises when it must not go ahead.
        lost_at: From when the time to recover counts; None means from the start.
        resumed: The run that goes on; None begins a new one.

    Raises:
        DeclarationError: The declaration is wrong.
        RefusedError: The estate is illustrative, nobody agreed, or the estate changed meanwhile.
        PlanError: What was asked can't be planned.
        HeldError: Another run holds a lease.
    """
    sound = loading.connectable(settings.estate)
    plan, estate = planner(sound)
    agree(plan, estate)
    chance, clock, processes = random.SystemRandom(), WallClock(), LinuxProcesses(where())
    places = (settings.state, settings.report_dir, settings.estate if plan.moves else None)
    for folder in filter(None, places):
        storing.check_writable(folder)
    runs, hold = Runs(settings.state, processes), _Hold()
    run = resumed or new_run(verb, clock.now(), chance)
    with ExitStack() as stack:
        transcript = stack.enter_context(Transcript(settings.log)) if settings.log is not None else None
        above = _largest_epoch(settings, sound, plan, estate, chance) if settings.break_glass else 0
        lease = Leases(leases_store(sound.estate, settings.state), clock, processes, chance).take(
            scopes(plan), run, over=None if resumed is None else run, above=above
        )
        stack.callback(_tell_of, "the lease could not be given back", lease.release)
        sound, plan, estate = _as_it_is_now(sound, plan, estate, planner)
        carrier = transport(sound.estate, settings.parallel)
        if resumed is None:
            runs.create(run, to_json(plan))
        journal = runs.conduct(run)
        told = runs.story(run)
        stack.callback(journal.close)
        if settings.break_glass:
            note(f"break-glass: epoch {lease.epoch.number}, above the {above} that units report")
            journal.append("break-glass", clock.now(), {"above": above, "epoch": lease.epoch.number}, durable=True)
        watch = Watch(lease, lambda: runs.is_cancel_requested(run))
        ledger = Ledger()
        progress = stack.enter_context(shown())
        watchers = [Guarded(seer) for seer in (progress, *settings.observers, *filter(None, [transcript]))]
        world = World(
            transport=carrier,
            clock=clock,
            chance=chance,
            halted=watch.halted,
            go_on=asking(progress, watch.is_stopping, may_ask=settings.may_ask, past=settings.past),
            write_placement=lambda moves: write_placement(settings.estate, moves),
            observers=(Recording(Recorder(journal), watch), ledger, hold, watch, *watchers),
        )
        order = Order(
            run=run,
            verb=verb,
            plan=plan,
            estate=estate,
            renderer=Renderer(estate, sound.templates),
            epoch=lease.epoch,
            parallel=settings.parallel,
            lost_at=lost_at if told is None else told.result.lost_at,
            before=None if told is None else told.result,
        )
        result = asyncio.run(_conduct(order, world, watch, ledger))
        stored = runs.folder / run
        if not watch.is_overtaken():  # the report in the run's folder is the new holder's to write
            _tell_of("the report could not be stored", lambda: storing.write_report(result, stored))
    tell_of_failures(watchers, transcript)
    if settings.report_dir is not None:
        storing.write_report(result, settings.report_dir)
    return Done(result=result, folder=settings.report_dir or stored, held=hold.wave)


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
        except LeaseLostError:
            self._lost = True
            self._watch.is_overtaken()
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


def _largest_epoch(
    settings: Settings, sound: loading.Declared, plan: Plan, estate: Estate, chance: random.Random
) -> int:
    async def read() -> int:
        carrier = transport(sound.estate, settings.parallel)
        try:
            return await largest_epoch(
                Survey(
                    estate=estate,
                    renderer=Renderer(estate, sound.templates),
                    transport=carrier,
                    chance=chance,
                    steps=tuple(plan.steps()),
                    parallel=settings.parallel,
                )
            )
        finally:
            await carrier.close()

    return asyncio.run(read())


def scopes(plan: Plan) -> frozenset[str]:
    """Return the regions and data centres that a plan touches."""
    touched = {step.data_centre if step.region is None else step.region for step in plan.steps()}
    return frozenset(touched | {plan.to} if plan.to is not None else touched)


def _as_it_is_now(
    sound: loading.Declared, plan: Plan, estate: Estate, planner: Planner
) -> tuple[loading.Declared, Plan, Estate]:
    """Look at the declaration again now that the leases are held: it may have changed while somebody was asked.

    Raises:
        RefusedError: It would now be another plan than the one that was agreed to.
    """
    folder = sound.estate.folder
    again = load(folder)
    if estate_digest(again) == estate_digest(sound.estate):
        return sound, plan, estate
    fresh = loading.connectable(folder)
    new_plan, new_estate = planner(fresh)
    if new_plan.hash != plan.hash:
        raise RefusedError(
            f"{folder} was changed while this was being agreed: the plan was {plan.hash} and would now be "
            f"{new_plan.hash}. Nothing was touched; look at the new plan and begin again."
        )
    return fresh, new_plan, new_estate


async def _conduct(order: Order, world: World, watch: Watch, ledger: Ledger) -> RunResult:
    """Conduct a run; the first Ctrl-C lets the units in flight finish, the second cuts them off."""
    loop = asyncio.get_running_loop()
    conducting = asyncio.create_task(conduct(order, world))
    heartbeat = asyncio.create_task(watch.keep_lease())

    def interrupted() -> None:
        if watch.interrupt():
            note("stopping: units in flight finish, no further one begins; Ctrl-C again cuts them off")
        else:
            conducting.cancel()

    loop.add_signal_handler(signal.SIGINT, interrupted)
    try:
        return await conducting
    except asyncio.CancelledError:
        result = ledger.cut_off(now())
        if result is None:
            raise
        world.tell(RunFinished(result=result, at=result.finished_at))
        return result
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        heartbeat.cancel()
        await world.transport.close()
