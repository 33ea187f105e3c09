"""Documents as objects of an S3 bucket, so that operators on several machines share their leases.

S3's conditional writes make compare-and-write one step: `If-None-Match: *` for a new object, `If-Match` with the ETag
that was read for an old one. Source: Amazon S3 User Guide, "How to prevent object overwrites with conditional writes".

The only module that imports boto3, and only when a store is made: that takes longer than most commands. Whatever goes
wrong becomes a `StoreError` that says what to do and holds no credential.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, cast

from recovery.errors import PulihError
from recovery.model.bucket import Bucket
from recovery.store import ConflictError, Document

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

CONNECT_S, READ_S, ATTEMPTS = 3, 5, 2
"""A store that does not answer is known after about 11 s: two tries, and a pause of up to a second between them."""
MAX_DOCUMENT_BYTES = 64 * 1024

_WITHOUT_IT = (
    "If the store is lost and nobody else is at work, PULIH_LEASES=file keeps the leases on this machine, and "
    "--break-glass draws an epoch above the units' own."
)
_CHANGED = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"})
_FORBIDDEN = frozenset({"AccessDenied", "AllAccessDisabled", "AccountProblem", "Forbidden", "403"})
_NOT_KNOWN = frozenset({"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken"})
_ELSEWHERE = frozenset({"PermanentRedirect", "AuthorizationHeaderMalformed", "301"})
_NO_CREDENTIALS = frozenset(
    {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound"}
)
_NEVER = '"00000000000000000000000000000000"'
"""A version that no document has."""


class StoreError(PulihError):
    """The shared store can't be used: why, what to do, and how to go on without it."""


class Client(Protocol):
    """The calls of boto3's S3 client that are used."""

    def get_object(self, **options: object) -> Mapping[str, Any]:
        """See boto3."""
        ...

    def put_object(self, **options: object) -> Mapping[str, Any]:
        """See boto3."""
        ...

    def list_objects_v2(self, **options: object) -> Mapping[str, Any]:
        """See boto3."""
        ...


class S3Store:
    """Documents as objects below a prefix of a bucket.

    A document must tell its writer from all others, as a lease does: so a write is known as our own when it was done
    and its answer got lost.
    """

    def __init__(self, address: str) -> None:
        """Make ready to talk to a bucket; nothing is sent yet.

        Args:
            address: `s3://BUCKET/PREFIX?region=…&endpoint=…`; credentials come from where AWS's tools look for them.

        Raises:
            PulihError: The address is not of that form, or this machine's AWS settings can't be used.
        """
        try:
            self.bucket = Bucket.parse(address)
        except ValueError as error:
            raise PulihError(f"the leases' store: {error}") from error
        self._keeps_conditions = False
        self._checking = threading.Lock()
        with self._translated("use"):
            self._client = client(self.bucket)

    def get(self, name: str) -> Document | None:
        """Return a document, or None when there is none.

        Raises:
            StoreError: The store can't be used.
        """
        from botocore.exceptions import ClientError

        with self._translated(f"read {name} in"):
            try:
                answer = self._client.get_object(Bucket=self.bucket.name, Key=self.bucket.key(name))
            except ClientError as error:
                if _code(error) == "NoSuchKey":
                    return None
                raise
            content: bytes = answer["Body"].read(MAX_DOCUMENT_BYTES + 1)
        if len(content) > MAX_DOCUMENT_BYTES:
            raise StoreError(f"{name} in {self.bucket} has more than {MAX_DOCUMENT_BYTES} bytes: it is none of pulih's")
        return Document(content=content, version=str(answer["ETag"]))

    def put(self, name: str, content: bytes, *, over: str | None) -> str:
        """Write a document over just the version that was read, and return its version.

        Raises:
            ConflictError: It is not that version any more.
            StoreError: The store can't be used, or keeps no conditions.
        """
        self._check_conditions()
        written = self._write(name, content, over)
        if isinstance(written, str):
            return written
        # Refused, or not answered. It may have been done all the same: by an earlier try of botocore's or of a proxy
        # on the way, or with its answer lost. What stands there now tells.
        found = self.get(name)
        if found is not None and found.content == content:
            return found.version
        if (found.version if found else None) != over:
            raise ConflictError(f"{name} was written by somebody else meanwhile") from written
        if isinstance(written, ConflictError):
            # Refused because of another write at the same moment, which came to nothing.
            # Source: Amazon S3 API Reference, PutObject, If-Match: "On a 409 failure […] retry the upload."
            written = self._write(name, content, over)
            if isinstance(written, str):
                return written
        raise written

    def names(self, prefix: str) -> list[str]:
        """Return the names that start with `prefix`, sorted.

        Raises:
            StoreError: The store can't be used.
        """
        found: list[str] = []
        options: dict[str, object] = {"Bucket": self.bucket.name, "Prefix": self.bucket.key(prefix)}
        while True:
            with self._translated(f"list {prefix} in"):
                answer = self._client.list_objects_v2(**options)
            found += [str(entry["Key"])[len(self.bucket.key("")) :] for entry in answer.get("Contents", ())]
            if not answer.get("IsTruncated"):
                return sorted(found)
            options["ContinuationToken"] = answer["NextContinuationToken"]

    def _write(self, name: str, content: bytes, over: str | None) -> str | PulihError:
        """Write under the condition; return the version, or why there may be none.

        Raises:
            StoreError: It was certainly not written.
        """
        from botocore.exceptions import ClientError

        condition = {"IfNoneMatch": "*"} if over is None else {"IfMatch": over}
        try:
            with self._translated(f"write {name} to"):
                answer = self._client.put_object(
                    Bucket=self.bucket.name,
                    Key=self.bucket.key(name),
                    Body=content,
                    ContentType="application/json",
                    **condition,
                )
        except StoreError as error:
            cause = error.__cause__
            if isinstance(cause, ClientError):
                if _code(cause) in _CHANGED:
                    return ConflictError(f"{name} was written by somebody else meanwhile")
                if _status(cause) < 500:
                    raise
            return error
        return str(answer["ETag"])

    def _check_conditions(self) -> None:
        """Find out, once, whether the store keeps conditions: where it does not, two runs could hold one lease.

        Raises:
            StoreError: It writes over a document that it was told to leave alone, or can't be used.
        """
        with self._checking:
            if self._keeps_conditions:
                return
            refused = 0
            for over in (None, None, _NEVER):
                written = self._write("keeps-conditions", b"{}\n", over)
                if isinstance(written, StoreError):
                    raise written
                refused += isinstance(written, ConflictError)
            if refused < 2:  # the very first write of all is not refused
                raise StoreError(
                    f"{self.bucket} writes over documents that it was told to leave alone (If-None-Match, If-Match): "
                    f"two runs could hold one lease there. Use a store that keeps these conditions. {_WITHOUT_IT}"
                )
            self._keeps_conditions = True

    @contextmanager
    def _translated(self, doing: str) -> Generator[None]:
        def error(why: str) -> StoreError:
            return StoreError(f"can't {doing} {self.bucket}: {why} {_WITHOUT_IT}")

        with translated(error, "leases:"):
            yield


