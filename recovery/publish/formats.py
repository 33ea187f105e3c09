"""The names of The Update Framework that are used here: metadata as python-tuf reads and writes it; keys, signers.

Both libraries document these names as their interface and tell no type checker so, which is shown where they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from tuf.api.metadata import Metadata

if TYPE_CHECKING:
    from securesystemslib.signer._crypto_signer import CryptoSigner
    from securesystemslib.signer._hsm_signer import HSMSigner
    from securesystemslib.signer._key import Key, SSlibKey
    from securesystemslib.signer._signer import Signer
    from tuf.api._payload import MetaFile, Role, Root, Snapshot, TargetFile, Targets, Timestamp
else:
    from securesystemslib.signer import CryptoSigner, HSMSigner, Key, Signer, SSlibKey
    from tuf.api.metadata import MetaFile, Role, Root, Snapshot, TargetFile, Targets, Timestamp

__all__ = [
    "AnySigned",
    "CryptoSigner",
    "HSMSigner",
    "Key",
    "MetaFile",
    "Metadata",
    "Role",
    "Root",
    "SSlibKey",
    "Signer",
    "Snapshot",
    "TargetFile",
    "Targets",
    "Timestamp",
]

AnySigned = TypeVar("AnySigned", Root, Timestamp, Snapshot, Targets)
