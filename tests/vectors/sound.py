"""Vectors of what is as it should be, and of what an installation may have been through."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from tests.vectors.case import ENTERED, EVERYTHING, Case, Step
from tests.vectors.repository import BEGAN, DAY, Repository, a_manifest, a_repository, names
from tests.vectors.serving import Files

HOUR = timedelta(hours=1)
OLD = a_manifest(3, "pdns-2")
"""Last month's configuration: it points at the data centre that was lost."""


def case(name: str, attack: str, what: str, first: Repository, *steps: Step, shipped: bytes | None = OLD) -> Case:
    """Return a vector whose app came with the first root of a repository."""
    return Case(
        name=name, attack=attack, what=what, root=first.files["metadata/1.root.json"], shipped=shipped, steps=steps
    )


def followed(
    shown: Files, *more: Files | None, after: timedelta = timedelta(), epoch: int = 7, outcome: str = "updated"
) -> Step:
    """Return a step in which a mirror is followed, and what is to be reset is."""
    return Step(clock=BEGAN + after, mirrors=(shown, *more), outcome=outcome, epoch=epoch, data=ENTERED)


def cases() -> Iterator[Case]:
    """Make them."""
    first = a_repository()
    start = followed(first.files)
    none = "none"
    yield case("first-start", none, "An app without a configuration learns one.", first, start, shipped=None)
    yield case("last-months-configuration", none, "An old configuration is replaced, drafts are kept.", first, start)
    yield case(
        "unchanged",
        none,
        "A second poll finds nothing new; with If-None-Match it costs one answer 304.",
        first,
        start,
        followed(first.files, after=HOUR, outcome="unchanged"),
    )
    refreshed = first.fork(DAY / 2).refresh()
    yield case(
        "refreshed",
        none,
        "Snapshot and timestamp were renewed, the manifest is the same.",
        first,
        start,
        followed(refreshed.files, after=DAY, outcome="unchanged"),
    )
    changed = first.fork(HOUR).publish(a_manifest(8, "pusdakim"))
    yield case(
        "new-manifest",
        none,
        "A new manifest replaces the one in use.",
        first,
        start,
        followed(changed.files, after=HOUR, epoch=8),
    )
    yield from _roots(first)
    yield from _installations(first, start)
    yield from _resets()


def _roots(first: Repository) -> Iterator[Case]:
    rotated = first.fork(DAY).root(timestamp=names("timestamp", 1, "-b"), snapshot=names("snapshot", 1, "-b"))
    twice = rotated.fork(DAY).root(root=names("root", 3, "-b"), targets=names("targets", 3, "-b")).publish()
    yield case(
        "two-roots-behind",
        "none",
        "The app came with root 1, every key was replaced in roots 2 and 3: it walks the chain.",
        first,
        followed(twice.files, after=2 * DAY),
    )
    short = first.fork(DAY).root(lasts=HOUR)
    mended = short.fork(DAY).root().publish()
    yield case(
        "expired-root-on-the-way",
        "none",
        "Root 2 has expired, root 3 has not: only the last one must be valid.",
        first,
        followed(mended.files, after=2 * DAY),
    )
    swapped = first.fork(DAY)
    swapped.thresholds["targets"] = 3
    swapped.root().publish(a_manifest(8))
    yield case(
        "higher-threshold",
        "none",
        "A new root asks for three signatures where two were enough.",
        first,
        followed(first.files),
        followed(swapped.files, after=DAY, epoch=8),
    )


def _installations(first: Repository, start: Step) -> Iterator[Case]:
    later = first.fork(3 * DAY).publish(a_manifest(8, "pusdakim"))
    yield case(
        "restored-backup",
        "restored backup",
        "The installation was put back as it was before the change, old metadata and old epoch: it catches up.",
        first,
        start,
        followed(later.files, after=3 * DAY, epoch=8),
        Step(
            clock=BEGAN + 3 * DAY + HOUR,
            mirrors=(later.files,),
            outcome="updated",
            epoch=8,
            data=ENTERED,
            restore=1,
        ),
    )
    rotated = later.fork(DAY).root(root=names("root", 3, "-b"), timestamp=names("timestamp", 1, "-b"))
    rotated.root(targets=names("targets", 3, "-b")).publish(a_manifest(9))
    yield case(
        "restored-backup-two-roots-behind",
        "restored backup",
        "The backup is older than two roots and two manifests: it catches up.",
        first,
        start,
        followed(rotated.files, after=4 * DAY, epoch=9),
        Step(
            clock=BEGAN + 4 * DAY + HOUR,
            mirrors=(rotated.files,),
            outcome="updated",
            epoch=9,
            data=ENTERED,
            restore=1,
        ),
    )
    yield case(
        "restored-backup-and-a-held-back-mirror",
        "restored backup",
        "A restored installation meets a mirror that shows what has expired: refused, and what it has goes on.",
        first,
        start,
        followed(later.files, after=3 * DAY, epoch=8),
        Step(
            clock=BEGAN + 3 * DAY + HOUR,
            mirrors=(first.files,),
            outcome="refused",
            refusals=(("expired", "timestamp"),),
            epoch=7,
            data=ENTERED,
            restore=1,
        ),
    )
    yield case(
        "offline",
        "none",
        "No mirror answers for two months: the configuration goes on working, and is replaced as soon as one does.",
        first,
        start,
        Step(
            clock=BEGAN + 60 * DAY,
            mirrors=(None, None),
            outcome="offline",
            refusals=(("unreachable", "timestamp"), ("unreachable", "timestamp")),
            epoch=7,
            data=ENTERED,
        ),
        followed(first.fork(60 * DAY).publish(a_manifest(8)).files, after=60 * DAY, epoch=8),
    )


def _resets() -> Iterator[Case]:
    unknown = a_repository(a_manifest(reset=["sessions", "games", "../drafts", "/", ""]))
    sessions_gone = tuple(path for path in EVERYTHING if not path.startswith("sessions/"))
    yield case(
        "unknown-names-in-reset",
        "none",
        "Names that the app does not know are kept, odd ones too.",
        unknown,
        Step(clock=BEGAN, mirrors=(unknown.files,), outcome="updated", epoch=7, data=sessions_gone),
    )
    both = a_repository(a_manifest(keep=["sessions", "pins"]))
    yield case(
        "keep-wins",
        "none",
        "What is in reset and in keep is kept.",
        both,
        Step(
            clock=BEGAN,
            mirrors=(both.files,),
            outcome="updated",
            epoch=7,
            data=tuple(path for path in EVERYTHING if not path.startswith("endpoints/")),
        ),
    )
    drafts = a_repository(a_manifest(reset=["drafts", "bookings", "documents", "sessions"], keep=[]))
    yield case(
        "drafts-in-reset",
        "none",
        "What people have entered is never reset, whatever a manifest says.",
        drafts,
        Step(clock=BEGAN, mirrors=(drafts.files,), outcome="updated", epoch=7, data=sessions_gone),
    )
    newer = a_repository(a_manifest(minimum_version="5.0.0"))
    yield case(
        "minimum-version",
        "none",
        "The app is older than the manifest asks for: it follows the manifest, and asks to be updated.",
        newer,
        Step(clock=BEGAN, mirrors=(newer.files,), outcome="updated", epoch=7, data=ENTERED, update_needed=True),
    )
    more = a_repository(a_manifest(later={"version": 2}, message=None, minimum_version=None))
    yield case(
        "unknown-fields",
        "none",
        "Fields that the app does not know are left alone, and those that may be absent are.",
        more,
        followed(more.files),
    )
