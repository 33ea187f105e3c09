"""One publication at a time on a machine: a timer's waits for a person's, and the other way round.

Machines that publish at once do no harm to clients (see `looking.fork`); what people sign is one history anyway.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from recovery.writing import alone

WAIT_S = 20.0
"""A publication takes seconds, unless a mirror doesn't answer."""


@contextmanager
def turn(state: Path, wait_s: float = WAIT_S) -> Generator[None]:
    """Have the only publication of this machine's state folder for a while.

    Raises:
        HeldError: Another one goes on for longer than we wait.
    """
    state.mkdir(parents=True, exist_ok=True)
    with alone(state / "publish.lock", wait_s, told="another publication is at work"):
        yield
