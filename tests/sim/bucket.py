"""Amazon's S3 as the production store sees it: conditional writes, answers that get lost, hours in which it is away.

It stands in for boto3's client, so that `recovery.store_s3` itself runs in the simulation.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from recovery import store_s3
from tests.sim.loop import PROCESS

ADDRESS = "s3://leases/pulih?region=ap-southeast-3"
_URL = "https://leases.s3.example"


class SimBucket:
    """Objects by key.

    Attributes:
        befalls: Asked before each write of a client: what befalls it. `silent`: it is done and never answered; `again`:
            it is done, not answered, and asked for a second time; `away`: nobody is reached.
        on_write: Told of each write that was done.
    """

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.befalls: Callable[[str], str] = lambda _call: ""
        self.on_write: Callable[[str, bytes], None] = lambda _key, _body: None

    def get_object(self, *, Bucket: str, Key: str) -> Mapping[str, Any]:  # noqa: N803 - boto3's names
        del Bucket
        self._reach("get")
        if Key not in self.objects:
            raise _refusal("NoSuchKey", 404, "GetObject")
        content = self.objects[Key]
        return {"Body": io.BytesIO(content), "ETag": _tag(content)}

    def put_object(
        self,
        *,
        Bucket: str,  # noqa: N803
        Key: str,  # noqa: N803
        Body: bytes,  # noqa: N803
        ContentType: str,  # noqa: N803
        IfNoneMatch: str | None = None,  # noqa: N803
        IfMatch: str | None = None,  # noqa: N803
    ) -> Mapping[str, Any]:
        del Bucket, ContentType
        how = self._reach("put")
        self._write(Key, Body, IfNoneMatch, IfMatch)
        if how == "silent":
            raise ReadTimeoutError(endpoint_url=_URL)
        if how == "again":
            self._write(Key, Body, IfNoneMatch, IfMatch)
        return {"ETag": _tag(Body)}

    def list_objects_v2(self, *, Bucket: str, Prefix: str) -> Mapping[str, Any]:  # noqa: N803
        del Bucket
        self._reach("list")
        return {"Contents": [{"Key": key} for key in sorted(self.objects) if key.startswith(Prefix)]}

    def _reach(self, call: str) -> str:
        if (process := PROCESS.get(None)) is not None:
            process.check()
        how = self.befalls(call)
        if how == "away":
            raise EndpointConnectionError(endpoint_url=_URL)
        return how

    def _write(self, key: str, body: bytes, if_none_match: str | None, if_match: str | None) -> None:
        found = self.objects.get(key)
        if if_match is not None and found is None:
            raise _refusal("NoSuchKey", 404, "PutObject")
        if (if_none_match and found is not None) or (found is not None and if_match not in (None, _tag(found))):
            raise _refusal("PreconditionFailed", 412, "PutObject")
        self.objects[key] = body
        self.on_write(key, body)


def _tag(content: bytes) -> str:
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'


def _refusal(code: str, status: int, call: str) -> ClientError:
    answer: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, call)


@contextmanager
def reachable(bucket: SimBucket) -> Generator[None]:
    """Let the production store's clients talk to this bucket."""
    before = store_s3.client  # the seam to Amazon's client
    store_s3.client = lambda _bucket: bucket  # type: ignore[assignment]
    try:
        yield
    finally:
        store_s3.client = before
