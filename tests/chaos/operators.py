"""Faults of the right to write and of the record: two operators, a takeover, lost leases, a full disk of the state."""

from __future__ import annotations

import json
import os
import signal
from datetime import UTC, datetime

from recovery.lease import TIME_TO_LIVE
from tests.chaos.machines import wait_until
from tests.chaos.trial import Kind, Trial, ended


def second_operator(trial: Trial) -> None:
    """Somebody else deploys while a run is at work: told who holds what, and touches nothing."""
    process = trial.stopped("after", "unit-started", "6")
    second = trial.ground.pulih("apply")
    assert second.returncode == 4, second
    assert trial.run is not None
    assert trial.run in second.stderr
    assert trial.go_on(process).returncode == 0


def at_the_same_moment(trial: Trial) -> None:
    """Two operators press return at once: one gets through, or one after the other."""
    both = [trial.begin(), trial.begin()]
    codes = sorted(ended(process).returncode for process in both)
    assert codes in ([0, 4], [0, 0]), codes


def taken_over(trial: Trial) -> None:
    """The orchestrator freezes for longer than its lease lasts, is taken over, and wakes."""
    process = trial.stopped("after", "unit-started", "6")
    assert trial.run is not None
    early = trial.ground.pulih("resume", trial.run)
    assert early.returncode == 4, early
    lease = json.loads((trial.ground.folder / ".pulih" / "leases" / "north.json").read_text())
    free_at = datetime.fromisoformat(lease["heartbeat"]) + TIME_TO_LIVE
    wait_until(lambda: datetime.now(UTC) > free_at, "the end of a lease", within_s=40)
    taken = trial.ground.pulih("resume", trial.run, "--yes")
    assert taken.returncode == 0, taken
    os.kill(process.pid, signal.SIGCONT)
    woken = ended(process)
    assert woken.returncode == 4, woken
    assert "taken over" in woken.stdout + woken.stderr


def leases_removed(trial: Trial) -> None:
    """The leases vanish under a run, and somebody else begins; the units know better than the empty store."""
    process = trial.stopped("after", "unit-finished", "6")
    for file in (trial.ground.folder / ".pulih" / "leases").glob("*.json"):
        file.unlink()
    second = trial.ground.pulih("apply")
    assert second.returncode in (3, 5), second
    assert "stale-epoch" in second.stdout + second.stderr
    first = trial.go_on(process)
    assert first.returncode in (0, 4), first
    above = trial.ground.pulih("apply", "--break-glass")
    assert above.returncode == 0, above


def state_disk_full(trial: Trial) -> None:
    """The disk of journal and leases is full: the run begins no further unit and says so."""
    process = trial.stopped("after", "unit-finished", "2")
    trial.ground.state_disk.leave(0)
    done = trial.go_on(process)
    assert done.returncode == 1, done
    assert "the journal can't be written" in done.stderr
    assert "No space left" in done.stderr


KINDS = (
    Kind(name="operators: a second one while a run is at work", verb="recover", strike=second_operator),
    Kind(name="operators: two at the same moment", strike=at_the_same_moment),
    Kind(name="orchestrator: SIGSTOP, taken over, SIGCONT", verb="recover", strike=taken_over),
    Kind(name="state: the leases removed under a run", strike=leases_removed),
    Kind(name="state: its disk full", verb="recover", strike=state_disk_full),
)
