"""The verb `up`: all stacks through the Pulumi engine, in a program of its own.

pulih itself imports no Pulumi: a recovery must work where the engine does not.
"""

from __future__ import annotations

import os
import signal
import sys
from importlib.util import find_spec
from typing import Annotated

import typer

from recovery.cli import options
from recovery.cli.context import estate_folder
from recovery.cli.output import Format
from recovery.errors import PulihError
from recovery.transport.base import DEFAULT_PARALLEL


def register(app: typer.Typer) -> None:
    """Add this verb to the command line."""
    app.command(epilog="Example: pulih up --region jawa-barat --preview")(up)


def up(
    region: options.Regions = None,
    preview: Annotated[bool, typer.Option("--preview", help="Only show what would be done; touches no unit.")] = False,
    parallel: options.Parallel = DEFAULT_PARALLEL,
    engines: Annotated[
        int | None,
        typer.Option(
            "--engines", metavar="N", min=1, help="Engines at once; fewer where the memory does not hold as many."
        ),
    ] = None,
    estate: options.Estate = None,
    report_dir: options.ReportDir = None,
    output: options.Output = Format.TABLE,
) -> int:
    """Deploy every stack through the Pulumi engine: data centres first, then the regions.

    A failed stack is named with its cause, and the others go on. With --region only those, and no data centre.
    """
    if find_spec("pulumi") is None:
        raise PulihError("`pulih up` needs the Pulumi engine: get it with `make engine`. `pulih apply` needs none.")
    words = ["--estate", str(estate_folder(estate)), "--parallel", str(parallel), "--output", output.value]
    for name in region or ():
        words += ["--region", name]
    if preview:
        words.append("--preview")
    if engines is not None:
        words += ["--engines", str(engines)]
    if report_dir is not None:
        words += ["--report-dir", str(report_dir)]
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return _become([sys.executable, "-P", "-m", "infra.up", *words])


def _become(command: list[str]) -> int:
    """Go on as another program, so that signals and the exit code are its own; never returns.

    A Ctrl-C waits until that program is ready for it: loading takes half a second, and has no answer but a traceback.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    os.execv(command[0], command)  # noqa: S606 - this Python, with words of our own
