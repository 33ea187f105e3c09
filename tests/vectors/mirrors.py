"""Vectors of mirrors that answer too much, too slowly, something else or nothing, and of odd manifests."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from tests.vectors.attacks import refused, tricked
from tests.vectors.case import ENTERED, Case, Step
from tests.vectors.repository import BEGAN, Repository, a_manifest, a_repository
from tests.vectors.serving import Trick
from tests.vectors.sound import HOUR, case, followed

TIMESTAMP = "metadata/timestamp.json"


def cases() -> Iterator[Case]:
    """Make them."""
    first = a_repository()
    start = followed(first.files)
    newer = first.fork(HOUR).publish(a_manifest(8))
    yield from _too_much(first, start, newer)
    yield from _odd_answers(first, start, newer)
    yield from _several(first, start, newer)
    yield from _manifests(first, start)


def _too_much(first: Repository, start: Step, newer: Repository) -> Iterator[Case]:
    endless = "endless data"
    for path, file in (
        (TIMESTAMP, "timestamp"),
        ("metadata/2.root.json", "root"),
        ("metadata/2.snapshot.json", "snapshot"),
        ("metadata/2.targets.json", "targets"),
    ):
        trick = Trick(what="endless", content=newer.files.get(path, b""))
        yield case(
            f"endless-{file}",
            endless,
            f"The {file} never ends.",
            first,
            start,
            refused(tricked(newer, path, trick), "too-large", file),
        )
    padded = Trick(what="padded", content=newer.files[TIMESTAMP], number=8193)
    yield case(
        "oversized-timestamp",
        endless,
        "A timestamp of one byte more than is taken; with its spaces it would be valid.",
        first,
        start,
        refused(tricked(newer, TIMESTAMP, padded), "too-large", "timestamp"),
    )
    large = first.fork(HOUR).publish(a_manifest(8).ljust(65_537))
    yield case(
        "oversized-manifest",
        endless,
        "A manifest of one byte more than is taken, though it is signed.",
        first,
        start,
        refused(
            {**large.files, **{p: b"" for p in large.files if p.endswith("citizen-app.json")}}, "too-large", "manifest"
        ),
    )
    slow = Trick(what="slow", content=newer.files[TIMESTAMP])
    yield case(
        "slow-timestamp",
        "slow retrieval",
        "A byte now and then: all that one mirror is asked may take 30 s, or what the client's test sets.",
        first,
        start,
        refused(tricked(newer, TIMESTAMP, slow), "too-slow", "timestamp"),
    )


def _odd_answers(first: Repository, start: Step, newer: Repository) -> Iterator[Case]:
    def odd(name: str, what: str, path: str, shown: bytes | Trick | None, reason: str, file: str) -> Case:
        files = (
            {**newer.files, path: shown} if shown is not None else {k: v for k, v in newer.files.items() if k != path}
        )
        return case(name, "malicious mirror", what, first, start, refused(files, reason, file))

    snapshot = "metadata/2.snapshot.json"
    yield odd(
        "half-copied", "The mirror has the new timestamp, its snapshot not yet.", snapshot, None, "missing", "snapshot"
    )
    yield odd(
        "failing", "The mirror answers 503.", TIMESTAMP, Trick(what="status", number=503), "unreachable", "timestamp"
    )
    root = Trick(what="status", number=500)
    yield odd(
        "failing-root",
        "The next root is answered 500: it may be there.",
        "metadata/2.root.json",
        root,
        "unreachable",
        "root",
    )
    yield odd(
        "redirecting", "A redirect is not followed.", TIMESTAMP, Trick(what="redirect"), "unreachable", "timestamp"
    )
    short = Trick(what="short", content=newer.files[snapshot])
    yield odd("cut-off", "The answer ends half-way.", snapshot, short, "unreachable", "snapshot")
    yield odd(
        "not-json", "The timestamp is a log-in page.", TIMESTAMP, b"<html>Log in</html>", "malformed", "timestamp"
    )
    other = newer.files[snapshot]
    yield odd("other-role", "A snapshot shown as the timestamp.", TIMESTAMP, other, "malformed", "timestamp")


def _several(first: Repository, start: Step, newer: Repository) -> Iterator[Case]:
    forged = first.fork(HOUR)
    forged.cut_timestamp(by=["stranger-1"])
    yield case(
        "one-honest-mirror",
        "malicious mirror",
        "One mirror forges, one does not answer, one is honest: the client is brought up to date.",
        first,
        start,
        Step(
            clock=BEGAN + HOUR,
            mirrors=(forged.files, None, newer.files),
            outcome="updated",
            refusals=(("signatures", "timestamp"), ("unreachable", "timestamp")),
            epoch=8,
            data=ENTERED,
        ),
    )
    yield case(
        "no-honest-mirror",
        "malicious mirror",
        "One mirror forges, one does not answer: the configuration goes on working.",
        first,
        start,
        Step(
            clock=BEGAN + timedelta(hours=2),
            mirrors=(forged.files, None),
            outcome="refused",
            refusals=(("signatures", "timestamp"), ("unreachable", "timestamp")),
            epoch=7,
            data=ENTERED,
        ),
    )


def _manifests(first: Repository, start: Step) -> Iterator[Case]:
    places = [{"data_centre": "thieves", "url": "http://203.0.113.9/"}]
    for name, what, content in (
        ("manifest-not-json", "A signed manifest that is not JSON.", b"services: none\n"),
        (
            "manifest-of-another-schema",
            "A signed manifest of a later schema.",
            a_manifest(8, schema="pulih/citizen-app/v2"),
        ),
        ("manifest-without-services", "A signed manifest that names no place.", a_manifest(8, services={})),
        ("manifest-without-tls", "A place without https.", a_manifest(8, services={"citizen-app": places})),
        ("manifest-with-odd-epoch", "An epoch that not every JSON reader keeps.", a_manifest(2**53)),
    ):
        shown = first.fork(HOUR).publish(content)
        yield case(name, "none", what, first, start, refused(shown.files, "bad-manifest", "manifest"))
    empty = first.fork(HOUR)
    empty.targets = {}
    yield case(
        "no-manifest",
        "none",
        "Signed targets that no longer name the manifest.",
        first,
        start,
        refused(empty.publish().files, "missing", "manifest"),
    )