@contextmanager
def translated(raised: Callable[[str], PulihError], declared: str) -> Generator[None]:
    """Make one of our own errors of whatever boto3 raises.

    Args:
        raised: Makes it of why it went wrong.
        declared: Where estate.yaml says which store it is.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        raise raised(_why_refused(error, declared)) from error
    except (BotoCoreError, OSError, ValueError) as error:
        raise raised(_why_not_reached(error)) from error


def is_missing(error: Exception) -> bool:
    """Whether boto3 raised this because there is no such object."""
    from botocore.exceptions import ClientError

    return isinstance(error, ClientError) and _code(error) == "NoSuchKey"


def client(bucket: Bucket) -> Client:
    """Return boto3's client for a bucket; nothing is sent yet.

    Raises:
        Exception: What boto3 raises when this machine's AWS settings can't be used; see `translated`.
    """
    import botocore.session
    from boto3.session import Session
    from botocore.config import Config

    config = Config(
        connect_timeout=CONNECT_S,
        read_timeout=READ_S,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        # Stores that are not Amazon's know neither its newer checksums nor a host name for each bucket.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path" if bucket.endpoint else "auto"},
    )
    settings: Any = cast(Any, botocore.session).get_session()
    settings.register_component("data_loader", _descriptions(settings.get_config_variable("data_path")))
    session: Any = cast(Any, Session)(region_name=bucket.region, botocore_session=settings)
    # A region goes into the signature; stores that are not Amazon's don't care which.
    region = session.region_name or ("us-east-1" if bucket.endpoint else None)
    return session.client("s3", region_name=region, endpoint_url=bucket.endpoint, config=config)


@cache
def _descriptions(path: str | None) -> Any:
    """Return botocore's descriptions of services, which it reads on demand: once, however many buckets there are."""
    from botocore.loaders import create_loader

    return cast(Any, create_loader)(path)


def _code(error: ClientError) -> str:
    response = cast(Mapping[str, Any], error.response)
    return str(response.get("Error", {}).get("Code", ""))


def _status(error: ClientError) -> int:
    response = cast(Mapping[str, Any], error.response)
    return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _why_refused(error: ClientError, declared: str) -> str:
    """Say why a store refused, by its code alone: its own words may hold the name of a key, or a signature."""
    code = _code(error)
    if code == "NoSuchBucket":
        return f"there is no such bucket ({code}). Make it, or correct `{declared}` in estate.yaml."
    if code in _FORBIDDEN:
        return f"it refuses us ({code}). pulih needs s3:GetObject, s3:PutObject and s3:ListBucket there."
    if code in _NOT_KNOWN:
        return f"it doesn't accept our credentials ({code}). Renew those that AWS_PROFILE or the environment names."
    if code == "RequestTimeTooSkewed":
        return f"this machine's clock is more than 15 minutes off ({code}). Set it."
    if code in _ELSEWHERE:
        return f"the bucket is in another region ({code}). Correct `region=` in `{declared}` of estate.yaml."
    return f"it answered {code or _status(error)}. Try again; if it stays so, look into the store."


def _why_not_reached(error: Exception) -> str:
    from botocore.exceptions import ConnectionError as NoConnectionError
    from botocore.exceptions import HTTPClientError, SSLError

    kind = type(error).__name__
    if kind in _NO_CREDENTIALS:
        return f"there are no usable credentials ({kind}). Name them by AWS_PROFILE, or put them into the environment."
    if isinstance(error, SSLError):
        return f"its certificate is not trusted ({kind}). Name its authority's by AWS_CA_BUNDLE."
    if isinstance(error, NoConnectionError | HTTPClientError | OSError):
        return f"it can't be reached ({kind}): {CONNECT_S} s to connect, {READ_S} s to answer, {ATTEMPTS} tries."
    return f"this machine's AWS settings don't do ({kind})."
