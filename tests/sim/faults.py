"""The named faults of the simulation, and traces of them.

A trace is a short list of faults, each at one place: at a unit's nth visit, at a journal's nth record, at a moment. A
history is a pure function of a seed (chance in timing) and a trace.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum


class Site(StrEnum):
    """Where a fault strikes."""

    REFUSED = "connection refused"
    LOGIN_REFUSED = "login refused"
    WRONG_HOST_KEY = "wrong host key"
    DROP_BEFORE_EXEC = "drop before exec"
    DROP_AFTER_EXEC = "drop after exec, before the exit status"
    DROP_AT_STEP = "drop at a step"
    HALF_BUNDLE = "half a bundle"
    HANG = "session that never answers"
    LIES = "unit that answers for another bundle"
    WRONG_ANSWER = "unit that the lost data centre answers"
    SLOW_LINK = "slow link"
    APPLIER_KILLED = "applier killed at a step"
    REBOOT = "unit reboots at a step"
    POWER_CUT = "unit loses its power at a step"
    DISK_FULL = "unit's disk full at a step"
    VALIDATE_FAILS = "validation fails"
    PROBE_FLAPS = "probe flaps"
    PROBE_FAILS = "probe fails until it is healed"
    GONE = "unit gone until it is found"
    STORE_SILENT = "store's acknowledgement lost"
    STORE_AGAIN = "store's acknowledgement lost and the write repeated"
    STORE_AWAY = "store away for a while"
    STORE_BURNED = "store lost with all leases"
    KILLED = "orchestrator killed at a journal record"
    TORN_RECORD = "journal's last line torn"
    POWER_LOST = "orchestrator's machine loses its power at a journal record"
    JOURNAL_FULL = "orchestrator's disk full at a journal record"
    PAUSED = "orchestrator paused"
    OVERTAKEN = "lease lost while paused"
    CLOCK_JUMPS = "orchestrator's clock jumps"
    INTERRUPTED = "orchestrator interrupted"
    CANCELLED = "run cancelled by somebody else"
    SECOND_OPERATOR = "two operators"
    ENGINE_UPDATE = "Pulumi update beside a recover"
    ENGINE_KILLED = "Pulumi engine killed mid-update"
    ENGINE_PAUSED = "Pulumi engine stopped beside a recover past its lease, then going on"
    MACHINE_LOST = "another operator's machine lost with its run"


LINE = frozenset(
    {
        Site.REFUSED,
        Site.LOGIN_REFUSED,
        Site.WRONG_HOST_KEY,
        Site.DROP_BEFORE_EXEC,
        Site.DROP_AFTER_EXEC,
        Site.DROP_AT_STEP,
        Site.HALF_BUNDLE,
        Site.HANG,
        Site.LIES,
        Site.WRONG_ANSWER,
    }
)
"""Strike a visit to a unit on its way."""

UNIT = frozenset(
    {Site.APPLIER_KILLED, Site.REBOOT, Site.POWER_CUT, Site.DISK_FULL, Site.VALIDATE_FAILS, Site.PROBE_FLAPS}
)
"""Strike a visit at the unit, at a place of its applier."""

STORE = frozenset({Site.STORE_SILENT, Site.STORE_AGAIN, Site.STORE_AWAY})
"""Strike a call to the leases' store."""

RECORD = frozenset(
    {
        Site.KILLED,
        Site.TORN_RECORD,
        Site.POWER_LOST,
        Site.JOURNAL_FULL,
        Site.PAUSED,
        Site.OVERTAKEN,
        Site.CLOCK_JUMPS,
        Site.INTERRUPTED,
        Site.CANCELLED,
    }
)
"""Strike the orchestrator as it writes a record of its journal."""

PLACES = (
    "epoch",
    "stage",
    "check",
    "validate",
    "moved",
    "emptied",
    "swapped",
    "reload",
    "probe",
    "receipt",
    "written",
    "back",
)
"""Where an applier can be struck: before each of its steps, and between the writes of one."""

FULL_AT = ("room", "stage", "swapped", "receipt")
"""Where a unit's disk can be found full."""

DROP_AT = ("stage", "check", "validate", "swap", "reload", "probe", "receipt")

_A_LEASE_S = 30.0

LAST_RECORD = 40
"""A recovery of the simulated estate that meets no fault writes this many records; a test counts them."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Attributes:
        who: The unit or endpoint; empty where the orchestrator or its store is struck.
        at: The nth visit to the unit, record of the journal or write to the store, from 1; for what begins at a moment,
            the second.
        how: The place of the applier, or the manner.
        seconds: How long it lasts, or how far a clock jumps.
    """

    site: Site
    who: str = ""
    at: int = 1
    how: str = ""
    seconds: float = 0.0

    def __repr__(self) -> str:
        words = [f"Site.{self.site.name}"]
        words += [f"{self.who!r}"] if self.who else []
        words += [f"at={self.at}"] if self.at != 1 else []
        words += [f"how={self.how!r}"] if self.how else []
        words += [f"seconds={self.seconds:g}"] if self.seconds else []
        return f"Fault({', '.join(words)})"


