"""The verbs of the practice estate: `lab up`, `lose`, `status`, `down`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recovery.cli import options
from recovery.cli.output import Format, emit
from recovery.report.text import counted, duration, printable

app = typer.Typer(
    name="lab",
    help="The practice estate: a whole estate as one process.",
    no_args_is_help=True,
)

Folder = Annotated[Path, typer.Option("--dir", metavar="DIR", help="The lab's folder.")]


@app.command(epilog="Example: pulih lab up --units 40 --dir lab")
def up(
    folder: Folder,
    units: Annotated[int, typer.Option("--units", metavar="N", min=1, help="How many units.")] = 582,
    output: options.Output = Format.TABLE,
) -> int:
    """Start a lab and leave it running.

    DIR/estate is then an ordinary practice estate.
    """
    from recovery import lab

    info = lab.up(units, folder)
    document: dict[str, object] = {
        "schema": "pulih/lab-up/v1",
        "dir": str(info.folder),
        "estate": str(info.estate),
        "pid": info.pid,
        "units": info.units,
        "regions": info.regions,
        "seconds": round(info.seconds, 3),
    }
    scale = f"{counted(info.units, 'unit')} in {counted(info.regions, 'region')}"
    told = [
        f"{scale} up in {duration(info.seconds)}, process {info.pid}",
        f"Estate: {info.estate}",
    ]
    emit(document, output, lambda: map(printable, told))
    return 0


@app.command(epilog="Example: pulih lab lose pdns-2 --dir lab")
def lose(
    data_centre: Annotated[str, typer.Argument(metavar="DC", help="The data centre.")],
    folder: Folder,
    output: options.Output = Format.TABLE,
) -> int:
    """Lose a data centre.

    Its endpoints stop, and every unit that it served loses its releases.
    """
    from recovery import lab

    units = lab.lose(folder, data_centre)
    document: dict[str, object] = {"schema": "pulih/lab-lose/v1", "data_centre": data_centre, "units": units}
    emit(document, output, lambda: [printable(f"{data_centre} is lost; it served {counted(units, 'unit')}")])
    return 0


@app.command(epilog="Example: pulih lab status --dir lab")
def status(folder: Folder, output: options.Output = Format.TABLE) -> int:
    """Say how a lab is.

    Exit code 1 when none runs there.
    """
    from recovery import lab

    found = lab.status(folder)
    document: dict[str, object] = {
        "schema": "pulih/lab-status/v1",
        "dir": str(found.folder),
        "pid": found.pid,
        "alive": found.alive,
        "units": found.units,
        "data_centres": list(found.data_centres),
        "lost": list(found.lost),
        "with_release": found.with_release,
        "serving": found.serving,
    }
    lost = f"lost: {', '.join(found.lost)}" if found.lost else "none lost"
    told = [
        f"up, process {found.pid}" if found.alive else "not running",
        f"{counted(found.units, 'unit')}: {found.with_release:,} with a release, {found.serving:,} serving",
        f"data centres: {', '.join(found.data_centres)}; {lost}",
    ]
    emit(document, output, lambda: map(printable, told))
    return 0 if found.alive else 1


@app.command(epilog="Example: pulih lab down --dir lab")
def down(
    folder: Folder,
    purge: Annotated[bool, typer.Option("--purge", help="Also remove its files, its runs included.")] = False,
) -> int:
    """End a lab and wait until no process of it is left.

    It is no error when none runs.
    """
    from recovery import lab

    lab.down(folder, purge=purge)
    return 0
