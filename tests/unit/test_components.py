"""The components, on the SDK's mocks: what becomes a resource, below what, after what, with which outputs."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pulumi", reason="the Pulumi SDK is not installed: make engine")

from infra.components import DataCentre, DataCentreArgs, Office, OfficeArgs
from infra.declaration import ENDPOINT, UNIT, Declaration, declaration
from recovery.model.estate import DataCentre as DeclaredDataCentre
from recovery.model.estate import Region
from tests.estates import sound_files, write_files
from tests.mocks import Registered, registering, settled


@pytest.fixture
def registered() -> Generator[Registered]:
    with registering("example") as mocks:
        yield mocks


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_files(tmp_path_factory.mktemp("estate"), sound_files())


def region_of(estate: Path) -> tuple[Declaration, Region]:
    declared = declaration(estate, "west")
    assert isinstance(declared.place, Region)
    return declared, declared.place


def parents(urn: str) -> str:
    return urn.split("::")[2]


def test_an_office_becomes_its_units_below_it_with_digests_only(registered: Registered, estate: Path) -> None:
    declared, region = region_of(estate)
    for office in region.offices:
        made = Office(office.name, OfficeArgs.of(declared, region, office))
        for name, unit in made.units.items():
            assert parents(settled(unit.urn)) == f"pulih:index:Office${UNIT}"
            inputs = registered.resources[name].inputs
            assert inputs == declared.deployables[name].inputs
            assert settled(unit.digest) == declared.deployables[name].bundle.digest
        assert sorted(made.units) == sorted(unit.name for unit in office.units)


def test_an_offices_endpoints_are_its_input_and_its_output(registered: Registered, estate: Path) -> None:
    declared, region = region_of(estate)
    office = region.offices[0]
    args = OfficeArgs.of(declared, region, office)
    assert set(args.endpoints) == {unit.service for unit in office.units}
    for service, endpoint in args.endpoints.items():
        assert endpoint["endpoint"] == f"{service}-pdns-2"
        assert endpoint["dataCentre"] == "pdns-2"
    assert settled(Office(office.name, args).endpoints) == args.endpoints
    assert registered.resources[office.name].inputs["services"] == [*args.endpoints]


def test_a_placement_that_moved_changes_no_input_of_an_office(registered: Registered, tmp_path: Path) -> None:
    shown: list[dict[str, Any]] = []
    for centre in ("pdns-2", "cloud-1"):
        files = sound_files()
        files["placement.yaml"] = files["placement.yaml"].replace("pdns-2", centre)
        (tmp_path / centre).mkdir()
        declared, region = region_of(write_files(tmp_path / centre, files))
        office = region.offices[0]
        settled(Office(office.name, OfficeArgs.of(declared, region, office)).endpoints)
        shown.append(dict(registered.resources[office.name].inputs))
    assert shown[0] == shown[1]


def test_identity_and_time_come_before_the_other_endpoints(registered: Registered, estate: Path) -> None:
    declared = declaration(estate, "pdns-2")
    assert isinstance(declared.place, DeclaredDataCentre)
    made = DataCentre("pdns-2", DataCentreArgs.of(declared, declared.place))
    urns = {name: settled(host.urn) for name, host in made.units.items()}
    assert all(parents(urn) == f"pulih:index:DataCentre${ENDPOINT}" for urn in urns.values())
    order = list(registered.resources)
    for name in ("border-crossing-pdns-2", "passport-pdns-2"):
        assert order.index(name) > max(order.index("identity-pdns-2"), order.index("time-pdns-2"))
