"""A bucket that clients read from, through whatever shows it to them."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from recovery.errors import PublishError
from recovery.model.bucket import Bucket
from recovery.publish.mirrors import MirrorError
from recovery.publish.trust import TIMESTAMP
from recovery.store_s3 import client, is_missing, translated

_DECLARED = "publish.mirrors"
FRESH, FOR_EVER = "no-cache", "public, max-age=31536000, immutable"
"""What caches on the way may do; `no-cache` lets them ask whether it has changed. Source: RFC 9111, 5.2; RFC 8246."""


class BucketMirror:
    """A folder in a bucket. An object is there whole or not at all, so it is written without a temporary name.

    Attributes:
        name: The bucket, for people.
    """

    def __init__(self, address: str) -> None:
        """Make ready to talk to a bucket; nothing is sent yet.

        Args:
            address: `s3://BUCKET/PREFIX?region=…&endpoint=…`; credentials come from where AWS's tools look for them.

        Raises:
            PublishError: The address is not of that form, or this machine's AWS settings can't be used.
        """
        try:
            self._bucket = Bucket.parse(address)
        except ValueError as error:
            raise PublishError(f"{_DECLARED}: {error}") from error
        self.name = str(self._bucket)
        with self._translated("use"):
            self._client = client(self._bucket)

    def read(self, path: str, at_most_bytes: int) -> bytes | None:
        """Return a file, or None when there is none.

        Raises:
            MirrorError: It can't be read, or is larger than that.
        """
        with self._translated(f"read {path} in"):
            try:
                answer = self._client.get_object(Bucket=self._bucket.name, Key=self._bucket.key(path))
            except Exception as error:
                if is_missing(error):
                    return None
                raise
            content: bytes = answer["Body"].read(at_most_bytes + 1)
        if len(content) > at_most_bytes:
            raise MirrorError(f"{self.name}: {path} has more than {at_most_bytes} bytes, the most that is read")
        return content

    def write(self, path: str, content: bytes) -> None:
        """Write a file whole or not at all; who reads meanwhile gets the old one.

        Raises:
            MirrorError: It can't be written.
        """
        with self._translated(f"write {path} to"):
            self._client.put_object(
                Bucket=self._bucket.name,
                Key=self._bucket.key(path),
                Body=content,
                ContentType="application/json",
                CacheControl=FRESH if path == TIMESTAMP else FOR_EVER,
            )

    @contextmanager
    def _translated(self, doing: str) -> Generator[None]:
        with translated(lambda why: MirrorError(f"can't {doing} {self.name}: {why}"), _DECLARED):
            yield
