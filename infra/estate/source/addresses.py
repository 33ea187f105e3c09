"""Addresses and host keys that belong to nobody, derived from names so that a new office changes no other's.

Addresses are documentation addresses only. Source: RFC 3849 (2001:db8::/32).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from ipaddress import IPv6Address
from itertools import count

from recovery.declared.hostkeys import ed25519_line
from recovery.model.estate import HostKey

_PRIME = 2**255 - 19
_D = -121665 * pow(121666, -1, _PRIME) % _PRIME


def address(network: int, subnet: int, host: int) -> str:
    """Return an address in one of the /48 networks of 2001:db8::/32.

    Args:
        network: Number of the /48.
        subnet: Number of the /64 in it, 16 bits.
        host: Number of the host in that, 16 bits.
    """
    return str(IPv6Address(0x20010DB8 << 96 | network << 80 | subnet << 64 | host))


def number_of(name: str) -> int:
    """Return the 16-bit number, never 0, that a name always has."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:2]) or 1


def refuse_shared(named_addresses: Iterable[tuple[str, str]]) -> None:
    """Check that every address belongs to one name.

    Args:
        named_addresses: Pairs of a name and its address.

    Raises:
        ValueError: Two names share an address; rename the newer one.
    """
    owner: dict[str, str] = {}
    for name, its_address in named_addresses:
        if its_address in owner:
            raise ValueError(f"{owner[its_address]} and {name} hash to the same address {its_address}")
        owner[its_address] = name


def is_curve_point(encoded: bytes) -> bool:
    """Return whether 32 bytes decode as a point of edwards25519.

    They do when y < p and x² = (y² - 1) / (d·y² + 1) has a root; x = 0 allows no sign bit.
    Source: RFC 8032, section 5.1.3. A quotient u/v is a square exactly when u·v is (Euler's criterion), and
    d·y² + 1 is never 0, because -1/d is no square.
    """
    whole = int.from_bytes(encoded, "little")
    y, has_sign = whole & (2**255 - 1), whole >> 255
    if len(encoded) != 32 or y >= _PRIME:
        return False
    product = (y * y - 1) * (_D * y * y + 1) % _PRIME
    if product == 0:
        return not has_sign
    return pow(product, (_PRIME - 1) // 2, _PRIME) == 1


@cache
def host_key(name: str) -> HostKey:
    """Return an Ed25519 host key that nobody holds the private half of.

    The public point itself is the hash of the name and the first counter for which the hash is a point. There never
    was a private scalar, and finding one is the discrete logarithm problem.
    """
    points = (hashlib.sha256(f"pulih illustrative host key {counter} {name}".encode()).digest() for counter in count())
    return ed25519_line(next(point for point in points if is_curve_point(point)))
