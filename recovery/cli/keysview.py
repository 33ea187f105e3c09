"""What there is to know of keys: whose they are, which are here, until when all is good, what needs doing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from recovery.cli.keyswarnings import expiring, ids_here, online_missing
from recovery.cli.output import columns
from recovery.model.publish import Publish
from recovery.publish import change, keys, metadata
from recovery.publish.formats import Metadata, Targets
from recovery.publish.looking import Found
from recovery.publish.publisher import state
from recovery.report.text import printable


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySeen:
    """A key, and whether its private half is in one of the declared folders."""

    role: str
    name: str
    keyid: str
    is_here: bool
    has_signed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """All there is to know.

    Attributes:
        mirrors: By name, how each stands.
        to_do: What needs doing, one sentence each.
    """

    root_version: int
    thresholds: dict[str, int]
    keys: tuple[KeySeen, ...]
    expires: dict[str, datetime]
    config_epoch: int | None
    mirrors: dict[str, str]
    to_do: tuple[str, ...]


def seen(publish: Publish, found: Found, now: datetime) -> Seen:
    """Look at all of it."""
    root, newest = found.chain.newest, found.newest
    here = ids_here(publish)
    signed: set[str] = set() if newest is None else {*Metadata[Targets].from_bytes(newest.targets).signatures}
    known = tuple(
        KeySeen(
            role=role,
            name=keys.name_of(key),
            keyid=key.keyid,
            is_here=key.keyid in here,
            has_signed=role == "targets" and key.keyid in signed,
        )
        for role in metadata.ROLES
        for key in change.keys_of(root, role)
    )
    expires = {"root": root.expires, **({} if newest is None else newest.expires)}
    mirrors = {held.mirror.name: held.error or state(held, found) or "as it should be" for held in found.held}
    troubles = [f"{name}: {how}" for name, how in mirrors.items() if how != "as it should be"]
    to_do = [
        *filter(None, (found.split, found.fork)),
        *expiring(expires, now),
        *online_missing(publish, found.chain),
    ]
    return Seen(
        root_version=root.version,
        thresholds={role: root.roles[role].threshold for role in metadata.ROLES},
        keys=known,
        expires=expires,
        config_epoch=None if newest is None else newest.versions.config_epoch,
        mirrors=mirrors,
        to_do=(*to_do, *(troubles if newest is not None else ["nothing is published yet: pulih publish"])),
    )


def to_json(seen: Seen) -> dict[str, object]:
    """Return it as JSON, `pulih/keys/v1`."""
    return {
        "schema": "pulih/keys/v1",
        "root": seen.root_version,
        "thresholds": seen.thresholds,
        "config_epoch": seen.config_epoch,
        "expires": {role: moment.isoformat() for role, moment in seen.expires.items()},
        "to_do": list(seen.to_do),
        "keys": [
            {
                "role": key.role,
                "name": key.name,
                "keyid": key.keyid,
                "is_here": key.is_here,
                "has_signed": key.has_signed,
            }
            for key in seen.keys
        ],
        "mirrors": [{"name": name, "state": how} for name, how in seen.mirrors.items()],
    }


def lines(seen: Seen) -> Iterator[str]:
    """Describe it for people."""
    rows = [("Role", "Must sign", "Key", "Id", "Here", "Signed what is published")]
    rows += [
        (
            key.role,
            str(seen.thresholds[key.role]),
            key.name,
            key.keyid[:12],
            "yes" if key.is_here else "no",
            "yes" if key.has_signed else "",
        )
        for key in seen.keys
    ]
    yield from columns(rows)
    yield ""
    epoch = "nothing published" if seen.config_epoch is None else f"config_epoch {seen.config_epoch}"
    yield f"root {seen.root_version}, {epoch}"
    for role, moment in seen.expires.items():
        yield f"{role} good until {moment:%Y-%m-%d %H:%M} UTC"
    for name, how in seen.mirrors.items():
        yield printable(f"{name}: {how}")
    for line in seen.to_do:
        yield printable(f"to do: {line}")
