"""A unit's disk: the releases, the receipt and the epoch on it, and what of them outlasts a power cut."""

from __future__ import annotations

import hashlib
import io
import random
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from types import MappingProxyType


@dataclass(frozen=True, slots=True, eq=False)
class Release:
    """A bundle on a unit's disk; each copy is another one.

    Attributes:
        files: Hex SHA-256 and mode by path.
        is_torn: Whether some of it never got to the platter.
    """

    digest: str
    files: Mapping[str, tuple[str, int]]
    is_torn: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """What stands on a unit's disk.

    Attributes:
        releases: By name.
        staged: What is unpacked and checked, but nothing points to.
        current: Name of the one that `current` points to.
        receipt: None when there is none, empty when it was emptied.
        epoch: Number and holder of the largest accepted.
    """

    releases: Mapping[str, Release] = field(default_factory=lambda: MappingProxyType({}))
    staged: Release | None = None
    current: str | None = None
    receipt: str | None = None
    epoch: tuple[int, str] = (0, "-")


class UnitDisk:
    """A unit's disk: what is written there, and what of it would outlast a power cut.

    Attributes:
        now: As every program sees it.
        is_full: Whether nothing more can be made on it.
    """

    def __init__(self, written: Written) -> None:
        self.now = self._synced = written
        self._since: list[Written] = []
        self.is_full = False

    def write(self, written: Written) -> None:
        """Write; on the platter it may come at any time."""
        self.now = written
        self._since.append(written)

    def sync(self) -> None:
        """Wait until all of it is on the platter."""
        self._synced, self._since = self.now, []

    def sync_epoch(self) -> None:
        """Wait until the epoch is on the platter."""
        epoch = self.now.epoch
        self._synced = replace(self._synced, epoch=epoch)
        self._since = [replace(written, epoch=epoch) for written in self._since]

    def lose_power(self, chance: random.Random) -> None:
        """Go back to what was synced and some of what came after it, in order; files may have lost their bytes."""
        found, whole = chance.choice([self._synced, *self._since]), {*self._synced.releases.values()}
        whole |= {self._synced.staged} if self._synced.staged else set()
        releases = {
            name: release if release in whole or chance.random() < 0.5 else replace(release, is_torn=True)
            for name, release in found.releases.items()
        }
        receipt = found.receipt if found.receipt == self._synced.receipt or chance.random() < 0.5 else ""
        self.now = self._synced = replace(found, releases=MappingProxyType(releases), receipt=receipt)
        self._since = []


@cache
def unpacked(content: bytes) -> Release | None:
    """Return the release that a bundle's tar holds; None when it is damaged."""
    files: dict[str, tuple[str, int]] = {}
    manifest = b""
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            for member in archive.getmembers():
                handle = archive.extractfile(member)
                body = handle.read() if handle else b""
                name = member.name.removeprefix(".stage/")
                files[name] = (hashlib.sha256(body).hexdigest(), member.mode)
                manifest = body if name == "MANIFEST" else manifest
    except (tarfile.TarError, EOFError):
        return None
    wanted: dict[str, tuple[str, int]] = {}
    for line in manifest.decode().splitlines():
        sha256, mode, path = line.split(" ")
        wanted[path] = (sha256, int(mode, 8))
    if wanted != {path: found for path, found in files.items() if path != "MANIFEST"}:
        return Release("damaged", MappingProxyType(files))
    return Release("sha256:" + hashlib.sha256(manifest).hexdigest(), MappingProxyType(files))
