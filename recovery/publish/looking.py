"""What the mirrors hold: the chain of roots, the newest content, and whether two of them contradict each other.

Nothing is remembered beside the mirrors and the roots that lie with the estate: versions grow from the largest found.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from recovery.errors import ForkError, PublishError, UntrustedError
from recovery.files import UnfitFileError, read_regular
from recovery.publish.formats import Metadata, Snapshot, Targets, Timestamp
from recovery.publish.manifest import MAX_BYTES, TARGET
from recovery.publish.mirrors import Mirror, MirrorError
from recovery.publish.trust import MAX_METADATA_BYTES, MAX_VERSION, TIMESTAMP, Chain, Content, Versions, fitting, read

MAX_ROOTS = 1024
"""More roots than a ceremony a week makes in twenty years."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What one mirror holds.

    Attributes:
        roots: As they lie there, by version.
        root_version: Of the newest root that a client gets to there, from the first that every app has within it.
        content: What a client takes there, expired or not; None where it takes nothing.
        fault: Why it takes nothing; None where it does, or where nothing was published yet.
        error: Why the mirror can't be used at all.
    """

    mirror: Mirror
    roots: Mapping[int, bytes]
    root_version: int
    content: Content | None
    fault: str | None
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What all mirrors hold together.

    Attributes:
        chain: All roots.
        held: By mirror, in the order declared.
        newest: The content with the largest versions; None where nothing was published yet.
        highest: The largest versions; None with it.
        split: Which two roots of one version are there; None where all are of one chain.
        fork: What two mirrors tell that can't both be true; None where all tell one history.
    """

    chain: Chain
    held: tuple[Held, ...]
    newest: Content | None
    highest: Versions | None
    split: str | None
    fork: str | None

    def one_history(self) -> Found:
        """Return it when all mirrors hold one history.

        Raises:
            ForkError: They don't.
        """
        if self.split is not None or self.fork is not None:
            raise ForkError(self.split or self.fork)
        return self

    def one_chain(self) -> Found:
        """Return it when all roots are of one chain, whatever else is told: people are about to sign what is right.

        Raises:
            ForkError: They aren't.
        """
        if self.split is not None:
            raise ForkError(self.split)
        return self


def roots_in(folder: Path) -> Chain | None:
    """Return the chain of roots that lies with the estate; None where there is none yet.

    Raises:
        UntrustedError: It is no chain.
        PublishError: It can't be read.
    """
    chain: Chain | None = None
    for version in range(1, MAX_ROOTS):
        path = folder / f"{version}.root.json"
        try:
            written = read_regular(path, MAX_METADATA_BYTES)
        except (FileNotFoundError, NotADirectoryError):
            return chain
        except UnfitFileError as error:
            raise PublishError(f"{path} {error.what}") from error
        except OSError as error:
            raise PublishError(f"{path} can't be read: {error.strerror}") from error
        try:
            chain = Chain.begun(written) if chain is None else chain.with_next(written)
        except UntrustedError as error:
            raise UntrustedError(f"{path}: {error}") from error
    return chain


def look(chain: Chain, mirrors: Iterable[Mirror]) -> Found:
    """Read every mirror.

    Args:
        chain: The roots that lie with the estate; a mirror may hold newer ones.
        mirrors: In the order declared.
    """
    places = list(mirrors)
    with ThreadPoolExecutor(max(1, len(places))) as pool:
        asked = [pool.submit(_roots, chain, mirror) for mirror in places]
        roots = [each.result() for each in asked]
        chain, split = _longest(chain, places, roots)
        reading = [pool.submit(_held, chain, mirror, own) for mirror, own in zip(places, roots, strict=True)]
    held = tuple(each.result() for each in reading)
    contents = [(each.mirror.name, each.content) for each in held if each.content is not None]
    return Found(
        chain=chain,
        held=held,
        newest=max((content for _, content in contents), key=_order, default=None),
        highest=_highest(content for _, content in contents),
        split=split,
        fork=fork(contents),
    )


def _order(content: Content) -> tuple[int, int, int]:
    return content.versions.targets, content.versions.snapshot, content.versions.timestamp


def _highest(contents: Iterable[Content]) -> Versions | None:
    versions = [content.versions for content in contents]
    if not versions:
        return None
    return Versions(
        timestamp=max(each.timestamp for each in versions),
        snapshot=max(each.snapshot for each in versions),
        targets=max(each.targets for each in versions),
        config_epoch=max((each.config_epoch for each in versions if each.config_epoch <= MAX_VERSION), default=0),
    )


def _roots(chain: Chain, mirror: Mirror) -> dict[int, bytes] | str:
    """Return the roots of a mirror, those that follow ours included; or why it can't be read."""
    found: dict[int, bytes] = {}
    try:
        for version in range(1, MAX_ROOTS):
            written = mirror.read(f"metadata/{version}.root.json", MAX_METADATA_BYTES)
            if written is not None:
                found[version] = written
            elif version > chain.version:
                break
    except MirrorError as error:
        return str(error)
    return found


