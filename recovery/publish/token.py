"""Keys that never leave a token (a YubiKey, a smart card, an HSM): they sign there, by PKCS#11.

A token's key is named as securesystemslib does, `hsm:ID?label=LABEL`; PYKCS11LIB names the PKCS#11 library. Only ECDSA
keys on P-256 and P-384, made with the token's own tool. The library `python-pkcs11` is for those who have a token.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from urllib.parse import parse_qsl, urlsplit

from recovery.errors import PublishError
from recovery.publish.formats import HSMSigner, Key, Signer
from recovery.publish.keys import Passphrases

SCHEME = "hsm:"


def is_token(word: str) -> bool:
    """Whether a word names a key on a token, not a file."""
    return word.startswith(SCHEME)


def public(uri: str) -> Key:
    """Return the public half of a token's key.

    Raises:
        PublishError: The token, its library or the key isn't there.
    """
    number, label = _parts(uri)
    with _translated(uri):
        _, key = HSMSigner.import_(number, label)
    return key


def read(uri: str, pins: Passphrases) -> Signer:
    """Return what signs with a token's key; it has signed once, so the PIN is right.

    Args:
        uri: The key.
        pins: Tells the PIN; only the first is tried, since a token locks itself after a few wrong ones.

    Raises:
        PublishError: The token, its library or the key isn't there, or the PIN is wrong.
    """
    key = public(uri)
    pin = next(iter(pins(uri)), None)
    if pin is None:
        raise PublishError(f"{uri}: no PIN was given (--passphrase-file, or at the prompt)")
    with _translated(uri):
        signer = HSMSigner.from_priv_key_uri(uri, key, lambda _secret: pin.decode())
        signer.sign(b"pulih")
    return signer


def _parts(uri: str) -> tuple[int | None, str | None]:
    parts = urlsplit(uri)
    label = dict(parse_qsl(parts.query)).get("label")
    if parts.path and not (parts.path.isascii() and parts.path.isdigit()):
        raise PublishError(f"{uri}: expected hsm:ID?label=LABEL, such as hsm:2?label=YubiKey")
    return int(parts.path) if parts.path else None, label


@contextmanager
def _translated(uri: str) -> Generator[None]:
    try:
        yield
    except Exception as error:  # python-pkcs11 is not always there to ask for its own
        why = str(error) or type(error).__name__
        raise PublishError(
            f"{uri}: {why}. Is python-pkcs11 installed, does PYKCS11LIB name the token's library, is the token plugged "
            "in, and is the PIN right?"
        ) from error
