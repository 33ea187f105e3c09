"""From a history that broke a promise to the shortest one that breaks it too, as a test ready to paste."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

from tests.sim.faults import Fault
from tests.sim.history import History, play


def shortest(history: History) -> History:
    """Return the shortest failing history that can be found near a failing one: fewer faults, then plainer ones."""
    for size in range(len(history.trace)):
        for trace in combinations(history.trace, size):
            found = play(history.seed, trace)
            if found.broken:
                return _plainest(found)
    return _plainest(history)


def _plainest(history: History) -> History:
    for place, fault in enumerate(history.trace):
        for plainer in _plainer(fault):
            found = play(history.seed, (*history.trace[:place], plainer, *history.trace[place + 1 :]))
            if found.broken:
                return _plainest(found)
    return history


def _plainer(fault: Fault) -> Iterator[Fault]:
    """Yield the same fault earlier and shorter."""
    for at in {1, fault.at // 2, fault.at - 1}:
        if 0 < at < fault.at:
            yield replace(fault, at=at)
    for seconds in (0.0, fault.seconds / 2):
        if fault.seconds - seconds > 0 and fault.seconds > 1:
            yield replace(fault, seconds=seconds)


def as_test(history: History) -> str:
    """Return a failing history as a test."""
    faults = "".join(f"        {fault!r},\n" for fault in history.trace)
    broken = "".join(f"    # {sentence}\n" for sentence in history.broken)
    return (
        f"def test_story_of_seed_{history.seed}() -> None:\n{broken}"
        f"    trace: Trace = (\n{faults}    )\n    assert not play({history.seed}, trace).broken\n"
    )
