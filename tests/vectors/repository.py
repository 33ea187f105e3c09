"""Repositories for conformance vectors: sound ones and forged ones, byte by byte the same each time they are made.

The keys are made from their names, so that everybody has them: they are worth nothing outside of tests.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tuf.api.metadata import Metadata

if TYPE_CHECKING:  # both packages export these without saying so to a type checker
    from securesystemslib.signer._crypto_signer import CryptoSigner
    from tuf.api._payload import MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp
else:
    from securesystemslib.signer import CryptoSigner
    from tuf.api.metadata import MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp

DAY = timedelta(days=1)
BEGAN = datetime(2026, 3, 1, tzinfo=UTC)

TARGET = "citizen-app.json"

_Signed = TypeVar("_Signed", "Root", "Timestamp", "Snapshot", "Targets")


@cache
def key(name: str) -> CryptoSigner:
    """Return the test key of a name, such as `root-1`."""
    seed = hashlib.sha256(f"pulih test key, worth nothing: {name}".encode()).digest()
    return CryptoSigner(Ed25519PrivateKey.from_private_bytes(seed))


def names(role: str, count: int, generation: str = "") -> list[str]:
    """Return names of keys: `targets-1` and on."""
    return [f"{role}{generation}-{number}" for number in range(1, count + 1)]


def a_manifest(epoch: int = 7, data_centre: str = "cloud-1", **others: object) -> bytes:
    """Return a manifest in the form that a recovery publishes; None as a value leaves a field out."""
    places = [{"data_centre": data_centre, "url": f"https://citizen-app.{data_centre}.example/"}]
    fields: dict[str, object] = {
        "schema": "pulih/citizen-app/v1",
        "config_epoch": epoch,
        "minimum_version": "4.2.0",
        "services": {"citizen-app": places},
        "reset": ["endpoints", "sessions", "pins"],
        "keep": ["drafts", "bookings", "documents"],
        "message": {"id": "Layanan pulih.", "en": "The services are back."},
        **others,
    }
    return json.dumps({name: value for name, value in fields.items() if value is not None}, indent=1).encode()


def sign(signed: _Signed, by: Sequence[str]) -> bytes:
    """Return metadata signed by keys, in that order."""
    metadata = Metadata(signed)
    for name in by:
        metadata.sign(key(name), append=True)
    return metadata.to_bytes()


@dataclass
class Repository:
    """A repository under way; its methods write one file each, `publish` all that a change needs.

    Attributes:
        now: When its files are made; they expire so long after it.
        keys: By role, the names of its keys.
        thresholds: By role, how many must sign.
        versions: By role, the version that was made last.
        hashes: Whether metadata names what it refers to by length and digest as well as by version.
        files: What a mirror shows.
        targets: What the targets name.
    """

    now: datetime = BEGAN
    keys: dict[str, list[str]] = field(
        default_factory=lambda: {
            "root": names("root", 3),
            "targets": names("targets", 3),
            "snapshot": names("snapshot", 1),
            "timestamp": names("timestamp", 1),
        }
    )
    thresholds: dict[str, int] = field(default_factory=lambda: {"root": 2, "targets": 2, "snapshot": 1, "timestamp": 1})
    versions: dict[str, int] = field(default_factory=lambda: {"root": 0, "targets": 0, "snapshot": 0, "timestamp": 0})
    hashes: bool = True
    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    targets: dict[str, TargetFile] = field(default_factory=dict[str, TargetFile])

    def fork(self, after: timedelta = timedelta()) -> Repository:
        """Return another one that goes on from here, so long after."""
        other = deepcopy(self)
        other.now += after
        return other

    def root(self, by: Sequence[str] | None = None, lasts: timedelta = 365 * DAY, **changed: list[str]) -> Repository:
        """Write the next root, with changed keys by role; signed by enough of the old ones and of the new."""
        before = self.keys["root"]
        self.keys = {**self.keys, **changed}
        version = self._next("root")
        signed = Root(version=version, expires=self.now + lasts, consistent_snapshot=True)
        for role, members in self.keys.items():
            for name in members:
                signed.add_key(key(name).public_key, role)
            signed.roles[role].threshold = self.thresholds[role]
        enough = self.thresholds["root"]
        both = dict.fromkeys((*before[:enough], *self.keys["root"][:enough]))
        self.files[f"metadata/{version}.root.json"] = sign(signed, list(both) if by is None else by)
        return self

    def cut_targets(
        self, *, by: Sequence[str] | None = None, lasts: timedelta = 90 * DAY, version: int | None = None
    ) -> bytes:
        """Write the next targets."""
        number = self._next("targets", version)
        signed = Targets(version=number, expires=self.now + lasts, targets=dict(self.targets))
        return self._write("targets", f"metadata/{number}.targets.json", signed, by)

    def cut_snapshot(
        self,
        *,
        by: Sequence[str] | None = None,
        lasts: timedelta = 7 * DAY,
        version: int | None = None,
        meta: Mapping[str, MetaFile] | None = None,
    ) -> bytes:
        """Write the next snapshot, of the targets that were made last."""
        number = self._next("snapshot", version)
        if meta is None:
            meta = {"targets.json": self._named("targets", f"metadata/{self.versions['targets']}.targets.json")}
        signed = Snapshot(version=number, expires=self.now + lasts, meta=dict(meta))
        return self._write("snapshot", f"metadata/{number}.snapshot.json", signed, by)

    def cut_timestamp(
        self, *, by: Sequence[str] | None = None, lasts: timedelta = DAY, version: int | None = None
    ) -> bytes:
        """Write the next timestamp, of the snapshot that was made last."""
        number = self._next("timestamp", version)
        meta = self._named("snapshot", f"metadata/{self.versions['snapshot']}.snapshot.json")
        signed = Timestamp(version=number, expires=self.now + lasts, snapshot_meta=meta)
        return self._write("timestamp", "metadata/timestamp.json", signed, by)

    def put(self, content: bytes) -> Repository:
        """Have the targets name a manifest, from the next ones on."""
        target = TargetFile.from_data(TARGET, content, ["sha256"])
        self.targets = {TARGET: target}
        self.files[f"targets/{target.hashes['sha256']}.{TARGET}"] = content
        return self

    def publish(self, content: bytes | None = None) -> Repository:
        """Publish a manifest, or what there is, anew."""
        if content is not None:
            self.put(content)
        self.cut_targets()
        return self.refresh()

    def refresh(self) -> Repository:
        """Write snapshot and timestamp anew, as a timer does."""
        self.cut_snapshot()
        self.cut_timestamp()
        return self

    def _next(self, role: str, version: int | None = None) -> int:
        self.versions[role] = self.versions[role] + 1 if version is None else version
        return self.versions[role]

    def _write(self, role: str, path: str, signed: _Signed, by: Sequence[str] | None) -> bytes:
        content = sign(signed, self.keys[role][: self.thresholds[role]] if by is None else by)
        self.files[path] = content
        return content

    def _named(self, role: str, path: str) -> MetaFile:
        version = self.versions[role]
        if not self.hashes:
            return MetaFile(version=version)
        return MetaFile.from_data(version, self.files[path], ["sha256"])


def a_repository(content: bytes | None = None) -> Repository:
    """Return a sound one, with its first root and a manifest."""
    return Repository().root().publish(a_manifest() if content is None else content)
