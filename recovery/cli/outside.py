"""What a run needs of the machine that it is conducted from; a simulation puts another machine in its place."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from recovery.cli import connecting, loading
from recovery.cli.context import where
from recovery.cli.settings import Settings
from recovery.clock import Clock, WallClock
from recovery.declared import load, write_placement
from recovery.model.estate import Estate
from recovery.model.plan import Move
from recovery.processes import LinuxProcesses, Processes
from recovery.store import Store
from recovery.transport.base import Transport


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """One machine, seen by the run that is conducted from it.

    Attributes:
        read: Reads the declaration and checks all of it, as somebody does who is about to connect.
        look: Reads the declaration's files only, to see whether they are as they were.
        write_placement: Changes the declaration.
        store: Where an estate's leases are kept.
        transport: The way to an estate's units.
    """

    chance: random.Random
    clock: Clock
    processes: Processes
    read: Callable[[], loading.Declared]
    look: Callable[[], Estate]
    write_placement: Callable[[tuple[Move, ...]], None]
    store: Callable[[Estate], Store]
    transport: Callable[[Estate], Transport]


def this_machine(settings: Settings) -> Outside:
    """Return the machine that this process runs on."""
    return Outside(
        chance=random.SystemRandom(),
        clock=WallClock(),
        processes=LinuxProcesses(where()),
        read=partial(loading.connectable, settings.estate),
        look=partial(load, settings.estate),
        write_placement=partial(write_placement, settings.estate),
        store=lambda estate: connecting.leases_store(estate, settings.state),
        transport=lambda estate: connecting.transport(estate, settings.parallel),
    )
