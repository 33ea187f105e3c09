"""The verb `drill`: a data centre is lost in the practice estate, and recovered by the same code as a real one."""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recovery.cli import options
from recovery.cli.output import Format, emit, note
from recovery.errors import LabError
from recovery.report.text import counted, duration, printable
from recovery.transport.base import DEFAULT_PARALLEL

if TYPE_CHECKING:
    from recovery.cli.begun import Planner
    from recovery.cli.picture import Picture
    from recovery.cli.settings import Settings
    from recovery.cli.summary import Line
    from recovery.lab.citizens import Citizens as Apps
    from recovery.model.outcome import RunResult

LOST, TO = "pdns-2", "cloud-1"
"""The data centres of the lab, as in the event of June 2024."""

INTERRUPTED = 130
PARTIAL = 3


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(epilog="Example: pulih drill --units 40 --report-dir report")(drill)


def drill(
    units: Annotated[int, typer.Option("--units", metavar="N", min=1, help="How many units the lab has.")] = 582,
    report_dir: Annotated[
        Path, typer.Option("--report-dir", metavar="DIR", help="Where the report of the recovery goes.")
    ] = Path("report"),
    folder: Annotated[
        Path | None,
        typer.Option("--dir", metavar="DIR", help="The lab's folder, kept afterwards; a temporary one by default."),
    ] = None,
    clients: Annotated[
        int, typer.Option("--clients", metavar="N", min=0, help="How many citizens' apps must find the services again.")
    ] = 50,
    parallel: options.Parallel = DEFAULT_PARALLEL,
    log: options.Log = None,
    picture: Annotated[
        Path | None, typer.Option("--picture", metavar="FILE.svg", help="Also draw the drill, for a README.")
    ] = None,
    output: options.Output = Format.TABLE,
) -> int:
    """Rehearse the loss of a data centre on this machine.

    Lab up, apply, lose, recover, verify, report, lab down. The lab goes down whatever happens. Exit code 3 when a
    citizens' app does not find the services again by itself.
    """
    from recovery.cli import citizens, storing
    from recovery.cli.context import now
    from recovery.cli.picture import Picture
    from recovery.cli.settings import Settings
    from recovery.cli.summary import lines, show_lines
    from recovery.report import to_json

    storing.check_writable(report_dir)
    drawn = Picture(now) if picture is not None else None
    with _lab(units, folder) as home:
        settings = Settings(
            estate=home / "estate", state=home / ".pulih", parallel=parallel, report_dir=report_dir, log=log
        )
        with citizens.apps(home, settings.estate, clients, LOST, TO) as apps:
            recovered, verified, mirrors = _rehearse(settings, home, drawn, apps)
    told = [*lines(recovered), *_proof(verified), *mirrors, *citizens.lines(recovered.citizens)]
    where = f"Report: {report_dir / 'report.html'}"
    if output is Format.TABLE:
        show_lines([*told, (where, "")])
    else:
        emit(to_json(recovered), output, lambda: ())
        note(where)
    if drawn is not None and picture is not None:
        drawn.write(picture, told)
        note(f"written: {picture}")
    ends = (recovered.exit_code, 0 if verified is None else verified.exit_code, _of_citizens(recovered))
    return next(filter(None, ends), 0)


def _of_citizens(recovered: RunResult) -> int:
    from recovery.report import citizen_totals

    return 0 if recovered.citizens is None or citizen_totals(recovered.citizens).is_good else PARTIAL


def _rehearse(
    settings: Settings, home: Path, drawn: Picture | None, apps: Apps | None
) -> tuple[RunResult, RunResult | None, list[Line]]:
    """Apply, tell citizens' apps, lose, recover and verify, with the functions that the verbs use.

    Returns:
        The recovery, or what ended the drill before it; how the units were verified after it, if it came to that; and
        what citizens' apps were told.
    """
    from recovery import lab
    from recovery.cli import citizens
    from recovery.cli.afterwards import publish_now
    from recovery.cli.conducting import carry_out
    from recovery.cli.planned import Request, make_plan
    from recovery.cli.reading import asked
    from recovery.cli.summary import told_lines
    from recovery.cli.surveying import verify
    from recovery.lab.citizens import RECONNECT_WITHIN_S

    def planner(lost: str | None, to: str | None) -> Planner:
        return lambda sound: make_plan(
            sound, Request.of(sound.estate, lost=lost, to=to, regions=None, services=None, units=None)
        )

    note("apply: every unit to its declaration, at " + LOST)
    applied = carry_out(settings, planner(None, None), agree=lambda _plan, _estate: None).result
    if applied.exit_code == INTERRUPTED:
        return applied, None, []
    if applied.exit_code:
        note("the practice estate did not come up, so no loss was rehearsed; the report is that of the apply")
        return applied, None, []
    if apps is not None:
        apps.installed()
    for line in publish_now(settings.estate, settings.state):
        note(line)
    if apps is not None:
        apps.today()
    note(f"lose: {LOST} is gone, and with it every unit's configuration that it served")
    lab.lose(home, LOST)
    if apps is not None:
        apps.lost()
    note(f"recover: from {LOST} to {TO}")
    watched = settings if drawn is None else replace(settings, observers=(drawn,))
    done = carry_out(watched, planner(LOST, TO), agree=lambda _plan, _estate: None)
    recovered, mirrors, verified = done.result, told_lines(done.told), None
    can_know = done.told is not None and done.told.published is not None
    if apps is not None:
        apps.ended(RECONNECT_WITHIN_S if can_know else 0)
    if recovered.exit_code != INTERRUPTED:
        note("verify: a test transaction through every unit, from its own side")
        verified = verify(replace(settings, report_dir=None), asked(settings.estate))
    if apps is not None:
        if can_know:
            note("citizens' apps: each finds the services again by itself")
        recovered = citizens.keep(settings, recovered, apps.found())
    return recovered, verified, mirrors


def _proof(verified: RunResult | None) -> Iterator[tuple[str, str]]:
    from recovery.cli.summary import BAD, GOOD
    from recovery.report import failures_by_cause, totals

    if verified is None:
        return
    total = totals(verified.units)
    style = GOOD if verified.exit_code == 0 else BAD
    yield f"Afterwards {total.verified:,} of {counted(total.units, 'unit')} answered a test transaction", style
    for cause, members in failures_by_cause((*verified.endpoints, *verified.units)):
        yield printable(f"{cause.value} {len(members):,}: {members[0].name}: {members[0].reason}"), BAD


@contextmanager
def _lab(units: int, folder: Path | None) -> Generator[Path]:
    """Have a lab for a while; it goes down whatever happens inside, Ctrl-C included."""
    from recovery import lab

    if folder is not None and _is_up(folder):
        raise LabError(f"a lab runs in {folder} already; name another --dir, or end it with `pulih lab down`")
    home = Path(tempfile.mkdtemp(prefix="pulih-drill-")) if folder is None else folder
    try:
        info = lab.up(units, home)
        regions = counted(info.regions, "region")
        note(f"lab: {counted(info.units, 'unit')} in {regions} up in {duration(info.seconds)}")
        yield info.folder
    finally:
        with _uninterrupted():
            lab.down(home)
            if folder is None:
                shutil.rmtree(home, ignore_errors=True)


def _is_up(folder: Path) -> bool:
    from recovery import lab

    try:
        return lab.status(folder).alive
    except LabError:
        return False


@contextmanager
def _uninterrupted() -> Generator[None]:
    """Let nobody stop the clearing up; it is short."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
