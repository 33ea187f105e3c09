"""A state in a bucket: emptied, it is adopted again; locked by another, it says by whom; killed, it is healed."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Generator

import pytest

from recovery import lab
from recovery.lab.sickness import How
from tests.engine.backends import Bucket, bucket
from tests.engine.practice import Practice

REGION = "jawa-barat"


@pytest.fixture(scope="module")
def store() -> Generator[Bucket]:
    with bucket() as store:
        yield store


@pytest.fixture(scope="module")
def practice(tmp_path_factory: pytest.TempPathFactory, store: Bucket) -> Generator[Practice]:
    """A region deployed from a state in a bucket."""
    made = Practice.begin(tmp_path_factory.mktemp("backends"))
    try:
        stored = store.used_by(made)
        stored.deploy("pdns-2", REGION)
        yield stored
    finally:
        made.end()


def test_a_deployed_region_is_unchanged_and_is_adopted_when_the_bucket_was_emptied(
    practice: Practice, store: Bucket
) -> None:
    again = practice.up(REGION, "--refresh", "--expect-no-changes")
    assert again.code == 0, again.out
    before = practice.receipts(), practice.releases()
    for key in store.objects():
        store.s3.delete_object(Bucket=store.name, Key=key)
    practice.init(REGION)
    adopted = practice.up(REGION)
    assert (adopted.code, adopted.summary["created"] > len(practice.units(REGION))) == (0, True), adopted.out
    assert (practice.receipts(), practice.releases()) == before
    assert practice.pulih("drift", "--region", REGION).returncode == 0


def test_a_locked_stack_says_who_holds_it_and_a_killed_run_is_healed(practice: Practice, store: Bucket) -> None:
    units = practice.units(REGION)
    sick = min(units)
    (units[sick] / "receipt.json").unlink()
    seen = practice.pulumi("refresh", "--stack", REGION, "--yes", "--skip-preview", "--suppress-outputs")
    assert seen.code == 0, seen.out
    lab.break_unit(practice.home, sick, How.HANG)
    process = subprocess.Popen(
        practice.command("up", "--stack", REGION, "--yes", "--skip-preview"),
        cwd=practice.project,
        env=dict(practice.environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        lease = practice.home / ".pulih" / "leases" / f"{REGION}.json"
        deadline = time.monotonic() + 120
        while '"released": false' not in lease.read_text() and time.monotonic() < deadline:
            time.sleep(0.05)
        locked = practice.up(REGION)
        assert locked.code != 0
        assert f"(pid {process.pid})" in locked.out
        assert "pulumi cancel" in locked.out
    finally:
        process.kill()
        process.wait()
        lab.heal_unit(practice.home, sick)
    assert len(store.objects("locks/")) == 1, "a killed engine leaves its lock"
    assert practice.pulumi("cancel", REGION, "--yes").code == 0
    healed = practice.up(REGION)
    assert (healed.code, healed.summary["updated"]) == (0, 1), healed.out
    assert practice.pulih("drift", "--region", REGION).returncode == 0
