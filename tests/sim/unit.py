"""A unit in memory that speaks the applier's protocol, place by place, and can be struck at each of them.

It is a twin of `recovery/applier.sh`, step for step and write for write; `tests/contract/applier.py` holds both to the
same answers and the same traces on the disk.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import random
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from types import MappingProxyType
from typing import Protocol

LOCK_S = 25.0


class StruckError(BaseException):
    """The applier was killed where it stood."""


class FullError(Exception):
    """The disk has no room."""


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


class Surroundings(Protocol):
    """What a unit's applier meets, and whoever looks on."""

    async def at(self, place: str) -> None:
        """Be at a place: it takes time, and may be where the applier is struck.

        Raises:
            StruckError: It is.
        """
        ...

    def validates(self) -> bool:
        """Whether the staged bundle is found valid."""
        ...

    def let_in(self, epoch: tuple[int, str], digest: str) -> None:
        """Note that a writer's epoch was accepted."""
        ...

    def swaps(self, digest: str) -> None:
        """Note that another bundle is put in place."""
        ...

    def answer(self, nonce: str, epoch: int) -> str | None:
        """Return what a test transaction is answered; None when it fails."""
        ...


class Way(Protocol):
    """Stdin and stdout of an applier."""

    async def line(self) -> bytes | None:
        """Return the next line; None when there is none."""
        ...

    async def exactly(self, size: int) -> bytes:
        """Return that many bytes, or as many as come."""
        ...

    def say(self, line: str) -> None:
        """Write a line, if anybody still reads."""
        ...


@dataclass
class SimUnit:
    """One unit.

    Attributes:
        loaded: What its service runs: the release at the last reload or boot.
        lock: Held by whoever writes.
        sent: How many bundles were put in place.
    """

    name: str
    disk: UnitDisk = field(default_factory=lambda: UnitDisk(Written()))
    loaded: Release | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    sent: int = 0

    @property
    def current(self) -> Release | None:
        """The release that `current` points to."""
        return self.disk.now.releases.get(self.disk.now.current or "")

    def reload(self) -> None:
        """Let the service take up the current release."""
        self.loaded = self.current


async def applier(unit: SimUnit, way: Way, around: Surroundings) -> None:
    """Run one visit to its end, or to where it is struck."""
    line = await way.line()
    if line is None:
        return way.say("refused bad-header no header line within 25 s")
    _, mode, _, _, digest, number, holder, run, size = line.decode().split(" ")
    visit = _Visit(unit, way, around, digest, (int(number), holder), run, int(size))
    if mode == "read":
        return visit.read()
    if mode == "probe":
        return await visit.probe_only()
    try:
        async with asyncio.timeout(LOCK_S):
            await unit.lock.acquire()
    except TimeoutError:
        return way.say("refused timeout another applier is still at work on this unit")
    try:
        return await visit.write(mode)
    finally:
        unit.lock.release()


