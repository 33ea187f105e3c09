"""The kinds of single values in the estate's files: what each must look like, and the sentence when it doesn't.

Values come as text (see `nodes`), so numbers and truth values are read here, strictly: no `1_000`, no `yes`.
"""

from __future__ import annotations

import functools
import ipaddress
import re
import unicodedata
import zoneinfo
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from recovery.declared import hostkeys
from recovery.declared.nodes import quoted
from recovery.model.bucket import Bucket

MAX_TITLE = 200
MAX_MESSAGE = 500
"""Characters of what people are told, in each language."""
MAX_CONNECTIONS = 200
"""Connections of one process at once, in all."""
BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""They let a text look like another one. Source: Unicode Technical Report 36, section 2.5; CVE-2021-42574."""

SLUG = re.compile(r"[a-z0-9-]{1,63}")
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9._-]{0,31}")
_ROOT = re.compile(r"(?:/[A-Za-z0-9._-]+)+")
_VERSION = re.compile(r"(?:0|[1-9][0-9]{0,5})(?:\.(?:0|[1-9][0-9]{0,5})){1,3}")
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+)*")
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,14})")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,17})?")
"""Without leading zeros: other readers of YAML take 022 for eighteen."""

T = TypeVar("T")


def number(value: str | None) -> float | None:
    """Read a number as the fields below do, or return None where it is none."""
    return float(value) if value is not None and _NUMBER.fullmatch(value) else None


def wrong(message: str) -> PydanticCustomError:
    """Return the error that carries a sentence of ours through pydantic."""
    return PydanticCustomError("pulih", "{sentence}", {"sentence": message})


def found(value: object, expected: str) -> PydanticCustomError:
    """Return the error for a value that is not what was expected."""
    return wrong(f"found {described(value)}, expected {expected}")


def described(value: object) -> str:
    """Name what was found in a file."""
    if isinstance(value, str):
        if "PRIVATE KEY" in value:  # pasted in the wrong place; it must not reach a log as well
            return "a private key"
        return quoted(value) if value else "nothing"
    return "a list" if isinstance(value, list) else "a block of keys"


def _matching(pattern: re.Pattern[str], expected: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        if pattern.fullmatch(value) is None:
            raise found(value, expected)
        return value

    return check


def _whole(lowest: int, highest: int, what: str) -> Callable[[Any], int]:
    expected = f"{what} from {lowest} to {highest}"

    def read(value: Any) -> int:
        if not isinstance(value, str) or _WHOLE.fullmatch(value) is None or not lowest <= int(value) <= highest:
            raise found(value, expected)
        return int(value)

    return read


def _positive(highest: int, what: str) -> Callable[[Any], float]:
    expected = f"{what} above 0, at most {highest}"

    def read(value: Any) -> float:
        if not isinstance(value, str) or _NUMBER.fullmatch(value) is None or not 0 < float(value) <= highest:
            raise found(value, expected)
        return float(value)

    return read


def _share(value: Any) -> float:
    if not isinstance(value, str) or _NUMBER.fullmatch(value) is None or not 0 <= float(value) <= 1:
        raise found(value, "a share from 0 to 1, such as 0.95")
    return float(value)


def _truth(value: Any) -> bool:
    if value not in ("true", "false"):
        raise found(value, "true or false")
    return value == "true"


def _text(most: int) -> Callable[[str], str]:
    def check(value: str) -> str:
        if not value.strip() or "PRIVATE KEY-----" in value:
            raise found(value, "a text")
        if len(value) > most:
            raise wrong(f"found a text of {len(value)} characters, expected at most {most}")
        if not value.isascii() or not value.isprintable():
            for letter in value:
                if unicodedata.category(letter) in ("Cc", "Zl", "Zp", "Cs") or letter in BIDI_CONTROLS:
                    raise wrong(f"found the control character U+{ord(letter):04X} in it, expected a text without any")
        return value

    return check


def _address(value: str) -> str:
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        raise found(value, "an IP address (names are not looked up)") from None
    if "%" in value:
        raise found(value, "an IP address without a zone ('%…')")
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        raise found(value, f"the IPv4 address itself, {address.ipv4_mapped}")
    if address.is_unspecified or address.is_multicast or value == "255.255.255.255":
        raise found(value, "the address of one host")
    if str(address) != value:
        raise found(value, f"the address in its usual form, {address}")
    return value


def _network(value: str) -> str:
    try:
        network = ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise found(value, "a network such as 10.20.0.0/16") from None
    if network.prefixlen == 0:
        raise found(value, "a network smaller than the whole internet")
    if str(network) != value:
        raise found(value, f"the network in its usual form, {network}")
    return value


def _host_key(value: str) -> str:
    fault = hostkeys.fault(value)
    if fault is not None:
        raise wrong(fault)
    return value


def _root(value: str) -> str:
    if _ROOT.fullmatch(value) is None or len(value) > 200 or not {".", ".."}.isdisjoint(value.split("/")):
        expected = "an absolute folder such as /srv/pulih, at most 200 of [A-Za-z0-9._/-], without '.' or '..' parts"
        raise found(value, expected)
    return value


@functools.lru_cache(maxsize=1024)
def _is_zone(name: str) -> bool:
    """Whether the time zone database knows a name.

    `zoneinfo.available_timezones()` opens all 600 files (0.25 s); an estate uses a few dozen.
    """
    if _ZONE.fullmatch(name) is None or name.startswith(("posix/", "right/")) or name in _NOT_ZONES:
        return False
    try:
        zoneinfo.ZoneInfo(name)
    except (OSError, ValueError, zoneinfo.ZoneInfoNotFoundError):
        return not _has_zones()
    return True


_NOT_ZONES = ("Factory", "localtime", "posixrules")
"""Files beside the database that are no zone, or another one on each machine."""


@functools.cache
def _has_zones() -> bool:
    """Whether this machine has a time zone database at all; without one a name is only checked for its shape."""
    try:
        zoneinfo.ZoneInfo("Etc/UTC")
    except (OSError, zoneinfo.ZoneInfoNotFoundError):
        return False
    return True


def _time_zone(value: str) -> str:
    if not _is_zone(value):
        raise found(value, "an IANA time zone such as Asia/Jakarta")
    return value


def _path(value: str) -> str:
    if not value or "\x00" in value or not value.isprintable():
        raise found(value, "a path")
    return value


def _store(value: str) -> str:
    try:
        Bucket.parse(value)
    except ValueError as error:
        raise wrong(str(error)) from None
    return value


def _mirror(value: str) -> str:
    if value.startswith("s3:"):
        return _store(value)
    if "://" in value:
        raise found(value, "a folder, or s3://BUCKET/PREFIX?region=REGION")
    return _path(value)


def _schema(kind: str, **more: Any) -> WithJsonSchema:
    return WithJsonSchema({"type": kind, **more})


def _pattern(pattern: re.Pattern[str]) -> WithJsonSchema:
    return _schema("string", pattern=f"^{pattern.pattern}$")


def _integer(lowest: int, highest: int, what: str) -> tuple[BeforeValidator, WithJsonSchema]:
    return BeforeValidator(_whole(lowest, highest, what)), _schema("integer", minimum=lowest, maximum=highest)


def _duration(highest: int, what: str) -> tuple[BeforeValidator, WithJsonSchema]:
    return BeforeValidator(_positive(highest, what)), _schema("number", exclusiveMinimum=0, maximum=highest)


_NAME = "a name of 1 to 63 of the characters a-z, 0-9 and '-'"
_KEY_PATTERN = "^[a-z0-9-]+ [A-Za-z0-9+/]+=*$"

Slug = Annotated[str, AfterValidator(_matching(SLUG, _NAME)), _pattern(SLUG)]
User = Annotated[str, AfterValidator(_matching(_USER, "the name of an account")), _pattern(_USER)]
Title = Annotated[str, AfterValidator(_text(MAX_TITLE)), _schema("string", minLength=1, maxLength=MAX_TITLE)]
Message = Annotated[str, AfterValidator(_text(MAX_MESSAGE)), _schema("string", minLength=1, maxLength=MAX_MESSAGE)]
Address = Annotated[str, AfterValidator(_address), _schema("string", anyOf=[{"format": "ipv4"}, {"format": "ipv6"}])]
Network = Annotated[str, AfterValidator(_network), _schema("string")]
HostKeyLine = Annotated[str, AfterValidator(_host_key), _schema("string", pattern=_KEY_PATTERN)]
Root = Annotated[str, AfterValidator(_root), _pattern(_ROOT)]
TimeZone = Annotated[str, AfterValidator(_time_zone), _schema("string")]
StoreAddress = Annotated[str, AfterValidator(_store), _schema("string", pattern="^s3://")]
MirrorAddress = Annotated[str, AfterValidator(_mirror), _schema("string", minLength=1)]
AppVersion = Annotated[str, AfterValidator(_matching(_VERSION, "a version such as 4.2.0")), _pattern(_VERSION)]
FilePath = Annotated[str, AfterValidator(_path), _schema("string", minLength=1)]
Truth = Annotated[bool, BeforeValidator(_truth), _schema("boolean")]
Port = Annotated[int, *_integer(1, 65535, "a port")]
Limit = Annotated[int, *_integer(1, MAX_CONNECTIONS, "a whole number of connections")]
Failures = Annotated[int, *_integer(0, 100_000, "a whole number of units")]
Retries = Annotated[int, *_integer(0, 10, "a whole number of tries")]
Milliseconds = Annotated[int, *_integer(1, 60_000, "a whole number of milliseconds")]
KbitPerSecond = Annotated[int, *_integer(1, 1_000_000_000, "a whole number of kilobits a second")]
Seconds = Annotated[float, *_duration(86_400, "a number of seconds")]
Minutes = Annotated[float, *_duration(525_600, "a number of minutes")]
Share = Annotated[float, BeforeValidator(_share), _schema("number", minimum=0, maximum=1)]
