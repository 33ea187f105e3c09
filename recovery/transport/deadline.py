"""How long one visit may go on waiting: a step of it, and all of it."""

from __future__ import annotations

import time


class ExpiredError(Exception):
    """A limit has passed; the transport makes a `PulihError` of it.

    Attributes:
        limit_s: The limit, seconds.
        is_whole: Whether it was the limit for all of the visit rather than for one step.
    """

    def __init__(self, limit_s: float, *, is_whole: bool) -> None:
        self.limit_s = limit_s
        self.is_whole = is_whole
        super().__init__(f"{limit_s:g} s")


class Deadline:
    """The moments by which a step, and all of a visit, must be over. Belongs to one thread."""

    def __init__(self, within_s: float) -> None:
        self._within_s = within_s
        self._end = time.monotonic() + within_s
        self._step_s = within_s
        self._step_end = self._end

    def step(self, step_s: float) -> None:
        """Begin a step, or note that it made progress: it has `step_s` from now."""
        self._step_s = step_s
        self._step_end = time.monotonic() + step_s

    def remaining_s(self) -> float:
        """Return the seconds left, never 0.

        Raises:
            ExpiredError: There are none.
        """
        now = time.monotonic()
        remaining_s = min(self._step_end, self._end) - now
        if remaining_s <= 0:
            is_whole = self._end <= now
            raise ExpiredError(self._within_s if is_whole else self._step_s, is_whole=is_whole)
        return remaining_s

    def expired(self) -> ExpiredError:
        """Return the limit that a wait of `remaining_s` has used up."""
        is_whole = self._end <= self._step_end
        return ExpiredError(self._within_s if is_whole else self._step_s, is_whole=is_whole)
