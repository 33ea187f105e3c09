"""The verbs that read units and change none: `drift`, `diff` and `verify`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from recovery.cli import completing, options
from recovery.cli.context import estate_folder, state_folder
from recovery.cli.output import Format, emit
from recovery.transport.base import DEFAULT_PARALLEL

if TYPE_CHECKING:
    from pathlib import Path

    from recovery.cli.surveying import Asked

DIFFERENT = 2
PARTIAL = 3


def register(app: typer.Typer) -> None:
    """Add these verbs to the command line."""
    app.command(epilog="Example: pulih drift --region aceh --output json")(drift)
    app.command(epilog="Example: pulih diff medan-passport-1")(diff)
    app.command(epilog="Example: pulih verify --service border-crossing")(verify)


def drift(
    region: options.Regions = None,
    service: options.Services = None,
    unit: options.Units = None,
    parallel: options.Parallel = DEFAULT_PARALLEL,
    estate: options.Estate = None,
    log: options.Log = None,
    output: options.Output = Format.TABLE,
) -> int:
    """Read every unit and say what is not as declared.

    Changes nothing. Exit code 2 when something differs; 3 when nothing does, but some could not be read.
    """
    from recovery.cli import driftview
    from recovery.cli.settings import Settings
    from recovery.cli.surveying import read

    folder = estate_folder(estate)
    findings = read(
        Settings(estate=folder, state=state_folder(folder), parallel=parallel, log=log),
        asked(folder, region, service, unit),
    )
    emit(driftview.document(findings), output, lambda: driftview.lines(findings))
    if any(finding.differences for finding in findings):
        return DIFFERENT
    return PARTIAL if any(finding.error is not None for finding in findings) else 0


def diff(
    unit: Annotated[str, typer.Argument(metavar="UNIT", autocompletion=completing.units, help="The unit or endpoint.")],
    estate: options.Estate = None,
    log: options.Log = None,
    output: options.Output = Format.TABLE,
) -> int:
    """Compare one unit's files with the declared ones.

    What looks like a secret is hidden. Exit code 2 when something differs.
    """
    from recovery.cli import contents
    from recovery.cli.settings import Settings
    from recovery.cli.surveying import read

    folder = estate_folder(estate)
    (finding,) = read(
        Settings(estate=folder, state=state_folder(folder), parallel=1, log=log), asked_one(folder, unit), contents=True
    )
    if finding.error is not None:
        raise finding.error
    emit(contents.document(finding), output, lambda: contents.lines(finding))
    return DIFFERENT if finding.differences else 0


def verify(
    region: options.Regions = None,
    service: options.Services = None,
    unit: options.Units = None,
    parallel: options.Parallel = DEFAULT_PARALLEL,
    estate: options.Estate = None,
    report_dir: options.ReportDir = None,
    log: options.Log = None,
    output: options.Output = Format.TABLE,
) -> int:
    """Hold a test transaction through every unit.

    From the office's side, to the service and back. Changes nothing.
    """
    from recovery.cli.settings import Settings
    from recovery.cli.summary import lines, show_lines
    from recovery.cli.surveying import verify as hold
    from recovery.report import to_json

    folder = estate_folder(estate)
    settings = Settings(estate=folder, state=state_folder(folder), parallel=parallel, report_dir=report_dir, log=log)
    result = hold(settings, asked(folder, region, service, unit))
    if output is Format.TABLE:
        show_lines(lines(result))
    else:
        emit(to_json(result), output, lambda: ())
    return result.exit_code


def asked(
    folder: Path,
    regions: list[str] | None = None,
    services: list[str] | None = None,
    units: list[str] | None = None,
) -> Asked:
    """Return whom a survey asks: all that the routine deployment of the selection would touch."""
    from recovery.cli.loading import connectable
    from recovery.cli.planned import Request, make_plan
    from recovery.cli.surveying import Asked

    sound = connectable(folder)
    request = Request.of(sound.estate, lost=None, to=None, regions=regions, services=services, units=units)
    plan, _ = make_plan(sound, request)
    return Asked(sound=sound, plan=plan)


def asked_one(folder: Path, name: str) -> Asked:
    """Return a survey of one unit or endpoint.

    Raises:
        PlanError: There is no such unit.
    """
    from dataclasses import replace

    from recovery.cli.loading import known
    from recovery.cli.surveying import Asked

    everyone = asked(folder)
    steps = {step.name: step for step in everyone.plan.steps()}
    known("diff", "unit", [name], steps)
    waves = tuple(
        replace(wave, canaries=(), rest=tuple(step for step in wave.steps if step.name == name))
        for wave in everyone.plan.waves
    )
    return Asked(sound=everyone.sound, plan=replace(everyone.plan, endpoint_waves=(), unit_waves=waves))
