"""The block `publish:` of estate.yaml against the rest: services that exist, folders that keep apart."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from recovery.declared.folders import beside
from recovery.declared.names import AllNames
from recovery.declared.nodes import Data, Document, block, quoted, text
from recovery.model.bucket import Bucket

_LISTS = ("services", "mirrors", "reset", "keep")


def check(estate: Document, names: AllNames, practice_networks: list[IPv4Network | IPv6Network]) -> None:
    """Note what can't be published as it is declared.

    Args:
        estate: `estate.yaml`.
        names: All names of the estate.
        practice_networks: Those that a practice estate may reach.
    """
    declared = block(estate.data, "publish")
    if not declared:
        return
    service = text(declared, "service") if "service" in declared else "citizen-app"
    names.services.refer(estate, ("publish", "service"), service)
    for index, name in _texts(declared, "services"):
        names.services.refer(estate, ("publish", "services", index), name)
    for key in _LISTS:
        seen: set[str] = set()
        for index, name in _texts(declared, key):
            if name in seen:
                estate.add(("publish", key, index), f"{quoted(name)} is named twice", is_follow_up=True)
            seen.add(name)
    forgotten = {name for _, name in _texts(declared, "reset")}
    for index, name in _texts(declared, "keep"):
        if name in forgotten:
            message = f"found {quoted(name)}, which stands under `reset` too; say whether apps keep it or forget it"
            estate.add(("publish", "keep", index), message, is_follow_up=True)
    _folders(estate, declared)
    if text(estate.data, "practice") == "true":
        _practice(estate, declared, practice_networks)


def _folders(estate: Document, declared: dict[str, Data]) -> None:
    """Private keys never lie where everybody reads, nor where the estate is kept."""
    home = estate.file.parent
    mirrors = [(name, _path(home, name)) for _, name in _texts(declared, "mirrors") if not name.startswith("s3:")]
    roots = _path(home, text(declared, "roots") or "roots")
    for key in ("online", "offline", "roots"):
        named = text(declared, key)
        path = _path(home, named) if named else None
        if path is None:
            continue
        for mirror, folder in mirrors:
            if folder is not None and path.is_relative_to(folder):
                message = f"found {quoted(named or '')}, which lies in the mirror {quoted(mirror)} that everybody reads"
                estate.add(("publish", key), message, is_follow_up=True)
        if key != "roots" and roots is not None and path.is_relative_to(roots):
            message = f"found {quoted(named or '')}, which lies in the folder of `roots`, where nothing is secret"
            estate.add(("publish", key), message, is_follow_up=True)


def _practice(estate: Document, declared: dict[str, Data], networks: list[IPv4Network | IPv6Network]) -> None:
    """What a practice estate publishes must never reach those who use the real one."""
    home = estate.file.parent
    around = home.resolve().parent
    for index, name in _texts(declared, "mirrors"):
        if name.startswith("s3:"):
            bucket = _bucket(name)
            if bucket is not None and (
                bucket.address is None or not any(bucket.address in network for network in networks)
            ):
                message = (
                    f"found {bucket}, expected an endpoint at a loopback address, or at one of a network under "
                    "`staging:`, because estate.yaml says practice: true"
                )
                estate.add(("publish", "mirrors", index), message, is_follow_up=True)
            continue
        path = _path(home, name)
        if path is not None and not path.is_relative_to(around):
            message = (
                f"found {quoted(name)}, expected a folder beside the estate, because estate.yaml says practice: true"
            )
            estate.add(("publish", "mirrors", index), message, is_follow_up=True)


def _path(home: Path, name: str) -> Path | None:
    try:
        return beside(home, name)
    except (OSError, ValueError, RuntimeError):
        return None


def _bucket(name: str) -> Bucket | None:
    try:
        return Bucket.parse(name)
    except ValueError:
        return None


def _texts(data: dict[str, Data], key: str) -> Iterator[tuple[int, str]]:
    items = data.get(key)
    if isinstance(items, list):
        for index, item in enumerate(items):
            if isinstance(item, str) and item:
                yield index, item
