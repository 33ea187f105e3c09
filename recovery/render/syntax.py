"""What a declared value must look like to be written into a configuration file.

Every `{{ expression }}` of every template passes `finalize`: a number, a plain word, or what one of the filters below
has made. Anything else is refused, so a template that forgets a filter is an error and never an injection.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address

from jinja2 import Undefined

_WORD = re.compile(r"[A-Za-z0-9._:/-]+")
"""No character that ends a word, starts a comment, or quotes, expands or groups in nginx, nft, chrony or sh."""

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\n(?:[A-Za-z0-9+/=]{1,76}\n)+-----END CERTIFICATE-----(?=\n|\Z)")


class UnsafeValueError(Exception):
    """A value can't be written where the template wants it.

    Attributes:
        value: The value.
        problem: What is wrong with it, after "its value …".
    """

    def __init__(self, value: object, problem: str) -> None:
        self.value = value
        self.problem = problem
        super().__init__(problem)


class Written(str):
    """Text that a filter has made fit for its file; only filters make it."""

    __slots__ = ()


def finalize(value: object) -> object:
    """Let through what may be written as it stands.

    Raises:
        UnsafeValueError: It may not.
        jinja2.UndefinedError: The variable does not exist.
    """
    kind = type(value)
    if kind is Written or kind is int:
        return value
    if isinstance(value, str):
        if _WORD.fullmatch(value):
            return value
        shown = repr(value if len(value) <= 60 else value[:60] + "…")
        raise UnsafeValueError(value, f"{shown} is not a plain word of [A-Za-z0-9._:/-]; write it with a filter")
    if isinstance(value, Undefined):
        return str(value)
    raise UnsafeValueError(value, f"is a {kind.__name__}, which can't be written; name one of its fields")


def as_json(value: object) -> Written:
    """Write any text, number or list as JSON, quotes included."""
    if isinstance(value, Undefined):
        str(value)
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (TypeError, ValueError) as error:
        raise UnsafeValueError(value, f"can't be written as JSON: {error}") from error
    return Written(text)


def _address(value: object) -> IPv4Address | IPv6Address:
    try:
        address = ip_address(str(value))
    except ValueError as error:
        raise UnsafeValueError(value, f"{str(value)[:60]!r} is not an IP address") from error
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        raise UnsafeValueError(value, f"{value!r} has a zone, which means something on one host only")
    return address


def as_address(value: object) -> Written:
    """Write an IP address, checked and in its shortest form."""
    return Written(_address(value))


def as_host(value: object) -> Written:
    """Write an IP address as URLs and nginx want it: IPv6 in brackets."""
    address = _address(value)
    return Written(f"[{address}]" if address.version == 6 else address)


def as_daddr(value: object) -> Written:
    """Write nft's match on a destination address."""
    address = _address(value)
    return Written(f"{'ip6' if address.version == 6 else 'ip'} daddr {address}")


def as_saddr(value: object) -> Written:
    """Write nft's match on a source address."""
    address = _address(value)
    return Written(f"{'ip6' if address.version == 6 else 'ip'} saddr {address}")


def as_certificates(value: object) -> Written:
    """Write the certificates of a PEM text and nothing else that stands in it."""
    text = str(value).replace("\r\n", "\n")
    if "PRIVATE KEY" in text:
        raise UnsafeValueError("", "holds a private key; a bundle holds no secret")
    blocks = _CERTIFICATE.findall(text)
    if not blocks or len(blocks) != text.count("-----BEGIN "):
        raise UnsafeValueError("", "is not a PEM text of certificates")
    return Written("".join(f"{block}\n" for block in blocks))


FILTERS: Mapping[str, Callable[[object], Written]] = {
    "tojson": as_json,
    "address": as_address,
    "host": as_host,
    "daddr": as_daddr,
    "saddr": as_saddr,
    "certificates": as_certificates,
}
"""By the name that templates use."""
