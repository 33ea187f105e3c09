"""From the keys that are and what is to change of them to the roots that lead there. Pure.

Keys of a role other than root change in two roots. The first takes what the old keys have signed and what the new ones
sign, so that it may be written over the old content; then comes content that the new keys have signed; then the second
root, which knows the new keys alone. At every instant a client finds something that is signed. Source: TUF
specification 1.0.31, section 6.1, for how root keys follow each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from recovery.errors import PublishError
from recovery.publish import metadata
from recovery.publish.formats import Key, Metadata, Root
from recovery.publish.keys import name_of

LEAST = {"root": 2, "targets": 2, "snapshot": 1, "timestamp": 1}
"""With one key of people enough, one thief would be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is to change; nothing of it renews the root as it is.

    Attributes:
        add: Roles, and a public key that is to be one of its keys.
        remove: Names of keys that are to be of none.
        thresholds: By role, how many must sign from now on.
    """

    add: Sequence[tuple[str, Key]] = ()
    remove: Sequence[str] = ()
    thresholds: Mapping[str, int] | None = None


def keys_of(root: Root, role: str) -> list[Key]:
    """Return the keys of a role."""
    return [root.keys[keyid] for keyid in root.roles[role].keyids]


def changed(current: Root, change: Change, now: datetime) -> tuple[Metadata[Root], ...]:
    """Return the next roots, one or two, for people to sign.

    Raises:
        PublishError: The change names a key that isn't there, or leaves a role with too few.
    """
    keys = {role: keys_of(current, role) for role in metadata.ROLES}
    thresholds = {role: current.roles[role].threshold for role in metadata.ROLES}
    for name in change.remove:
        _remove(keys, name)
    _add(keys, change.add)
    thresholds.update(change.thresholds or {})
    check(keys, thresholds)
    both = {
        role: keys[role]
        if role == "root"
        else [*keys[role], *(key for key in keys_of(current, role) if key.keyid not in _ids(keys[role]))]
        for role in metadata.ROLES
    }
    least = {
        role: thresholds[role] if role == "root" else min(thresholds[role], current.roles[role].threshold)
        for role in metadata.ROLES
    }
    last = metadata.root(keys, thresholds, current.version + 1, now)
    if least == thresholds and all(_ids(both[role]) == _ids(keys[role]) for role in metadata.ROLES):
        return (Metadata(last),)
    last.version += 1
    return Metadata(metadata.root(both, least, current.version + 1, now)), Metadata(last)


def first(add: Iterable[tuple[str, Key]], now: datetime) -> Metadata[Root]:
    """Return the first root, for people to sign.

    Raises:
        PublishError: A role has too few keys.
    """
    keys: dict[str, list[Key]] = {role: [] for role in metadata.ROLES}
    _add(keys, add)
    check(keys, metadata.THRESHOLDS)
    return Metadata(metadata.root(keys, metadata.THRESHOLDS, 1, now))


def check(keys: Mapping[str, Sequence[Key]], thresholds: Mapping[str, int]) -> None:
    """Check that every role can sign.

    Raises:
        PublishError: One can't, or could be robbed too easily.
    """
    for role in metadata.ROLES:
        if thresholds[role] < LEAST[role]:
            raise PublishError(
                f"{role}: a threshold of {thresholds[role]} makes one thief enough, expected {LEAST[role]} at least"
            )
        if len(keys[role]) < thresholds[role]:
            names = ", ".join(map(name_of, keys[role])) or "none"
            raise PublishError(f"{role}: {thresholds[role]} keys must sign, and it would have {names}")


def find(root: Root, name: str) -> tuple[str, Key]:
    """Return the role and the key of a name, or of the beginning of an id.

    Raises:
        PublishError: There is no such key, or several.
    """
    return _find({role: keys_of(root, role) for role in metadata.ROLES}, name)


def _find(keys: Mapping[str, Sequence[Key]], name: str) -> tuple[str, Key]:
    matching = [
        (role, key)
        for role in metadata.ROLES
        for key in keys[role]
        if name_of(key) == name or (len(name) >= 8 and key.keyid.startswith(name))
    ]
    if len(matching) != 1:
        there = ", ".join(name_of(key) for role in metadata.ROLES for key in keys[role])
        raise PublishError(f"there is no key {name}; there are {there}" if not matching else f"{name} is several keys")
    return matching[0]


def _remove(keys: dict[str, list[Key]], name: str) -> None:
    role, key = _find(keys, name)
    keys[role].remove(key)


def _add(keys: dict[str, list[Key]], added: Iterable[tuple[str, Key]]) -> None:
    for role, key in added:
        for other in (each for having in keys.values() for each in having):
            if other.keyid == key.keyid:
                raise PublishError(f"{name_of(key)} is the same key as {name_of(other)}; every key is for one role")
            if name_of(other) == name_of(key):
                raise PublishError(f"there is a key {name_of(key)} already; give the new one another name")
        keys[role].append(key)


def _ids(keys: Iterable[Key]) -> set[str]:
    return {key.keyid for key in keys}
