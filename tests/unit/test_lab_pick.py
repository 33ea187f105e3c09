"""Which units a lab has: few, and still of every sort."""

from __future__ import annotations

from dataclasses import replace

import pytest

from recovery import declared
from recovery.errors import LabError
from recovery.lab.pick import pick
from recovery.lab.start import SHIPPED
from recovery.model.estate import Estate, LinkName, Region


@pytest.fixture(scope="module")
def shipped() -> Estate:
    return declared.load(SHIPPED)


def names(regions: tuple[Region, ...]) -> list[str]:
    return [unit.name for region in regions for office in region.offices for unit in office.units]


@pytest.mark.parametrize("count", [1, 3, 8, 40, 100, 581])
def test_a_lab_has_exactly_as_many_units_as_asked_for(shipped: Estate, count: int) -> None:
    chosen = names(pick(shipped, count))
    assert len(chosen) == len(set(chosen)) == count


def test_all_units_are_those_of_the_whole_estate(shipped: Estate) -> None:
    regions = pick(shipped, 582)
    assert names(regions) == names(shipped.regions)
    assert all(office.units for region in regions for office in region.offices)


@pytest.mark.parametrize("count", [3, 8, 40])
def test_a_small_lab_has_every_kind_of_unit_and_every_class_of_line(shipped: Estate, count: int) -> None:
    regions = pick(shipped, count)
    offices = [office for region in regions for office in region.offices]
    assert {office.link for office in offices} == set(LinkName)
    assert {unit.service for office in offices for unit in office.units} == {
        "border-crossing",
        "passport",
        "stay-permit",
    }


def test_forty_units_stand_in_every_region_evenly(shipped: Estate) -> None:
    regions = pick(shipped, 40)
    counts = [len(names((region,))) for region in regions]
    assert len(regions) == len(shipped.regions)
    assert max(counts) - min(counts) <= 1


def test_a_smaller_lab_is_part_of_a_larger_one_in_the_order_declared(shipped: Estate) -> None:
    small, large, everything = names(pick(shipped, 20)), names(pick(shipped, 60)), names(shipped.regions)
    assert set(small) < set(large)
    assert large == [name for name in everything if name in set(large)]


@pytest.mark.parametrize("count", [0, -1, 583])
def test_more_units_than_there_are_cannot_be_had(shipped: Estate, count: int) -> None:
    with pytest.raises(LabError, match=f"a lab has 1 to 582 units, asked for {count}"):
        pick(shipped, count)


def test_a_retired_unit_is_not_practised(shipped: Estate) -> None:
    first = shipped.regions[0]
    office = first.offices[0]
    retired = replace(office, units=tuple(replace(unit, retired=True) for unit in office.units))
    estate = replace(shipped, regions=(replace(first, offices=(retired, *first.offices[1:])), *shipped.regions[1:]))
    left = 582 - len(office.units)
    assert set(names(pick(estate, left))).isdisjoint(unit.name for unit in office.units)
    with pytest.raises(LabError, match=f"1 to {left}"):
        pick(estate, left + 1)
