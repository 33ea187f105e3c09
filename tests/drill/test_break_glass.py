"""The leases burned together with everything else: the units still know the epoch, and one run above it goes on."""

from __future__ import annotations

import shutil
from pathlib import Path

from recovery import lab
from tests.drill.watching import pulih, roots


def test_a_store_that_lost_count_is_refused_by_every_unit_until_the_glass_is_broken(tmp_path: Path) -> None:
    home = tmp_path / "lab"
    lab.up(10, home)
    try:
        estate = str(home / "estate")
        for _ in range(3):
            assert pulih("apply", "--estate", estate).returncode == 0
        shutil.rmtree(home / ".pulih")
        refused = pulih("apply", "--estate", estate)
        assert refused.returncode in (3, 5)
        assert "stale-epoch" in refused.stdout
        assert "--break-glass" in refused.stdout
        shutil.rmtree(home / ".pulih")
        broken = pulih("apply", "--break-glass", "--estate", estate)
        assert broken.returncode == 0, broken.stderr
        assert "break-glass: epoch 4, above the 3 that units report" in broken.stderr
        journal = next((home / ".pulih" / "runs").glob("*/journal.jsonl")).read_text()
        assert '"kind":"break-glass"' in journal
        assert all((root / "epoch").read_text().startswith("4 ") for root in roots(home).values())
    finally:
        lab.down(home)
