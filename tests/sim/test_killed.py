"""The orchestrator is struck at every single record of its journal, in every manner, and its run ends well."""

from __future__ import annotations

import pytest

from tests.sim.faults import LAST_RECORD, Fault, Site
from tests.sim.history import play

SEEDS = (0, 1)
"""One with the leases in a bucket and the units erased with their data centre, one with files and old releases."""

MANNERS = {
    "before": Fault(Site.KILLED, how="before"),
    "after": Fault(Site.KILLED, how="after"),
    "torn": Fault(Site.TORN_RECORD),
    "power": Fault(Site.POWER_LOST),
    "full": Fault(Site.JOURNAL_FULL),
    "overtaken": Fault(Site.OVERTAKEN, seconds=8),
    "within": Fault(Site.OVERTAKEN, how="within", seconds=8),
}


def struck(manner: str, record: int) -> Fault:
    plain = MANNERS[manner]
    return Fault(plain.site, at=record, how=plain.how, seconds=plain.seconds)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("manner", MANNERS)
def test_at_whatever_record_it_is_struck_nothing_is_lost(manner: str, seed: int) -> None:
    for record in range(1, LAST_RECORD + 1):
        fault = struck(manner, record)
        history = play(seed, (fault,))
        assert not history.broken, (fault, history.broken, history.told)
        assert sum(history.fired.values()) == 1, fault


def test_a_recovery_that_meets_no_fault_writes_so_many_records() -> None:
    assert {play(seed, ()).records for seed in SEEDS} == {LAST_RECORD}