class _Visit:
    def __init__(
        self, unit: SimUnit, way: Way, around: Surroundings, digest: str, epoch: tuple[int, str], run: str, size: int
    ) -> None:
        self.unit, self.disk, self.way, self.around = unit, unit.disk, way, around
        self.digest, self.epoch, self.run, self.size = digest, epoch, run, size
        self.answered = ""
        self.receipt = ""
        self.back = "untouched"
        self.is_settled = True

    def read(self) -> None:
        say, now, current = self.way.say, self.disk.now, self.unit.current
        say(f"epoch {now.epoch[0]} {now.epoch[1]}")
        if now.receipt:
            say(f"receipt {now.receipt}")
        if current is None:
            return say("done none")
        say(f"current {now.current}")
        for path, (sha256, mode) in current.files.items():
            say(f"mode {_permissions(mode)} {path}")
            say(f"sum {'0' * 64 if current.is_torn else sha256} {path}")
        return say(f"done {current.digest}")

    async def probe_only(self) -> None:
        if self.unit.current is None:
            return self.way.say("failed probe probe-failed none")
        self.way.say(f"current {self.unit.current.digest}")
        passed = await self._probe(self.epoch[1])
        self.way.say(f"answer {self.answered}")
        return self.way.say(f"done {self.unit.current.digest}" if passed else "failed probe probe-failed untouched")

    async def write(self, mode: str) -> None:
        await self.around.at("epoch")
        known = self.disk.now.epoch
        if self.epoch[0] < known[0] or (self.epoch[0] == known[0] and self.epoch[1] != known[1]):
            return self._refused(f"stale-epoch {known[0]} {known[1]}")
        if self.epoch != known:
            if self.disk.is_full and known[0] == 0:
                return self._refused("disk-full cannot write the epoch")
            self._write(epoch=self.epoch)
            self.is_settled = False
        self.around.let_in(self.epoch, self.digest)
        if mode == "forget":
            self._write(receipt=None)
            self._settle()
            return self.way.say(f"done {self.digest}")
        current = self.unit.current
        self.receipt = self.disk.now.receipt or ""
        if current is None:
            self.back = "none"
        elif current.digest == self.digest and not current.is_torn:
            return await self._same()
        return await self._send()

    async def _same(self) -> None:
        self._settle()
        self.way.say("same")
        if f'"digest":"{self.digest}"' not in self.receipt:
            self.receipt = ""
        if self.receipt:
            self.way.say("at probe")
            if await self._probe():
                return self._serving()
        self.way.say("at reload")
        await self.around.at("reload")
        self.unit.reload()
        self.way.say("at probe")
        if not await self._probe():
            return self._failed("probe probe-failed")
        if not self.receipt and not await self._finish():
            return None
        return self._serving()

    async def _send(self) -> None:
        say = self.way.say
        await self.around.at("room")
        if self.disk.is_full:
            return self._refused("disk-full 0 KiB free")
        say("send")
        say("at stage")
        await self.around.at("stage")
        content = await self.way.exactly(self.size)
        if self.disk.is_full:
            return self._failed("stage disk-full")
        release = unpacked(content) if len(content) == self.size else None
        if release is None:
            return self._failed("stage internal")
        say("at check")
        await self.around.at("check")
        if release.digest != self.digest:
            return self._failed("check bad-answer")
        release = replace(release)
        self._write(staged=release)
        self.disk.sync()
        self.is_settled = True
        say("at validate")
        await self.around.at("validate")
        if not self.around.validates():
            return self._failed("validate validate-failed")
        say("at swap")
        return await self._swap(release)

    async def _swap(self, release: Release) -> None:
        keep, name, n = self.disk.now.current, self.digest, 0
        while name in self.disk.now.releases:
            n += 1
            name = f"{self.digest}.{n}"
        self._write(releases=MappingProxyType({**self.disk.now.releases, name: release}), staged=None)
        await self.around.at("moved")
        if self.receipt:
            self._write(receipt="")
        await self.around.at("emptied")
        if self.disk.is_full:
            self._remove(name)
            if self.receipt:
                self._write(receipt=self.receipt)
            return self._failed("swap disk-full")
        self.around.swaps(self.digest)
        self._write(current=name)
        await self.around.at("swapped")
        self.way.say("at reload")
        await self.around.at("reload")
        self.unit.reload()
        self.way.say("at probe")
        if not await self._probe():
            return await self._undo(name, keep)
        if not await self._finish():
            return None
        for old in set(self.disk.now.releases) - {name, keep}:
            self._remove(old)
        return self._serving()

    async def _undo(self, name: str, keep: str | None) -> None:
        self.way.say("at back")
        await self.around.at("back")
        self._write(current=keep)
        if keep is None:
            self.back = "none"
        else:
            self.unit.reload()
            self.back = "previous"
        self._remove(name)
        if keep is not None and self.receipt:
            self._write(receipt=self.receipt)
        self._failed("probe probe-failed")

    async def _finish(self) -> bool:
        self.way.say("at receipt")
        await self.around.at("receipt")
        if self.disk.is_full:
            self._write(receipt="")
            self.back = "new"
            self._failed("receipt disk-full")
            return False
        self.receipt = json.dumps(
            {
                "digest": self.digest,
                "epoch": self.epoch[0],
                "holder": self.epoch[1],
                "run": self.run,
                "applied_at": "2024-06-20T00:54:00Z",
            },
            separators=(",", ":"),
        )
        self._write(receipt=self.receipt)
        await self.around.at("written")
        return True

    def _serving(self) -> None:
        self.way.say(f"answer {self.answered}")
        self.way.say(f"receipt {self.receipt}")
        self.way.say(f"done {self.digest}")

    async def _probe(self, nonce: str = "drawn-by-the-unit") -> bool:
        await self.around.at("probe")
        answer = self.around.answer(nonce, self.epoch[0])
        self.answered = answer or ""
        return answer is not None

    def _failed(self, words: str) -> None:
        self._settle()
        self.way.say(f"failed {words} {self.back}")

    def _refused(self, words: str) -> None:
        self._settle()
        self.way.say(f"refused {words}")

    def _settle(self) -> None:
        if not self.is_settled:
            self.is_settled = True
            self.disk.sync_epoch()

    def _write(self, **changed: object) -> None:
        self.disk.write(replace(self.disk.now, **changed))  # type: ignore[arg-type]

    def _remove(self, name: str) -> None:
        left = {kept: release for kept, release in self.disk.now.releases.items() if kept != name}
        self._write(releases=MappingProxyType(left))


@cache
def _permissions(mode: int) -> str:
    return "-" + "".join(bit if mode & 0o400 >> place else "-" for place, bit in enumerate("rwxrwxrwx"))


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
