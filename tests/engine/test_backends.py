"""The same on an S3 backend: up, unchanged, locked by another, a killed run, the whole state lost."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Generator
from dataclasses import dataclass

import boto3
import pytest
from moto.server import ThreadedMotoServer
from mypy_boto3_s3 import S3Client

from recovery import lab
from recovery.lab.sickness import How
from tests.engine.practice import Practice

pytestmark = pytest.mark.xdist_group("engine-backends")
REGION = "jawa-barat"
BUCKET = "pulumi-state"
LOGIN = {"AWS_ACCESS_KEY_ID": "practice", "AWS_SECRET_ACCESS_KEY": "secret-of-practice"}


@dataclass(frozen=True, slots=True)
class Stored:
    """A practice whose state is in a bucket.

    Attributes:
        s3: A client of the store.
    """

    practice: Practice
    s3: S3Client

    def objects(self, prefix: str = "") -> list[str]:
        """Return the keys in the bucket."""
        found = self.s3.list_objects_v2(Bucket=BUCKET, Prefix=f".pulumi/{prefix}")
        return [entry["Key"] for entry in found.get("Contents", []) if "Key" in entry]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Generator[Stored]:
    """A region deployed from a state in a bucket of a store on loopback."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    session = boto3.Session(LOGIN["AWS_ACCESS_KEY_ID"], LOGIN["AWS_SECRET_ACCESS_KEY"], region_name="us-east-1")
    s3: S3Client = session.client("s3", endpoint_url=f"http://{host}:{port}")  # pyright: ignore[reportUnknownMemberType]
    s3.create_bucket(Bucket=BUCKET)
    made = Practice.begin(tmp_path_factory.mktemp("backends"))
    url = f"s3://{BUCKET}?endpoint=http://{host}:{port}&s3ForcePathStyle=true&region=us-east-1"
    try:
        stored = Stored(made.with_environment(PULUMI_BACKEND_URL=url, **LOGIN), s3)
        stored.practice.deploy("pdns-2", REGION)
        yield stored
    finally:
        made.end()
        server.stop()


def test_a_deployed_region_is_unchanged_and_is_adopted_when_the_bucket_was_emptied(stored: Stored) -> None:
    practice = stored.practice
    again = practice.up(REGION, "--refresh", "--expect-no-changes")
    assert again.code == 0, again.out
    before = practice.receipts(), practice.releases()
    for key in stored.objects():
        stored.s3.delete_object(Bucket=BUCKET, Key=key)
    practice.init(REGION)
    adopted = practice.up(REGION)
    assert (adopted.code, adopted.summary["created"] > len(practice.units(REGION))) == (0, True), adopted.out
    assert (practice.receipts(), practice.releases()) == before
    assert practice.pulih("drift", "--region", REGION).returncode == 0


def test_a_locked_stack_says_who_holds_it_and_a_killed_run_is_healed(stored: Stored) -> None:
    practice = stored.practice
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
        deadline = time.monotonic() + 40
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
    assert len(stored.objects("locks/")) == 1, "a killed engine leaves its lock"
    assert practice.pulumi("cancel", REGION, "--yes").code == 0
    healed = practice.up(REGION)
    assert (healed.code, healed.summary["updated"]) == (0, 1), healed.out
    assert practice.pulih("drift", "--region", REGION).returncode == 0
