"""A unit in memory that speaks the applier's protocol, step by step, and can be struck at each step.

It is a twin of `recovery/applier.sh`; `tests/ssh/test_applier.py` holds the shell script to the same behaviour.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache


class Struck(BaseException):
    """The applier was killed where it stood."""


@dataclass(frozen=True, slots=True)
class Release:
    """A bundle on the unit's disk."""

    digest: str
    files: tuple[tuple[str, bytes], ...]


@dataclass
class SimUnit:
    """One unit's disk and service.

    Attributes:
        name: Of the unit.
        current: The release that `current` points to.
        loaded: Digest of what the service runs: the release at the last reload.
        receipt: Digest in the receipt; None when there is none.
        epoch: Number and holder of the largest accepted.
        applied: Digests that were swapped in, in order; a step done twice shows here.
        accepted: Every epoch number that was accepted, in order.
        serves: Whether a probe of a loaded release passes.
        writers: How many appliers are in the critical section now.
        broken: Invariants that did not hold.
    """

    name: str
    current: Release | None = None
    loaded: str | None = None
    receipt: str | None = None
    epoch: tuple[int, str] = (0, "-")
    applied: list[str] = field(default_factory=list[str])
    accepted: list[int] = field(default_factory=list[int])
    serves: Callable[[], bool] = lambda: True
    validates: Callable[[], bool] = lambda: True
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    writers: int = 0
    broken: list[str] = field(default_factory=list[str])


class Pipe:
    """Both directions between a session and an applier."""

    def __init__(self) -> None:
        self.to_unit: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.to_us: asyncio.Queue[str | None] = asyncio.Queue()
        self._rest = b""

    async def line(self) -> bytes:
        while b"\n" not in self._rest:
            self._rest += await self._more()
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    async def exactly(self, size: int) -> bytes:
        while len(self._rest) < size:
            self._rest += await self._more()
        found, self._rest = self._rest[:size], self._rest[size:]
        return found

    async def _more(self) -> bytes:
        chunk = await self.to_unit.get()
        if chunk is None:
            raise Struck
        return chunk

    def say(self, line: str) -> None:
        self.to_us.put_nowait(line)


async def applier(unit: SimUnit, pipe: Pipe, answer: Callable[[], str], step: Callable[[str], float]) -> None:
    """Run one visit.

    Args:
        unit: Whom.
        pipe: To the session; it may be cut at any time without stopping the visit.
        answer: What a test transaction is answered, with `{nonce}` in it.
        step: Called before each step; returns how long it takes, seconds, or raises `Struck`.
    """
    try:
        await _visit(unit, pipe, answer, step)
    except Struck:
        pass
    finally:
        pipe.to_us.put_nowait(None)


async def _visit(unit: SimUnit, pipe: Pipe, answer: Callable[[], str], step: Callable[[str], float]) -> None:
    words = (await pipe.line()).decode().split(" ")
    _, mode, _, _, digest, number, holder, _, size = words
    if mode == "probe":
        await asyncio.sleep(step("probe"))
        if unit.current is None or unit.loaded is None or not unit.serves():
            return pipe.say("failed probe probe-failed none")
        pipe.say(f"current {unit.current.digest}")
        pipe.say(f"answer {answer().format(nonce=holder)}")
        return pipe.say(f"done {unit.current.digest}")
    async with unit.lock:
        unit.writers += 1
        try:
            if unit.writers > 1:
                unit.broken.append(f"{unit.name}: two writers at once")
            await _apply(unit, pipe, answer, step, digest, (int(number), holder), int(size))
        finally:
            unit.writers -= 1
    return None


async def _apply(
    unit: SimUnit,
    pipe: Pipe,
    answer: Callable[[], str],
    step: Callable[[str], float],
    digest: str,
    epoch: tuple[int, str],
    size: int,
) -> None:
    if epoch[0] < unit.epoch[0] or (epoch[0] == unit.epoch[0] and epoch[1] != unit.epoch[1]):
        return pipe.say(f"refused stale-epoch {unit.epoch[0]} {unit.epoch[1]}")
    unit.epoch = epoch
    if unit.accepted and epoch[0] < unit.accepted[-1]:
        unit.broken.append(f"{unit.name}: accepted epoch {epoch[0]} after {unit.accepted[-1]}")
    unit.accepted.append(epoch[0])

    async def probe() -> bool:
        pipe.say("at probe")
        await asyncio.sleep(step("probe"))
        return unit.loaded == (unit.current.digest if unit.current else None) and unit.serves()

    async def reload() -> None:
        pipe.say("at reload")
        await asyncio.sleep(step("reload"))
        unit.loaded = unit.current.digest if unit.current else None

    async def finish() -> None:
        pipe.say("at receipt")
        await asyncio.sleep(step("receipt"))
        unit.receipt = digest

    if unit.current is not None and unit.current.digest == digest:
        pipe.say("same")
        if unit.receipt != digest or not await probe():
            await reload()
            if not await probe():
                return pipe.say("failed probe probe-failed untouched")
            await finish()
        pipe.say(f"answer {answer().format(nonce='n')}")
        return pipe.say(f"done {digest}")

    pipe.say("send")
    pipe.say("at stage")
    content = await pipe.exactly(size)
    await asyncio.sleep(step("stage"))
    release = _unpack(content)
    pipe.say("at check")
    if release is None or release.digest != digest:
        return pipe.say("failed check bad-answer untouched")
    pipe.say("at validate")
    await asyncio.sleep(step("validate"))
    if not unit.validates():
        return pipe.say("failed validate validate-failed untouched")
    pipe.say("at swap")
    await asyncio.sleep(step("swap"))
    before, old_receipt = unit.current, unit.receipt
    unit.receipt = None
    unit.current = release
    unit.applied.append(digest)
    await reload()
    if not await probe():
        pipe.say("at back")
        await asyncio.sleep(step("back"))
        unit.current = before
        unit.loaded = before.digest if before else None
        unit.receipt = old_receipt
        return pipe.say(f"failed probe probe-failed {'previous' if before else 'none'}")
    await finish()
    pipe.say(f"answer {answer().format(nonce='n')}")
    return pipe.say(f"done {digest}")


@cache
def _unpack(content: bytes) -> Release | None:
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            files = {
                member.name.removeprefix(".stage/"): (handle.read() if (handle := archive.extractfile(member)) else b"")
                for member in archive.getmembers()
            }
    except tarfile.TarError:
        return None
    manifest = files.pop("MANIFEST", b"")
    wanted = {line.split(" ")[2]: line.split(" ")[0] for line in manifest.decode().splitlines()}
    if wanted != {name: hashlib.sha256(body).hexdigest() for name, body in files.items()}:
        return None
    return Release("sha256:" + hashlib.sha256(manifest).hexdigest(), tuple(sorted(files.items())))
