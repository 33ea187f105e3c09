"""The numbers of `docs/client.md`: what a client takes from a mirror, and how often it asks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much is taken from a mirror, and for how long.

    Attributes:
        root_bytes: Root metadata of eight RSA keys has 8 KB; the others are far from theirs.
        answer_bytes: All of one answer, headers included.
        roots: Steps of the root chain that one poll takes; the next poll goes on.
        mirrors: How many one poll tries.
        connect_s: To connect to one address of a mirror.
        gap_s: Between two bytes.
        mirror_s: For everything that one mirror is asked in a poll.
    """

    root_bytes: int = 65_536
    timestamp_bytes: int = 8_192
    snapshot_bytes: int = 16_384
    targets_bytes: int = 65_536
    manifest_bytes: int = 65_536
    answer_bytes: int = 131_072
    roots: int = 64
    mirrors: int = 8
    connect_s: float = 10
    gap_s: float = 10
    mirror_s: float = 30


LIMITS = Limits()
