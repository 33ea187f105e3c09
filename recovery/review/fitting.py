"""What fits into one comment: totals always, the rest as far as there is room, and a note of what is not. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

LIMIT_BYTES = 65_536
"""Of UTF-8, so that there are no more characters either. Source: GitHub refuses a comment of more characters."""

_NOTE_BYTES = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A part that may be left out.

    Attributes:
        kind: What such parts are, in the plural.
    """

    kind: str
    text: str


def fitted(sections: Sequence[tuple[str, Sequence[Block]]], rest: str) -> str:
    """Put sections together, in order, within the limit.

    Args:
        sections: Each with what is always there, and blocks that follow it as far as there is room. Room is given to
            the first blocks of every section, then to the second ones, and so on.
        rest: Ends the note that says what was left out.
    """
    room = LIMIT_BYTES - _NOTE_BYTES - sum(_size(always) for always, _ in sections)
    taken: set[int] = set()
    left: Counter[str] = Counter()
    for turn in zip_longest(*(blocks for _, blocks in sections)):
        for block in turn:
            if block is None:
                continue
            if _size(block.text) <= room:
                taken.add(id(block))
                room -= _size(block.text)
            else:
                left[block.kind] += 1
    text = "".join(
        always + "".join(block.text for block in blocks if id(block) in taken) for always, blocks in sections
    )
    if left:
        all_of = Counter(block.kind for _, blocks in sections for block in blocks)
        told = ", ".join(f"{count:,} of {all_of[kind]:,} {kind}" for kind, count in left.items())
        text += f"> **Truncated**: {told} are left out, because a comment has room for {LIMIT_BYTES:,} characters; "
        text += f"the totals are whole.\n{rest}"
    return text


def _size(text: str) -> int:
    return len(text.encode())
