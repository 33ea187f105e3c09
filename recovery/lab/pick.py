"""Chooses the units of a lab out of an estate: few of them, and still of every sort. Pure and deterministic."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from recovery.errors import LabError
from recovery.model.estate import Estate, Office, Region, Unit, UnitName

_Place = tuple[Region, Office, Unit]


def pick(estate: Estate, count: int) -> tuple[Region, ...]:
    """Return regions and offices with `count` units in all, spread over regions, kinds of unit and classes of line.

    A unit of a region that has fewest so far goes first; among those one whose kind and line are rarest so far, then
    the one declared first. So a smaller lab is part of every larger one.

    Raises:
        LabError: The estate has fewer units, or `count` is not positive.
    """
    places = [place for place in estate.places() if not place[2].retired]
    if not 1 <= count <= len(places):
        raise LabError(f"a lab has 1 to {len(places)} units, asked for {count}")
    chosen = {place[2].name for place in places} if count == len(places) else _spread(places, count)
    return tuple(
        replace(region, offices=offices)
        for region in estate.regions
        if (offices := tuple(_with(region.offices, chosen)))
    )


def _with(offices: tuple[Office, ...], chosen: set[UnitName]) -> list[Office]:
    kept = [replace(office, units=tuple(unit for unit in office.units if unit.name in chosen)) for office in offices]
    return [office for office in kept if office.units]


def _spread(places: list[_Place], count: int) -> set[UnitName]:
    regions: Counter[str] = Counter()
    sorts: Counter[str] = Counter()
    chosen: set[UnitName] = set()
    waiting = dict(enumerate(places))

    def rank(number: int) -> tuple[int, int, int]:
        region, office, unit = waiting[number]
        return regions[region.name], sorts[unit.service] + sorts[office.link], number

    for _ in range(count):
        region, office, unit = waiting.pop(min(waiting, key=rank))
        regions[region.name] += 1
        sorts.update((unit.service, office.link))
        chosen.add(unit.name)
    return chosen
