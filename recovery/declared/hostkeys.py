"""SSH host keys as the declaration writes them: `TYPE BASE64`, checked down to the bytes of the key."""

from __future__ import annotations

import base64
import binascii
import struct

from recovery.model.estate import HostKey

_ED25519 = "ssh-ed25519"
_RSA = "ssh-rsa"
_CURVES = {
    "ecdsa-sha2-nistp256": (b"nistp256", 65),
    "ecdsa-sha2-nistp384": (b"nistp384", 97),
    "ecdsa-sha2-nistp521": (b"nistp521", 133),
}
"""Curve name and length of an uncompressed point. Source: RFC 5656, sections 3.1 and 6.1; SEC 1, section 2.3.3."""

TYPES = (_ED25519, *_CURVES, _RSA)
"""The types of plain host keys that OpenSSH still accepts. Source: ssh-keygen(1), option -t."""

MIN_RSA_BITS = 2048


def ed25519_line(public: bytes) -> HostKey:
    """Return the public key line of an Ed25519 key, 32 bytes. Source: RFC 8709, section 4."""
    if len(public) != 32:
        raise ValueError(f"an Ed25519 key has 32 bytes, not {len(public)}")
    blob = struct.pack(">I", len(_ED25519)) + _ED25519.encode() + struct.pack(">I", 32) + public
    return HostKey(f"{_ED25519} {base64.b64encode(blob).decode()}")


def fault(line: str) -> str | None:
    """Say what is wrong with a host key, or None for a good one.

    The sentence never repeats the key: what was pasted by mistake may be a private one.
    """
    if "PRIVATE KEY" in line:
        return "found a private key, expected the host's public key; treat that private key as known to others"
    words = line.split(" ")
    if len(words) != 2 or not all(words):
        count = len(line.split())
        found = "nothing" if count == 0 else "one word" if count == 1 else f"{count} words"
        return f"found {found}, expected a key type and the key in base64, one space between them and no comment"
    kind, encoded = words
    if kind not in TYPES:
        shown = repr(kind) if len(kind) <= 40 else "a first word that is none"
        return f"found {shown}, expected a host key of the type {', '.join(TYPES[:-1])} or {TYPES[-1]}"
    try:
        blob = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return f"the key after '{kind}' is not base64; copy the whole line again from the host's .pub file"
    parts = _parts(blob)
    if parts is None:
        return f"the key after '{kind}' is cut or damaged; copy the whole line again from the host's .pub file"
    if parts[0] != kind.encode():
        return f"the key says of itself that it is another type than the '{kind}' before it"
    return _fault_inside(kind, parts)


def _parts(blob: bytes) -> list[bytes] | None:
    """Split a blob into its length-prefixed strings; None when they don't add up. Source: RFC 4251, section 5."""
    parts: list[bytes] = []
    while blob:
        size = int.from_bytes(blob[:4], "big")
        if len(blob) < 4 + size:
            return None
        parts.append(blob[4 : 4 + size])
        blob = blob[4 + size :]
    return parts or None


def _fault_inside(kind: str, parts: list[bytes]) -> str | None:
    if kind == _ED25519:
        if len(parts) == 2 and len(parts[1]) == 32:
            return None
        return "the key is not one of 32 bytes, as ssh-ed25519 keys are"
    if kind == _RSA:
        bits = int.from_bytes(parts[2], "big").bit_length() if len(parts) == 3 else 0
        if len(parts) == 3 and bits >= MIN_RSA_BITS:
            return None
        return f"the ssh-rsa key has {bits} bits, expected at least {MIN_RSA_BITS}"
    curve, size = _CURVES[kind]
    if len(parts) == 3 and parts[1] == curve and len(parts[2]) == size and parts[2][:1] == b"\x04":
        return None
    return f"the key is not an uncompressed point of {size} bytes on {curve.decode()}"
