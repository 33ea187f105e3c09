"""Where a state can be: in a folder, or in a bucket of an S3 store on loopback."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

import boto3
from moto.server import ThreadedMotoServer
from mypy_boto3_s3 import S3Client

from tests.engine.practice import Practice

_NUMBERS = count(1)
BACKENDS = ("folder", "bucket")
LOGIN = {"AWS_ACCESS_KEY_ID": "practice", "AWS_SECRET_ACCESS_KEY": "secret-of-practice"}


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket that can hold a state.

    Attributes:
        name: One of its own, for all of moto's stores in a process are one.
        url: Of the backend.
        s3: A client of the store.
    """

    name: str
    url: str
    s3: S3Client

    def used_by(self, practice: Practice) -> Practice:
        """Return the same practice with its state in here."""
        # moto answers without a checksum, which the engine would mention at each look.
        quiet = {"AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required"}
        return practice.with_environment(PULUMI_BACKEND_URL=self.url, **LOGIN, **quiet)

    def objects(self, prefix: str = "") -> list[str]:
        """Return the keys of what the backend has written."""
        found = self.s3.list_objects_v2(Bucket=self.name, Prefix=f".pulumi/{prefix}")
        return [entry["Key"] for entry in found.get("Contents", []) if "Key" in entry]


@contextmanager
def bucket() -> Generator[Bucket]:
    """Run a store with an empty bucket."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        session = boto3.Session(*LOGIN.values(), region_name="us-east-1")
        s3: S3Client = session.client("s3", endpoint_url=f"http://{host}:{port}")  # pyright: ignore[reportUnknownMemberType]
        name = f"pulumi-state-{next(_NUMBERS)}"
        s3.create_bucket(Bucket=name)
        yield Bucket(name, f"s3://{name}?endpoint=http://{host}:{port}&s3ForcePathStyle=true&region=us-east-1", s3)
    finally:
        server.stop()


@contextmanager
def in_backend(name: str, practice: Practice) -> Generator[Practice]:
    """Lend a practice whose state is where one of `BACKENDS` says."""
    if name == "folder":
        yield practice
        return
    with bucket() as store:
        yield store.used_by(practice)
