"""Where cities are, and the outlines of land: facts that stand in two files beside this one.

`cities.csv`: cities of the shipped estate, with country (ISO 3166-1) and coordinates, as in public gazetteers; a
regency stands where its seat is. A city is known by its name and time zone together, for names repeat over the world:
what is not in the list is not guessed. `land.txt` says where its outlines are from.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Point:
    """Degrees east and north."""

    lon: float
    lat: float


@cache
def cities() -> Mapping[tuple[str, str], Point]:
    """Return every known city, by name and time zone."""
    rows = csv.DictReader(_lines("cities.csv"))
    return {(row["city"], row["time_zone"]): Point(float(row["lon"]), float(row["lat"])) for row in rows}


@cache
def land() -> tuple[tuple[Point, ...], ...]:
    """Return the outlines of land, each a closed ring without its last point."""
    return tuple(
        tuple(Point(*map(float, pair.split(","))) for pair in line.split())
        for line in _lines("land.txt")
        if not line.startswith("#")
    )


def _lines(name: str) -> list[str]:
    return files("recovery.report").joinpath(name).read_text(encoding="utf-8").splitlines()
