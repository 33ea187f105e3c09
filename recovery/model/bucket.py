"""A folder in an S3 bucket, as an estate names it: `s3://BUCKET/PREFIX?region=…&endpoint=…`. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import SplitResult, parse_qsl, urlsplit

_EXPECTED = "expected s3://BUCKET/PREFIX?region=REGION, with an endpoint=URL if need be"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
"""Source: Amazon S3 User Guide, "General purpose bucket naming rules"."""
_PREFIX = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
_REGION = re.compile(r"[a-z0-9-]{1,40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A folder in an S3 bucket.

    Attributes:
        prefix: The folder, without slashes at its ends; empty for the bucket itself.
        region: None where the machine's own AWS settings say it.
        endpoint: Of a store that is not Amazon's, `https://host[:port]`; plain http on loopback only.
    """

    name: str
    prefix: str
    region: str | None
    endpoint: str | None

    @staticmethod
    def parse(text: str) -> Bucket:
        """Read a place as it is declared.

        Raises:
            ValueError: It is none; the text says what was found and expected, and shows no login.
        """
        if "@" in text:
            raise ValueError("found a login in it; credentials never stand in an estate, AWS_PROFILE names them")
        parts = _split(text)
        if parts is None or parts.scheme != "s3" or parts.fragment or _BUCKET.fullmatch(parts.netloc) is None:
            raise ValueError(f"found {text.partition('?')[0][:60]!r}, {_EXPECTED}")
        prefix = parts.path.strip("/")
        if prefix and _PREFIX.fullmatch(prefix) is None:
            raise ValueError(
                f"found the prefix {prefix[:60]!r}, expected letters, digits, '.', '_', '-' and single slashes"
            )
        options = parse_qsl(parts.query, keep_blank_values=True)
        names = [name for name, _ in options]
        if not {"region", "endpoint"}.issuperset(names) or len(names) != len(set(names)):
            # Without the values: one of them may be a secret.
            shown = repr(", ".join(names)[:60])[1:-1]
            raise ValueError(f"found the options {shown}, {_EXPECTED}")
        region, endpoint = dict(options).get("region"), dict(options).get("endpoint")
        if region is not None and _REGION.fullmatch(region) is None:
            raise ValueError(f"found the region {region[:60]!r}, expected one such as ap-southeast-3")
        return Bucket(
            name=parts.netloc, prefix=prefix, region=region, endpoint=None if endpoint is None else _endpoint(endpoint)
        )

    @property
    def address(self) -> IPv4Address | IPv6Address | None:
        """The endpoint's IP address; None where a name stands for it, or Amazon's own is meant."""
        return None if self.endpoint is None else _address(urlsplit(self.endpoint).hostname or "")

    def key(self, name: str) -> str:
        """Return the key of a file in the folder."""
        return f"{self.prefix}/{name}" if self.prefix else name

    def __str__(self) -> str:
        place = f"s3://{self.name}/{self.prefix}".rstrip("/")
        return place if self.endpoint is None else f"{place} at {self.endpoint}"


def _endpoint(text: str) -> str:
    parts = _split(text)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/"):
        raise ValueError(f"found the endpoint {text[:60]!r}, expected one such as https://s3.example.org:9000")
    if parts.query or parts.fragment:
        raise ValueError("found something behind the endpoint's host and port, expected nothing")
    address = _address(parts.hostname)
    if parts.scheme == "http" and (address is None or not address.is_loopback):
        raise ValueError(f"found the endpoint {text[:60]!r}, expected https: plain http is for loopback addresses only")
    return f"{parts.scheme}://{parts.netloc}"


def _split(text: str) -> SplitResult | None:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
