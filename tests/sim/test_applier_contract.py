"""The simulated unit keeps the contract that the real applier keeps, and what a power cut leaves of its disk."""

from __future__ import annotations

import json
import random

import pytest

from recovery.apply import tar, tar_size
from recovery.model.bundle import Bundle
from tests.contract.applier import *  # noqa: F403  the suite's tests, collected here
from tests.contract.applier import DEAF, INVALID, A, B, Kept, Subject
from tests.sim.loop import run
from tests.sim.unit import SimUnit, StruckError, applier


class TwinUnit:
    """A simulated unit, with a way to it and surroundings as plain as can be."""

    def __init__(self) -> None:
        self.unit = SimUnit("unit")
        self.struck = ""
        self._input = b""
        self._content = b""
        self._answers: list[str] = []

    def visit(
        self, mode: str, wanted: Bundle | None, epoch: int, *, holder: str = "h", part: float = 1.0, struck: str = ""
    ) -> list[str]:
        digest, size = (wanted.digest, tar_size(wanted)) if wanted else ("-", 0)
        self._input = f"pulih/1 {mode} unit /srv/pulih {digest} {epoch} {holder} run {size}".encode()
        self._content = tar(wanted)[: int(size * part)] if wanted else b""
        self._answers, self.struck = [], struck
        run(self._visited())
        return self._answers

    async def _visited(self) -> None:
        try:
            await applier(self.unit, self, self)
        except StruckError:
            return

    def fill(self) -> None:
        self.unit.disk.is_full = True

    def empty(self) -> None:
        self.unit.disk.is_full = False

    def kept(self) -> Kept:
        now, current = self.unit.disk.now, self.unit.current
        return Kept(
            current=current.digest if current else None,
            receipt=json.loads(now.receipt)["digest"] if now.receipt else now.receipt,
            epoch=now.epoch[0],
            releases=len(now.releases),
        )

    async def line(self) -> bytes | None:
        return self._input

    async def exactly(self, size: int) -> bytes:
        return self._content[:size]

    def say(self, line: str) -> None:
        word = line.split(" ")[0]
        plain = word if word in ("answer", "receipt", "done", "current") else line
        self._answers.append("refused disk-full" if line.startswith("refused disk-full") else plain)

    async def at(self, place: str) -> None:
        if place == self.struck:
            raise StruckError

    def validates(self) -> bool:
        return f" {INVALID.digest} ".encode() not in self._input

    def let_in(self, epoch: tuple[int, str], digest: str) -> None: ...

    def swaps(self, digest: str) -> None: ...

    def answer(self, nonce: str, epoch: int) -> str | None:
        del epoch
        loaded = self.unit.loaded
        return None if loaded is None or loaded.digest == DEAF.digest else f"answered {nonce}"


@pytest.fixture
def unit() -> Subject:
    return TwinUnit()


@pytest.mark.parametrize("struck", ["stage", "check", "validate", "moved", "emptied", "swapped", "receipt", ""])
def test_whatever_a_power_cut_leaves_of_its_disk_is_whole(struck: str) -> None:
    for seed in range(40):
        twin = TwinUnit()
        twin.visit("apply", A, 1)
        twin.unit.disk.sync()
        twin.visit("apply", B, 2, struck=struck)
        twin.unit.disk.lose_power(random.Random(seed))
        current = twin.unit.current
        assert current is not None
        assert (current.is_torn, current.digest in (A.digest, B.digest)) == (False, True)


def test_an_epoch_outlasts_a_power_cut_behind_the_visit_that_brought_it() -> None:
    for number, wanted in ((2, A), (3, INVALID), (4, B)):
        twin = TwinUnit()
        twin.visit("apply", A, 1)
        twin.visit("apply", wanted, number)
        twin.unit.disk.lose_power(random.Random(number))
        assert twin.kept().epoch == number
