"""Two hundred histories of the production code in a simulated world: whatever happens, the estate ends as declared."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.sim.driver import play
from tests.sim.world import FAULTS

SEEDS = 200
_BLOCK = 25


@pytest.mark.parametrize("first", range(0, SEEDS, _BLOCK))
def test_every_history_keeps_the_invariants_and_ends_as_declared(first: int) -> None:
    for seed in range(first, first + _BLOCK):
        history = play(seed)
        assert not history.broken, "\n".join([f"seed {seed}", *history.broken, *history.trace])


def test_a_seed_replays_exactly() -> None:
    for seed in (3, 17, 42):
        first, second = play(seed), play(seed)
        assert first.trace == second.trace
        assert {name: unit.applied for name, unit in first.world.units.items()} == {
            name: unit.applied for name, unit in second.world.units.items()
        }


def test_every_named_fault_fires() -> None:
    fired: Counter[str] = Counter()
    for seed in range(16):
        fired += play(seed).world.fired
    assert set(fired) == set(FAULTS)
