"""The leases burned together with everything else: the units still know the epoch, and one run above it goes on."""

from __future__ import annotations

import random
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from recovery import lab
from recovery.lease import Leases
from recovery.processes import Process
from recovery.store import FileStore
from tests.drill.watching import pulih, roots


def test_a_store_that_lost_count_is_refused_by_every_unit_until_the_glass_is_broken(tmp_path: Path) -> None:
    home = tmp_path / "lab"
    lab.up(4, home)
    try:
        estate = str(home / "estate")
        for _ in range(2):
            assert pulih("apply", "--estate", estate).returncode == 0
        shutil.rmtree(home / ".pulih")
        refused = pulih("apply", "--estate", estate)
        assert refused.returncode in (3, 5)
        assert "stale-epoch" in refused.stdout
        assert "--break-glass" in refused.stdout
        shutil.rmtree(home / ".pulih")
        broken = pulih("apply", "--break-glass", "--estate", estate)
        assert broken.returncode == 0, broken.stderr
        assert "break-glass: epoch 3, above the 2 that units report" in broken.stderr
        journal = next((home / ".pulih" / "runs").glob("*/journal.jsonl")).read_text()
        assert '"kind":"break-glass"' in journal
        assert all((root / "epoch").read_text().startswith("3 ") for root in roots(home).values())
    finally:
        lab.down(home)


class LostMachine:
    """A machine that took leases and has not been heard since."""

    def __init__(self, silent_s: float) -> None:
        self._silent_s = silent_s

    def now(self) -> datetime:
        return datetime.now(UTC) - timedelta(seconds=self._silent_s)

    def me(self) -> Process:
        return Process(machine="lost", boot="b", namespace="n", pid=7, started="1", where="duty@lost")

    def is_dead(self, process: Process) -> bool:
        del process
        return False


def test_leases_of_a_run_whose_machine_is_lost_are_taken_over_once_the_glass_is_broken(tmp_path: Path) -> None:
    home = tmp_path / "lab"
    lab.up(4, home)
    try:
        words = ("recover", "--lost", "pdns-2", "--yes", "--estate", str(home / "estate"))
        lost = LostMachine(silent_s=20)
        held = Leases(FileStore(home / ".pulih"), lost, lost, random.Random(1)).take(["cloud-1"], "run-of-the-lost")
        early = pulih(*words, "--break-glass")
        assert early.returncode == 4, early.stderr
        assert "Wait for it" in early.stderr
        gone = LostMachine(silent_s=40)
        held.release()
        Leases(FileStore(home / ".pulih"), gone, gone, random.Random(2)).take(["cloud-1"], "run-of-the-lost")
        refused = pulih(*words)
        assert refused.returncode == 4
        assert "--break-glass" in refused.stderr
        broken = pulih(*words, "--break-glass")
        assert broken.returncode == 0, broken.stderr
        assert "taken over from run-of-the-lost of duty@lost" in broken.stderr
        journals = [path.read_text() for path in (home / ".pulih" / "runs").glob("*/journal.jsonl")]
        assert any('"taken_over":["run-of-the-lost of duty@lost"]' in journal for journal in journals)
    finally:
        lab.down(home)
