"""A unit in memory that speaks the applier's protocol, place by place, and can be struck at each of them.

It is a twin of `recovery/applier.sh`, step for step and write for write; `tests/contract/applier.py` holds both to the
same answers and the same traces on the disk.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field, replace
from functools import cache
from types import MappingProxyType
from typing import Protocol

from tests.sim.platter import Release, UnitDisk, Written, unpacked

LOCK_S = 25.0


class StruckError(BaseException):
    """The applier was killed where it stood."""


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

    def is_as(self, digest: str) -> bool:
        """Whether it has a bundle whole, and a receipt of it."""
        current = self.current
        is_whole = current is not None and current.digest == digest and not current.is_torn
        return is_whole and f'"digest":"{digest}"' in (self.disk.now.receipt or "")

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
    lock = unit.lock  # of this boot
    try:
        async with asyncio.timeout(LOCK_S):
            await lock.acquire()
    except TimeoutError:
        return way.say("refused timeout another applier is still at work on this unit")
    try:
        return await visit.write(mode)
    finally:
        lock.release()


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
