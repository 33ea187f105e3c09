"""The verb `plan`: what a deployment or a recovery would do, without doing it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recovery.cli import options
from recovery.cli.output import Format, emit, note, write_file
from recovery.transport.base import DEFAULT_PARALLEL


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(epilog="Example: pulih plan --lost pdns-2 --out plan.json")(plan)


def plan(
    lost: options.Lost = None,
    to: options.To = None,
    region: options.Regions = None,
    service: options.Services = None,
    unit: options.Units = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Also write the plan there, for `pulih recover FILE`.")
    ] = None,
    parallel: options.Parallel = DEFAULT_PARALLEL,
    estate: options.Estate = None,
    output: options.Output = Format.TABLE,
) -> int:
    """Show what would be done, in which waves, and how long it will take.

    Connects to nothing. With --lost the recovery from a lost data centre, without it the routine deployment.
    """
    from recovery.cli import forecasting
    from recovery.cli.context import estate_folder, state_folder
    from recovery.cli.loading import declared, publish_warnings
    from recovery.cli.planned import Request, make_plan
    from recovery.plan import to_json
    from recovery.report import forecast_to_json
    from recovery.report.text import json_text

    folder = estate_folder(estate)
    sound = declared(folder)
    request = Request.of(sound.estate, lost=lost, to=to, regions=region, services=service, units=unit)
    made, moved = make_plan(sound, request)
    known = forecasting.history(moved, state_folder(folder))
    expected = forecasting.made_before(made, moved, known, parallel)
    document = {**to_json(made), "forecast": forecast_to_json(expected)}
    if out is not None:
        write_file(out, json_text(document, indent=2) + "\n")
        note(f"written: {out}")
    for warning in publish_warnings(sound.estate):
        note(f"note: {warning}")
    emit(document, output, lambda: forecasting.plan_lines(made, moved, expected))
    return 0
