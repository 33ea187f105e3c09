"""What is trusted: the chain of root metadata from the first, and what its newest keys have signed. Pure.

Nothing here looks at the clock: a publisher reads, and renews, what has expired.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, cast

from tuf.api.exceptions import RepositoryError
from tuf.api.serialization import DeserializationError

from recovery.errors import UntrustedError
from recovery.publish.formats import AnySigned, Metadata, Root, Snapshot, Targets, Timestamp
from recovery.publish.manifest import TARGET, Manifest

MAX_METADATA_BYTES = 512 << 10
"""Of one file. Source: `UpdaterConfig` of python-tuf, the least of the sizes that its client takes."""
MAX_VERSION = (1 << 31) - 1
"""Versions begin at the minute since 1970 and grow by one, so that ours stay below this for 4,000 years. What lies
above was signed by a thief, who wants that nothing newer can follow."""

TIMESTAMP = "metadata/timestamp.json"
"""The one file that is written over; all others are named by version or content."""


def read(kind: type[AnySigned], written: bytes, name: str) -> Metadata[AnySigned]:
    """Read metadata of one kind; nothing is verified.

    Raises:
        UntrustedError: It is none.
    """
    try:
        found = cast("Metadata[Any]", Metadata.from_bytes(written))
    except (DeserializationError, RecursionError) as error:
        raise UntrustedError(f"{name} can't be read as TUF metadata") from error
    if not isinstance(found.signed, kind):
        raise UntrustedError(f"{name} holds {found.signed.type}, expected {kind.type}")
    if found.signed.version > MAX_VERSION:
        raise UntrustedError(
            f"{name} has version {found.signed.version}, which pulih never makes: whoever made it wants that nothing "
            "newer can follow. Where it is signed, its keys are in other hands (docs/keys.md)"
        )
    return cast("Metadata[AnySigned]", found)


def verified(root: Root, kind: type[AnySigned], written: bytes, name: str) -> AnySigned:
    """Read metadata that a root's keys have signed.

    Raises:
        UntrustedError: It is none, or not enough of them have.
    """
    found = read(kind, written, name)
    result = root.get_verification_result(kind.type, found.signed_bytes, found.signatures)
    if not result:
        raise UntrustedError(
            f"{name} is signed by {len(result.signed)} of the keys of {kind.type}, and root {root.version} wants "
            f"{result.threshold}"
        )
    return found.signed


def signed_for(root: Root, targets: bytes) -> bool:
    """Whether enough of a root's keys have signed targets metadata."""
    try:
        verified(root, Targets, targets, "targets.json")
    except UntrustedError:
        return False
    return True


@dataclass(frozen=True)
class Chain:
    """Root metadata from the first version on, each signed by enough keys of the one before and of its own.

    Attributes:
        written: As published, the first first.
    """

    written: tuple[bytes, ...]

    @staticmethod
    def begun(first: bytes) -> Chain:
        """Begin with the root that everything hangs on.

        Raises:
            UntrustedError: It isn't version 1, or not signed by enough of its own keys.
        """
        root = read(Root, first, "1.root.json").signed
        if root.version != 1:
            raise UntrustedError(f"1.root.json holds version {root.version}")
        verified(root, Root, first, "1.root.json")
        return Chain((first,))

    def with_next(self, written: bytes) -> Chain:
        """Return the chain with one more.

        Raises:
            UntrustedError: It isn't the next version, or not enough old or new keys have signed it.
        """
        name = f"{len(self.written) + 1}.root.json"
        fresh = verified(self.newest, Root, written, name)
        if fresh.version != len(self.written) + 1:
            raise UntrustedError(f"{name} holds version {fresh.version}")
        verified(fresh, Root, written, name)
        return Chain((*self.written, written))

    @cached_property
    def newest(self) -> Root:
        """The last."""
        return self.at(len(self.written))

    def at(self, version: int) -> Root:
        """Return one by its version."""
        return read(Root, self.written[version - 1], f"{version}.root.json").signed

    @property
    def version(self) -> int:
        """The last one's."""
        return len(self.written)

    def upto(self, version: int) -> Chain:
        """Return its beginning."""
        return Chain(self.written[:version])


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """The numbers that only grow."""

    timestamp: int
    snapshot: int
    targets: int
    config_epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """All but the roots of a repository, as published.

    Attributes:
        expires: By role, until when it is good, UTC.
    """

    timestamp: bytes
    snapshot: bytes
    targets: bytes
    manifest: bytes
    versions: Versions
    expires: Mapping[str, datetime]

    @property
    def told(self) -> Manifest:
        """What it tells."""
        return Manifest.read(self.manifest)

    def files(self) -> dict[str, bytes]:
        """Return the files by path, in the order in which they are to be written: what others refer to comes first."""
        return {
            manifest_path(self.manifest): self.manifest,
            f"metadata/{self.versions.targets}.targets.json": self.targets,
            f"metadata/{self.versions.snapshot}.snapshot.json": self.snapshot,
            TIMESTAMP: self.timestamp,
        }

    def stands_under(self, root: Root) -> bool:
        """Whether a root's keys have signed all of it."""
        try:
            verified(root, Timestamp, self.timestamp, "timestamp.json")
            verified(root, Snapshot, self.snapshot, "snapshot.json")
            verified(root, Targets, self.targets, "targets.json")
        except UntrustedError:
            return False
        return True


def manifest_path(manifest: bytes) -> str:
    """Return where a manifest lies."""
    return f"targets/{hashlib.sha256(manifest).hexdigest()}.{TARGET}"


def fitting(timestamp: bytes, snapshot: bytes, targets: bytes, manifest: bytes) -> Content:
    """Put files together that name each other; who signed them is not looked at.

    Raises:
        UntrustedError: They don't fit together.
    """
    newest = read(Timestamp, timestamp, "timestamp.json").signed
    names = read(Snapshot, snapshot, "snapshot.json").signed
    named = read(Targets, targets, "targets.json").signed
    meta = names.meta.get("targets.json")
    file = named.targets.get(TARGET)
    if meta is None or file is None:
        raise UntrustedError(f"{'snapshot.json' if meta is None else 'targets.json'} doesn't name what it must")
    try:
        newest.snapshot_meta.verify_length_and_hashes(snapshot)
        meta.verify_length_and_hashes(targets)
        file.verify_length_and_hashes(manifest)
    except RepositoryError as error:
        raise UntrustedError(f"the files don't belong together: {error}") from error
    if (newest.snapshot_meta.version, meta.version) != (names.version, named.version):
        raise UntrustedError("the files don't belong together: they name other versions than they have")
    return Content(
        timestamp=timestamp,
        snapshot=snapshot,
        targets=targets,
        manifest=manifest,
        versions=Versions(
            timestamp=newest.version,
            snapshot=names.version,
            targets=named.version,
            config_epoch=Manifest.read(manifest).config_epoch,
        ),
        expires={
            "timestamp": newest.expires,
            "snapshot": names.expires,
            "targets": named.expires,
        },
    )
