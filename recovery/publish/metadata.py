"""The four kinds of metadata as pulih makes them: who signs how many, how long each is good for. Pure.

Source: The Update Framework Specification 1.0.31, sections 4 and 6.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from tuf.api.serialization.json import JSONSerializer

from recovery.publish.formats import (
    AnySigned,
    Key,
    Metadata,
    MetaFile,
    Role,
    Root,
    Signer,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from recovery.publish.manifest import TARGET

ROLES = ("root", "targets", "snapshot", "timestamp")
OFFLINE = ("root", "targets")
"""Signed by people, who bring their keys along."""
ONLINE = ("snapshot", "timestamp")
"""Signed by a machine, by keys that lie there."""

LIFETIMES: Mapping[str, timedelta] = {
    "root": timedelta(days=365),
    "targets": timedelta(days=90),
    "snapshot": timedelta(days=7),
    "timestamp": timedelta(days=1),
}
"""How long what is signed now is good for. The timestamp's bounds how long a thief can hold clients back."""

KEYS: Mapping[str, int] = {"root": 3, "targets": 3, "snapshot": 1, "timestamp": 1}
THRESHOLDS: Mapping[str, int] = {"root": 2, "targets": 2, "snapshot": 1, "timestamp": 1}


def to_bytes(metadata: Metadata[AnySigned]) -> bytes:
    """Return metadata as it is published: without a byte that clients need not fetch."""
    return metadata.to_bytes(JSONSerializer(compact=True)) + b"\n"


def expiry(role: str, now: datetime) -> datetime:
    """Return until when what is signed now is good, in whole seconds, UTC."""
    return (now + LIFETIMES[role]).replace(microsecond=0)


def first_version(now: datetime) -> int:
    """Return the version that a repository begins with: the minutes since 1970.

    Versions grow by one a publication, so that a repository begun again when every mirror has burned lies above
    whatever clients have seen, without anybody having to remember it.
    """
    return int(now.timestamp()) // 60


def root(keys: Mapping[str, Sequence[Key]], thresholds: Mapping[str, int], version: int, now: datetime) -> Root:
    """Return root metadata: the keys of each role, and how many of them must sign."""
    made = Root(
        version=version,
        expires=expiry("root", now),
        consistent_snapshot=True,
        roles={role: Role([], thresholds[role]) for role in ROLES},
    )
    for role in ROLES:
        for key in keys[role]:
            made.add_key(key, role)
    return made


def targets(manifest: bytes, version: int, now: datetime) -> Targets:
    """Return the metadata that names the manifest."""
    file = TargetFile.from_data(TARGET, manifest, ["sha256"])
    return Targets(version=version, expires=expiry("targets", now), targets={TARGET: file})


def snapshot(of: bytes, targets_version: int, version: int, now: datetime) -> Snapshot:
    """Return the metadata that says which targets metadata goes with it.

    Args:
        of: The targets metadata, as it will be published.
        targets_version: Its version.
        version: Of the snapshot.
        now: The moment.
    """
    meta = {"targets.json": MetaFile.from_data(targets_version, of, ["sha256"])}
    return Snapshot(version=version, expires=expiry("snapshot", now), meta=meta)


def timestamp(of: bytes, snapshot_version: int, version: int, now: datetime) -> Timestamp:
    """Return the metadata that says which snapshot is the newest.

    Args:
        of: The snapshot, as it will be published.
        snapshot_version: Its version.
        version: Of the timestamp.
        now: The moment.
    """
    meta = MetaFile.from_data(snapshot_version, of, ["sha256"])
    return Timestamp(version=version, expires=expiry("timestamp", now), snapshot_meta=meta)


def signed_by(made: AnySigned, signers: Iterable[Signer]) -> Metadata[AnySigned]:
    """Return metadata with the signatures of these keys."""
    metadata: Metadata[AnySigned] = Metadata(made)
    for signer in signers:
        metadata.sign(signer, append=True)
    return metadata
