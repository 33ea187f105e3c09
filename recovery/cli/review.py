"""The verb `review`: what a change of the estate or its templates does, for those who approve it."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Annotated

import typer

from recovery.cli import options
from recovery.cli.context import estate_folder, state_folder
from recovery.cli.output import Format, emit, say
from recovery.transport.base import DEFAULT_PARALLEL

DIFFERENT = 2


class Form(StrEnum):
    """How a review is written."""

    MARKDOWN = "markdown"
    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(epilog="Example: pulih review origin/main...HEAD --output markdown")(review)


def review(
    revisions: Annotated[
        str,
        typer.Argument(
            metavar="BASE..HEAD",
            help="Two revisions of the estate's git repository; BASE...HEAD compares HEAD with where it left BASE.",
        ),
    ],
    parallel: options.Parallel = DEFAULT_PARALLEL,
    estate: options.Estate = None,
    output: Annotated[
        Form | None,
        typer.Option("--output", help="How the result is written.  [default: table; markdown where CI=true]"),
    ] = None,
) -> int:
    """Explain what a change does: which units and files, how far it reaches, what it means for a recovery.

    Connects to nothing, checks nothing out and runs nothing that the change brings. Exit code 2 when there are changes.
    """
    from recovery.cli import forecasting
    from recovery.proposals import between
    from recovery.review.as_json import to_json
    from recovery.review.as_markdown import to_markdown
    from recovery.review.as_table import lines

    form = output or (Form.MARKDOWN if os.environ.get("CI") == "true" else Form.TABLE)
    folder = estate_folder(estate)
    made = between(folder, revisions, lambda after: forecasting.history(after, state_folder(folder)), parallel)
    if form is Form.MARKDOWN:
        for line in to_markdown(made).removesuffix("\n").split("\n"):
            say(line)
    else:
        emit(to_json(made), Format(form.value), lambda: lines(made))
    return 0 if made.is_empty else DIFFERENT
