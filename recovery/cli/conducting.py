"""Carries out a plan: estate, agreement, leases, run, report. The verbs and the drill all come through here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from recovery.cli import forecasting, storing
from recovery.cli.afterwards import Told, after
from recovery.cli.asking import asking
from recovery.cli.begun import Agreed, Planner, begun
from recovery.cli.guarded import Guarded, tell_of_failures
from recovery.cli.outside import Outside, this_machine
from recovery.cli.progress import shown
from recovery.cli.settings import Settings
from recovery.cli.telling import telling
from recovery.cli.transcript import Transcript
from recovery.model.estate import Estate
from recovery.model.events import Event, WaveHeld
from recovery.model.outcome import RunResult
from recovery.model.plan import Plan
from recovery.outlook import Outlook
from recovery.render import Renderer
from recovery.survey import Survey, largest_epoch
from recovery.transport.base import MAX_PARALLEL


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a run left.

    Attributes:
        folder: Where its report is.
        held: The wave that held it; None when none did.
        told: What became of telling citizens' apps; None where they are told nothing.
    """

    result: RunResult
    folder: Path
    held: str | None
    told: Told | None = None


class _Hold:
    """Remembers the wave that held a run."""

    def __init__(self) -> None:
        self.wave: str | None = None

    def notice(self, event: Event) -> None:
        if isinstance(event, WaveHeld):
            self.wave = None if event.went_on else event.wave


def carry_out(
    settings: Settings,
    planner: Planner,
    *,
    agree: Callable[[Plan, Estate], None],
    lost_at: datetime | None = None,
    resumed: str | None = None,
) -> Done:
    """Plan, ask, take the leases, conduct, report.

    Args:
        settings: How to work.
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
    outside = this_machine(settings)
    sound = outside.read()
    plan, estate = planner(sound)
    agree(plan, estate)
    agreed = Agreed(sound=sound, plan=plan, estate=estate)
    verb = "apply" if plan.lost is None else "recover"
    places = (settings.state, settings.report_dir, settings.estate if plan.moves else None)
    for folder in filter(None, places):
        storing.check_writable(folder)
    hold = _Hold()
    with ExitStack() as stack:
        transcript = stack.enter_context(Transcript(settings.log)) if settings.log is not None else None
        told = stack.enter_context(telling())  # before the leases: nobody waits for them while the last words are said
        above = _largest_epoch(outside, agreed, settings.parallel) if settings.break_glass else None
        known = forecasting.history(estate, settings.state, before=resumed)
        run = stack.enter_context(
            begun(settings, outside, verb, planner, agreed, lost_at=lost_at, resumed=resumed, above=above)
        )
        expected = run.forecast(lambda lost_s: forecasting.made_before(plan, estate, known, settings.parallel, lost_s))
        outlook = Outlook(plan, estate, known, parallel=settings.parallel, most=MAX_PARALLEL)
        progress = stack.enter_context(shown(forecasting.Paced(outlook)))
        watchers = [Guarded(seer) for seer in (progress, told, *settings.observers, *filter(None, [transcript]))]
        go_on = asking(progress, run.watch.is_stopping, may_ask=settings.may_ask, past=settings.past, on_held=told.held)
        result = replace(asyncio.run(run.conduct(go_on, (hold, *watchers))), forecast=expected)
        run.report(result)
    tell_of_failures(watchers, transcript)
    if settings.report_dir is not None:
        storing.write_report(run.story(result), settings.report_dir)
    citizens = after(settings.estate, settings.state, estate, plan, result, hold.wave, may_ask=settings.may_ask)
    return Done(result=result, folder=settings.report_dir or run.folder, held=hold.wave, told=citizens)


def _largest_epoch(outside: Outside, agreed: Agreed, parallel: int) -> int:
    async def read() -> int:
        carrier = outside.transport(agreed.sound.estate)
        try:
            return await largest_epoch(
                Survey(
                    estate=agreed.estate,
                    renderer=Renderer(agreed.estate, agreed.sound.templates),
                    transport=carrier,
                    chance=outside.chance,
                    steps=tuple(agreed.plan.steps()),
                    parallel=parallel,
                )
            )
        finally:
            await carrier.close()

    return asyncio.run(read())
