"""The S3 store against moto: conditional writes, lost acknowledgements, and whole leases on top of it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import boto3
import pytest
from moto.server import ThreadedMotoServer
from mypy_boto3_s3 import S3Client

from recovery.errors import HeldError, LeaseLostError, PulihError
from recovery.lease import Leases
from recovery.processes import Process
from recovery.store import ConflictError
from recovery.store_s3 import S3Store


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket of its own in an S3 server on loopback."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "practice")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-practice")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    session = boto3.Session(region_name="us-east-1")
    client: S3Client = session.client("s3", endpoint_url=endpoint)  # pyright: ignore[reportUnknownMemberType] - as there
    bucket = f"leases-{uuid4().hex}"  # moto keeps its buckets as long as this process lives
    client.create_bucket(Bucket=bucket)
    try:
        yield f"s3://{bucket}/pulih?region=us-east-1&endpoint={endpoint}"
    finally:
        server.stop()


def test_a_document_is_written_only_over_the_version_that_was_read(address: str) -> None:
    store = S3Store(address)
    assert store.get("leases/a.json") is None
    first = store.put("leases/a.json", b"1", over=None)
    with pytest.raises(ConflictError):
        store.put("leases/a.json", b"2", over=None)
    second = store.put("leases/a.json", b"2", over=first)
    with pytest.raises(ConflictError):
        store.put("leases/a.json", b"3", over=first)
    found = store.get("leases/a.json")
    assert found is not None
    assert (found.content, found.version) == (b"2", second)
    assert store.names("leases/") == ["leases/a.json"]
    assert store.names("other/") == []


def test_a_write_whose_acknowledgement_was_lost_is_known_as_our_own(address: str) -> None:
    store = S3Store(address)
    store.put("leases/a.json", b"ours", over=None)
    assert store.put("leases/a.json", b"ours", over=None)
    with pytest.raises(ConflictError):
        store.put("leases/a.json", b"theirs", over=None)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        pytest.param("s3://leases/p?region=us-east-1&endpoint=http://127.0.0.1:1", "can't be reached", id="no server"),
        pytest.param("https://leases/p", "expected s3://", id="another scheme"),
        pytest.param("s3://leases/p?secret=x", "expected s3://", id="an option that is none"),
    ],
)
def test_a_store_that_is_not_there_says_what_to_do(address: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "practice")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-practice")
    with pytest.raises(PulihError, match=reason) as caught:
        S3Store(address).get("leases/a.json")
    assert "secret-of-practice" not in str(caught.value)


def test_a_bucket_that_is_missing_is_refused_not_taken_for_empty(address: str) -> None:
    missing = address.replace("s3://leases-", "s3://no-such-leases-")
    with pytest.raises(PulihError, match="NoSuchBucket"):
        S3Store(missing).get("leases/a.json")
    with pytest.raises(PulihError, match=r"NoSuchBucket.*PULIH_LEASES=file"):
        S3Store(missing).put("leases/a.json", b"1", over=None)


class Operator:
    """Clock and processes of one operator's machine."""

    def __init__(self, pid: int) -> None:
        self.time = datetime(2024, 6, 20, 0, 54, tzinfo=UTC)
        self.pid = pid

    def now(self) -> datetime:
        return self.time

    def me(self) -> Process:
        machine = f"machine-{self.pid}"
        return Process(machine=machine, boot=machine, namespace="n", pid=self.pid, started="1", where=f"duty@{machine}")

    def is_dead(self, process: Process) -> bool:
        del process
        return False


def test_two_operators_on_two_machines_share_their_leases(address: str) -> None:
    first, second = Operator(1), Operator(2)
    ours = Leases(S3Store(address), first, first, random.Random(1))
    theirs = Leases(S3Store(address), second, second, random.Random(2))
    held = ours.take(["jakarta"], "run-1")
    with pytest.raises(HeldError, match="held by duty@machine-1"):
        theirs.take(["jakarta"], "run-2")
    first.time += timedelta(seconds=11)
    held.renew()
    second.time = first.time + timedelta(seconds=31)
    taken = theirs.take(["jakarta"], "run-1", over="run-1")
    assert taken.epoch.number == held.epoch.number + 1
    with pytest.raises(LeaseLostError, match="taken over by duty@machine-2"):
        held.renew(at_once=True)
    taken.release()
    ours.take(["jakarta"], "run-3")
