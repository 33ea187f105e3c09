"""Asks many units at once and changes none: what they run, and whether they serve."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from recovery.diff import Difference, differences
from recovery.errors import UnitError
from recovery.model.bundle import Bundle
from recovery.model.estate import Estate, UnitName
from recovery.model.plan import Step
from recovery.model.visit import Observed
from recovery.observe import read_unit
from recovery.render import Renderer
from recovery.runbook import ask
from recovery.slots import Slots
from recovery.transport.base import Conversation, Session, T, Transport
from recovery.verify import probe_unit
from recovery.visits import Host, Hosts, visit


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a look at one unit brought.

    Attributes:
        differences: Empty when it is as declared, or when it could not be read.
        observed: None when it could not be read.
        error: Why it could not be read; None when it could.
        seconds: Spent on it.
    """

    step: Step
    bundle: Bundle
    differences: tuple[Difference, ...]
    observed: Observed | None
    error: UnitError | None
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """How to ask.

    Attributes:
        steps: Whom.
        parallel: Most at once.
        on_answer: Told of each step as its answer comes, with the failure if there was one.
    """

    estate: Estate
    renderer: Renderer
    transport: Transport
    chance: random.Random
    steps: Sequence[Step]
    parallel: int
    on_answer: Callable[[Step, UnitError | None], None] = lambda _step, _error: None


async def read_all(survey: Survey, *, contents: bool = False) -> tuple[Finding, ...]:
    """Read what every step's host runs and compare it with the declaration.

    Args:
        survey: Whom to ask, and how.
        contents: Whether to bring the files' contents too.
    """
    bundles = _bundles(survey)

    def question(step: Step, host: Host) -> Conversation[Observed]:
        async def conversation(session: Session) -> Observed:
            return await read_unit(session, step.name, host.root, contents=contents)

        return conversation

    answers = await _ask_all(survey, question)
    return tuple(
        Finding(
            step=step,
            bundle=bundles[step.name],
            differences=() if observed is None else differences(bundles[step.name], observed),
            observed=observed,
            error=error,
            seconds=seconds,
        )
        for step, observed, error, seconds in answers
    )


async def probe_all(survey: Survey) -> tuple[tuple[Step, str, UnitError | None, float], ...]:
    """Hold a test transaction at every step's host.

    Returns:
        Each step, the digest it is declared to run, why it is not verified (None when it is), and the seconds it took.
    """
    bundles = _bundles(survey)

    def question(step: Step, host: Host) -> Conversation[None]:
        asked = ask(step, host, bundles[step.name], survey.chance)

        async def conversation(session: Session) -> None:
            await probe_unit(session, asked)

        return conversation

    answers = await _ask_all(survey, question)
    return tuple((step, bundles[step.name].digest, error, seconds) for step, _, error, seconds in answers)


async def largest_epoch(survey: Survey) -> int:
    """Return the largest epoch that any step's host has accepted; 0 when none has, or none can be read."""
    findings = await read_all(survey)
    return max((seen.observed.epoch.number for seen in findings if seen.observed and seen.observed.epoch), default=0)


def _bundles(survey: Survey) -> dict[UnitName, Bundle]:
    """Everything is rendered first: a mistake in a template is found before the first packet."""
    units = {unit.name: (region, office, unit) for region, office, unit in survey.estate.places()}
    endpoints = {endpoint.name: endpoint for endpoint in survey.estate.endpoint.values()}
    return {
        step.name: survey.renderer.endpoint(endpoints[step.name])
        if step.is_endpoint
        else survey.renderer.unit(*units[step.name])
        for step in survey.steps
    }


async def _ask_all(
    survey: Survey, question: Callable[[Step, Host], Conversation[T]]
) -> list[tuple[Step, T | None, UnitError | None, float]]:
    slots, hosts = Slots(survey.estate.limits, survey.parallel), Hosts(survey.estate)
    loop = asyncio.get_running_loop()

    async def one(step: Step) -> tuple[Step, T | None, UnitError | None, float]:
        async with slots.place(step):
            began = loop.time()
            host = hosts.of(step)
            answer: T | None = None
            failure: UnitError | None = None
            try:
                answer = await visit(
                    survey.transport,
                    host,
                    question(step, host),
                    chance=survey.chance,
                )
            except UnitError as error:
                failure = error
            except Exception as error:  # a fault of ours, but of this unit's visit alone
                failure = UnitError(step.name, f"a fault of pulih itself: {type(error).__name__}: {error}")
        survey.on_answer(step, failure)
        return step, answer, failure, loop.time() - began

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(step)) for step in survey.steps]
    return [task.result() for task in tasks]
