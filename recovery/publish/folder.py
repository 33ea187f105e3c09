"""A request on its way from one person to the next: a folder that is carried to machines without a network.

It holds the metadata as TUF writes it, indented so that people can read what they sign, and `request.json`, which
says what belongs to it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from tuf.api.serialization.json import JSONSerializer

from recovery.errors import PublishError, UntrustedError
from recovery.files import UnfitFileError, read_regular
from recovery.publish import change, metadata
from recovery.publish.formats import Metadata, Root, Targets
from recovery.publish.keys import name_of
from recovery.publish.manifest import MAX_BYTES, TARGET, Manifest
from recovery.publish.request import Request
from recovery.publish.trust import MAX_METADATA_BYTES, read
from recovery.writing import write_atomically

SCHEMA = "pulih/signing/v1"
NAME = "request.json"


def write(request: Request, folder: Path, *, practice: bool) -> None:
    """Write a request into a folder that is empty or not there, or over itself.

    Args:
        request: What people are asked to sign.
        folder: Where.
        practice: Whether keys may be used that are not encrypted.

    Raises:
        PublishError: The folder holds something else, or can't be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()) and not (folder / NAME).exists():
            raise PublishError(f"{folder} holds other files; name an empty folder or one that is not there yet")
        if request.current is not None:
            _write(folder / "current.root.json", Metadata(request.current))
        for made in request.roots:
            _write(folder / f"{made.signed.version}.root.json", made)
        if request.targets is not None and request.manifest is not None:
            _write(folder / "targets.json", request.targets)
            write_atomically(folder / TARGET, request.manifest)
        about = {
            "schema": SCHEMA,
            "practice": practice,
            "has_current": request.current is not None,
            "roots": [made.signed.version for made in request.roots],
            "has_targets": request.targets is not None,
        }
        write_atomically(folder / NAME, json.dumps(about, indent=1).encode() + b"\n")
    except OSError as error:
        raise PublishError(f"{folder} can't be written: {error.strerror}") from error


def _write(path: Path, made: Metadata[Root] | Metadata[Targets]) -> None:
    write_atomically(path, made.to_bytes(JSONSerializer()) + b"\n")


def load(folder: Path) -> tuple[Request, bool]:
    """Read a request, and whether it is for practice.

    Raises:
        PublishError: There is none.
    """
    about = _about(folder)
    try:
        current = read(Root, _content(folder / "current.root.json"), "current.root.json").signed
    except FileNotFoundError:
        current = None
    if (current is not None) is not about["has_current"]:
        raise PublishError(f"{folder}: current.root.json is missing, or one too many")
    try:
        roots = tuple(
            read(Root, _content(folder / f"{int(version)}.root.json"), f"{version}.root.json")
            for version in cast("list[Any]", about["roots"])
        )
        targets = read(Targets, _content(folder / "targets.json"), "targets.json") if about["has_targets"] else None
        manifest = None if targets is None else _content(folder / TARGET, MAX_BYTES)
    except (FileNotFoundError, ValueError, TypeError) as error:
        raise PublishError(f"{folder} is not whole: {error}") from error
    versions = [made.signed.version for made in roots]
    if versions != about["roots"] or (targets is not None and not _names(targets.signed, manifest or b"")):
        raise UntrustedError(f"{folder}: its files don't belong together; prepare it again")
    return Request(current=current, roots=roots, targets=targets, manifest=manifest), about["practice"] is True


def _names(targets: Targets, manifest: bytes) -> bool:
    file = targets.targets.get(TARGET)
    expected = metadata.targets(manifest, 1, targets.expires).targets[TARGET]
    return file is not None and set(targets.targets) == {TARGET} and file.hashes == expected.hashes


def _about(folder: Path) -> dict[str, object]:
    try:
        about = json.loads(read_regular(folder / NAME, MAX_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        raise PublishError(f"{folder} holds nothing to sign: {NAME}: {error}") from error
    if not isinstance(about, dict) or cast("dict[str, object]", about).get("schema") != SCHEMA:
        raise PublishError(f"{folder / NAME} is no request: expected the schema {SCHEMA}")
    found = cast("dict[str, object]", about)
    if not {"practice", "has_current", "roots", "has_targets"} <= set(found) or not isinstance(found["roots"], list):
        raise PublishError(f"{folder / NAME} is no request: something is missing")
    return found


def _content(path: Path, at_most_bytes: int = MAX_METADATA_BYTES) -> bytes:
    try:
        return read_regular(path, at_most_bytes)
    except UnfitFileError as error:
        raise PublishError(f"{path} {error.what}") from error


def told(request: Request) -> Iterator[str]:
    """Say what people are asked to sign, so that they can read it before they do.

    Raises:
        UntrustedError: It tells nothing that people can read.
    """
    before = request.current
    for made in request.roots:
        yield from _root(before, made.signed)
        before = made.signed
    if request.manifest is not None and request.targets is not None:
        targets = request.targets.signed
        yield f"targets.json {targets.version}, good until {targets.expires:%Y-%m-%d}, names {TARGET}:"
        manifest = Manifest.read(request.manifest)
        whole = {"config_epoch": manifest.config_epoch, **manifest.content}
        yield from ("  " + line for line in json.dumps(whole, ensure_ascii=False, indent=2).splitlines())


def _root(before: Root | None, root: Root) -> Iterator[str]:
    yield f"root {root.version}, good until {root.expires:%Y-%m-%d}"
    for role in metadata.ROLES:
        keys = {key.keyid: name_of(key) for key in change.keys_of(root, role)}
        old = {} if before is None else {key.keyid: name_of(key) for key in change.keys_of(before, role)}
        gone = "".join(f", no longer {name}" for keyid, name in old.items() if keyid not in keys)
        fresh = "".join(f", new: {name} ({keyid[:12]})" for keyid, name in keys.items() if keyid not in old)
        yield f"  {role}: {root.roles[role].threshold} of {', '.join(keys.values())}{fresh}{gone}"
