"""Brings what was signed to every mirror, each in its own order; a mirror that fails is named and the others go on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from recovery.errors import PublishError
from recovery.publish import request as requests
from recovery.publish.formats import Signer
from recovery.publish.looking import Found, Held
from recovery.publish.mirrors import Folder, MirrorError
from recovery.publish.online import renewed
from recovery.publish.request import Request
from recovery.publish.route import writes
from recovery.publish.trust import Chain, Content


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """How it went with one mirror.

    Attributes:
        files: How many were written.
        was: In which state it was found, where that is worth telling: it lagged, or what it held was worth nothing.
        error: Why it doesn't hold what is published now; None where it does.
    """

    name: str
    files: int
    was: str | None
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What was published.

    Attributes:
        chain: All roots.
        content: What clients find from now on.
        is_news: Whether its manifest says something else than the one before.
        mirrors: In the order declared.
    """

    chain: Chain
    content: Content
    is_news: bool
    mirrors: tuple[Written, ...]


def publish(found: Found, request: Request, online: Iterable[Signer], roots: Path, now: datetime) -> Published:
    """Publish what was signed, under a new timestamp.

    Args:
        found: What the mirrors hold.
        request: What people have signed; an empty one renews what is there.
        online: The keys that lie on this machine.
        roots: Folder of roots that lies with the estate; gets what it lacks, last.
        now: The moment.

    Raises:
        PublishError: Signatures or keys are missing; nothing was written.
    """
    chain, targets, manifest = requests.carried(requests.left(request, found), found)
    content = renewed(chain, targets, manifest, found, online, now)
    contents = [content] if found.newest is None else [found.newest, content]
    with ThreadPoolExecutor(max(1, len(found.held))) as pool:
        written = [pool.submit(_write, held, chain, contents, found) for held in found.held]
    mirrors = tuple(each.result() for each in written)
    if any(mirror.error is None for mirror in mirrors) or not found.held:
        keep(chain, roots)
    before = None if found.newest is None else found.newest.told
    return Published(chain=chain, content=content, is_news=before != content.told, mirrors=mirrors)


def keep(chain: Chain, roots: Path) -> None:
    """Leave all roots with the estate.

    Raises:
        PublishError: They can't be written.
    """
    folder = Folder(name=str(roots), folder=roots)
    for version, written in enumerate(chain.written, start=1):
        if folder.read(f"{version}.root.json", len(written) + 1) != written:
            folder.write(f"{version}.root.json", written)


def _write(held: Held, chain: Chain, contents: Sequence[Content], found: Found) -> Written:
    count = 0
    name, was = held.mirror.name, state(held, found)
    if held.error is not None:
        return Written(name=name, files=0, was=None, error=held.error)
    try:
        for path, written in writes(chain, held.roots, held.root_version, held.content, contents):
            held.mirror.write(path, written)
            count += 1
    except MirrorError as error:
        return Written(name=name, files=count, was=was, error=str(error))
    return Written(name=name, files=count, was=was, error=None)


def state(held: Held, found: Found) -> str | None:
    """Say what is worth telling of a mirror before anything is written; None where it is as it should be."""
    if held.fault is not None:
        return held.fault
    if held.content is None:
        return None if found.newest is None else "it held nothing yet"
    newest = found.newest
    if newest is not None and held.content.versions.targets < newest.versions.targets:
        return f"it lagged: config_epoch {held.content.versions.config_epoch}, {newest.versions.config_epoch} elsewhere"
    if held.root_version < found.chain.version:
        return f"it lagged: root {held.root_version}, {found.chain.version} elsewhere"
    if newest is not None and held.content.versions.timestamp < newest.versions.timestamp:
        return f"it lagged: timestamp {held.content.versions.timestamp}, {newest.versions.timestamp} elsewhere"
    return None


def none_written(published: Published) -> PublishError | None:
    """Return the error of a publication that reached no mirror; None where it reached one."""
    failed = [mirror for mirror in published.mirrors if mirror.error is not None]
    if len(failed) < len(published.mirrors):
        return None
    return PublishError("\n".join(str(mirror.error) for mirror in failed))
