"""Key pairs: the private half in a PEM file, encrypted for a person, the public half beside it.

`NAME.pem` is private and mode 0600, `NAME.pub` may be shown to anybody. Ed25519, by `cryptography`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from recovery.errors import PublishError
from recovery.files import UnfitFileError, read_regular
from recovery.publish.formats import CryptoSigner, Key, SSlibKey

NAME_FIELD = "x-pulih-name"
"""The field of a key in root metadata that says what people call it. Source: TUF specification 4.2, keys may have
fields of one's own."""
MIN_PASSPHRASE = 8
MAX_KEY_BYTES = 16 << 10

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")

Passphrases = Callable[[str], Iterable[bytes]]
"""Tells the passphrases to try for a key, by its name; asked only for a key that is encrypted."""


class PassphraseError(PublishError):
    """No passphrase that was given opens a key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A key pair of a person or a machine.

    Attributes:
        is_encrypted: Whether its file was.
    """

    name: str
    signer: CryptoSigner
    is_encrypted: bool

    @property
    def key(self) -> Key:
        """The public half, which knows its name."""
        return named(self.signer.public_key, self.name)


def named(key: Key, name: str) -> Key:
    """Return a public key that says what people call it; its id stays the same."""
    return SSlibKey(key.keyid, key.keytype, key.scheme, cast("dict[str, object]", key.keyval), {NAME_FIELD: name})


def name_of(key: Key) -> str:
    """Return what people call a key: its name, else the beginning of its id."""
    name = key.unrecognized_fields.get(NAME_FIELD)
    return name if isinstance(name, str) and _NAME.fullmatch(name) else key.keyid[:12]


def create(file: Path, passphrase: bytes | None) -> Pair:
    """Make a key pair and leave both halves in files; none is written over.

    Args:
        file: Of the private half, `NAME.pem`.
        passphrase: None leaves it readable for whoever reads the file: for a machine, which signs alone.

    Raises:
        PublishError: There is such a file already, or it can't be written, or the passphrase is too short.
    """
    public = public_file(file)
    if passphrase is not None and len(passphrase) < MIN_PASSPHRASE:
        raise PublishError(f"{file}: a passphrase has {MIN_PASSPHRASE} characters at least")
    made = Ed25519PrivateKey.generate()
    protection: KeySerializationEncryption = (
        NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase)
    )
    private = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection)
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_new(file, private, 0o600)
        _write_new(public, made.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), 0o644)
    except FileExistsError as error:
        raise PublishError(f"{error.filename} is there already; keys are never written over") from error
    except OSError as error:
        raise PublishError(f"{file} can't be written: {error.strerror}") from error
    return Pair(name=file.stem, signer=CryptoSigner(made), is_encrypted=passphrase is not None)


def public_file(file: Path) -> Path:
    """Return where the public half of a private key's file lies; checks that it has the name of a key.

    Raises:
        PublishError: It hasn't.
    """
    if file.suffix != ".pem" or _NAME.fullmatch(file.stem) is None:
        raise PublishError(f"{file}: a private key's file is NAME.pem, of the characters A-Z a-z 0-9 . _ -")
    return file.with_suffix(".pub")


def read(file: Path, passphrases: Passphrases) -> Pair:
    """Read a private key.

    Raises:
        PassphraseError: None of the passphrases opens it.
        PublishError: It isn't there, or is no Ed25519 key.
    """
    content = _content(file)
    is_encrypted = b"ENCRYPTED" in content[:200]
    tries: Iterable[bytes | None] = passphrases(file.stem) if is_encrypted else [None]
    for passphrase in tries:
        try:
            loaded = load_pem_private_key(content, passphrase)
        except TypeError as error:  # cryptography says so when a passphrase is missing
            raise PassphraseError(f"{file}: it is encrypted and no passphrase was given") from error
        except (ValueError, UnsupportedAlgorithm) as error:
            if is_encrypted:
                continue
            raise PublishError(f"{file} is no private key in PEM form") from error
        if not isinstance(loaded, Ed25519PrivateKey):
            raise PublishError(f"{file} is no Ed25519 key")
        return Pair(name=file.stem, signer=CryptoSigner(loaded), is_encrypted=is_encrypted)
    raise PassphraseError(f"{file}: no passphrase that was given opens it")


def read_public(file: Path) -> Key:
    """Read a public key, named after its file: Ed25519, or ECDSA on P-256 or P-384 as tokens have it.

    Raises:
        PublishError: It isn't there, or is no such key.
    """
    try:
        loaded = load_pem_public_key(_content(file))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise PublishError(f"{file} is no public key in PEM form") from error
    is_curve = isinstance(loaded, EllipticCurvePublicKey) and loaded.curve.name in ("secp256r1", "secp384r1")
    if not (is_curve or isinstance(loaded, Ed25519PublicKey)) or _NAME.fullmatch(file.stem) is None:
        raise PublishError(f"{file} is no Ed25519 or ECDSA key with the name of one")
    return named(SSlibKey.from_crypto(loaded), file.stem)


def write_public(key: Key, file: Path) -> None:
    """Leave the public half of a token's key in a file.

    Raises:
        PublishError: It can't be written, is there already, or hasn't the name of one.
    """
    if file.suffix != ".pub" or _NAME.fullmatch(file.stem) is None:
        raise PublishError(f"{file}: a public key's file is NAME.pub, of the characters A-Z a-z 0-9 . _ -")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        _write_new(file, str(key.keyval["public"]).encode(), 0o644)
    except FileExistsError as error:
        raise PublishError(f"{file} is there already; keys are never written over") from error
    except OSError as error:
        raise PublishError(f"{file} can't be written: {error.strerror}") from error


def is_encrypted(file: Path) -> bool:
    """Whether a private key's file is encrypted.

    Raises:
        PublishError: It can't be read.
    """
    return b"ENCRYPTED" in _content(file)[:200]


def _content(file: Path) -> bytes:
    try:
        return read_regular(file, MAX_KEY_BYTES)
    except FileNotFoundError as error:
        raise PublishError(f"there is no key {file}") from error
    except UnfitFileError as error:
        raise PublishError(f"{file} {error.what}") from error
    except OSError as error:
        raise PublishError(f"{file} can't be read: {error.strerror}") from error


def _write_new(file: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(descriptor)