def _longest(
    chain: Chain, mirrors: Iterable[Mirror], roots: Iterable[Mapping[int, bytes] | str]
) -> tuple[Chain, str | None]:
    """Follow the roots of each mirror as far as they are signed; and say where two different ones of a version are."""
    split = None
    for mirror, found in zip(mirrors, roots, strict=True):
        if isinstance(found, str):
            continue
        own = _followed(chain.upto(1), found)
        for version in range(2, min(own.version, chain.version) + 1):
            if own.at(version) != chain.at(version):
                split = (
                    f"{mirror.name} holds another version {version} of root.json than the estate's `roots` or a mirror "
                    "before it, both signed by enough keys: two ceremonies were held at once, or the root keys are in "
                    "other hands. Nothing was written. Find out which of the two is right, remove the other, and go on "
                    'from there (docs/keys.md, "Two histories")'
                )
                break
        else:
            chain = _followed(chain, found)
    return chain, split


def _followed(chain: Chain, found: Mapping[int, bytes]) -> Chain:
    while (written := found.get(chain.version + 1)) is not None:
        try:
            chain = chain.with_next(written)
        except UntrustedError:
            break
    return chain


def _held(chain: Chain, mirror: Mirror, roots: Mapping[int, bytes] | str) -> Held:
    if isinstance(roots, str):
        return Held(mirror=mirror, roots={}, root_version=1, content=None, fault=None, error=roots)
    reached = 1
    while reached < chain.version and roots.get(reached + 1) == chain.written[reached]:
        reached += 1
    content, fault = None, None
    try:
        files = _files(mirror)
        if files is not None:
            content = fitting(*files)
            if not content.stands_under(chain.at(reached)):
                content, fault = None, f"what it holds is not signed by the keys of root {reached}"
    except UntrustedError as error:
        fault = str(error)
    except MirrorError as error:
        return Held(mirror=mirror, roots=roots, root_version=reached, content=None, fault=None, error=str(error))
    return Held(mirror=mirror, roots=roots, root_version=reached, content=content, fault=fault, error=None)


def _files(mirror: Mirror) -> tuple[bytes, bytes, bytes, bytes] | None:
    """Return the files that a mirror's timestamp leads to; None where it has none.

    Raises:
        UntrustedError: It leads nowhere.
        MirrorError: The mirror can't be read.
    """
    timestamp = mirror.read(TIMESTAMP, MAX_METADATA_BYTES)
    if timestamp is None:
        return None
    version = read(Timestamp, timestamp, "timestamp.json").signed.snapshot_meta.version
    snapshot = _file(mirror, f"metadata/{version}.snapshot.json", MAX_METADATA_BYTES)
    meta = read(Snapshot, snapshot, f"{version}.snapshot.json").signed.meta.get("targets.json")
    if meta is None:
        raise UntrustedError(f"{version}.snapshot.json names no targets.json")
    targets = _file(mirror, f"metadata/{meta.version}.targets.json", MAX_METADATA_BYTES)
    named = read(Targets, targets, f"{meta.version}.targets.json").signed.targets.get(TARGET)
    if named is None:
        raise UntrustedError(f"{meta.version}.targets.json names no {TARGET}")
    manifest = _file(mirror, f"targets/{named.hashes.get('sha256', '')}.{TARGET}", MAX_BYTES)
    return timestamp, snapshot, targets, manifest


def _file(mirror: Mirror, path: str, at_most_bytes: int) -> bytes:
    found = mirror.read(path, at_most_bytes)
    if found is None:
        raise UntrustedError(f"{path} is missing")
    return found


def fork(contents: Iterable[tuple[str, Content]]) -> str | None:
    """Say what two mirrors hold that can't both be true; None where there is nothing of that kind. Pure.

    Two timestamps or snapshots of one version do no harm: what follows lies above both. What people have signed must
    be one history.
    """
    ordered = sorted(contents, key=lambda pair: _order(pair[1]))
    for (earlier_name, earlier), (later_name, later) in itertools.pairwise(ordered):
        both = f"{earlier_name} and {later_name}"
        if earlier.versions.targets == later.versions.targets:
            if _signed(earlier.targets) != _signed(later.targets):
                return _fork(both, f"two versions {later.versions.targets} of targets.json")
        elif later.versions.config_epoch < earlier.versions.config_epoch <= MAX_VERSION:
            return _fork(both, "a config_epoch that shrinks from one version of targets.json to the next")
        elif earlier.versions.config_epoch == later.versions.config_epoch and earlier.told != later.told:
            return _fork(both, f"two manifests of the config_epoch {later.versions.config_epoch}")

    return None


def _signed(targets: bytes) -> bytes:
    """Return what people have signed; more of them may have signed in one place than in another."""
    return Metadata[Targets].from_bytes(targets).signed_bytes


def _fork(both: str, what: str) -> str:
    return (
        f"{both} hold {what}, signed by enough keys: two publications were signed at once, or the targets keys are in "
        "other hands. Nothing was written. Look at both and find out which it was. Then people sign what the "
        'declaration says, above both: pulih publish --settle --key KEY.pem … (docs/keys.md, "Two histories")'
    )
