"""A bucket as a mirror: written in the order that apps need, named when it fails while the others go on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import boto3
import pytest

from recovery.cli import published
from recovery.cli.context import now
from recovery.model.bucket import Bucket
from tests.aws.server import SECRET, Server, credentials, new_bucket
from tests.citizens import PUBLISH, App, Office

Patch = pytest.MonkeyPatch


@pytest.fixture
def server(monkeypatch: Patch) -> Iterator[Server]:
    credentials(monkeypatch)
    with Server() as server:
        yield server


@pytest.fixture
def place(server: Server) -> str:
    return f"s3://{new_bucket(server)}/app?region=us-east-1&endpoint={server.endpoint}"


@pytest.fixture
def office(tmp_path: Path, place: str, capsys: pytest.CaptureFixture[str], monkeypatch: Patch) -> Office:
    return Office(tmp_path, capsys, monkeypatch, PUBLISH.replace("../mirrors/b", place))


def objects(place: str, into: Path) -> dict[str, Any]:
    """Copy what lies in a bucket into a folder, and return what S3 says of each object."""
    bucket = Bucket.parse(place)
    client: Any = cast(Any, boto3).client("s3", region_name="us-east-1", endpoint_url=bucket.endpoint)
    found: dict[str, Any] = {}
    for entry in client.list_objects_v2(Bucket=bucket.name).get("Contents", ()):
        answer = client.get_object(Bucket=bucket.name, Key=entry["Key"])
        name = entry["Key"].removeprefix(f"{bucket.prefix}/")
        (into / name).parent.mkdir(parents=True, exist_ok=True)
        (into / name).write_bytes(answer["Body"].read())
        found[name] = answer
    return found


def test_a_bucket_tells_what_the_folder_tells(office: Office, place: str, server: Server, tmp_path: Path) -> None:
    first = objects(place, tmp_path / "first")
    assert office.app.read(tmp_path / "first") == office.app.read(office.mirrors[0])
    kinds = {name: (answer["ContentType"], answer["CacheControl"]) for name, answer in first.items()}
    assert kinds.pop("metadata/timestamp.json") == ("application/json", "no-cache")
    assert set(kinds.values()) == {("application/json", "public, max-age=31536000, immutable")}
    server.requests.clear()
    office.moves()
    office.publish()
    written = [request.rpartition("/app/")[2] for request in server.requests if request.startswith("PUT ")]
    version = office.shown()["config_epoch"]
    assert written[0].startswith("targets/")
    assert written[1:] == [
        f"metadata/{version}.targets.json",
        f"metadata/{version}.snapshot.json",
        "metadata/timestamp.json",
    ]
    objects(place, tmp_path / "second")
    assert office.app.read(tmp_path / "second")["config_epoch"] == office.epoch + 1


def test_a_bucket_that_refuses_is_named_and_brought_up_later(
    office: Office, place: str, server: Server, tmp_path: Path
) -> None:
    office.moves()
    server.error = ("AccessDenied", 403)
    said = office.pulih("publish", *office.signing("targets-1", "targets-2"))
    assert said.code == 3
    assert "published: config_epoch" in said.out
    assert "at 1 of 2 mirrors" in said.out
    assert "it refuses us (AccessDenied). pulih needs s3:GetObject, s3:PutObject and s3:ListBucket there." in said.out
    assert SECRET not in said.out + said.err
    assert office.app.read(office.mirrors[0])["config_epoch"] == office.epoch + 1
    server.error = None
    objects(place, tmp_path / "behind")
    assert App(tmp_path / "other", office.app.root).read(tmp_path / "behind")["config_epoch"] == office.epoch
    said = office.ok("publish", "--refresh")
    assert "it lagged: config_epoch" in said.out
    objects(place, tmp_path / "after")
    assert office.app.read(tmp_path / "after")["config_epoch"] == office.epoch + 1


def test_a_repository_begun_again_lies_above_what_apps_have_seen(
    office: Office, place: str, tmp_path: Path, monkeypatch: Patch
) -> None:
    """Both mirrors burn: nothing remembers the versions, and those that follow are larger all the same."""
    office.ok("publish", "--refresh")
    bucket = Bucket.parse(place)
    client: Any = cast(Any, boto3).client("s3", region_name="us-east-1", endpoint_url=bucket.endpoint)
    for entry in client.list_objects_v2(Bucket=bucket.name)["Contents"]:
        client.delete_object(Bucket=bucket.name, Key=entry["Key"])
    shutil.rmtree(office.mirrors[0])
    monkeypatch.setattr(published, "now", lambda: now() + timedelta(minutes=5))
    office.publish()
    objects(place, tmp_path / "again")
    assert office.app.read(tmp_path / "again")["config_epoch"] > office.epoch
