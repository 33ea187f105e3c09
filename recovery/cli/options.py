"""The options that several commands share, each with one spelling and one meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recovery.cli import completing
from recovery.cli.output import Format
from recovery.transport.base import MAX_PARALLEL

Estate = Annotated[
    Path | None,
    typer.Option(
        "--estate",
        metavar="DIR",
        envvar="PULIH_ESTATE",
        help="Folder of the estate's files.  [default: infra/estate]",
    ),
]
Output = Annotated[Format, typer.Option("--output", help="How the result is written to stdout.")]
Regions = Annotated[
    list[str] | None,
    typer.Option(
        "--region", metavar="REGION", autocompletion=completing.regions, help="Only this region; may be repeated."
    ),
]
Services = Annotated[
    list[str] | None,
    typer.Option(
        "--service", metavar="SERVICE", autocompletion=completing.services, help="Only this service; may be repeated."
    ),
]
Units = Annotated[
    list[str] | None,
    typer.Option("--unit", metavar="UNIT", autocompletion=completing.units, help="Only this unit; may be repeated."),
]
Parallel = Annotated[
    int,
    typer.Option("--parallel", min=1, max=MAX_PARALLEL, help="Connections at once."),
]
ReportDir = Annotated[
    Path | None,
    typer.Option(
        "--report-dir", metavar="DIR", help="Also write report.html, report.json, report.md and junit.xml there."
    ),
]
Log = Annotated[
    Path | None,
    typer.Option("--log", metavar="FILE", help="Append what happened, unit by unit, to this file."),
]
Lost = Annotated[
    str | None,
    typer.Option("--lost", metavar="DC", autocompletion=completing.data_centres, help="The data centre that is lost."),
]
To = Annotated[
    str | None,
    typer.Option(
        "--to",
        metavar="DC",
        autocompletion=completing.data_centres,
        help="The data centre that takes over; needed only where several could.",
    ),
]
BreakGlass = Annotated[
    bool,
    typer.Option(
        "--break-glass",
        help="The leases were lost with their store, or a run holds them whose machine is lost: read every unit first, "
        "draw an epoch above the largest, and take over from a run that has been silent for 30 s and is not on this "
        "machine. Only when nobody else is at work; it is recorded.",
    ),
]
