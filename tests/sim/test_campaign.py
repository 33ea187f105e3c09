"""Two thousand histories of the production code in a simulated world: whatever strikes, no promise is broken."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.sim.campaign import block, replay
from tests.sim.faults import Site
from tests.sim.shrink import as_test, shortest

SEEDS = 2000
_BLOCK = 50


@pytest.mark.parametrize("first", range(0, SEEDS, _BLOCK))
def test_whatever_strikes_no_promise_is_broken_and_all_recover(first: int) -> None:
    tally = block(first, first + _BLOCK)
    assert not tally.failed, as_test(shortest(tally.failed[0]))


def test_a_history_replays_exactly() -> None:
    for seed in (3, 17, 42, 127):
        first, second = replay(seed), replay(seed)
        assert first.told == second.told
        assert first.fired == second.fired


def test_every_named_fault_fires() -> None:
    fired: Counter[Site] = Counter()
    seed = 0
    while len(fired) < len(Site) and seed < SEEDS:
        fired.update(replay(seed).fired)
        seed += 1
    assert set(fired) == set(Site)