Trace = tuple[Fault, ...]


def draw(seed: int, names: tuple[str, ...]) -> Trace:
    """Return the trace of a seed: one to four faults, of any kinds, and a slow line where only that lets one be felt.

    Args:
        seed: Of the history.
        names: Of the units and endpoints that a recovery touches.
    """
    chance = random.Random(f"trace {seed}")
    sites = chance.choices(tuple(Site), k=chance.choice((1, 1, 2, 2, 3, 4)))
    trace = tuple(fault for site in sites for fault in _faults(site, chance, names))
    is_away = any(fault.site is Site.STORE_AWAY and fault.seconds > _A_LEASE_S for fault in trace)
    if is_away or (Site.ENGINE_UPDATE in sites and chance.random() < 0.5):
        slow = Fault(Site.SLOW_LINK, chance.choice(names), seconds=chance.choice((1.0, 3.0)))
        return (*trace, slow)  # or everything would be over before a lease is
    return trace


def _faults(site: Site, chance: random.Random, names: tuple[str, ...]) -> list[Fault]:
    """Return a fault; a unit whose probe fails is now and then not alone, so that waves are held."""
    fault = _fault(site, chance, names)
    if site is not Site.PROBE_FAILS or chance.random() < 0.5:
        return [fault]
    return [Fault(site, name) for name in names if _beside(name) == _beside(fault.who)]


def _beside(name: str) -> str:
    """Return what the units of a service have in common, and the endpoints of a data centre."""
    return name.removeprefix("office-").lstrip("0123456789") if name.startswith("office-") else "endpoint"


def _fault(site: Site, chance: random.Random, names: tuple[str, ...]) -> Fault:
    who, visit = chance.choice(names), chance.choice((1, 1, 1, 2, 3))
    match site:
        case Site.DROP_AT_STEP:
            return Fault(site, who, visit, chance.choice(DROP_AT))
        case Site.DISK_FULL:
            return Fault(site, who, visit, chance.choice(FULL_AT))
        case Site.APPLIER_KILLED:
            return Fault(site, who, visit, chance.choice(PLACES))
        case Site.REBOOT | Site.POWER_CUT:
            return Fault(site, who, visit, chance.choice(PLACES), float(chance.choice((1, 10, 60))))
        case Site.SLOW_LINK:
            return Fault(site, who, seconds=chance.choice((0.2, 1.0, 3.0)))
        case Site.GONE:
            return Fault(site, who, chance.randint(0, 12))
        case Site.PROBE_FAILS:
            return Fault(site, who)
        case Site.STORE_SILENT | Site.STORE_AGAIN:
            return Fault(site, at=chance.randint(1, 14))
        case Site.STORE_AWAY:
            return Fault(site, at=chance.randint(1, 14), seconds=float(chance.choice((1, 12, 45))))
        case Site.PAUSED | Site.OVERTAKEN:
            at, seconds = _record(chance), float(chance.choice((4, 12, 40, 70)))
            how = chance.choice(("", "within", "recover", "another")) if site is Site.OVERTAKEN else ""
            return Fault(site, at=at, how=how, seconds=seconds)
        case Site.CLOCK_JUMPS:
            return Fault(site, at=_record(chance), seconds=float(chance.choice((-3600, -40, -5, 5, 40, 3600))))
        case Site.INTERRUPTED:
            return Fault(site, at=_record(chance), how=chance.choice(("once", "twice")))
        case Site.SECOND_OPERATOR:
            how = chance.choice(("recover", "apply", "resume", "break-glass"))
            seconds = float(chance.choice((0, 0, 3, 8)))
            return Fault(site, at=chance.randint(0, 20), how=how, seconds=seconds)
        case Site.MACHINE_LOST:
            return Fault(site, at=chance.randint(0, 8), seconds=chance.choice((0.5, 2.0, 5.0)))
        case Site.ENGINE_PAUSED:
            how, seconds = chance.choice(("region-0", "region-1", "cloud-1")), float(chance.choice((2, 5, 10, 40)))
            return Fault(site, at=chance.randint(0, 6), how=how, seconds=seconds)
        case Site.ENGINE_UPDATE | Site.ENGINE_KILLED:
            how = chance.choice(("region-0", "region-1", "cloud-1"))
            at, seconds = chance.choice((0, 0, 1, 2, 5, 10, 20)), float(chance.choice((0, 1, 5, 20, 20)))
            return Fault(site, at=at, how=how, seconds=seconds)
        case Site.KILLED:
            return Fault(site, at=_record(chance), how=chance.choice(("before", "after")))
        case Site.STORE_BURNED:
            return Fault(site)
        case _ if site in RECORD:
            return Fault(site, at=_record(chance))
        case _:
            return Fault(site, who, visit)


def _record(chance: random.Random) -> int:
    return chance.randint(1, LAST_RECORD)
