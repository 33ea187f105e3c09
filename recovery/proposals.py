"""A proposed change of an estate: its sides read from git or from the work tree, and compared."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from recovery import policy
from recovery.declared import load
from recovery.declared.folders import OWN_TEMPLATES
from recovery.errors import DeclarationError, PlanError
from recovery.forecast import NO_HISTORY, History
from recovery.model.estate import Estate
from recovery.render import Templates
from recovery.review.compare import Review, compare
from recovery.review.reach import TRAILER
from recovery.review.sides import Rendered, Side
from recovery.revisions import Repository, RevisionError

_RANGE = re.compile(r"(.*?)(\.\.\.?)(.*)", re.DOTALL)


def between(folder: Path, revisions: str, history: Callable[[Estate], History], parallel: int) -> Review:
    """Compare two revisions of an estate.

    Args:
        folder: The estate's, in a git work tree.
        revisions: `BASE..HEAD`, or `BASE...HEAD` for what HEAD changed since it left BASE; an empty side is HEAD.
        history: Says of the estate what earlier runs took.
        parallel: Connections at once, for the forecast.

    Raises:
        PlanError: `revisions` is not a range.
        RevisionError: A revision is not there.
        DeclarationError: The estate is broken at one of them; says which.
    """
    found = _RANGE.fullmatch(revisions)
    if found is None:
        raise PlanError(f"{revisions}: expected two revisions, such as origin/main..HEAD")
    base, dots, head = found.groups()
    repository = Repository.of(folder)
    start, end = repository.commit(base or "HEAD"), repository.commit(head or "HEAD")
    if dots == "...":
        start = repository.merge_base(start, end)
    with TemporaryDirectory(prefix="pulih-review-") as temporary:
        before = _side(repository, base or "HEAD", start, Path(temporary) / "before", is_checked=False)
        after = _side(repository, head or "HEAD", end, Path(temporary) / "after", is_checked=True)
        return compare(
            before,
            after,
            reasons=repository.trailers(start, end, TRAILER),
            history=history(after.estate),
            parallel=parallel,
        )


def since(folder: Path, base: str) -> Review:
    """Compare an estate as it lies in the work tree with where it left a revision.

    Raises:
        RevisionError: The estate is in no git work tree, or the revision is not there.
        DeclarationError: The estate is broken, there or in the work tree.
    """
    repository = Repository.of(folder)
    head = repository.commit("HEAD")
    start = repository.merge_base(repository.commit(base), head)
    estate = load(folder)
    after = Side.of("the work tree", head, Rendered(estate, Templates.load(estate.templates)))
    with TemporaryDirectory(prefix="pulih-review-") as temporary:
        before = _side(repository, base, start, Path(temporary) / "before", is_checked=False)
        reasons = repository.trailers(start, head, TRAILER)
        return compare(before, after, reasons=reasons, history=NO_HISTORY, parallel=1)


def _side(repository: Repository, revision: str, commit: str, folder: Path, *, is_checked: bool) -> Side:
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
