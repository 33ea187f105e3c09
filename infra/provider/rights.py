"""The right to write: this process's leases, taken at its first write and given back when it ends.

A preview or a refresh never comes here, so it takes none. The epoch stays the same for the life of the process.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from recovery.cli.connecting import leases_store
from recovery.cli.context import state_folder, where
from recovery.cli.watch import Watch
from recovery.clock import WallClock, new_run
from recovery.errors import PulihError, UnitError
from recovery.lease import ENGINE_VERB, Lease, Leases
from recovery.model.estate import Estate
from recovery.processes import LinuxProcesses


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """The right to write to one scope.

    Attributes:
        lease: With the epoch that every unit checks.
        watch: Renews it, and knows when no further unit may be started.
        heartbeat: The task that does so while units are at work.
    """

    lease: Lease
    watch: Watch
    heartbeat: asyncio.Task[None]

    def check(self, unit: str) -> None:
        """Make sure that a unit may be written to now; called before each try.

        Raises:
            UnitError: The lease was lost, or the deployment is being stopped.
        """
        halt = self.watch.halted()
        if halt is not None:
            raise UnitError(unit, f"nothing more is begun on it: {halt.reason}", cause=halt.cause)


class Rights:
    """Takes each scope's lease once, however many units ask for it at the same time."""

    def __init__(self, estate: Estate, check: Callable[[], None]) -> None:
        """Take nothing yet.

        Args:
            estate: Whose leases.
            check: Called when a lease has been taken, before the first unit; raises when what was going to be done
                no longer fits.
        """
        self._estate = estate
        self._check = check
        self._run = new_run(ENGINE_VERB, WallClock().now(), random.SystemRandom())
        self._taken: dict[str, Right | PulihError] = {}
        self._one_at_a_time = asyncio.Lock()
        self._is_stopping = False

    async def of(self, scope: str) -> Right:
        """Return the right to write to a scope.

        Raises:
            HeldError: Somebody else holds it; says who and what to do.
            PulihError: The leases can't be reached, or what was going to be done no longer fits.
        """
        async with self._one_at_a_time:
            if scope not in self._taken:
                self._taken[scope] = await self._take(scope)
            found = self._taken[scope]
        if isinstance(found, PulihError):
            raise type(found)(f"{found} Nothing was touched.")
        return found

    def stop(self) -> None:
        """Let units in flight finish and start none."""
        self._is_stopping = True
        for right in self._taken.values():
            if isinstance(right, Right):
                right.watch.interrupt()

    def release(self) -> None:
        """Give everything back; a lease that can't be is free when this process has ended, or fallen silent."""
        for right in self._taken.values():
            if isinstance(right, Right):
                right.heartbeat.cancel()
                with suppress(PulihError, OSError):
                    right.lease.release()
        self._taken.clear()

    async def _take(self, scope: str) -> Right | PulihError:
        try:
            lease = await asyncio.to_thread(self._leased, scope)
        except PulihError as error:
            return error
        except OSError as error:
            return PulihError(f"the leases beside {self._estate.folder} can't be used: {error}.")
        watch = Watch(lease, lambda: False)
        if self._is_stopping:
            watch.interrupt()
        return Right(lease=lease, watch=watch, heartbeat=asyncio.create_task(watch.keep_lease()))

    def _leased(self, scope: str) -> Lease:
        store = leases_store(self._estate, state_folder(self._estate.folder))
        lease = Leases(store, WallClock(), LinuxProcesses(where()), random.SystemRandom()).take([scope], self._run)
        try:
            self._check()
        except PulihError:
            lease.release()
            raise
        return lease
