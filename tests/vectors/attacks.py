"""Vectors of the attacks in section 1.5.2 of the TUF specification, and of what mirrors do besides."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from tests.vectors.case import ENTERED, EVERYTHING, Case, Step
from tests.vectors.repository import BEGAN, DAY, Repository, a_manifest, a_repository, names
from tests.vectors.serving import Files, Trick
from tests.vectors.sound import HOUR, case, followed

OLD_EPOCH = 3
STRANGERS = names("stranger", 3)


def refused(
    shown: Files | None, reason: str, file: str, *, after: timedelta = HOUR, epoch: int | None = 7, fresh: bool = False
) -> Step:
    """Return a step in which the only mirror is refused and everything stays, on a fresh installation or later."""
    return Step(
        clock=BEGAN + after,
        mirrors=(shown,),
        outcome="offline" if reason in ("unreachable", "too-slow") else "refused",
        refusals=((reason, file),),
        epoch=OLD_EPOCH if fresh else epoch,
        data=EVERYTHING if fresh else ENTERED,
    )


def tricked(first: Repository, path: str, trick: Trick) -> Files:
    """Return the files of a repository with one of them playing a trick."""
    return {**first.files, path: trick}


def cases() -> Iterator[Case]:
    """Make them."""
    first = a_repository()
    start = followed(first.files)
    yield from _signatures(first, start)
    yield from _rollbacks(first, start)
    yield from _freezes(first, start)
    yield from _mixes(first, start)


def _signatures(first: Repository, start: Step) -> Iterator[Case]:
    def forged(name: str, attack: str, what: str, forgery: Repository, file: str) -> Case:
        return case(name, attack, what, first, start, refused(forgery.files, "signatures", file))

    arbitrary = "arbitrary software"
    stranger = first.fork().put(a_manifest(8, "thieves"))
    stranger.cut_targets(by=STRANGERS)
    yield forged("strange-targets", arbitrary, "A manifest signed by strange keys.", stranger.refresh(), "targets")
    snapshot = first.fork()
    snapshot.cut_targets()
    snapshot.cut_snapshot(by=STRANGERS)
    snapshot.cut_timestamp()
    yield forged("strange-snapshot", arbitrary, "A snapshot signed by a strange key.", snapshot, "snapshot")
    timestamp = first.fork()
    timestamp.cut_timestamp(by=STRANGERS)
    yield forged("strange-timestamp", arbitrary, "A timestamp signed by a strange key.", timestamp, "timestamp")
    root = first.fork().root(root=STRANGERS, targets=STRANGERS, by=STRANGERS).publish(a_manifest(8))
    yield forged("strange-root", arbitrary, "A root that only its own, strange keys have signed.", root, "root")
    edited = first.fork()
    path = "metadata/timestamp.json"
    edited.files[path] = edited.files[path].replace(b'"version":1', b'"version":9')
    yield forged(
        "edited-timestamp", arbitrary, "A timestamp that was changed after it was signed.", edited, "timestamp"
    )

    threshold = "wrong threshold"
    one = first.fork().put(a_manifest(8))
    one.cut_targets(by=["targets-1"])
    yield forged("one-of-two-targets", threshold, "One signature where two are asked for.", one.refresh(), "targets")
    twice = first.fork().put(a_manifest(8))
    twice.cut_targets(by=["targets-1", "stranger-1"])
    yield forged("one-and-a-stranger", threshold, "One right signature and a strange one.", twice.refresh(), "targets")
    other = first.fork().put(a_manifest(8))
    other.cut_targets(by=["root-1", "root-2"])
    yield forged("root-keys-on-targets", threshold, "Keys of another role, enough of them.", other.refresh(), "targets")
    half = first.fork().root(root=names("root", 3, "-b"), by=["root-1", "root-b-1", "root-b-2"]).publish(a_manifest(8))
    yield forged("root-by-one-old-key", threshold, "A root that one key of the old root has signed.", half, "root")
    alone = first.fork().root(root=names("root", 3, "-b"), by=["root-1", "root-2", "root-b-1"]).publish(a_manifest(8))
    yield forged("root-by-one-new-key", threshold, "A root that one key of its own has signed.", alone, "root")

    compromise = "key compromise"
    online = first.fork().put(a_manifest(8, "thieves"))
    online.cut_targets(by=["snapshot-1", "timestamp-1"])
    yield forged(
        "online-keys-stolen", compromise, "Stolen online keys can't sign a manifest.", online.refresh(), "targets"
    )
    rotated = first.fork(HOUR).root(targets=names("targets", 3, "-b")).publish(a_manifest(8))
    stolen = rotated.fork().put(a_manifest(9, "thieves"))
    stolen.cut_targets(by=["targets-1", "targets-2"])
    yield case(
        "revoked-targets-keys",
        compromise,
        "Keys that a new root has replaced sign nothing any more.",
        first,
        start,
        followed(rotated.files, after=HOUR, epoch=8),
        refused(stolen.refresh().files, "signatures", "targets", epoch=8),
    )


def _rollbacks(first: Repository, start: Step) -> Iterator[Case]:
    def back(name: str, what: str, newer: Repository, shown: Files, file: str, reason: str = "rollback") -> Case:
        steps = start, followed(newer.files, after=HOUR, epoch=8), refused(shown, reason, file, epoch=8)
        return case(name, "rollback", what, first, *steps)

    newer = first.fork().publish(a_manifest(8))
    yield back("timestamp-rollback", "An older timestamp.", newer, first.files, "timestamp")
    snapshot = first.fork()
    snapshot.versions["timestamp"] = 5
    snapshot.cut_timestamp()
    yield back("snapshot-rollback", "A new timestamp of an older snapshot.", newer, snapshot.files, "timestamp")
    targets = newer.fork()
    targets.versions["targets"] = 1
    yield back("targets-rollback", "A new snapshot of older targets.", newer, targets.refresh().files, "snapshot")
    dropped = newer.fork()
    dropped.cut_snapshot(meta={})
    dropped.cut_timestamp()
    yield back("targets-dropped", "A new snapshot that no longer names the targets.", newer, dropped.files, "snapshot")
    again = {**newer.fork().refresh().files, "metadata/2.root.json": first.files["metadata/1.root.json"]}
    yield back("root-rollback", "Root 1 shown as root 2.", newer, again, "root")
    lower = newer.fork().publish(a_manifest(6))
    yield back(
        "lower-config-epoch",
        "A manifest that is signed and has a lower epoch than the one in use.",
        newer,
        lower.files,
        "manifest",
        "config-epoch-rollback",
    )
    reused = newer.fork().publish(a_manifest(8, "elsewhere"))
    yield back(
        "reused-config-epoch",
        "A manifest that is signed and has the epoch of the one in use with another content.",
        newer,
        reused.files,
        "manifest",
        "config-epoch-reused",
    )
    yield from _fast_forwards(first, start)


def _fast_forwards(first: Repository, start: Step) -> Iterator[Case]:
    forward = "fast-forward"
    ahead = first.fork()
    ahead.versions.update(snapshot=2**31 - 2, timestamp=2**31 - 2)
    ahead.refresh()
    rescued = first.fork(HOUR)
    rescued.root(snapshot=names("snapshot", 1, "-b"), timestamp=names("timestamp", 1, "-b")).publish(a_manifest(8))
    held = first.fork(HOUR).publish(a_manifest(8))
    yield case(
        "fast-forward-recovery",
        forward,
        "Stolen online keys have signed the highest versions; a root with new ones lets lower versions count again.",
        first,
        start,
        followed(ahead.files, after=HOUR, outcome="unchanged"),
        refused(held.files, "rollback", "timestamp"),
        followed(rescued.files, after=HOUR, epoch=8),
    )
    highest = first.fork().publish(a_manifest(2**53 - 1, "thieves"))
    saved = highest.fork(HOUR).root(targets=names("targets", 3, "-b")).publish(a_manifest(8))
    yield case(
        "config-epoch-fast-forward-recovery",
        forward,
        "Stolen targets keys have signed the highest epoch; a root with new ones lets a lower epoch count again.",
        first,
        start,
        followed(highest.files, after=HOUR, epoch=2**53 - 1),
        followed(saved.files, after=HOUR, epoch=8),
    )


def _freezes(first: Repository, start: Step) -> Iterator[Case]:
    freeze = "indefinite freeze"
    yield case(
        "frozen",
        freeze,
        "The same files after the timestamp has expired.",
        first,
        start,
        refused(first.files, "expired", "timestamp", after=DAY),
    )
    always = tricked(first, "metadata/timestamp.json", Trick(what="not-modified"))
    yield case(
        "frozen-by-304",
        freeze,
        "A mirror that says for ever that nothing has changed.",
        first,
        start,
        refused(always, "expired", "timestamp", after=DAY),
    )
    yield case(
        "frozen-at-the-first-start",
        freeze,
        "An installation that never polled meets files that have expired.",
        first,
        refused(first.files, "expired", "timestamp", after=DAY, fresh=True),
    )
    yield case(
        "clock-set-back",
        freeze,
        "The device's clock goes back to when the files were valid: the last poll that was followed tells better.",
        first,
        start,
        followed(first.fork(2 * DAY).refresh().files, after=2 * DAY, outcome="unchanged"),
        refused(_renewed_before(first).files, "expired", "timestamp", after=HOUR),
    )
    for role, lasts in (("snapshot", 7), ("targets", 90), ("root", 365)):
        old = first.fork(timedelta(days=lasts))
        if role == "snapshot":
            old.cut_timestamp()
        elif role == "targets":
            old.refresh()
        else:
            old.publish()
        yield case(
            f"expired-{role}",
            freeze,
            f"Everything was renewed but the {role}, which has expired.",
            first,
            start,
            refused(old.files, "expired", role, after=timedelta(days=lasts)),
        )


def _renewed_before(first: Repository) -> Repository:
    """Return what was valid for a day and has a higher version than what came later: only its expiry gives it away."""
    other = first.fork()
    other.versions.update(snapshot=8, timestamp=8)
    return other.refresh()


def _mixes(first: Repository, start: Step) -> Iterator[Case]:
    mix = "mix-and-match"
    for hashes, how in ((True, ""), (False, "-without-digests")):
        base = Repository(hashes=hashes).root().publish(a_manifest())
        begin = followed(base.files)
        newer = base.fork().publish(a_manifest(8))
        snapshots = {**newer.files, "metadata/2.snapshot.json": base.files["metadata/1.snapshot.json"]}
        yield case(
            f"other-snapshot{how}",
            mix,
            "The snapshot is another than the timestamp names.",
            base,
            begin,
            refused(snapshots, "mix-and-match", "snapshot"),
        )
        targets = {**newer.files, "metadata/2.targets.json": base.files["metadata/1.targets.json"]}
        yield case(
            f"other-targets{how}",
            mix,
            "The targets are others than the snapshot names.",
            base,
            begin,
            refused(targets, "mix-and-match", "targets"),
        )
    newer = first.fork().publish(a_manifest(8))
    path = next(path for path in newer.files if path not in first.files and path.startswith("targets/"))
    swapped = {**newer.files, path: a_manifest(9)}
    yield case(
        "other-manifest",
        mix,
        "The manifest is another than the targets name.",
        first,
        start,
        refused(swapped, "mix-and-match", "manifest"),
    )
