"""Many seeds, on a few processes: which faults have struck, and what they broke."""

from __future__ import annotations

import gc
import multiprocessing
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.sim import declared
from tests.sim.faults import Site, draw
from tests.sim.history import History, play

PROCESSES = 2
_BLOCK = 50


@dataclass
class Tally:
    """What some seeds brought.

    Attributes:
        fired: How often each fault has struck.
        failed: Histories that broke a promise.
    """

    seeds: int = 0
    fired: Counter[Site] = field(default_factory=Counter[Site])
    failed: list[History] = field(default_factory=list[History])

    def add(self, other: Tally) -> None:
        """Count some more."""
        self.seeds += other.seeds
        self.fired += other.fired
        self.failed += other.failed

    def missing(self) -> list[Site]:
        """Return the faults that never struck."""
        return [site for site in Site if not self.fired[site]]

    def line(self) -> str:
        """Return the campaign in a line."""
        fired = f"{len(Site) - len(self.missing())} of {len(Site)} faults fired"
        return f"{self.seeds} seeds, {fired}, {len(self.failed)} broken"


def replay(seed: int) -> History:
    """Play one seed with the trace that belongs to it."""
    return play(seed, draw(seed, declared.names()))


def block(first: int, end: int) -> Tally:
    """Play the seeds from `first` up to `end`."""
    tally = Tally()
    for seed in range(first, end):
        history = replay(seed)
        tally.seeds += 1
        tally.fired.update(history.fired)
        if history.broken:
            tally.failed.append(history)
    return tally


def blocks(seeds: int) -> Iterator[Tally]:
    """Play seeds on several processes; yields each block as it is through."""
    parts = [(first, min(first + _BLOCK, seeds)) for first in range(0, seeds, _BLOCK)]
    with multiprocessing.Pool(PROCESSES, initializer=gc.freeze) as pool:  # what all histories share is never rubbish
        yield from pool.imap(_block, parts)


def first_block(seeds: int) -> Iterator[Tally]:
    """Play seeds in this process, one after the other, up to the first that breaks a promise."""
    for seed in range(seeds):
        tally = block(seed, seed + 1)
        yield tally
        if tally.failed:
            return


def _block(part: tuple[int, int]) -> Tally:
    return block(*part)
