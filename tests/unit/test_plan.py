from __future__ import annotations

from dataclasses import replace

import pytest

from recovery.errors import PlanError
from recovery.model.estate import Estate, Placement, RegionName, ServiceName, UnitName
from recovery.model.plan import Plan, Selection
from recovery.plan import estate_digest, recovery, routine, to_json
from tests.many import an_estate_of
from tests.places import CLOUD, PDNS

ALL = Selection()


def lost(estate: Estate, selection: Selection = ALL) -> tuple[Plan, Estate]:
    return recovery(estate, "sha256:prints", selection, lost=PDNS)


def test_a_recovery_brings_up_endpoints_first_then_border_before_passports() -> None:
    plan, _ = lost(an_estate_of(12))
    assert [wave.name for wave in plan.waves] == [
        "endpoints of identity, time",
        "endpoints of border-crossing, stay-permit, passport",
        "border-crossing",
        "stay-permit",
        "passport",
    ]
    assert all(step.data_centre == CLOUD for step in plan.steps())


def test_each_unit_of_the_lost_data_centre_is_in_exactly_one_wave() -> None:
    estate = an_estate_of(60)
    plan, _ = lost(estate)
    names = [step.name for wave in plan.unit_waves for step in wave.steps]
    assert sorted(names) == sorted(unit.name for _, _, unit in estate.places())


def test_canaries_are_one_of_each_class_of_line_and_kind_of_unit() -> None:
    plan, _ = lost(an_estate_of(60))
    for wave in plan.unit_waves:
        groups = [(step.link, step.kind) for step in wave.canaries]
        assert len(set(groups)) == len(groups)
        assert {(step.link, step.kind) for step in wave.rest} <= set(groups)


def test_a_plan_made_again_after_the_move_has_no_move_left_and_the_same_hash() -> None:
    before, moved = lost(an_estate_of(12))
    after, _ = lost(moved)
    assert before.moves
    assert after.moves == ()
    assert (after.hash, after.waves) == (before.hash, before.waves)


def test_one_byte_of_the_estate_another_placement_or_other_templates_give_another_hash() -> None:
    estate = an_estate_of(6)
    plan, _ = lost(estate)
    edited, _ = lost(replace(estate, files_digest="sha256:" + "1" * 64))
    templates, _ = recovery(estate, "sha256:other", ALL, lost=PDNS)
    narrower, _ = lost(estate, Selection(regions=frozenset({RegionName("region-0")})))
    assert len({plan.hash, edited.hash, templates.hash, narrower.hash}) == 4


def test_one_region_moves_alone_and_its_dependencies_with_it() -> None:
    estate = an_estate_of(12)
    plan, moved = lost(estate, Selection(regions=frozenset({RegionName("region-1")})))
    assert {(move.service, move.region) for move in plan.moves} == {
        (service.name, "region-1") for service in estate.services
    }
    assert moved.placement.of(ServiceName("passport"), RegionName("region-1")) == CLOUD
    assert moved.placement.of(ServiceName("passport"), RegionName("region-0")) == PDNS
    assert {step.region for step in plan.steps() if not step.is_endpoint} == {"region-1"}


def test_one_service_takes_what_it_comes_after_along_but_no_other_units() -> None:
    plan, moved = lost(an_estate_of(12), Selection(services=frozenset({ServiceName("passport")})))
    assert {move.service for move in plan.moves} == {"identity", "time", "passport"}
    assert {step.service for step in plan.steps() if not step.is_endpoint} == {"passport"}
    assert moved.placement.default[ServiceName("border-crossing")] == PDNS


def test_a_retired_unit_is_not_planned() -> None:
    estate = an_estate_of(6)
    region = estate.regions[0]
    office = region.offices[0]
    retired = replace(office, units=(replace(office.units[0], retired=True),))
    edited = replace(estate, regions=(replace(region, offices=(retired, *region.offices[1:])), *estate.regions[1:]))
    plan, _ = routine(edited, "sha256:prints", ALL)
    assert office.units[0].name not in {step.name for step in plan.steps()}


def test_a_routine_deployment_touches_only_endpoints_that_serve_and_none_for_one_unit() -> None:
    estate = an_estate_of(6)
    whole, _ = routine(estate, "sha256:prints", ALL)
    assert {step.data_centre for wave in whole.endpoint_waves for step in wave.steps} == {PDNS}
    one, _ = routine(estate, "sha256:prints", Selection(units=frozenset({UnitName("office-003-stay-permit")})))
    assert [step.name for step in one.steps()] == ["office-003-stay-permit"]


def test_what_cannot_be_planned_says_what_to_do() -> None:
    estate = an_estate_of(6)
    with pytest.raises(PlanError, match="no data centre mars"):
        recovery(estate, "", ALL, lost=PDNS, to=type(PDNS)("mars"))
    with pytest.raises(PlanError, match="can't take over from itself"):
        recovery(estate, "", ALL, lost=PDNS, to=PDNS)
    lacking = replace(
        estate,
        data_centres=(
            estate.data_centres[0],
            replace(estate.data_centres[1], endpoints=estate.data_centres[1].endpoints[:-1]),
        ),
    )
    with pytest.raises(PlanError, match="cloud-1 lacks stay-permit"):
        recovery(lacking, "", ALL, lost=PDNS)
    with pytest.raises(PlanError, match="no unit office-999"):
        routine(estate, "", Selection(units=frozenset({UnitName("office-999")})))


def test_a_regional_entry_that_says_the_same_as_the_default_does_not_change_the_digest() -> None:
    estate = an_estate_of(6)
    same = Placement(
        default=estate.placement.default, regional={(RegionName("region-0"), ServiceName("passport")): PDNS}
    )
    assert estate_digest(replace(estate, placement=same)) == estate_digest(estate)


def test_the_json_of_a_plan_names_every_step_once() -> None:
    plan, _ = lost(an_estate_of(12))
    document = to_json(plan)
    assert document["schema"] == "pulih/plan/v1"
    assert document["totals"] == {"endpoints": 5, "units": 12, "offices": 12, "regions": 2}
