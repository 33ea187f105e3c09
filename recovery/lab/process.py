"""The lab process: `python -m recovery.lab.process FOLDER`, started by `start.up`, which tells it the rest on stdin.

Two processes, really. The first, the *guard*, stays small: it is the parent of the second, the *server*, which is the
lab and whose number stands in `lab.json`. Whichever of them is killed, the other kills everything that sessions left
(`reaper`) and ends too. Both hold the lock, so that whoever can take the lock knows that nothing is left.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from recovery.lab import reaper

READY = "ready"
"""What the process writes to stdout, and closes it, once everything listens."""


def main() -> int:
    """Be the guard: start the server, wait for its end, leave nothing behind."""
    folder = Path(sys.argv[1])
    lock = int(sys.argv[2])
    told = sys.stdin.read()
    os.umask(0o022)
    _point_at_nothing(0)
    # Handed over for the two of us: no session's shell may hold a listener or the lock.
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the descriptor that the listing itself is read from
            os.set_inheritable(int(entry.name), int(entry.name) < 3)
    reaper.adopt_orphans()
    guard = os.getpid()
    server = os.fork()
    if server == 0:
        os.setpgid(0, 0)  # so that a signal to the server's group leaves the guard to clean up
        return _serve(folder, told, guard)
    # An order to the guard is one to the lab; the guard itself ends when nothing is left.
    signal.signal(signal.SIGTERM, lambda _number, _frame: _tell(server, signal.SIGTERM))
    _point_at_nothing(1)
    os.closerange(3, lock)
    os.closerange(lock + 1, os.sysconf("SC_OPEN_MAX"))
    _, status = os.waitpid(server, 0)
    is_clean = reaper.end_descendants()
    code = os.waitstatus_to_exitcode(status)
    if code < 0:  # ended by a signal, so it could not tell itself
        print(f"the lab process was ended by signal {-code}", file=sys.stderr)
    if not is_clean:
        print("processes of the lab are left that would not end", file=sys.stderr)
    return 0 if code == 0 and is_clean else 1


def _serve(folder: Path, told: str, guard: int) -> int:
    """Be the server."""
    # Imported after the fork, to keep the guard small: asyncssh alone takes 25 MiB.
    from recovery.lab.server import serve

    reaper.end_with_parent(guard, signal.SIGTERM)
    reaper.adopt_orphans()
    serve(folder, told, ready=_ready)
    return 0


def _ready() -> None:
    print(READY, flush=True)
    _point_at_nothing(1)


def _tell(process: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, number)


def _point_at_nothing(descriptor: int) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, descriptor)
    os.close(nothing)


if __name__ == "__main__":
    sys.exit(main())
