"""How two texts differ, line by line, what looks like a secret hidden. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence

from recovery.report.masking import masked
from recovery.report.text import printable

CONTEXT_LINES = 3
MAX_LINES = 5000
"""Longer files are not compared by line: the comparison's cost grows with the square of their length."""


def text_lines(content: bytes) -> list[str]:
    """Return the lines of a file; bytes that are no text are written in hex."""
    return content.decode("utf-8", "backslashreplace").split("\n")


def unified(old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    """Yield hunks: ` ` what both have, `-` what only the old one has, `+` what only the new one has.

    The true lines are compared and the masked ones are shown, so that two secrets that differ show as a difference.
    """
    shown_old = [printable(line) for line in masked(old)]
    shown_new = [printable(line) for line in masked(new)]
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for group in matcher.get_grouped_opcodes(CONTEXT_LINES):
        yield f"@@ -{group[0][1] + 1} +{group[0][3] + 1} @@"
        for tag, old_from, old_to, new_from, new_to in group:
            if tag == "equal":
                yield from (f" {line}" for line in shown_old[old_from:old_to])
            else:
                yield from (f"-{line}" for line in shown_old[old_from:old_to])
                yield from (f"+{line}" for line in shown_new[new_from:new_to])
