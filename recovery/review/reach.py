"""How far a change reaches: who is out of reach if it goes wrong, and when those are too many for one change. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from recovery.model.estate import DataCentreName, RegionName, ServiceName, UnitName
from recovery.review.sides import Host, Side
from recovery.waves import closure

MAX_SHARE = 0.2
"""Of the units, the most that one change may put at risk when it reaches beyond one region."""

TRAILER = "Blast-Radius"
"""The line of a commit message that says why a change must reach further: `Blast-Radius: reason`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Who is out of reach if a change goes wrong.

    Attributes:
        units: Every unit that changes, and every one that needs an endpoint that changes.
        of: How many units are declared and in service, before or after.
        offices: How many offices those units stand in.
        regions: Their regions.
        services: Those that the units, endpoints and moves are of.
        counters: How many of the units, by service.
    """

    units: frozenset[UnitName]
    of: int
    offices: int
    regions: tuple[RegionName, ...]
    services: tuple[ServiceName, ...]
    counters: Mapping[ServiceName, int]

    @property
    def share(self) -> float:
        """Which share of the units, 0 to 1."""
        return len(self.units) / self.of if self.of else 0.0

    @property
    def excess(self) -> str | None:
        """Say why this is too far for one change, or None."""
        if self.share <= MAX_SHARE or len(self.regions) < 2:
            return None
        return (
            f"this change puts {len(self.units):,} of {self.of:,} units ({self.share:.0%}) in {len(self.regions)} "
            f"regions at risk at once; at most {MAX_SHARE:.0%}, or one region, may be. Split it, region by region; "
            f"where that can't be, say why in the commit message, on a line `{TRAILER}: reason`."
        )


def reach(
    before: Side,
    after: Side,
    changed_units: Iterable[UnitName],
    changed_endpoints: Iterable[UnitName],
    moved: Iterable[ServiceName],
) -> Reach:
    """Say how far a change reaches.

    Args:
        before: The estate before.
        after: The estate after.
        changed_units: Those that differ in any way, or are declared on one side only.
        changed_endpoints: The same of endpoints.
        moved: Services that are served from elsewhere for somebody.
    """
    endpoints = set(changed_endpoints)
    units = set(changed_units)
    services = set(moved)
    for side in (before, after):
        ends = {(host.service, host.data_centre) for host in side.endpoints.values() if host.name in endpoints}
        services |= {service for service, _ in ends}
        units |= {host.name for host in _behind(side, ends)}
    hosts = [after.units.get(name) or before.units[name] for name in sorted(units)]
    counters = Counter(host.service for host in hosts)
    services |= set(counters)
    order = dict.fromkeys([*after.estate.service, *before.estate.service])
    regions = dict.fromkeys([*(region.name for side in (after, before) for region in side.estate.regions)])
    touched = {host.region for host in hosts}
    return Reach(
        units=frozenset(units),
        of=len({host.name for side in (before, after) for host in side.units.values() if host.bundle is not None}),
        offices=len({host.office for host in hosts}),
        regions=tuple(region for region in regions if region in touched),
        services=tuple(service for service in order if service in services),
        counters={service: counters[service] for service in order if counters[service]},
    )


def _behind(side: Side, ends: set[tuple[ServiceName, DataCentreName]]) -> Iterator[Host]:
    """Yield the units that need one of these endpoints to serve."""
    needs = {name: closure(side.estate.services, {name}) for name in side.estate.service}
    for host in side.units.values():
        if host.bundle is not None and any(
            (service, side.estate.placement.of(service, host.region)) in ends for service in needs[host.service]
        ):
            yield host
