"""Asks units and changes none: what differs from the declaration, and who serves. For the verbs and for the drill."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from recovery.cli import loading, storing
from recovery.cli.connecting import transport
from recovery.cli.context import now
from recovery.cli.guarded import Guarded, tell_of_failures
from recovery.cli.progress import shown
from recovery.cli.settings import Settings
from recovery.cli.transcript import Transcript
from recovery.clock import new_run
from recovery.errors import UnitError
from recovery.model.estate import UnitName
from recovery.model.events import (
    RunFinished,
    RunStarted,
    UnitFinished,
    WaveFinished,
    WaveStarted,
)
from recovery.model.outcome import Cause, Outcome, RunResult, State
from recovery.model.plan import Plan, Step, Wave
from recovery.model.story import Scene, Story
from recovery.model.visit import Epoch
from recovery.runbook import service_target
from recovery.survey import Finding, Survey, probe_all, read_all

T = TypeVar("T")

NO_EPOCH = Epoch(number=0, holder="-")
"""Whoever only reads holds no right to write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Whom a survey asks.

    Attributes:
        plan: Of the routine deployment; nothing of it is carried out.
    """

    sound: loading.Declared
    plan: Plan


def verify(settings: Settings, asked: Asked) -> RunResult:
    """Hold a test transaction at every unit and endpoint asked; leaves its report where the settings say.

    Raises:
        OSError: The report or the transcript can't be written.
    """
    if settings.report_dir is not None:
        storing.check_writable(settings.report_dir)
    watcher = _Watcher(asked, "verify", "test transactions")

    async def ask(survey: Survey) -> dict[UnitName, Outcome]:
        return {
            step.name: outcome(
                step, error, digest=digest, seconds=seconds, at=watcher.answered_at.get(step.name) or now()
            )
            for step, digest, error, seconds in await probe_all(survey)
        }

    result = watcher.result(_run(settings, asked, watcher, ask))
    if settings.report_dir is not None:
        scene = Scene.of(asked.sound.estate, asked.plan)
        storing.write_report(Story(result=result, finished=True, scene=scene), settings.report_dir)
    return result


def read(settings: Settings, asked: Asked, *, contents: bool = False) -> tuple[Finding, ...]:
    """Read what every unit and endpoint asked runs."""
    watcher = _Watcher(asked, "drift", "reading")

    async def ask(survey: Survey) -> tuple[Finding, ...]:
        return await read_all(survey, contents=contents)

    return _run(settings, asked, watcher, ask)


def _run(settings: Settings, asked: Asked, watcher: _Watcher, ask: Callable[[Survey], Awaitable[T]]) -> T:
    with ExitStack() as stack:
        transcript = stack.enter_context(Transcript(settings.log)) if settings.log is not None else None
        progress = stack.enter_context(shown())
        watcher.observers = [Guarded(seer) for seer in (progress, *settings.observers, *filter(None, [transcript]))]
        survey = Survey(
            estate=asked.sound.estate,
            renderer=asked.sound.renderer,
            transport=transport(asked.sound.estate, settings.parallel),
            chance=random.SystemRandom(),
            steps=tuple(asked.plan.steps()),
            parallel=settings.parallel,
            on_answer=watcher.answered,
        )
        watcher.begin()
        answer = asyncio.run(_closing(survey, ask))
        watcher.end()
    tell_of_failures(watcher.observers, transcript)
    return answer


async def _closing(survey: Survey, ask: Callable[[Survey], Awaitable[T]]) -> T:
    try:
        return await ask(survey)
    finally:
        await survey.transport.close()


class _Watcher:
    """Makes a run's events of a survey's answers, so that it is watched, logged and reported like one."""

    def __init__(self, asked: Asked, verb: str, wave: str) -> None:
        self.observers: list[Guarded] = []
        self.answered_at: dict[UnitName, datetime] = {}
        self._estate = asked.sound.estate
        self._verb = verb
        self._wave = Wave(name=wave, services=asked.plan.order, canaries=(), rest=tuple(asked.plan.steps()))
        self._plan = replace(asked.plan, endpoint_waves=(), unit_waves=(self._wave,))
        self._outcomes: dict[UnitName, Outcome] = {}
        self._started_at = now()
        self._run = new_run(verb, self._started_at, random.SystemRandom())

    def begin(self) -> None:
        """Tell that the survey begins."""
        begun = RunStarted(
            run=self._run,
            verb=self._verb,
            epoch=NO_EPOCH,
            result=self.result({}),
            scene=Scene.of(self._estate, self._plan),
            at=self._started_at,
        )
        for observer in self.observers:
            observer.notice(begun)
            observer.notice(WaveStarted(wave=self._wave.name, at=self._started_at))

    def answered(self, step: Step, error: UnitError | None) -> None:
        """Take note of an answer."""
        at = now()
        self.answered_at[step.name] = at
        seconds = (at - self._started_at).total_seconds()
        self._outcomes[step.name] = outcome(step, error, digest=None, seconds=seconds, at=at)
        for observer in self.observers:
            observer.notice(UnitFinished(outcome=self._outcomes[step.name], at=at))

    def end(self) -> None:
        """Tell that the survey is over."""
        at, result = now(), self.result(self._outcomes)
        for observer in self.observers:
            observer.notice(WaveFinished(wave=self._wave.name, passed=result.exit_code == 0, at=at))
            observer.notice(RunFinished(result=result, at=at))

    def result(self, outcomes: Mapping[UnitName, Outcome]) -> RunResult:
        """Return everything as a run's result; who has no outcome was not asked."""
        final = {step.name: outcomes.get(step.name) or _not_asked(step) for step in self._wave.rest}
        return RunResult(
            run=self._run,
            verb=self._verb,
            estate_name=self._estate.name,
            estate_digest=self._plan.estate_digest,
            plan_hash=self._plan.hash,
            lost=None,
            to=None,
            started_at=self._started_at,
            finished_at=now(),
            lost_at=self._started_at,
            exit_code=0 if all(member.is_verified for member in final.values()) else 3,
            units=tuple(final[unit.name] for _, _, unit in self._estate.places() if unit.name in final),
            endpoints=tuple(member for member in final.values() if member.region is None),
            services=tuple(service_target(self._estate, name) for name in self._plan.order),
        )


def outcome(step: Step, error: UnitError | None, *, digest: str | None, seconds: float, at: datetime) -> Outcome:
    """Return what an answer says of a unit.

    Args:
        step: Who was asked.
        error: Why the answer is no; None when it is yes.
        digest: Of the bundle that it runs when the answer is yes.
        seconds: Spent on it.
        at: When the answer came.
    """
    return Outcome(
        name=step.name,
        office=step.office,
        region=step.region,
        service=step.service,
        data_centre=step.data_centre,
        state=State.UNCHANGED if error is None else State.QUARANTINED,
        digest=digest if error is None else None,
        seconds=seconds,
        finished_at=at,
        cause=None if error is None else Cause(error.cause),
        reason="" if error is None else error.reason,
    )


def _not_asked(step: Step) -> Outcome:
    return Outcome(
        name=step.name,
        office=step.office,
        region=step.region,
        service=step.service,
        data_centre=step.data_centre,
        state=State.NOT_STARTED,
        digest=None,
        seconds=0.0,
        finished_at=None,
    )
