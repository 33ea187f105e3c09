"""The right to write to a scope (a region or a data centre), and the epoch that comes with it.

A lease keeps two operators apart; the epoch, checked on the unit, keeps a writer out that was paused and overtaken.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from recovery.clock import Clock
from recovery.errors import HeldError, LeaseLostError, PulihError
from recovery.model.visit import MAX_EPOCH, WORD, Epoch
from recovery.processes import Process, Processes
from recovery.store import ConflictError, Document, Store

TIME_TO_LIVE = timedelta(seconds=30)
"""A holder that has not been heard for this long may be taken over."""

ENGINE_VERB = "up"
"""The word in the names of runs that the engine conducts. They have no journal to resume: once such a holder is silent,
whoever comes next takes over, and brings its units to the declaration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who holds, or last held, a scope.

    Attributes:
        released: Whether it gave the scope back itself.
    """

    scope: str
    epoch: Epoch
    run: str
    process: Process
    since: datetime
    heartbeat: datetime
    released: bool

    def to_json(self) -> bytes:
        """Return it as it is stored."""
        return json.dumps(
            {
                "schema": "pulih/lease/v1",
                "scope": self.scope,
                "epoch": self.epoch.number,
                "holder": self.epoch.holder,
                "run": self.run,
                "process": asdict(self.process),
                "since": self.since.isoformat(),
                "heartbeat": self.heartbeat.isoformat(),
                "released": self.released,
            },
            indent=1,
        ).encode()

    @staticmethod
    def from_json(name: str, content: bytes) -> Holder:
        """Read it as it was stored.

        Raises:
            PulihError: It is not a lease.
        """
        try:
            data = json.loads(content)
            return Holder(
                scope=_word(data["scope"]),
                epoch=Epoch(number=_epoch(data["epoch"]), holder=_word(data["holder"])),
                run=_word(data["run"]),
                process=Process.of(data["process"]),
                since=_moment(data["since"]),
                heartbeat=_moment(data["heartbeat"]),
                released=bool(data["released"]),
            )
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise PulihError(
                f"{name} is not a lease that pulih can read ({type(error).__name__}). It says who may write: look at "
                "it, make sure that no other pulih is at work, and move it away."
            ) from error


class Leases:
    """Takes leases from a store."""

    def __init__(self, store: Store, clock: Clock, processes: Processes, chance: random.Random) -> None:
        self.store = store
        self.clock = clock
        self.processes = processes
        self.chance = chance

    def take(
        self,
        scopes: Iterable[str],
        run: str,
        *,
        over: str | None = None,
        above: int | None = None,
        is_here: Callable[[str], bool] = lambda _run: True,
    ) -> Lease:
        """Take every scope, or none.

        Args:
            scopes: Names of regions and data centres.
            run: The run that takes them.
            over: The run whose silent holder may be taken over.
            above: With break-glass, the largest epoch that any unit reports: the store may have lost count, and a
                silent holder whose run is not on this machine may be taken over too.
            is_here: Whether a run is on this machine, so that it can be resumed.

        Raises:
            HeldError: Somebody else holds one of them; says who, since when and what to do.
        """
        wanted = sorted(set(scopes))
        now = self.clock.now()
        found = {name: self._read(name) for name in self.store.names("leases/")}
        number = 1 + max((holder.epoch.number for _, holder in found.values()), default=0)
        if above is not None:
            number = max(number, above + 1)
        epoch = Epoch(number=number, holder=f"{self.chance.getrandbits(64):016x}")
        lease = Lease(self, epoch, run)
        for _, holder in (found[_name(scope)] for scope in wanted if _name(scope) in found):
            if self._has_fallen_silent(holder, now, over, is_glass_broken=above is not None, is_here=is_here):
                lease.taken_over[holder.run] = holder.process.where
        for scope in wanted:
            held = Holder(
                scope=scope,
                epoch=epoch,
                run=run,
                process=self.processes.me(),
                since=now,
                heartbeat=now,
                released=False,
            )
            document = found.get(_name(scope))
            try:
                version = self.store.put(_name(scope), held.to_json(), over=document[0].version if document else None)
            except ConflictError as error:
                lease.release()
                raise HeldError(f"{scope} was taken by somebody else at this very moment: try again.") from error
            except (PulihError, OSError):  # a store that fails half-way must not keep what it has let us take
                with suppress(PulihError, OSError):
                    lease.release()
                raise
            lease.held[scope] = (held, version)
        return lease

    def holders(self) -> list[Holder]:
        """Return who holds, or last held, every scope that was ever taken."""
        return [self._read(name)[1] for name in self.store.names("leases/")]

    def _read(self, name: str) -> tuple[Document, Holder]:
        document = self.store.get(name)
        if document is None:
            raise PulihError(f"{name} vanished while it was being read: try again.")
        return document, Holder.from_json(name, document.content)

    def _has_fallen_silent(
        self, holder: Holder, now: datetime, over: str | None, *, is_glass_broken: bool, is_here: Callable[[str], bool]
    ) -> bool:
        """Return whether a scope is free because its holder has fallen silent; False when nobody holds it.

        Raises:
            HeldError: It is not free.
        """
        if holder.released or self.processes.is_dead(holder.process):
            return False
        silent = now - holder.heartbeat
        is_engine = f"-{ENGINE_VERB}-" in holder.run
        who = (
            f"{holder.scope} is held by {holder.process.where} (process {holder.process.pid}) since "
            f"{holder.since:%Y-%m-%d %H:%M:%S} UTC, run {holder.run}, last heard {int(silent.total_seconds())} s ago."
        )
        if silent <= TIME_TO_LIVE:
            stop = "with Ctrl-C where it runs" if is_engine else f"with `pulih cancel {holder.run}`"
            raise HeldError(f"{who} Wait for it, or stop it {stop}.")
        if is_engine or holder.run == over:
            return True
        resume, where = f"take over with `pulih resume {holder.run}`", ""
        if not is_here(holder.run):
            if is_glass_broken:
                return True
            where = " where that run is kept; if it was lost with its machine, break the glass: --break-glass"
        raise HeldError(
            f"{who} It has been silent for longer than {int(TIME_TO_LIVE.total_seconds())} s. If it is not coming "
            f"back, {resume}{where}."
        )


class Lease:
    """Some scopes, held by this run.

    Attributes:
        epoch: The right that every unit checks.
        held: By scope, what was last written and its version in the store.
        taken_over: Where each run was conducted whose silent holder was taken over.
    """

    def __init__(self, leases: Leases, epoch: Epoch, run: str) -> None:
        self.epoch = epoch
        self.run = run
        self.held: dict[str, tuple[Holder, str]] = {}
        self.taken_over: dict[str, str] = {}
        self._leases = leases
        self._renewed = leases.clock.now()

    def renew(self, *, at_once: bool = False) -> None:
        """Tell the store that we live, when it was last told a third of the time to live ago. Call it before each unit.

        Args:
            at_once: However recently it was told; for when there is a reason to doubt.

        Raises:
            LeaseLostError: Somebody else holds a scope of ours now.
        """
        now = self._leases.clock.now()
        if not at_once and timedelta(0) <= now - self._renewed < TIME_TO_LIVE / 3:
            return
        self._write(now, released=False)
        self._renewed = now

    def is_fresh(self) -> bool:
        """Whether the store has heard of us so lately that nobody may take over yet, with time to spare."""
        return timedelta(0) <= self._leases.clock.now() - self._renewed < TIME_TO_LIVE * 2 / 3

    def release(self) -> None:
        """Give everything back; what somebody else has taken meanwhile is theirs."""
        try:
            self._write(self._leases.clock.now(), released=True)
        except LeaseLostError:
            return

    def _write(self, now: datetime, *, released: bool) -> None:
        lost: list[str] = []
        for scope, (holder, version) in list(self.held.items()):
            fresh = Holder(
                scope=scope,
                epoch=holder.epoch,
                run=holder.run,
                process=holder.process,
                since=holder.since,
                heartbeat=now,
                released=released,
            )
            try:
                self.held[scope] = (fresh, self._leases.store.put(_name(scope), fresh.to_json(), over=version))
            except ConflictError:
                lost.append(scope)
        if lost:
            by = self._leases.store.get(_name(lost[0]))
            who = Holder.from_json(lost[0], by.content) if by else None
            told = f" by {who.process.where}, run {who.run}, epoch {who.epoch.number}" if who else ""
            raise LeaseLostError(
                f"{', '.join(lost)} has been taken over{told}. This run (epoch {self.epoch.number}) starts no further "
                "unit; those the new run has visited refuse it."
            )


def _word(value: object) -> str:
    """Return a name that goes into an applier's header, or into a sentence."""
    if not isinstance(value, str) or WORD.fullmatch(value) is None:
        raise ValueError("not a name")
    return value


def _epoch(value: object) -> int:
    if not isinstance(value, int) or not 1 <= value <= MAX_EPOCH:
        raise ValueError("not an epoch")
    return value


def _moment(value: str) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError("a moment without its offset from UTC")
    return moment.astimezone(UTC)


def _name(scope: str) -> str:
    return f"leases/{scope}.json"
