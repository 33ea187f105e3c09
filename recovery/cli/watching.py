"""The verb `watch`: a run as it goes on, in the terminal or in a browser, whoever conducts it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from recovery.cli import completing, options
from recovery.cli.context import estate_folder, now, state_folder, where
from recovery.cli.output import note
from recovery.errors import PlanError

if TYPE_CHECKING:
    from recovery.cli.following import Following
    from recovery.cli.forecasting import Seeing
    from recovery.model.story import Story
    from recovery.runs import Runs

POLL_S = 0.1
"""How often the journal is looked at, seconds."""


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(epilog="Example: pulih watch --serve 127.0.0.1:8080")(watch)


def watch(
    run: Annotated[
        str | None,
        typer.Argument(metavar="RUN", autocompletion=completing.runs, help="Name of the run; the newest by default."),
    ] = None,
    serve: Annotated[
        str | None,
        typer.Option(
            "--serve",
            metavar="ADDRESS:PORT",
            help="Show it in a browser, at a loopback address such as 127.0.0.1:8080; port 0 takes a free one.",
        ),
    ] = None,
    estate: options.Estate = None,
) -> int:
    """Watch a run that goes on, of this or another process; it is only read.

    In the terminal until the run ends. With --serve until Ctrl-C: the address that is printed holds a token; who has
    it sees the page.
    """
    from recovery.cli.following import Following
    from recovery.cli.forecasting import Watched, blind
    from recovery.processes import LinuxProcesses
    from recovery.runs import Runs

    folder = estate_folder(estate)
    runs = Runs(state_folder(folder), LinuxProcesses(where()))
    name = runs.find(run)
    following = Following(runs.folder / name / "journal.jsonl")
    if serve is None:
        seeing = Watched(folder, runs, name)
        following.know(seeing.plan)
        return _in_terminal(runs, name, following, seeing)
    from recovery.cli.liveview import LiveView
    from recovery.cli.serving import serve as serve_view
    from recovery.cli.serving import socket_at

    listener = socket_at(serve)
    begun = _begun(runs, name, following)
    seeing = blind if begun.finished else Watched(folder, runs, name)
    return serve_view(LiveView(following, begun, lambda: runs.is_alive(name), now, seeing), listener)


def _in_terminal(runs: Runs, name: str, following: Following, seeing: Seeing) -> int:
    from recovery.cli.progress import shown
    from recovery.cli.summary import lines, show_lines

    with shown(seeing) as progress:
        while True:
            alive = runs.is_alive(name)  # before the journal is read: what it wrote last is read then
            for event in following.events():
                progress.notice(event)
            told = following.story()
            if (told is not None and told.finished) or not alive:
                break
            time.sleep(POLL_S)
    if told is None:
        raise _nothing(name)
    show_lines(lines(told.result))
    if not told.finished:
        note(f"{name} was broken off; nobody conducts it now: pulih resume {name}")
    return 0


def _begun(runs: Runs, name: str, following: Following) -> Story:
    """Wait until the run has begun."""
    while True:
        alive = runs.is_alive(name)
        following.more()
        told = following.story()
        if told is not None:
            return told
        if not alive:
            raise _nothing(name)
        time.sleep(POLL_S)


def _nothing(name: str) -> PlanError:
    return PlanError(f"{name} was killed before it did anything; `pulih resume {name}` begins it")
