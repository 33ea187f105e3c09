"""How a unit, an office or a city stands, in one word and one sign: colour alone tells nothing to some readers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum

from recovery.model.outcome import Outcome, State
from recovery.model.story import Story


class Mark(StrEnum):
    """How something stands; the worst comes first."""

    FAILED = "failed"
    SKIPPED = "skipped"
    UNDER_WAY = "under-way"
    WAITING = "waiting"
    DONE = "done"

    @property
    def sign(self) -> str:
        """A character that tells it without colour."""
        return _SIGNS[self]

    @property
    def word(self) -> str:
        """What people read."""
        return _WORDS[self]


_SIGNS = {Mark.FAILED: "✕", Mark.SKIPPED: "△", Mark.UNDER_WAY: "◐", Mark.WAITING: "○", Mark.DONE: "✓"}
_WORDS = {
    Mark.FAILED: "quarantined",
    Mark.SKIPPED: "skipped",
    Mark.UNDER_WAY: "under way",
    Mark.WAITING: "not started",
    Mark.DONE: "verified",
}
_OF_STATE = {
    State.VERIFIED: Mark.DONE,
    State.UNCHANGED: Mark.DONE,
    State.QUARANTINED: Mark.FAILED,
    State.SKIPPED: Mark.SKIPPED,
    State.NOT_STARTED: Mark.WAITING,
}


def mark(outcome: Outcome, story: Story) -> Mark:
    """Return how a unit or endpoint stands; one that is tried again is under way, whatever it was before."""
    return Mark.UNDER_WAY if outcome.name in story.under_way else _OF_STATE[outcome.state]


def worst(marks: Iterable[Mark]) -> Mark:
    """Return the mark of a group: that of its worst member."""
    found = set(marks)
    return next((each for each in Mark if each in found), Mark.WAITING)


def counted_marks(marks: Iterable[Mark]) -> tuple[tuple[Mark, int], ...]:
    """Count marks, the worst first, without those that do not occur."""
    counts = Counter(marks)
    return tuple((each, counts[each]) for each in Mark if counts[each])


def in_words(marks: Iterable[Mark]) -> str:
    """Write counts of marks, such as `1 quarantined, 3 verified`."""
    return ", ".join(f"{count:,} {each.word}" for each, count in counted_marks(marks))
