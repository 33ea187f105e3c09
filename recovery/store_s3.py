"""Documents as objects of an S3 bucket, so that operators on several machines share their leases.

S3's conditional writes make compare-and-write one step: `If-None-Match: *` for a new object, `If-Match` with the ETag
that was read for an old one. Source: Amazon S3 User Guide, "Add preconditions to S3 operations with conditional
requests".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import parse_qs, urlsplit

from recovery.errors import PulihError
from recovery.store import ConflictError, Document

if TYPE_CHECKING:
    from botocore.exceptions import ClientError
    from mypy_boto3_s3 import S3Client

T = TypeVar("T")

CONNECT_S, READ_S, ATTEMPTS = 3, 5, 2
"""A store that does not answer must not hold a recovery for long: at most some 16 s a document."""

_OPTIONS = frozenset({"region", "endpoint"})
_NOT_THERE = frozenset({"NoSuchKey", "404"})
_CONFLICT = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})


class S3Store:
    """Documents as objects below a prefix of a bucket."""

    def __init__(self, address: str) -> None:
        """Reach a bucket.

        Args:
            address: `s3://BUCKET/PREFIX?region=…&endpoint=…`; credentials come from where AWS's tools look for them.

        Raises:
            PulihError: The address is not of that form.
        """
        parts = urlsplit(address)
        options = parse_qs(parts.query)
        if parts.scheme != "s3" or not parts.netloc or set(options) - _OPTIONS:
            raise PulihError(f"{address}: expected s3://BUCKET/PREFIX?region=REGION, with an endpoint=URL if need be")
        self._address = f"s3://{parts.netloc}{parts.path}"
        self._bucket, self._prefix = parts.netloc, f"{parts.path.strip('/')}/".lstrip("/")
        self._client = _client(options.get("region", [None])[0], options.get("endpoint", [None])[0])

    def get(self, name: str) -> Document | None:
        """Return a document, or None when there is none.

        Raises:
            PulihError: The store can't be reached or refuses.
        """
        return self._asked(f"read {name}", lambda: self._get(name))

    def put(self, name: str, content: bytes, *, over: str | None) -> str:
        """Write a document and return its version.

        Raises:
            ConflictError: It is not that version any more.
            PulihError: The store can't be reached or refuses.
        """
        return self._asked(f"write {name}", lambda: self._put(name, content, over))

    def names(self, prefix: str) -> list[str]:
        """Return the names that start with `prefix`, sorted.

        Raises:
            PulihError: The store can't be reached or refuses.
        """
        return self._asked(f"list {prefix}", lambda: self._names(prefix))

    def _get(self, name: str) -> Document | None:
        from botocore.exceptions import ClientError

        try:
            found = self._client.get_object(Bucket=self._bucket, Key=self._prefix + name)
        except ClientError as error:
            if _code(error) in _NOT_THERE:
                return None
            raise
        return Document(content=found["Body"].read(), version=str(found["ETag"]))

    def _put(self, name: str, content: bytes, over: str | None) -> str:
        from botocore.exceptions import ClientError

        key = self._prefix + name
        try:
            if over is None:
                written = self._client.put_object(Bucket=self._bucket, Key=key, Body=content, IfNoneMatch="*")
            else:
                written = self._client.put_object(Bucket=self._bucket, Key=key, Body=content, IfMatch=over)
        except ClientError as error:
            if _code(error) not in _CONFLICT | _NOT_THERE:
                raise
            # The write may be our own, whose acknowledgement was lost and which botocore has tried again.
            found = self._get(name)
            if found is not None and found.content == content:
                return found.version
            raise ConflictError(f"{name} was written by somebody else meanwhile") from error
        return str(written["ETag"])

    def _names(self, prefix: str) -> list[str]:
        pages = self._client.get_paginator("list_objects_v2")
        return sorted(
            item["Key"].removeprefix(self._prefix)
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix + prefix)
            for item in page.get("Contents", [])
            if "Key" in item
        )

    def _asked(self, what: str, ask: Callable[[], T]) -> T:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return ask()
        except ClientError as error:
            reason = f"it refused: {_code(error)}"
        except BotoCoreError as error:
            reason = f"it can't be reached: {type(error).__name__}"
        raise PulihError(
            f"could not {what} in the leases' store {self._address}: {reason}. Check the bucket, the region, the "
            "credentials and the line. If the store is lost and nobody else is at work, PULIH_LEASES=file keeps the "
            "leases on this machine, and --break-glass draws an epoch above the units' own."
        ) from None


def _client(region: str | None, endpoint: str | None) -> S3Client:
    import boto3
    from botocore.config import Config

    return boto3.client(  # pyright: ignore[reportUnknownMemberType] - overloads for services that are not installed
        "s3",
        region_name=region,
        endpoint_url=endpoint,
        config=Config(
            connect_timeout=CONNECT_S,
            read_timeout=READ_S,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            s3={"addressing_style": "path" if endpoint else "auto"},
        ),
    )


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "?")
