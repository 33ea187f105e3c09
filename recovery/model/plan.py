"""What will be done, in which order and how much of it at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from recovery.model.estate import (
    BastionName,
    DataCentreName,
    Limits,
    LinkName,
    OfficeName,
    RegionName,
    ServiceName,
    UnitName,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which part of the estate is meant; an empty set means all of it."""

    regions: frozenset[RegionName] = frozenset()
    services: frozenset[ServiceName] = frozenset()
    units: frozenset[UnitName] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One unit or endpoint to bring to its declared state.

    Attributes:
        kind: Kind of unit: a folder of templates. Endpoints are of the kind `endpoint-host`.
        region: None for an endpoint.
        office: None for an endpoint.
        title: The office's or data centre's name as people read it.
        data_centre: The data centre that serves it, or that the endpoint stands in.
        link: Class of line; endpoints count as fibre.
    """

    name: UnitName
    kind: str
    service: ServiceName
    region: RegionName | None
    office: OfficeName | None
    title: str
    data_centre: DataCentreName
    link: LinkName
    bastion: BastionName | None

    @property
    def is_endpoint(self) -> bool:
        """Whether it is a data centre's endpoint rather than an office's unit."""
        return self.region is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """Steps that may run together, once the waves before it have passed.

    Attributes:
        name: Short and unique in the plan, such as `endpoints of identity, time` or `border-crossing`.
        services: The services it brings back.
        canaries: Go first, one of each class of line and kind of unit.
        rest: Go when the canaries are verified.
    """

    name: str
    services: tuple[ServiceName, ...]
    canaries: tuple[Step, ...]
    rest: tuple[Step, ...]

    @property
    def steps(self) -> tuple[Step, ...]:
        """Canaries, then the rest."""
        return self.canaries + self.rest


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One change of placement.

    Attributes:
        region: None changes the default of all regions.
    """

    service: ServiceName
    region: RegionName | None
    source: DataCentreName
    target: DataCentreName


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What will be done.

    Attributes:
        lost: The data centre that is given up; None for a routine deployment.
        to: The data centre that takes over; None for a routine deployment.
        moves: Changes of placement still to be written (none when it has moved already).
        endpoint_waves: Rebuild and prove the target's endpoints; run before the placement is written.
        unit_waves: Run after it.
        order: The services of the plan, in the order in which they come back.
        estate_digest: Of the estate with the target placement.
        hash: Covers the estate with the target placement, templates, applier, limits, selection and target.
        commit: Of the estate's repository, when there is one and it is clean.
    """

    lost: DataCentreName | None
    to: DataCentreName | None
    selection: Selection
    moves: tuple[Move, ...]
    endpoint_waves: tuple[Wave, ...]
    unit_waves: tuple[Wave, ...]
    order: tuple[ServiceName, ...]
    limits: Limits
    estate_digest: str
    hash: str
    commit: str | None

    @property
    def waves(self) -> tuple[Wave, ...]:
        """All waves in the order in which they run."""
        return self.endpoint_waves + self.unit_waves

    def steps(self) -> Iterator[Step]:
        """Yield every step, wave by wave."""
        for wave in self.waves:
            yield from wave.steps
