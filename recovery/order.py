"""What a run is asked to do, and everything outside that it may touch."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from recovery.clock import Clock
from recovery.model.estate import Estate
from recovery.model.events import Event, Observer
from recovery.model.outcome import Cause, RunResult
from recovery.model.plan import Move, Plan, Wave
from recovery.model.visit import Epoch
from recovery.render import Renderer
from recovery.transport.base import Transport


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    """Why no further unit is started.

    Attributes:
        cause: What the units that were not started say.
        exit_code: Of the run.
    """

    cause: Cause
    reason: str
    exit_code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything outside that a run touches.

    Attributes:
        chance: Spreads pauses and draws nonces.
        halted: Asked before each unit whether the run must stop (a lease lost, Ctrl-C, `pulih cancel`).
        go_on: Asked when a wave is held, with the reason: whether to go on all the same.
        write_placement: Called once, before the first unit is touched, with the moves to write.
        observers: Told of every event, in order.
    """

    transport: Transport
    clock: Clock
    chance: random.Random
    halted: Callable[[], Halt | None]
    go_on: Callable[[Wave, str], Awaitable[bool]]
    write_placement: Callable[[tuple[Move, ...]], None]
    observers: tuple[Observer, ...] = ()

    def tell(self, event: Event) -> None:
        """Tell every observer."""
        for observer in self.observers:
            observer.notice(event)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a run is asked to do.

    Attributes:
        run: Its name.
        verb: The command that began it.
        estate: The estate with the target placement: the one the plan was made of.
        renderer: Of that estate.
        epoch: The right to write.
        parallel: Most steps in flight at once.
        lost_at: From when the time to recover counts; None means from the start.
        before: What an earlier part of the same run left: when it started, and the outcomes by unit.
    """

    run: str
    verb: str
    plan: Plan
    estate: Estate
    renderer: Renderer
    epoch: Epoch
    parallel: int
    lost_at: datetime | None
    before: RunResult | None = None
