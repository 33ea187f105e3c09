"""The verbs of the practice estate: `lab up`, `lose`, `break`, `heal`, `slow`, `status`, `down`."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recovery.cli import options
from recovery.cli.output import Format, emit
from recovery.errors import LabError
from recovery.report.text import counted, duration, printable

if TYPE_CHECKING:
    from recovery.lab import LabStatus

HOWS = "hang, wrong-host-key, disk-full, validate-fails, probe-fails, unreachable"

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


@app.command("break", epilog="Example: pulih lab break passport-soekarno-hatta --how hang --dir lab")
def break_(
    unit: Annotated[str, typer.Argument(metavar="UNIT", help="The unit, or an endpoint such as passport-cloud-1.")],
    how: Annotated[str, typer.Option("--how", metavar="HOW", help=f"One of: {HOWS}.")],
    folder: Folder,
    output: options.Output = Format.TABLE,
) -> int:
    """Make a unit sick until it is healed.

    It is so for new connections and commands at once. A second sickness takes the place of the first.
    """
    from recovery import lab

    lab.break_unit(folder, unit, how)
    cause = lab.ENDS_IN[lab.How(how)]
    document: dict[str, object] = {"schema": "pulih/lab-break/v1", "unit": unit, "how": how, "cause": cause}
    healing = shlex.join(["pulih", "lab", "heal", unit, "--dir", str(folder)])
    told = f"{unit} is broken: {how}. A visit ends in the cause {cause} until `{healing}`"
    emit(document, output, lambda: [printable(told)])
    return 0


@app.command(epilog="Example: pulih lab heal --all --dir lab")
def heal(
    folder: Folder,
    unit: Annotated[str | None, typer.Argument(metavar="UNIT", help="The unit or endpoint.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every unit, and every slow line too.")] = False,
    output: options.Output = Format.TABLE,
) -> int:
    """Make a unit well again.

    It is no error when it was.
    """
    from recovery import lab

    if (unit is None) is not everything:
        raise LabError("say which unit is healed, or --all of them")
    healed = lab.heal_unit(folder, unit)
    document: dict[str, object] = {
        "schema": "pulih/lab-heal/v1",
        "units": list(healed.units),
        "offices": list(healed.offices),
    }
    told = [f"{name} is well again" for name in healed.units]
    told += [f"the line of {office} is as fast as it goes" for office in healed.offices]
    emit(document, output, lambda: map(printable, told or ["nothing was broken" if everything else f"{unit} was well"]))
    return 0


@app.command(epilog="Example: pulih lab slow soekarno-hatta --latency-ms 300 --kbit-s 256 --dir lab")
def slow(
    office: Annotated[str, typer.Argument(metavar="OFFICE", help="The office.")],
    folder: Folder,
    latency_ms: Annotated[
        int,
        typer.Option("--latency-ms", metavar="N", min=0, help="How long a byte is on its way, in each direction."),
    ],
    kbit_s: Annotated[
        int, typer.Option("--kbit-s", metavar="N", min=0, help="Rate in each direction; 0 is as fast as it goes.")
    ] = 0,
    output: options.Output = Format.TABLE,
) -> int:
    """Slow down the line of an office; `--latency-ms 0` alone makes it fast again.

    The lab delays the bytes of the office's SSH connections and test transactions, in each direction, and its units
    share the rate. It is no imitation of a network: to connect costs nothing and nothing is lost. New connections are
    slow at once.
    """
    from recovery import lab

    hosts = lab.slow(folder, office, latency_ms, kbit_s)
    document: dict[str, object] = {
        "schema": "pulih/lab-slow/v1",
        "office": office,
        "latency_ms": latency_ms,
        "kbit_s": kbit_s,
        "units": hosts,
    }
    told = f"the line of {office}, with {counted(hosts, 'unit')}: {_speed(latency_ms, kbit_s)}"
    emit(document, output, lambda: [printable(told)])
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
        "broken": [{"unit": unit, "how": how.value} for unit, how in found.broken.items()],
        "slow": [
            {"office": office, "latency_ms": latency_ms, "kbit_s": kbit_s}
            for office, (latency_ms, kbit_s) in found.slow.items()
        ],
    }
    lost = f"lost: {', '.join(found.lost)}" if found.lost else "none lost"
    told = [
        f"up, process {found.pid}" if found.alive else "not running",
        f"{counted(found.units, 'unit')}: {found.with_release:,} with a release, {found.serving:,} serving",
        f"data centres: {', '.join(found.data_centres)}; {lost}",
        *_troubles(found),
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


def _troubles(found: LabStatus) -> Iterator[str]:
    for unit, how in found.broken.items():
        yield f"broken: {unit}: {how}"
    for office, (latency_ms, kbit_s) in found.slow.items():
        yield f"slow line: {office}: {_speed(latency_ms, kbit_s)}"


def _speed(latency_ms: int, kbit_s: int) -> str:
    if not latency_ms and not kbit_s:
        return "as fast as it goes"
    rate = f"{kbit_s:,} kbit/s" if kbit_s else "no limit to the rate"
    return f"{latency_ms:,} ms in each direction, {rate}"
