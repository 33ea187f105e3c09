"""One publication at a time on a machine: a timer's waits for a person's, and the other way round.

Machines that publish at once do no harm to clients (see `looking.fork`); what people sign is one history anyway.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from recovery.errors import HeldError

WAIT_S = 20.0
"""A publication takes seconds, unless a mirror doesn't answer."""
_PAUSE_S = 0.1


@contextmanager
def turn(state: Path, wait_s: float = WAIT_S) -> Generator[None]:
    """Have the only publication of this machine's state folder for a while.

    Raises:
        HeldError: Another one goes on for longer than we wait.
    """
    state.mkdir(parents=True, exist_ok=True)
    lock = state / "publish.lock"
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise HeldError(
                        f"another publication has gone on for {wait_s:g} s (it holds {lock}); try again when it has "
                        "ended"
                    ) from None
                time.sleep(_PAUSE_S)
        yield
    finally:
        os.close(descriptor)
