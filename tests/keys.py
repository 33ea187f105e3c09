"""Throw-away SSH keys for tests: made in memory, written where a program needs a file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ecdsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from recovery.model.estate import HostKey


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """Both halves of a key.

    Attributes:
        private: PEM text in OpenSSH's format.
        public: OpenSSH public key line of two words.
    """

    private: bytes
    public: HostKey

    def write(self, path: Path) -> Path:
        """Write the private half where only its owner can read it (sshd refuses anything else)."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(self.private)
        return path


def new_key(kind: str = "ed25519", *, passphrase: bytes | None = None) -> KeyPair:
    """Make a key of kind `ed25519`, `ecdsa` or `rsa`."""
    match kind:
        case "ed25519":
            key = Ed25519PrivateKey.generate()
        case "ecdsa":
            key = generate_ecdsa(SECP256R1())
        case "rsa":
            key = generate_rsa(65537, 2048)
        case _:
            raise ValueError(kind)
    lock = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return KeyPair(
        private=key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, lock),
        public=HostKey(key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()),
    )
