"""Two sides of a change → everything that differs, and how far it reaches. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from recovery.forecast import NO_HISTORY, History
from recovery.model.estate import UnitName
from recovery.review.diffs import Difference, differences
from recovery.review.reach import Reach, reach
from recovery.review.rescues import Rescue, rescues
from recovery.review.settings import Changed, Moved, changed, moved, service_values, setting_values
from recovery.review.sides import Host, Side


class Change(StrEnum):
    """What becomes of a unit or an endpoint."""

    CHANGED = "changed"
    """Its files differ, or how it is reached."""
    ADDED = "added"
    REMOVED = "removed"
    """No longer declared: it goes on serving, and nothing rebuilds it."""
    RETIRED = "retired"
    """Declared out of service."""
    RETURNED = "returned"
    """Back in service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostChange:
    """One unit or endpoint that differs.

    Attributes:
        host: As it is after the change; as it was, when it is removed.
        differences: Keys of those of its files.
        facts: What differs in how it is reached and where it belongs.
    """

    host: Host
    change: Change
    differences: tuple[str, ...]
    facts: tuple[Changed, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """A warning about the estate after the change; `is_new` when the change brings it."""

    text: str
    is_new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """Everything that those who approve a change are shown.

    Attributes:
        units: Those that differ, in the order of the estate.
        endpoints: The same.
        differences: Of files, the one that most hosts have first.
        services: What differs in services and what they come after.
        settings: What differs in everything else that is declared for the whole estate.
        rescues_before: Recoveries that could be before the change.
        rescues_after: The same after it.
        reasons: What the commits say on lines `Blast-Radius: …`.
    """

    before: Side
    after: Side
    units: tuple[HostChange, ...]
    endpoints: tuple[HostChange, ...]
    differences: tuple[Difference, ...]
    moved: tuple[Moved, ...]
    services: tuple[Changed, ...]
    settings: tuple[Changed, ...]
    reach: Reach
    rescues_before: tuple[Rescue, ...]
    rescues_after: tuple[Rescue, ...]
    warnings: tuple[Warned, ...]
    reasons: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether the change changes nothing that is declared or deployed."""
        return not (self.units or self.endpoints or self.moved or self.services or self.settings)

    @property
    def counts(self) -> Mapping[Change, int]:
        """How many units there are of each change."""
        counter = Counter(unit.change for unit in self.units)
        return {change: counter[change] for change in Change}


def compare(
    before: Side,
    after: Side,
    *,
    reasons: Iterable[str] = (),
    history: History = NO_HISTORY,
    parallel: int,
) -> Review:
    """Compare two sides.

    Args:
        before: The estate before the change.
        after: The estate after it.
        reasons: What its commits say on lines `Blast-Radius: …`.
        history: What earlier runs took, for the forecast.
        parallel: Connections at once, for the forecast.
    """
    found = differences(
        pair for hosts in (_both(before.units, after.units), _both(before.endpoints, after.endpoints)) for pair in hosts
    )
    keys: dict[UnitName, list[str]] = {}
    for difference in found:
        for name in difference.hosts:
            keys.setdefault(name, []).append(difference.key)
    units = tuple(_changes(before.units, after.units, keys))
    endpoints = tuple(_changes(before.endpoints, after.endpoints, keys))
    moves = moved(before.estate, after.estate)
    return Review(
        before=before,
        after=after,
        units=units,
        endpoints=endpoints,
        differences=found,
        moved=moves,
        services=changed(service_values(before.estate), service_values(after.estate)),
        settings=changed(setting_values(before.estate), setting_values(after.estate)),
        reach=reach(
            before,
            after,
            (unit.host.name for unit in units),
            (endpoint.host.name for endpoint in endpoints),
            (move.service for move in moves),
        ),
        rescues_before=rescues(before.estate, history, parallel),
        rescues_after=rescues(after.estate, history, parallel),
        warnings=tuple(Warned(text=text, is_new=text not in before.warnings) for text in after.warnings),
        reasons=tuple(reasons),
    )


def _both(before: Mapping[UnitName, Host], after: Mapping[UnitName, Host]) -> Iterator[tuple[Host, Host]]:
    for name, host in after.items():
        if name in before:
            yield before[name], host


def _changes(
    before: Mapping[UnitName, Host], after: Mapping[UnitName, Host], keys: Mapping[UnitName, list[str]]
) -> Iterator[HostChange]:
    for name, host in {**before, **after}.items():
        was = before.get(name)
        if was is None or name not in after:
            change = Change.ADDED if was is None else Change.REMOVED
            yield HostChange(host=host, change=change, differences=(), facts=())
            continue
        facts = changed(was.facts, host.facts)
        differing = tuple(keys.get(name, ()))
        if (was.bundle is None) != (host.bundle is None):
            change = Change.RETIRED if host.bundle is None else Change.RETURNED
        elif facts or differing:
            change = Change.CHANGED
        else:
            continue
        yield HostChange(host=host, change=change, differences=differing, facts=facts)
