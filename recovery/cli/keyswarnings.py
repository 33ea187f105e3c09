"""What to see to before citizens' apps must be told something: keys that are missing, signatures that expire."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from recovery.cli.published import recorded
from recovery.errors import PublishError
from recovery.model.publish import Publish
from recovery.publish import keys, looking, metadata, places
from recovery.publish.trust import Chain

WARN_BEFORE = {
    "root": timedelta(days=60),
    "targets": timedelta(days=30),
    "snapshot": timedelta(days=2),
    "timestamp": timedelta(hours=6),
}
"""How long before something expires it is told: long enough to bring people with keys together, or to mend a timer."""


def warnings(publish: Publish, state: Path, now: datetime) -> Iterator[str]:
    """Yield what needs seeing to. Connects to nothing: of buckets it knows what this machine published last.

    Args:
        publish: What is declared.
        state: Folder of the estate's runs.
        now: The moment.
    """
    try:
        chain = places.chain(publish)
    except PublishError as error:
        yield f"citizens' apps can't be told anything: {error}"
        return
    folders = [places.mirror(place) for place in publish.mirrors if place.directory is not None]
    found = looking.look(chain, folders)
    published = recorded(state) if found.newest is None else found.newest.expires
    yield from filter(None, (found.split, found.fork))
    yield from expiring({**published, "root": found.chain.newest.expires}, now)
    yield from online_missing(publish, found.chain)
    missing = offline_missing(publish, found.chain)
    if missing is not None:
        yield missing


def ids_here(publish: Publish) -> set[str]:
    """Return the ids of the private keys that are in the declared folders, as far as the public halves tell."""
    found: set[str] = set()
    for folder in filter(None, (publish.online, publish.offline)):
        for file in places.files_in(folder):
            try:
                found.add(keys.read_public(keys.public_file(file)).keyid)
            except PublishError:
                continue
    return found


def expiring(expires: Mapping[str, datetime], now: datetime) -> Iterator[str]:
    """Say what expires soon, or has, and what to type."""
    for role, moment in expires.items():
        if moment - now > WARN_BEFORE[role]:
            continue
        when = "expired at" if moment <= now else "expires at"
        remedy = {
            "root": "pulih keys change",
            "targets": "pulih publish",
        }.get(role, "pulih publish --refresh, by a timer (docs/keys.md)")
        yield f"{role} {when} {moment:%Y-%m-%d %H:%M} UTC: {remedy}"


def online_missing(publish: Publish, chain: Chain) -> Iterator[str]:
    """Say which keys that sign alone are not where they are declared."""
    here, root = ids_here(publish), chain.newest
    for role in metadata.ONLINE:
        if len(here.intersection(root.roles[role].keyids)) < root.roles[role].threshold:
            yield f"the key of {role} is not in {publish.online}: bring it there, or pulih keys change --replace {role}"


def offline_missing(publish: Publish, chain: Chain) -> str | None:
    """Say which of people's keys would be needed to change what apps are told; None where they are here."""
    role = chain.newest.roles["targets"]
    count = len(ids_here(publish).intersection(role.keyids))
    if count >= role.threshold:
        return None
    return (
        f"{count} of the {role.threshold} targets keys that must sign are here: after a recovery citizens' apps are "
        "told of it only when their holders sign. Have them ready (pulih publish --prepare DIR)"
    )
