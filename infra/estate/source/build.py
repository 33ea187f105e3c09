"""Puts the shipped estate together from the lists and the rules."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from infra.estate.source.addresses import address, host_key, number_of, refuse_shared
from infra.estate.source.bastions import bastion_of
from infra.estate.source.names import office_name
from infra.estate.source.places import SOURCE, Place, capitals, places
from infra.estate.source.regions import ABROAD, HOME, Group, group_of
from infra.estate.source.rules import Rules
from infra.estate.source.services import (
    HOME_OF_ALL,
    LIMITS,
    LINKS,
    ROOT,
    SERVICES,
    TIMEOUTS,
    USER,
    WAVE_PASS,
    data_centre_bastions,
    data_centres,
)
from recovery.model.estate import (
    Bastion,
    Estate,
    Login,
    Office,
    OfficeName,
    Placement,
    Region,
    RegionName,
    ServiceName,
    Unit,
    UnitName,
)

TRUST_ANCHORS = "trust-anchors.pem"


def shipped_estate(folder: Path, templates: Path) -> Estate:
    """Return the shipped estate.

    Args:
        folder: Where its files will stand.
        templates: Folder of the templates.

    Raises:
        ValueError: A row fits no rule, or two names or addresses are the same.
    """
    rows = places()
    rules = Rules.of(rows, capitals())
    estate = Estate(
        folder=folder,
        name="imigrasi",
        version="2025.1",
        title="Indonesia's immigration services (illustrative)",
        illustrative=True,
        practice=False,
        staging=(),
        templates=templates,
        ssh_key=None,
        trust_anchors=(SOURCE / TRUST_ANCHORS).read_text(encoding="ascii"),
        limits=LIMITS,
        timeouts=TIMEOUTS,
        wave_pass=WAVE_PASS,
        links=LINKS,
        services=SERVICES,
        data_centres=data_centres(),
        placement=Placement(default={service.name: HOME_OF_ALL for service in SERVICES}, regional={}),
        bastions={bastion.name: bastion for bastion in _bastions(rows)},
        regions=tuple(_region(group, rows, rules) for group in HOME + ABROAD),
        files_digest="",
    )
    _refuse_doubles(estate)
    return estate


def _bastions(rows: tuple[Place, ...]) -> list[Bastion]:
    in_front = {bastion.name: bastion for row in rows for bastion in [bastion_of(row, group_of(row))]}
    return [*data_centre_bastions(), *sorted(in_front.values(), key=lambda bastion: bastion.name)]


def _region(group: Group, rows: tuple[Place, ...], rules: Rules) -> Region:
    """Return a region with its offices in the order of the list."""
    return Region(
        name=RegionName(group.name),
        title=group.title,
        offices=tuple(_office(row, group, rules) for row in rows if group_of(row) is group),
    )


def _office(row: Place, group: Group, rules: Rules) -> Office:
    name = OfficeName(office_name(row))
    units: list[Unit] = []
    for service in rules.services(row):
        same = sum(unit.service == service for unit in units)
        units.append(_unit(f"{name}-{service}" + (f"-{same + 1}" if same else ""), service, name, group))
    return Office(
        name=name,
        kind=row.kind,
        title=row.name,
        city=row.city,
        time_zone=row.time_zone,
        link=rules.link(row),
        bastion=bastion_of(row, group).name,
        units=tuple(units),
    )


def _unit(name: str, service: str, office: OfficeName, group: Group) -> Unit:
    """Return a unit; its address has the region's /48, the office's /64 and its own number, all from names."""
    return Unit(
        name=UnitName(name),
        service=ServiceName(service),
        login=Login(
            address=address(group.network, number_of(office), number_of(name)),
            port=22,
            user=USER,
            host_key=host_key(name),
        ),
        gateway_port=8080,
        root=ROOT,
        retired=False,
    )


def _refuse_doubles(estate: Estate) -> None:
    """Check what the slugs and hashes can't promise: that no two of them are the same."""
    offices = Counter(office.name for region in estate.regions for office in region.offices)
    doubles = [name for name, times in offices.items() if times > 1]
    if doubles:
        raise ValueError(f"names.py gives two offices the name {', '.join(doubles)}")
    refuse_shared(
        [
            *((unit.name, unit.login.address) for _, _, unit in estate.places()),
            *((bastion.name, bastion.login.address) for bastion in estate.bastions.values()),
            *((point.name, point.address) for point in estate.endpoint.values()),
            *((f"{point.name}'s host", point.login.address) for point in estate.endpoint.values()),
        ]
    )
