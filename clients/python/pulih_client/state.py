"""What a client keeps on its own disk, and how it is changed: killed anywhere, it has the old configuration or the new.

DIR/config.json    the configuration in use; its rename is the moment at which it changes
DIR/seen.json      what the mirrors said last; may be lost at any time
DIR/trusted/       metadata that was verified, as `tuf.ngclient` keeps it
DIR/data/NAME/     what the app keeps: sessions, drafts and the like
DIR/lock           held by the one process that polls
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from pulih_client import manifest
from pulih_client.manifest import Manifest
from pulih_client.reasons import RefusedError

RESETTABLE = frozenset({"endpoints", "sessions", "pins"})
"""What a manifest can make this app forget: it comes again by itself. What people have entered is not among it, so no
manifest, not even one signed with stolen keys, can delete a draft."""

_SCHEMA = "pulih/client-state/v1"
_MAX_BYTES = 1 << 20


class BusyError(Exception):
    """Another process polls with the same state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the mirrors said last.

    Attributes:
        timestamp: Digest of the timestamp that the configuration in use came with; empty when none did.
        etags: By mirror, its name for that timestamp.
        checked_at: When a mirror was last followed; None when none ever was.
        valid_until: When what it said expires.
        expires: Which file it is that expires then.
    """

    timestamp: str = ""
    etags: Mapping[str, str] = field(default_factory=dict[str, str])
    checked_at: datetime | None = None
    valid_until: datetime | None = None
    expires: str = "timestamp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """The configuration in use.

    Attributes:
        targets_keys: Ids of the keys that could sign it; empty for the one that came with the app.
    """

    manifest: Manifest
    targets_keys: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 of the manifest, hexadecimal."""
        return hashlib.sha256(self.manifest.raw.encode()).hexdigest()


class State:
    """The folder of one installation.

    Args:
        folder: It is made when it is not there.
        shipped: The manifest that came with the app, used until one was learned; None when the app has none.
    """

    def __init__(self, folder: Path, shipped: bytes | None = None) -> None:
        self.folder = folder
        self.trusted = folder / "trusted"
        self._config, self._seen, self._data = folder / "config.json", folder / "seen.json", folder / "data"
        self._shipped = None if shipped is None else Applied(manifest=manifest.read(shipped))
        for path in (self.trusted, self._data):
            path.mkdir(parents=True, exist_ok=True)

    def data(self, name: str) -> Path:
        """Return the folder of something that the app keeps; it may not be there."""
        return self._data / name

    def applied(self) -> Applied | None:
        """Return the configuration in use, once what it resets is gone; None when there never was one.

        To be called before the app touches its data: a configuration that was taken just before the power went is
        completed here.
        """
        document = _read(self._config)
        if document is None:
            return self._shipped
        pending = [name for name in _texts(document.get("pending")) if name in RESETTABLE]
        if pending:
            for name in pending:
                _remove(self.data(name))
            _write(self._config, {**document, "pending": []})
        try:
            learned = manifest.read(str(document.get("manifest")).encode())
        except RefusedError:
            return self._shipped
        return Applied(manifest=learned, targets_keys=_texts(document.get("targets_keys")))

    def apply(self, new: Applied) -> None:
        """Take a new configuration into use, and forget what it resets and doesn't keep."""
        pending = sorted(RESETTABLE & set(new.manifest.reset) - set(new.manifest.keep))
        document = {
            "schema": _SCHEMA,
            "manifest": new.manifest.raw,
            "targets_keys": list(new.targets_keys),
            "pending": pending,
        }
        _write(self._config, document)
        self.applied()

    def seen(self) -> Seen:
        """Return what the mirrors said last."""
        document = _read(self._seen) or {}
        etags = document.get("etags")
        return Seen(
            timestamp=str(document.get("timestamp", "")),
            etags={k: v for k, v in cast(dict[str, object], etags).items() if isinstance(v, str)}
            if isinstance(etags, dict)
            else {},
            checked_at=_moment(document.get("checked_at")),
            valid_until=_moment(document.get("valid_until")),
            expires=str(document.get("expires", "timestamp")),
        )

    def record(self, seen: Seen) -> None:
        """Keep what a mirror said."""
        document = {
            "timestamp": seen.timestamp,
            "etags": dict(seen.etags),
            "checked_at": seen.checked_at and seen.checked_at.isoformat(),
            "valid_until": seen.valid_until and seen.valid_until.isoformat(),
            "expires": seen.expires,
        }
        _write(self._seen, document, durable=False)

    def timestamp_digest(self) -> str:
        """Return the digest of the trusted timestamp; empty when there is none."""
        try:
            return hashlib.sha256((self.trusted / "timestamp.json").read_bytes()).hexdigest()
        except OSError:
            return ""

    @contextmanager
    def alone(self) -> Generator[None]:
        """Be the only process that polls; what an earlier one left half written is removed.

        Raises:
            BusyError: Another one does.
        """
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BusyError(f"another process polls with {self.folder}") from None
            for left in self.trusted.glob("tmp*"):
                left.unlink(missing_ok=True)
            yield
        finally:
            os.close(descriptor)


def _write(path: Path, document: Mapping[str, object], *, durable: bool = True) -> None:
    """Write a file in one step: it has the old content or the new one, whoever is killed when."""
    new = path.with_suffix(".new")
    with new.open("w", encoding="utf-8") as file:
        file.write(json.dumps(document))
        file.flush()
        if durable:
            os.fsync(file.fileno())
    new.replace(path)
    if durable:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _read(path: Path) -> dict[str, object] | None:
    """Return what a file says; None when it is not there or is none of ours."""
    try:
        with path.open("rb") as file:
            document: object = json.loads(file.read(_MAX_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    return cast(dict[str, object], document) if isinstance(document, dict) else None


def _remove(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        shutil.rmtree(path)


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, cast(list[object], value))) if isinstance(value, list) else ()


def _moment(value: object) -> datetime | None:
    with suppress(TypeError, ValueError, OverflowError):
        moment = datetime.fromisoformat(str(value))
        return moment.astimezone(UTC) if moment.tzinfo else None
    return None
