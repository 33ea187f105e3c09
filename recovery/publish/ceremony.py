"""The first ceremony: key pairs for every role, and the root that apps are shipped with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from recovery.errors import PublishError
from recovery.publish import keys, looking, metadata
from recovery.publish.formats import Key, Signer
from recovery.publish.publisher import keep
from recovery.publish.request import Request, missing
from recovery.publish.trust import Chain


def begin(
    offline: Path, online: Path, roots: Path, passphrase: Callable[[str], bytes | None], now: datetime
) -> Mapping[str, Sequence[keys.Pair]]:
    """Make all keys and the first root, on one machine.

    Args:
        offline: Folder of the private keys that people take away with them: `root-1.pem` and on.
        online: Folder of the keys that sign alone.
        roots: Folder of roots that lies with the estate.
        passphrase: Tells the passphrase of an offline key by its name; None leaves it readable (for practice).
        now: The moment.

    Returns:
        The pairs by role.

    Raises:
        PublishError: There is a root or a key already.
    """
    if looking.roots_in(roots) is not None:
        raise PublishError(f"there is a root in {roots} already: keys are changed with `pulih keys change`")
    pairs = {
        role: [
            keys.create(offline / f"{role}-{number}.pem", passphrase(f"{role}-{number}"))
            if role in metadata.OFFLINE
            else machine_key(online, role)
            for number in range(1, metadata.KEYS[role] + 1)
        ]
        for role in metadata.ROLES
    }
    public = {role: [pair.key for pair in having] for role, having in pairs.items()}
    keep(first_root(public, [pair.signer for pair in pairs["root"]], now), roots)
    return pairs


def first_root(public: Mapping[str, Sequence[Key]], signers: Sequence[Signer], now: datetime) -> Chain:
    """Return a chain of one root.

    Raises:
        UntrustedError: Not enough of its keys signed.
    """
    made = metadata.root(public, metadata.THRESHOLDS, 1, now)
    return Chain.begun(metadata.to_bytes(metadata.signed_by(made, signers)))


def begin_signed(asked: Request, roots: Path) -> None:
    """Leave a first root with the estate that people have signed.

    Raises:
        PublishError: Signatures are missing, or there is another root already.
    """
    lacking = list(missing(asked))
    if lacking:
        raise PublishError("\n".join(lacking))
    made = Chain.begun(metadata.to_bytes(asked.roots[0]))
    there = looking.roots_in(roots)
    if there is not None and there.at(1) != made.at(1):
        raise PublishError(f"there is another root in {roots} already: keys are changed with `pulih keys change`")
    keep(made, roots)


def machine_key(online: Path, role: str) -> keys.Pair:
    """Make a key that signs alone, under the next free name.

    Raises:
        PublishError: It can't be written.
    """
    number = 1
    while (online / f"{role}-{number}.pem").exists() or (online / f"{role}-{number}.pub").exists():
        number += 1
    return keys.create(online / f"{role}-{number}.pem", None)


def machine_keys(online: Path) -> Mapping[str, keys.Pair]:
    """Return the keys that sign alone, made where there is none of a role yet.

    Raises:
        PublishError: One can't be read or written.
    """
    found: dict[str, keys.Pair] = {}
    for role in metadata.ONLINE:
        file = online / f"{role}-1.pem"
        found[role] = keys.read(file, lambda _name: ()) if file.exists() else machine_key(online, role)
    return found
