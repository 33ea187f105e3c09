"""The `pulih` command, stopped or killed by its own hand at one record of the journal; a process of its own.

    python -m tests.chaos.stopping (kill|stop) (before|after) KIND NTH WORDS…

It is the production command but for the moment at which it gets the signal, so that a test meets the same point every
time: `before` has done the work and not recorded it, `after` has done neither more nor less than the record says.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from datetime import datetime

from recovery import runs
from recovery.cli.main import main
from recovery.journal import Journal


def journal(number: signal.Signals, when: str, wanted: str, nth: int) -> type[Journal]:
    """Return a journal at whose nth record of a kind this process gets a signal."""

    class Stopping(Journal):
        seen = 0

        def append(self, kind: str, at: datetime, data: Mapping[str, object], *, durable: bool = False) -> None:
            Stopping.seen += kind == wanted
            is_it = kind == wanted and Stopping.seen == nth
            if is_it and when == "before":
                os.kill(os.getpid(), number)
            super().append(kind, at, data, durable=durable)
            if is_it and when == "after":
                os.kill(os.getpid(), number)

    return Stopping


if __name__ == "__main__":
    _, how, moment, record, count, *words = sys.argv
    runs.Journal = journal({"kill": signal.SIGKILL, "stop": signal.SIGSTOP}[how], moment, record, int(count))
    sys.exit(main(words))
