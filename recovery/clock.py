"""Time and chance, so that a run can be repeated: the event loop's clock for durations, this one for dates."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the date. Durations and pauses come from the running event loop."""

    def now(self) -> datetime:
        """Return the moment, UTC."""
        ...


class WallClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the moment, UTC."""
        return datetime.now(UTC)


def new_run(verb: str, now: datetime, chance: random.Random) -> str:
    """Return the name of a new run: sortable by time, unique, a field of the applier's header.

    For example `20240620T005400Z-recover-3f9a1c`.
    """
    return f"{now:%Y%m%dT%H%M%SZ}-{verb}-{chance.getrandbits(24):06x}"
