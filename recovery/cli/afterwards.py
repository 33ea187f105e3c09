"""The last step of a recovery: citizens' apps are told, once the service that they talk to has been proven.

Whatever goes wrong here is said, with what to type next; the recovery itself ended as it ended.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from recovery.errors import PulihError
from recovery.model.estate import Estate
from recovery.model.outcome import RunResult
from recovery.model.plan import Plan
from recovery.model.publish import Publish
from recovery.report.text import printable

if TYPE_CHECKING:
    from recovery.publish.publisher import Published

PREPARE = ["pulih", "publish", "--prepare", "DIR"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What became of telling citizens' apps.

    Attributes:
        lines: For the summary.
        is_done: Whether every mirror tells them now.
        published: None where nothing was published.
    """

    lines: tuple[str, ...]
    is_done: bool
    published: Published | None = None


def why_not(plan: Plan, result: RunResult, publish: Publish, held: str | None) -> str | None:
    """Say why citizens' apps must not be told yet; None when they may. Pure.

    Args:
        plan: Of the recovery.
        result: How it ended.
        publish: What is declared.
        held: The wave that held it.
    """
    service = publish.service
    waves = [wave for wave in plan.waves if service in wave.services]
    if not waves:
        return f"{service} was no part of this run"
    if held is not None and any(wave.name == held for wave in waves):
        return f"the wave {held} has not passed"
    outcomes = {outcome.name: outcome for outcome in (*result.endpoints, *result.units)}
    for step in (step for wave in waves for step in wave.steps if step.service == service):
        outcome = outcomes.get(step.name)
        if outcome is None or not outcome.is_verified:
            return f"{step.name} is not verified"
    return None


def after(
    folder: Path, state: Path, estate: Estate, plan: Plan, result: RunResult, held: str | None, *, may_ask: bool
) -> Told | None:
    """Tell citizens' apps where the services are after a recovery.

    Args:
        folder: Of the estate, as it was named.
        state: Folder of its runs.
        estate: With the placement that the recovery has written.
        plan: Of the recovery.
        result: How it ended.
        held: The wave that held it.
        may_ask: Whether somebody may be asked for passphrases.

    Returns:
        None where nothing is published, or this was no recovery.
    """
    publish = estate.publish
    if publish is None or plan.lost is None:
        return None
    reason = why_not(plan, result, publish, held)
    if reason is not None:
        return Told(lines=(printable(f"Citizens' apps were not told of it: {reason}"),), is_done=False)
    return tell(folder, state, estate, publish, may_ask=may_ask)


def publish_now(folder: Path, state: Path) -> Iterator[str]:
    """Tell citizens' apps of the placement as it is declared, as a drill does before the loss; yield what to say."""
    from recovery.declared import load

    estate = load(folder)
    if estate.publish is not None:
        yield from tell(folder, state, estate, estate.publish, may_ask=False).lines


def tell(folder: Path, state: Path, estate: Estate, publish: Publish, *, may_ask: bool) -> Told:
    """Publish what the placement leads to, with the keys that are there."""
    from recovery.cli import published
    from recovery.cli.passphrases import Passphrases, from_environment
    from recovery.publish import places, request
    from recovery.publish.turn import turn

    try:
        with turn(state):
            found = places.found(publish).one_history()
            asked = published.asked(found, estate, publish)
            if not asked.is_empty:
                passphrases = Passphrases(from_environment(), may_ask=may_ask)
                lacking: list[str] = []
                for file in places.people(publish, found.chain, "targets"):
                    try:
                        published.sign(asked, [file], passphrases.known, practice=estate.practice)
                    except PulihError as error:  # one that can't be opened is one that isn't there
                        lacking.append(str(error))
                lacking = [*request.missing(asked), *lacking] if any(request.missing(asked)) else []
                if lacking:
                    return Told(lines=tuple(_unsigned(lacking, folder)), is_done=False)
            done = published.bring(found, asked, publish, state)
    except (PulihError, OSError) as error:
        lines = [f"Citizens' apps were not told of it: {line}" for line in str(error).split("\n")]
        return Told(
            lines=tuple(map(printable, [*lines, f"To try again: {_line(['pulih', 'publish'], folder)}"])), is_done=False
        )
    return Told(
        lines=tuple(_published(done, folder)),
        is_done=all(mirror.error is None for mirror in done.mirrors),
        published=done,
    )


def _unsigned(lacking: list[str], folder: Path) -> Iterator[str]:
    yield "Citizens' apps were not told of it: people must sign first"
    for line in lacking:
        yield printable(f"  {line}")
    yield printable(f"To have it signed: {_line(PREPARE, folder)}")


def _published(done: Published, folder: Path) -> Iterator[str]:
    reached = sum(mirror.error is None for mirror in done.mirrors)
    yield (
        f"Citizens' apps are told of it by {reached} of {len(done.mirrors)} mirrors: "
        f"config_epoch {done.content.versions.config_epoch}"
    )
    for mirror in done.mirrors:
        if mirror.error is not None:
            yield printable(f"  {mirror.error}")
    if reached < len(done.mirrors):
        yield printable(f"To bring the others up: {_line(['pulih', 'publish', '--refresh'], folder)}")


def _line(parts: list[str], folder: Path) -> str:
    return shlex.join([*parts, "--estate", str(folder)])
