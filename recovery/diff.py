"""Declared against observed: what differs at one unit. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from recovery.model.bundle import Bundle
from recovery.model.visit import Observed


class Change(StrEnum):
    """How a file differs."""

    MISSING = "missing"
    EXTRA = "extra"
    CONTENT = "content"
    MODE = "mode"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing at a unit that is not as declared.

    Attributes:
        path: Of a file of the release; `receipt.json` and `current` for the things beside it.
        change: How it differs.
        expected: What is declared, in short.
        found: What the unit has, in short.
    """

    path: str
    change: Change
    expected: str
    found: str


def differences(bundle: Bundle, observed: Observed) -> tuple[Difference, ...]:
    """Compare a unit with its bundle.

    Returns:
        Everything that differs, by path; empty exactly when an apply would send nothing and reload nothing.
    """
    if observed.digest is None:
        return (Difference(path="current", change=Change.MISSING, expected=bundle.digest, found="no release"),)
    found: list[Difference] = []
    wanted = {file.path: (file.sha256, _ls_mode(file.mode)) for file in bundle.files}
    wanted["MANIFEST"] = (bundle.digest.removeprefix("sha256:"), _ls_mode(0o644))
    for path, (sha256, mode) in wanted.items():
        seen = observed.files.get(path)
        if seen is None:
            found.append(Difference(path=path, change=Change.MISSING, expected=sha256[:12], found="nothing"))
        elif seen.sha256 != sha256:
            found.append(
                Difference(
                    path=path,
                    change=Change.CONTENT,
                    expected=sha256[:12],
                    found=(seen.sha256 or "unreadable")[:12],
                )
            )
        elif seen.mode != mode:
            found.append(Difference(path=path, change=Change.MODE, expected=mode, found=seen.mode))
    for path in observed.files:
        if path not in wanted:
            found.append(Difference(path=path, change=Change.EXTRA, expected="nothing", found="a file"))
    if observed.odd:
        found.append(
            Difference(
                path="(names that can't be written)",
                change=Change.EXTRA,
                expected="nothing",
                found=f"{observed.odd} files",
            )
        )
    if not found and observed.digest != bundle.digest:
        found.append(Difference(path="MANIFEST", change=Change.CONTENT, expected=bundle.digest, found=observed.digest))
    if not found and (observed.receipt is None or observed.receipt.digest != bundle.digest):
        found.append(
            Difference(
                path="receipt.json",
                change=Change.CONTENT,
                expected=bundle.digest,
                found=observed.receipt.digest if observed.receipt else "none",
            )
        )
    return tuple(sorted(found, key=lambda difference: difference.path))


def _ls_mode(mode: int) -> str:
    return "-" + "".join(bit if mode >> (8 - place) & 1 else "-" for place, bit in enumerate("rwxrwxrwx"))
