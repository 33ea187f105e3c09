"""Host keys as they are declared: their blob, their fingerprint and the algorithms that show them."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from functools import lru_cache

from recovery.model.estate import HostKey

_ALGORITHMS = {
    "ssh-ed25519": ("ssh-ed25519",),
    "ecdsa-sha2-nistp256": ("ecdsa-sha2-nistp256",),
    "ecdsa-sha2-nistp384": ("ecdsa-sha2-nistp384",),
    "ecdsa-sha2-nistp521": ("ecdsa-sha2-nistp521",),
    # SHA-1 signatures (`ssh-rsa`) are not accepted. Source: RFC 8332.
    "ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedKey:
    """The one host key that is accepted.

    Attributes:
        algorithms: Signature algorithms to ask for: those of this key only, so that a server with several host keys
            shows the pinned one.
        blob: The key as it goes over the wire.
    """

    algorithms: tuple[str, ...]
    blob: bytes

    @property
    def fingerprint(self) -> str:
        """The fingerprint as `ssh-keygen -l` prints it."""
        return fingerprint(self.blob)


def fingerprint(blob: bytes) -> str:
    """Return the fingerprint of a key as `ssh-keygen -l` prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


@lru_cache(maxsize=4096)
def pinned(line: HostKey) -> PinnedKey:
    """Read an OpenSSH public key line.

    Raises:
        ValueError: It is no public key line, or of a kind that is not supported; the text says which.
    """
    kind, _, rest = line.partition(" ")
    if kind not in _ALGORITHMS:
        raise ValueError(f"the declared host key is of kind {kind!r}; expected one of {', '.join(_ALGORITHMS)}")
    try:
        blob = base64.b64decode(rest.partition(" ")[0], validate=True)
    except binascii.Error as error:
        raise ValueError(f"the declared host key is not base64: {error}") from error
    if blob[4 : 4 + len(kind)] != kind.encode():
        raise ValueError(f"the declared host key says {kind!r} but holds a key of another kind")
    return PinnedKey(algorithms=_ALGORITHMS[kind], blob=blob)
