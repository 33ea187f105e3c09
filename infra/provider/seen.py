"""What a look at a unit says of its resource: the files it really runs, and the receipt it keeps. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import cast

from infra.declaration import Deployable
from infra.provider.checking import Properties
from recovery.diff import Change, Difference
from recovery.model.visit import Observed, Receipt

NO_RELEASE = "none"
"""The digest of a unit that runs no release."""

_BITS = {"r": 4, "w": 2, "x": 1, "-": 0}


def outputs(inputs: Properties, receipt: Receipt | None) -> dict[str, object]:
    """Return a resource's state: its inputs and what the unit's receipt adds."""
    return {
        **inputs,
        "epoch": float(receipt.epoch.number) if receipt else 0.0,
        "appliedAt": receipt.applied_at if receipt else "",
        "run": receipt.run if receipt else "",
    }


def state(
    before: Properties, declared: Deployable, observed: Observed, found: tuple[Difference, ...]
) -> dict[str, object]:
    """Return the state of a unit as it was read.

    Args:
        before: The inputs of the resource as it was last deployed; empty when it is just being imported.
        declared: What the declaration says of it now.
        observed: What the unit runs.
        found: In what that differs from the declaration.
    """
    if not found:
        return outputs(declared.inputs, observed.receipt)
    files = dict(cast(Mapping[str, str], declared.inputs["files"]))
    for difference in found:
        _enter(files, difference, observed)
    if observed.digest is None:
        files = {}
    read = {**(before or declared.inputs), "digest": _digest(observed), "files": files}
    return outputs(read, observed.receipt)


def _enter(files: dict[str, str], difference: Difference, observed: Observed) -> None:
    """Put one difference where a person sees it: under the file that differs."""
    seen = observed.files.get(difference.path)
    if difference.change is Change.MISSING and difference.path in files:
        del files[difference.path]
    elif difference.change is Change.MISSING:  # MANIFEST, which no input names
        files[difference.path] = "none"
    elif seen is None:
        files[difference.path] = difference.found
    elif difference.change is Change.MODE:
        files[difference.path] = f"{seen.sha256} {seen.mode}"
    else:
        files[difference.path] = seen.sha256 or "unreadable"


def _digest(observed: Observed) -> str:
    """Return the digest of what runs: of the files, since a release's name only says what it was when it came."""
    if observed.digest is None:
        return NO_RELEASE
    lines = [
        f"{seen.sha256 or 'unreadable'} {_octal(seen.mode)} {path}\n"
        for path, seen in sorted(observed.files.items(), key=lambda item: item[0].encode())
        if path != "MANIFEST"
    ]
    return "sha256:" + hashlib.sha256("".join(lines).encode()).hexdigest()


def _octal(mode: str) -> str:
    """Return the permission bits that `ls` shows, as a manifest writes them."""
    triads = (mode[place : place + 3] for place in (1, 4, 7))
    return "0" + "".join(str(sum(_BITS.get(bit, 0) for bit in triad)) for triad in triads)
