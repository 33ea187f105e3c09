"""The citizens' apps of a drill, and what is kept of how they found the services again."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from recovery.model.citizens import Citizens
from recovery.model.outcome import RunResult
from recovery.model.story import Story

if TYPE_CHECKING:
    from recovery.cli.settings import Settings
    from recovery.lab.citizens import Citizens as Apps
    from recovery.lab.citizens import Reconnected

FOLDER = "apps"


@contextmanager
def apps(home: Path, estate: Path, count: int, lost: str, to: str) -> Generator[Apps | None]:
    """Have citizens' apps in a lab for a while; they are being installed already.

    Args:
        home: The lab's folder.
        estate: Its estate.
        count: How many.
        lost: The data centre that serves them now.
        to: The one that will.

    Returns:
        None when there are to be none, or the estate publishes nothing.
    """
    from recovery.lab.setup import Layout

    layout = Layout(home)
    if not count or not layout.citizens.is_dir():
        yield None
        return
    from recovery.lab.citizens import citizens

    folder = layout.citizens / FOLDER
    with citizens(folder) as those:
        those.begin(folder=str(folder), estate=str(estate), count=count, home=lost, to=to)
        yield those


def keep(settings: Settings, result: RunResult, found: Reconnected) -> RunResult:
    """Keep with a run what became of the apps, and write its report again.

    Raises:
        OSError: The journal or the report can't be written.
        BrokenRecordError: The journal was edited.
    """
    from recovery.cli import storing
    from recovery.cli.context import now, where
    from recovery.lab.practice import APP
    from recovery.processes import LinuxProcesses
    from recovery.report import citizens_to_json
    from recovery.runs import Runs

    runs = Runs(settings.state, LinuxProcesses(where()))
    told = runs.story(result.run) or Story(result=result, finished=True)
    wave, passed_at = _passed(told, APP)
    citizens = Citizens(told_at=found.told_at, wave=wave, passed_at=passed_at, each=found.each)
    journal = runs.conduct(result.run)
    journal.append("clients-reconnected", now(), citizens_to_json(citizens), durable=True)
    journal.close()
    whole = replace(result, citizens=citizens)
    for folder in filter(None, (runs.folder / result.run, settings.report_dir)):
        storing.write_report(replace(told, result=whole), folder)
    return whole


def _passed(told: Story, service: str) -> tuple[str, datetime | None]:
    """Return the last wave of a service, and when all of its waves had passed; None when one has not."""
    of_service = {one.name for one in (*told.result.endpoints, *told.result.units) if one.service == service}
    waves = [wave.name for wave in told.scene.waves if of_service.intersection(wave.steps)]
    last = {span.name: span for span in told.waves}
    spans = [last.get(name) for name in waves]
    ends = [span.finished_at for span in spans if span is not None and span.passed and span.finished_at is not None]
    return (waves[-1] if waves else ""), (max(ends) if ends and len(ends) == len(waves) else None)


def lines(citizens: Citizens | None) -> Iterator[tuple[str, str]]:
    """Say in a line what became of them, and of some that have not reconnected why."""
    from recovery.cli.summary import BAD, GOOD, NAMED
    from recovery.report import citizen_totals
    from recovery.report.text import counted, duration, printable

    if citizens is None:
        return
    total = citizen_totals(citizens)
    early = f", {total.before_the_wave:,} before the wave {citizens.wave} had passed" if total.before_the_wave else ""
    yield (
        printable(
            f"{total.reconnected:,} of {counted(total.clients, 'app')} found the services again without a reinstall, "
            f"half of them {duration(total.median_s)} after they could know, the last {duration(total.last_s)}; "
            f"{counted(total.drafts_lost, 'draft')} lost{early}"
        ),
        GOOD if total.is_good else BAD,
    )
    missing = [one for one in citizens.each if one.reconnected_at is None]
    for one in missing[:NAMED]:
        yield printable(f"  {one.name} ({one.kind}): {one.reason}"), BAD
