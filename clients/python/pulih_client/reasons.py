"""Why an answer of a mirror was refused, by name."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """The whole list; `docs/client.md` says what each means."""

    SIGNATURES = "signatures"
    """Fewer trusted keys than the threshold have signed it."""
    ROLLBACK = "rollback"
    """It is older than what this client has trusted already."""
    EXPIRED = "expired"
    """It is authentic and too old to be believed: somebody may be holding back what is newer."""
    MIX_AND_MATCH = "mix-and-match"
    """It is another file than the signed one before it names."""
    TOO_LARGE = "too-large"
    TOO_SLOW = "too-slow"
    MALFORMED = "malformed"
    MISSING = "missing"
    """The mirror does not have a file that a signed one names."""
    UNREACHABLE = "unreachable"
    BAD_MANIFEST = "bad-manifest"
    """It is signed, and says nothing that this client can follow."""
    CONFIG_EPOCH_ROLLBACK = "config-epoch-rollback"
    CONFIG_EPOCH_REUSED = "config-epoch-reused"
    """The same epoch with another content."""
    OWN_DISK = "own-disk"
    """The client could not write; nothing is wrong with the mirror."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One answer that was refused.

    Attributes:
        file: What it was about: `root`, `timestamp`, `snapshot`, `targets` or `manifest`.
        mirror: Address of the mirror.
        text: One sentence for people.
    """

    reason: Reason
    file: str
    mirror: str
    text: str


class RefusedError(Exception):
    """What a mirror answered is not followed; the configuration stays as it was."""

    def __init__(self, reason: Reason, file: str, text: str) -> None:
        super().__init__(f"{reason}: {file}: {text}")
        self.reason = reason
        self.file = file
        self.text = text
