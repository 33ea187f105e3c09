"""Lets one thread end what another one waits for."""

from __future__ import annotations

import threading
from collections.abc import Callable


class InterruptedVisitError(Exception):
    """Somebody no longer wants what this thread is doing."""


class Interrupt:
    """A wish, made once from any thread, that a worker stop waiting; the worker says what would wake it.

    Attributes:
        is_set: Whether it has been made.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wake: Callable[[], None] | None = None
        self.is_set = False

    def guard(self, wake: Callable[[], None]) -> None:
        """Say what to call if the wish comes during the next wait.

        Args:
            wake: Called in another thread; must not block.

        Raises:
            InterruptedVisitError: It has come already.
        """
        with self._lock:
            self._wake = wake
            if self.is_set:
                raise InterruptedVisitError

    def check(self) -> None:
        """Raise when the wish has come.

        Raises:
            InterruptedVisitError: It has.
        """
        if self.is_set:
            raise InterruptedVisitError

    def set(self) -> None:
        """Wish it."""
        with self._lock:
            self.is_set = True
            wake = self._wake
        # outside the lock: what wakes the worker may take a lock that the worker holds while it calls `guard`
        if wake is not None:
            wake()
