"""The maps of a report: every shipped city has its place, the worst shows, and names do not cover each other."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from recovery.declared import load
from recovery.model.estate import OfficeName, UnitName
from recovery.model.outcome import State
from recovery.model.story import OfficePlace, Scene, Story
from recovery.report.atlas import SCALE, atlas, land_path
from recovery.report.gazetteer import cities, land
from recovery.report.marks import Mark, in_words, worst
from tests.stories import at, every_ending, outcome, place, run

SHIPPED = Path("infra/estate")


def a_story(*offices: OfficePlace, failed: tuple[str, ...] = ()) -> Story:
    """A run with a unit in each office."""
    units = tuple(
        outcome(office.name, State.QUARANTINED if office.name in failed else State.VERIFIED, office=office.name)
        for office in offices
    )
    return Story(result=run(*units), finished=True, scene=Scene(title="", offices=offices, waves=()))


def test_every_city_of_the_shipped_estate_has_its_place() -> None:
    declared = {(office.city, office.time_zone) for region in load(SHIPPED).regions for office in region.offices}
    assert declared - set(cities()) == set()
    assert set(cities()) - declared == set()


def test_cities_stand_where_their_time_zones_are() -> None:
    for (name, zone), point in cities().items():
        offset = datetime(2026, 1, 15, tzinfo=UTC).astimezone(ZoneInfo(zone)).utcoffset()
        assert offset is not None
        assert abs(point.lon / 15 - offset.total_seconds() / 3600) < 2, name
        assert -60 < point.lat < 70, name
        if zone in ("Asia/Jakarta", "Asia/Pontianak", "Asia/Makassar", "Asia/Jayapura"):
            assert -11 < point.lat < 6.5, name
            assert 95 < point.lon < 141.1, name


def test_land_is_where_cities_are() -> None:
    rings = land()
    assert len(rings) > 100
    assert all(-180 <= point.lon <= 180 and -90 <= point.lat <= 90 for ring in rings for point in ring)
    inland = [cities()[key] for key in cities() if key[0] in ("Bandung", "Wamena", "Madrid", "Brasilia", "Nairobi")]
    assert len(inland) == 5
    for point in inland:
        assert (
            sum(_is_inside(point.lon, point.lat, [(corner.lon, corner.lat) for corner in ring]) for ring in rings) == 1
        )
    assert land_path().count("z") == len(rings)


def _is_inside(x: float, y: float, ring: list[tuple[float, float]]) -> bool:
    crossings = 0
    for (x1, y1), (x2, y2) in zip(ring, [*ring[1:], ring[0]], strict=True):
        if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
            crossings += 1
    return crossings % 2 == 1


def test_a_city_shows_the_worst_of_its_offices() -> None:
    other = replace(place("other", "Medan"), title="Second office")
    (home,) = atlas(a_story(place("medan", "Medan"), other, failed=("other",))).maps
    (city,) = home.cities
    assert city.mark is Mark.FAILED
    assert city.label == "Medan: 2 units, 1 quarantined, 1 verified (Office of Medan, Second office)"
    assert (city.x, city.y) == (round(98.67 * SCALE), round(-3.59 * SCALE))


def test_the_country_and_the_world_are_two_maps_and_a_failure_is_named_on_its_own() -> None:
    tokyo = place("tokyo", "Tokyo", "Asia/Tokyo", is_abroad=True)
    home, world = atlas(
        a_story(place("medan", "Medan"), place("padang", "Padang"), tokyo, failed=("tokyo", "padang"))
    ).maps
    assert [city.name for city in home.cities] == ["Medan", "Padang"]
    assert [city.name for city in world.cities] == ["Medan", "Padang", "Tokyo"]
    assert [name.city.name for name in home.names] == ["Padang"]
    assert [name.city.name for name in world.names] == ["Tokyo"]
    for one in (home, world):
        left, top, width, height = one.box
        assert all(left < city.x < left + width and top < city.y < top + height for city in one.cities)


def test_names_of_failed_cities_do_not_cover_each_other() -> None:
    offices = tuple(
        place(city.lower().replace(" ", "-"), city)
        for city in ("Jakarta Pusat", "Jakarta Selatan", "Jakarta Timur", "Jakarta Utara", "Surabaya")
    )
    (home,) = atlas(a_story(*offices, failed=tuple(office.name for office in offices))).maps
    assert [(name.city.name, name.is_left) for name in home.names] == [
        ("Jakarta Pusat", False),
        ("Jakarta Selatan", True),
        ("Surabaya", False),
    ]


def test_offices_that_wait_or_are_worked_on_can_be_told_apart() -> None:
    story = replace(every_ending(), finished=False, under_way={UnitName("late"): at(15)})
    drawn = atlas(story)
    assert drawn.offices[OfficeName("nowhere")] is Mark.UNDER_WAY
    assert drawn.offices[OfficeName("tokyo")] is Mark.SKIPPED
    assert [office.name for office in drawn.unknown] == ["nowhere"]


def test_the_worst_mark_stands_for_all() -> None:
    assert worst([Mark.DONE, Mark.WAITING, Mark.FAILED]) is Mark.FAILED
    assert worst([Mark.DONE, Mark.UNDER_WAY]) is Mark.UNDER_WAY
    assert worst([Mark.DONE, Mark.DONE]) is Mark.DONE
    assert in_words([Mark.DONE, Mark.FAILED, Mark.DONE]) == "1 quarantined, 2 verified"
    assert len({mark.sign for mark in Mark}) == len(Mark)
