"""Watches for whatever must stop a run: a lost lease, Ctrl-C, a request to cancel."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from recovery.cli.interrupted import BEFORE_ITS_TURN, EXIT_CODE
from recovery.errors import LeaseLostError, PulihError
from recovery.lease import Lease
from recovery.model.events import Event, UnitFinished
from recovery.model.outcome import Cause
from recovery.order import Halt

HELD = 4
"""Exit code of a run that somebody else has taken over."""

HEARTBEAT_S = 5.0
"""How often the lease is looked after while units are at work, seconds; it lasts 30."""


class Watch:
    """Answers the runbook's question before each unit: must the run stop?"""

    def __init__(self, lease: Lease, is_cancel_requested: Callable[[], bool]) -> None:
        self._lease = lease
        self._is_cancel_requested = is_cancel_requested
        self._halt: Halt | None = None

    def halted(self) -> Halt | None:
        """Return why the run must stop, or None; once it must, it must for good."""
        if self._halt is None:
            self._renew()
        if self._halt is None and self._is_cancel_requested():
            self._halt = Halt(
                cause=Cause.CANCELLED, reason="the run was cancelled before its turn", exit_code=EXIT_CODE
            )
        return self._halt

    def is_stopping(self) -> bool:
        """Whether the run was told to stop already."""
        return self._halt is not None

    def interrupt(self) -> bool:
        """Stop before the next unit; False when that was asked before."""
        if self._halt is not None:
            return False
        self._halt = Halt(cause=Cause.CANCELLED, reason=BEFORE_ITS_TURN, exit_code=EXIT_CODE)
        return True

    async def keep_lease(self) -> None:
        """Renew the lease for as long as this is not cancelled: one unit may take longer than a lease lasts."""
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            if not self._is_lost():
                self._renew()

    def stop(self, reason: str) -> None:
        """Stop before the next unit, because the run can't be recorded any more."""
        if self._halt is None:
            self._halt = Halt(cause=Cause.CANCELLED, reason=reason, exit_code=1)

    def lose(self, reason: str) -> None:
        """Stop before the next unit, because somebody else conducts the run, whatever the store says of its lease."""
        if not self._is_lost():
            self._halt = Halt(cause=Cause.STALE_EPOCH, reason=reason, exit_code=HELD)

    def is_overtaken(self) -> bool:
        """Whether somebody else conducts the run now; asks the store."""
        if not self._is_lost():
            self._renew(at_once=True)
        return self._is_lost()

    def notice(self, event: Event) -> None:
        """Doubt the lease when a unit says that it has seen a newer epoch."""
        stale = isinstance(event, UnitFinished) and event.outcome.cause is Cause.STALE_EPOCH
        if stale and self._halt is None:
            self._renew(at_once=True)

    def _is_lost(self) -> bool:
        return self._halt is not None and self._halt.exit_code == HELD

    def _renew(self, *, at_once: bool = False) -> None:
        try:
            self._lease.renew(at_once=at_once)
        except LeaseLostError as error:
            self.lose(str(error))
        except (PulihError, OSError) as error:
            # A run that can't show that it lives might be taken over without knowing: then it begins nothing more.
            if not self._lease.is_fresh():
                self.stop(f"its lease can't be renewed: {error}")
