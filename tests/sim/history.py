"""One history: a data centre is lost, operators recover from it, and a trace of faults befalls them.

First anything may happen, and the judge looks on (safety). Then faults stop, and a bounded number of commands must
bring everybody who can be reached to the declaration, and name those who can't (liveness).
"""

from __future__ import annotations

import contextlib
import io
import traceback
from contextlib import ExitStack
from dataclasses import dataclass, field

from tests.sim import pure
from tests.sim.bucket import reachable
from tests.sim.disk import mounted
from tests.sim.drama import Drama
from tests.sim.engine import plugged_in
from tests.sim.faults import Site, Trace
from tests.sim.loop import StuckError, run
from tests.sim.world import World


@dataclass
class History:
    """What became of a seed and a trace.

    Attributes:
        broken: Every promise that was broken; empty when all were held.
        told: What happened, line by line.
        fired: How often each fault has struck.
        records: How many records the first operator has written.
    """

    seed: int
    trace: Trace
    broken: list[str] = field(default_factory=list[str])
    told: list[str] = field(default_factory=list[str])
    fired: dict[Site, int] = field(default_factory=dict[Site, int])
    records: int = 0


def play(seed: int, trace: Trace) -> History:
    """Play a history to its end; the same seed and trace always give the same one."""
    history = History(seed, trace)
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            run(_play(history))
        except StuckError as error:
            history.broken.append(f"stuck: {error}")
        except Exception as error:  # outside of every process: the judge met what it can't read, as a torn declaration
            history.broken.append(f"the judge could not go on: {type(error).__name__}: {error}")
            history.told += traceback.format_exc().splitlines()
    return history


async def _play(history: History) -> None:
    world = World(history.seed, history.trace)
    with ExitStack() as stack:
        for context in (mounted(), reachable(world.bucket), pure.shared(world.declaration), plugged_in()):
            stack.enter_context(context)
        drama = Drama(world)
        try:
            await drama.safety()
            await drama.liveness()
        finally:
            history.broken, history.told = world.judge.broken, world.told
            history.fired, history.records = dict(world.fired), drama.first.records
