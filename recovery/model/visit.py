"""What one visit to a unit carries, and what a look at a unit finds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

WORD = re.compile(r"[A-Za-z0-9._:/-]{1,200}")
"""What a field of the applier's header, and of a receipt, is made of."""

MAX_EPOCH = 10**15 - 1
"""A run a second would take thirty million years to get there; break-glass goes one above the largest that it reads."""


class Mode(StrEnum):
    """What the applier is asked to do."""

    APPLY = "apply"
    READ = "read"
    PROBE = "probe"
    FORGET = "forget"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Epoch:
    """The number that comes with a lease and only grows, and who drew it.

    Attributes:
        number: From 1; a unit refuses a smaller one than it has seen.
        holder: Random; tells two holders of the same number apart.
    """

    number: int
    holder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a unit recorded about the release it runs.

    Attributes:
        applied_at: The unit's clock, RFC 3339, as it wrote it.
    """

    digest: str
    epoch: Epoch
    run: str
    applied_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedFile:
    """One file of the release that a unit runs.

    Attributes:
        sha256: Lower-case hex; None where it could not be read.
        mode: As `ls` writes it, such as `-rw-r--r--`.
    """

    sha256: str | None
    mode: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What a unit runs, by reading it.

    Attributes:
        digest: The digest that its release is named after; None when no release runs. The files may differ from it.
        receipt: None when there is none that can be trusted.
        epoch: The largest it has accepted; None before the first.
        files: By path.
        odd: How many further names in the release could not be written in a report.
        missing: Programs it lacks that the applier needs.
        contents: Of the files, by path, where they were asked for.
    """

    digest: str | None
    receipt: Receipt | None
    epoch: Epoch | None
    files: Mapping[str, ObservedFile]
    odd: int
    missing: tuple[str, ...]
    contents: Mapping[str, bytes]
