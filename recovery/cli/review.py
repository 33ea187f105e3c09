"""The verb `review`: what a change of the estate or its templates does, for those who approve it."""

from __future__ import annotations

import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recovery.cli import options
from recovery.cli.context import estate_folder, state_folder
from recovery.cli.output import Format, emit, say
from recovery.errors import DeclarationError, PlanError

if TYPE_CHECKING:
    from recovery.review.compare import Review
    from recovery.review.sides import Side
    from recovery.revisions import Repository

DIFFERENT = 2

_RANGE = re.compile(r"(.*?)(\.\.\.?)(.*)", re.DOTALL)


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
    parallel: options.Parallel = options.DEFAULT_PARALLEL,
    estate: options.Estate = None,
    output: Annotated[
        Form | None,
        typer.Option("--output", help="How the result is written.  [default: table; markdown where CI=true]"),
    ] = None,
) -> int:
    """Explain what a change does: which units and files, how far it reaches, what it means for a recovery.

    Connects to nothing, checks nothing out and runs nothing that the change brings. Exit code 2 when there are changes.
    """
    from recovery.review.as_json import to_json
    from recovery.review.as_markdown import to_markdown
    from recovery.review.as_table import lines

    form = output or (Form.MARKDOWN if os.environ.get("CI") == "true" else Form.TABLE)
    made = compared(estate_folder(estate), revisions, parallel)
    if form is Form.MARKDOWN:
        say(to_markdown(made).removesuffix("\n"))
    else:
        emit(to_json(made), Format(form.value), lambda: lines(made))
    return 0 if made.is_empty else DIFFERENT


def compared(folder: Path, revisions: str, parallel: int) -> Review:
    """Compare two revisions.

    Raises:
        PlanError: `revisions` is not a range.
        RevisionError: A revision is not there.
        DeclarationError: The estate is broken at one of them; says which.
    """
    from tempfile import TemporaryDirectory

    from recovery.cli import forecasting
    from recovery.review.compare import compare
    from recovery.review.reach import TRAILER
    from recovery.revisions import Repository

    found = _RANGE.fullmatch(revisions)
    if found is None:
        raise PlanError(f"{revisions}: expected two revisions, such as origin/main..HEAD")
    base, dots, head = found.groups()
    repository = Repository.of(folder)
    start, end = repository.commit(base or "HEAD"), repository.commit(head or "HEAD")
    if dots == "...":
        start = repository.merge_base(start, end)
    with TemporaryDirectory(prefix="pulih-review-") as temporary:
        before = side(repository, base or "HEAD", start, Path(temporary) / "before", is_checked=False)
        after = side(repository, head or "HEAD", end, Path(temporary) / "after", is_checked=True)
        return compare(
            before,
            after,
            reasons=repository.trailers(start, end, TRAILER),
            history=forecasting.history(after.estate, state_folder(folder)),
            parallel=parallel,
        )


def side(repository: Repository, revision: str, commit: str, folder: Path, *, is_checked: bool) -> Side:
    """Read and render the estate of a revision.

    Args:
        repository: Where it is.
        revision: As it was asked for; mistakes are named with it.
        commit: What that is.
        folder: Made, for its files.
        is_checked: Hold it to the rules that need rendered files too; not so before a change, which may mend them.

    Raises:
        DeclarationError: Every mistake, with revision, file and line.
        RevisionError: It has no estate, or one that leads out of the revision.
    """
    from recovery import policy
    from recovery.declared import load
    from recovery.declared.folders import OWN_TEMPLATES
    from recovery.render import Templates
    from recovery.review.sides import Rendered, Side
    from recovery.revisions import RevisionError

    with _named(revision, folder):
        estate = load(repository.export(commit, folder))
        if estate.templates != OWN_TEMPLATES and not estate.templates.resolve().is_relative_to(folder.resolve()):
            raise RevisionError(f"{revision}: its templates are outside the repository, in {estate.templates}")
        renderer = Rendered(estate, Templates.load(estate.templates))
        mistakes = policy.check(estate, renderer) if is_checked else ()
        if mistakes:
            raise DeclarationError(mistakes)
        return Side.of(revision, commit, renderer)


@contextmanager
def _named(revision: str, folder: Path) -> Generator[None]:
    """Name the files of mistakes as git does, `REVISION:PATH`, instead of by the folder they were written to."""
    try:
        yield
    except DeclarationError as error:
        places = {f"{place}/" for place in (folder, folder.resolve())}
        raise DeclarationError(
            [
                replace(
                    mistake,
                    file=Path(f"{revision}:{_without(str(mistake.file), places)}"),
                    message=_without(mistake.message, places),
                )
                for mistake in error.mistakes
            ]
        ) from error


def _without(text: str, places: set[str]) -> str:
    for place in places:
        text = text.replace(place, "")
    return text
