"""The maps of a report: cities with the state of their offices, on the country and on the world; pure geometry.

The projection is equirectangular: a degree is as wide as it is high, `SCALE` units of the drawing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from recovery.model.estate import OfficeName
from recovery.model.story import OfficePlace, Story
from recovery.report.gazetteer import Point, cities, land
from recovery.report.marks import Mark, in_words, mark, worst
from recovery.report.text import counted

SCALE = 20
"""Units of a drawing a degree: whole numbers are exact enough for outlines kept to a twentieth of a degree."""

MARGIN_DEGREES = 2.5
WIDTH = 960.0
"""What a map is drawn for, pixels; marks keep their size whatever the map shows."""

NAMED = 12
"""Names on one map, at most, and only where one does not cover another; the list of failures has them all."""

LETTER, LINE, GAP = 8.5, 20.0, 11.0
"""A name's width a letter, its height, and its distance from the mark, pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class City:
    """A city on a map.

    Attributes:
        x: In units of the drawing, as `y`.
        label: What stands in its tooltip: its name, how its units stand, its offices.
    """

    name: str
    x: int
    y: int
    mark: Mark
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """A failed city's mark and name, drawn over everything else.

    Attributes:
        is_left: Whether the name stands on the left of its mark, for want of room on its right.
    """

    city: City
    is_left: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Map:
    """One map.

    Attributes:
        box: `viewBox`, in units of the drawing.
        mark_scale: By how much a mark is enlarged so that it has its size on a page of `WIDTH`.
        lines: Its graticule, as path data.
    """

    title: str
    box: tuple[int, int, int, int]
    mark_scale: float
    lines: str
    cities: tuple[City, ...]
    names: tuple[Name, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Atlas:
    """The maps, and what could not be drawn.

    Attributes:
        unknown: Offices whose city is not in the gazetteer.
        offices: How each office stands.
    """

    maps: tuple[Map, ...]
    unknown: tuple[OfficePlace, ...]
    offices: Mapping[OfficeName, Mark]


def atlas(story: Story) -> Atlas:
    """Put the offices of a run on maps: the country's own on one, and all of them on one when some are abroad."""
    by_office: dict[OfficeName, list[Mark]] = {}
    for unit in story.result.units:
        if unit.office is not None:
            by_office.setdefault(unit.office, []).append(mark(unit, story))
    known = cities()
    places = [place for place in story.scene.offices if place.name in by_office]
    unknown = tuple(place for place in places if (place.city, place.time_zone) not in known)
    drawn = [place for place in places if (place.city, place.time_zone) in known]
    home = [place for place in drawn if not place.is_abroad]
    maps: list[Map] = []
    if home:
        maps.append(_map("The country", home, by_office, is_world=False))
    if len(drawn) > len(home):
        maps.append(_map("The world", drawn, by_office, is_world=True))
    return Atlas(
        maps=tuple(maps),
        unknown=unknown,
        offices={name: worst(marks) for name, marks in by_office.items()},
    )


def _map(
    title: str, places: Sequence[OfficePlace], by_office: Mapping[OfficeName, Sequence[Mark]], *, is_world: bool
) -> Map:
    """Draw a map; a failed city at home is named on the map of the country, one abroad on that of the world."""
    together: dict[tuple[str, str], list[OfficePlace]] = {}
    for place in places:
        together.setdefault((place.city, place.time_zone), []).append(place)
    where = {key: cities()[key] for key in together}
    box = _box(where.values())
    pixel = box[2] / WIDTH
    found: list[City] = []
    to_name: list[City] = []
    for key, offices in together.items():
        marks = [each for office in offices for each in by_office[office.name]]
        titles = ", ".join(dict.fromkeys(office.title for office in offices[:5]))
        more = f" and {len(offices) - 5} more" if len(offices) > 5 else ""
        city = City(
            name=key[0],
            x=round(where[key].lon * SCALE),
            y=round(-where[key].lat * SCALE),
            mark=worst(marks),
            label=f"{key[0]}: {counted(len(marks), 'unit')}, {in_words(marks)} ({titles}{more})",
        )
        found.append(city)
        if city.mark is Mark.FAILED and all(office.is_abroad for office in offices) == is_world:
            to_name.append(city)
    return Map(
        title=title,
        box=box,
        mark_scale=round(pixel, 3),
        lines=_graticule(box),
        cities=tuple(found),
        names=tuple(_names(to_name, box, pixel)),
    )


def _names(cities: Iterable[City], box: tuple[int, int, int, int], pixel: float) -> Iterator[Name]:
    """Name cities while there is room: right of the mark, else left of it, else not at all."""
    left, _, width, _ = box
    taken: list[tuple[float, float, float]] = []
    for city in cities:
        reach = (GAP + LETTER * len(city.name)) * pixel
        for is_left, start in ((False, float(city.x)), (True, city.x - reach)):
            if start < left or start + reach > left + width:
                continue
            if any(start < end and begin < start + reach and abs(city.y - y) < LINE * pixel for begin, end, y in taken):
                continue
            taken.append((start, start + reach, city.y))
            yield Name(city=city, is_left=is_left)
            break
        if len(taken) == NAMED:
            return


def _box(points: Iterable[Point]) -> tuple[int, int, int, int]:
    """Return the part of the world that holds some points, at least 12 by 6 degrees, with a margin around."""
    several = list(points)
    west, east = min(point.lon for point in several), max(point.lon for point in several)
    south, north = min(point.lat for point in several), max(point.lat for point in several)
    middle, across = (west + east) / 2, max(east - west, 12.0) / 2 + MARGIN_DEGREES
    centre, up = (south + north) / 2, max(north - south, 6.0) / 2 + MARGIN_DEGREES
    up = max(up, across / 3)  # a strip would hide the neighbours
    return (
        round((middle - across) * SCALE),
        round((-centre - up) * SCALE),
        round(2 * across * SCALE),
        round(2 * up * SCALE),
    )


def _graticule(box: tuple[int, int, int, int]) -> str:
    left, top, width, height = box
    step = (5 if width < 90 * SCALE else 30) * SCALE
    upright = [f"M{x} {top}v{height}" for x in range(-(-left // step) * step, left + width, step)]
    level = [f"M{left} {y}h{width}" for y in range(-(-top // step) * step, top + height, step)]
    return "".join(upright + level)


@cache
def land_path() -> str:
    """Return the outlines of land as path data, in units of the drawing."""
    parts: list[str] = []
    for ring in land():
        corners = [(round(point.lon * SCALE), round(-point.lat * SCALE)) for point in ring]
        (x, y), rest = corners[0], corners[1:]
        steps: list[str] = []
        for to_x, to_y in rest:
            steps.append(f"{to_x - x} {to_y - y}")
            x, y = to_x, to_y
        parts.append(f"M{corners[0][0]} {corners[0][1]}l{' '.join(steps)}z")
    return "".join(parts)
