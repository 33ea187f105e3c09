"""The verb `report`: a stored run, rendered again."""

from __future__ import annotations

from typing import Annotated

import typer

from recovery.cli import completing, options
from recovery.cli.output import Format, emit, note


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(epilog="Example: pulih report --output json")(report)


def report(
    run: Annotated[
        str | None,
        typer.Argument(metavar="RUN", autocompletion=completing.runs, help="Name of the run; the newest by default."),
    ] = None,
    estate: options.Estate = None,
    report_dir: options.ReportDir = None,
    output: options.Output = Format.TABLE,
) -> int:
    """Render the report of a run again."""
    from recovery.cli.context import estate_folder, state_folder
    from recovery.cli.storing import stored_story, write_report
    from recovery.report import to_json, to_markdown

    told = stored_story(state_folder(estate_folder(estate)), run)
    if report_dir is not None:
        write_report(told, report_dir)
        note(f"written: {report_dir / 'report.html'}, report.json, report.md and junit.xml")
    result = told.result
    emit(to_json(result), output, lambda: to_markdown(told).rstrip("\n").split("\n"))
    return 0
