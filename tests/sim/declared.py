"""The declaration that a recovery moves, and everything pure that follows from it, made once for all seeds."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache

import recovery.apply
from recovery.cli.loading import Declared
from recovery.model.bundle import Bundle
from recovery.model.estate import (
    DataCentreName,
    Endpoint,
    Estate,
    Limits,
    LinkName,
    Office,
    OfficeName,
    Region,
    ServiceName,
    Unit,
    UnitName,
)
from recovery.render import Renderer, Templates
from tests.many import an_estate_of
from tests.sim.platter import Release, unpacked

UNITS = 8
_WIDE, _EVERY_LINK = 64, dict.fromkeys(LinkName, 64)
LIMITS = (
    Limits(region=_WIDE, bastion=_WIDE, link=_EVERY_LINK),
    Limits(region=1, bastion=_WIDE, link=_EVERY_LINK),
    Limits(region=_WIDE, bastion=1, link=_EVERY_LINK),
    Limits(region=_WIDE, bastion=_WIDE, link=dict.fromkeys(LinkName, 1)),
)
"""One set of them a history, so that each keeps somebody waiting whom no other would."""

LOST, TARGET = DataCentreName("pdns-2"), DataCentreName("cloud-1")
FOLDER = "/estate/placement.json"

Placement = tuple[tuple[str, str], ...]
"""Data centre by service, in the order of the names; hashable, so that what follows from it is kept."""


@dataclass(frozen=True, slots=True)
class Made:
    """What a digest stands for: whose bundle, for which data centre."""

    name: str
    centre: str


MADE: dict[str, Made] = {}
"""Every bundle that was ever rendered here, by its digest."""


@cache
def estate() -> Estate:
    """Return what is declared: in the wave of border crossing two units have a region in common, two a bastion."""
    made = an_estate_of(UNITS, limits=LIMITS[0])
    first, second = made.regions
    moved = {office.name: office for office in second.offices}
    through = first.offices[0].bastion
    mine = (*first.offices, moved.pop(OfficeName("office-001")))
    last = OfficeName("office-007")
    moved[last] = replace(moved[last], bastion=through)
    regions = (replace(first, offices=mine), replace(second, offices=tuple(moved.values())))
    return replace(made, regions=regions)


@cache
def names() -> tuple[str, ...]:
    """Return the units and endpoints that a recovery touches."""
    ends = [endpoint.name for (_, centre), endpoint in estate().endpoint.items() if centre == TARGET]
    return (*ends, *(unit.name for _, _, unit in estate().places()))


def all_at(centre: str) -> Placement:
    return tuple(sorted((service.name, centre) for service in estate().services))


@cache
def sound(placement: Placement, limits: int = 0) -> Declared:
    """Return the declaration with a placement and one of the `LIMITS`, as `pulih` reads it."""
    moves = [(ServiceName(service), None, DataCentreName(centre)) for service, centre in placement]
    placed = replace(estate(), placement=estate().placement.moved(moves), limits=LIMITS[limits])
    return Declared(estate=placed, templates=templates(), renderer=OnceRenderer(placed, templates()))


def written(estate: Estate) -> bytes:
    """Return what may differ between declarations as it stands in the repository: limits and placement."""
    return json.dumps([LIMITS.index(estate.limits), sorted(estate.placement.default.items())]).encode()


@cache
def read(content: bytes) -> Declared:
    """Return the declaration that stands there."""
    return sound(all_of(content), json.loads(content)[0])


@cache
def templates() -> Templates:
    """Return pulih's own templates."""
    return Templates.load(estate().templates)


class OnceRenderer(Renderer):
    """The production renderer, asked once for each bundle: rendering is pure."""

    def __new__(cls, estate: Estate, templates: Templates) -> OnceRenderer:
        del templates  # the same for all
        placement = tuple(sorted(estate.placement.default.items()))
        return _renderers.setdefault(placement, super().__new__(cls))

    def __init__(self, estate: Estate, templates: Templates) -> None:
        if not hasattr(self, "made"):
            super().__init__(estate, templates)
            self.made: dict[UnitName, Bundle] = {}

    def unit(self, region: Region, office: Office, unit: Unit) -> Bundle:
        if unit.name not in self.made:
            self.made[unit.name] = bundle = super().unit(region, office, unit)
            MADE[bundle.digest] = Made(unit.name, self.estate.placement.of(unit.service, region.name))
        return self.made[unit.name]

    def endpoint(self, endpoint: Endpoint) -> Bundle:
        if endpoint.name not in self.made:
            self.made[endpoint.name] = bundle = super().endpoint(endpoint)
            MADE[bundle.digest] = Made(endpoint.name, endpoint.data_centre)
        return self.made[endpoint.name]


_renderers: dict[Placement, OnceRenderer] = {}


@cache
def bundles(placement: Placement) -> dict[str, Bundle]:
    """Return the bundle of every unit and endpoint under a placement."""
    declared = sound(placement)
    made: dict[str, Bundle] = {}
    for region, office, unit in declared.estate.places():
        made[unit.name] = declared.renderer.unit(region, office, unit)
    for end in declared.estate.endpoint.values():
        made[end.name] = declared.renderer.endpoint(end)
    return made


@cache
def release(name: str, placement: Placement) -> Release:
    """Return a unit's bundle as it lies on its disk."""
    found = unpacked(recovery.apply.tar(bundles(placement)[name]))
    assert found is not None
    return found


@cache
def all_of(content: bytes) -> Placement:
    """Return the placement that the repository holds."""
    return tuple((service, centre) for service, centre in json.loads(content)[1])
