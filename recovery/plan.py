"""Turns an estate, and a loss, into a plan: which steps, in which waves, and what it hangs on. Pure.

A recovery is a change of the placement, then its deployment: `recovery` names the moves, and from there on the
plan is made from the estate as it will be. So the plan of a recovery that has already moved the placement is the same,
with no move left to write, and has the same hash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace

from recovery.errors import PlanError
from recovery.model.estate import (
    DataCentreName,
    Endpoint,
    Estate,
    LinkName,
    Office,
    Placement,
    Region,
    RegionName,
    Service,
    ServiceName,
    Unit,
    UnitName,
)
from recovery.model.plan import Move, Plan, Selection, Step, Wave
from recovery.waves import closure, levels

ENDPOINT_KIND = "endpoint-host"
"""The folder of templates of a data centre's endpoint host."""


def routine(
    estate: Estate, fingerprint: str, selection: Selection, *, commit: str | None = None
) -> tuple[Plan, Estate]:
    """Plan a routine deployment: every endpoint that serves something, and every unit.

    Args:
        estate: As declared.
        fingerprint: Digest over everything else the outcome hangs on: templates and applier.
        selection: With regions or units chosen, no endpoint is touched; with services, only theirs.
        commit: Of the estate's repository.

    Returns:
        The plan, and the estate it is a plan of.

    Raises:
        PlanError: The selection names something that doesn't exist, or nothing at all is left.
    """
    _check_selection(estate, selection)
    services = selection.services or frozenset(estate.service)
    endpoints: list[Endpoint] = []
    if not selection.regions and not selection.units:
        endpoints = [
            estate.endpoint[service.name, centre]
            for service in estate.services
            if service.name in services
            for centre in _centres(estate, service.name)
        ]
    units = [place for place in estate.places() if _selected(place, services, selection)]
    return _plan(estate, fingerprint, selection, endpoints, units, moves=(), lost=None, to=None, commit=commit), estate


def recovery(
    estate: Estate,
    fingerprint: str,
    selection: Selection,
    *,
    lost: DataCentreName,
    to: DataCentreName | None = None,
    commit: str | None = None,
) -> tuple[Plan, Estate]:
    """Plan the move of everything that a lost data centre served, with what it depends on, to another one.

    Args:
        estate: As declared, before or after the move.
        fingerprint: Digest over everything else the outcome hangs on: templates and applier.
        selection: Which services, regions or units to recover; what the services come after is always included.
        lost: The data centre that is given up.
        to: The one that takes over; may be left out where only one can.
        commit: Of the estate's repository.

    Returns:
        The plan, and the estate with the target placement that it is a plan of.

    Raises:
        PlanError: A name is unknown, no data centre can take over, or nothing is left to do.
    """
    _check_selection(estate, selection)
    chosen = selection.services or frozenset(estate.service)
    services = closure(estate.services, chosen)
    target = _target(estate, services, lost, to)
    moves: list[Move] = []
    in_scope: set[tuple[ServiceName, RegionName]] = set()
    regions: Sequence[RegionName] = [
        region.name for region in estate.regions if not selection.regions or region.name in selection.regions
    ]
    for service in estate.services:
        if service.name not in services:
            continue
        if not selection.regions and estate.placement.default[service.name] == lost:
            moves.append(Move(service=service.name, region=None, source=lost, target=target))
        for region in regions:
            placed = estate.placement.of(service.name, region)
            if placed == lost and (selection.regions or (region, service.name) in estate.placement.regional):
                moves.append(Move(service=service.name, region=region, source=lost, target=target))
            if placed in (lost, target):
                in_scope.add((service.name, region))
    if not in_scope and not moves:
        raise PlanError(f"Nothing in the selection is served from {lost} or {target}, so there is nothing to recover.")
    moved = replace(
        estate, placement=estate.placement.moved((move.service, move.region, move.target) for move in moves)
    )
    touched = {service for service, _ in in_scope} | {move.service for move in moves}
    endpoints = [moved.endpoint[service.name, target] for service in moved.services if service.name in touched]
    needs = {service.name: closure(estate.services, {service.name}) for service in estate.services}
    units = [
        place
        for place in moved.places()
        if _selected(place, chosen, selection)
        and any((service, place[0].name) in in_scope for service in needs[place[2].service])
    ]
    plan = _plan(
        moved, fingerprint, selection, endpoints, units, moves=tuple(moves), lost=lost, to=target, commit=commit
    )
    return plan, moved


def dependencies(estate: Estate, step: Step) -> frozenset[tuple[ServiceName, DataCentreName]]:
    """Return the endpoints that must serve before a step can be proven."""
    if step.is_endpoint:
        needed = closure(estate.services, {step.service}) - {step.service}
    else:
        needed = closure(estate.services, {step.service})
    return frozenset((service, estate.placement.of(service, step.region)) for service in needed)


def estate_digest(estate: Estate) -> str:
    """Return the digest of an estate with its placement, `sha256:` and hex."""
    return _digest([estate.files_digest, _canonical(estate.placement)])


def to_json(plan: Plan) -> dict[str, object]:
    """Return the plan as `pulih/plan/v1`."""
    return {
        "schema": "pulih/plan/v1",
        "hash": plan.hash,
        "estate_digest": plan.estate_digest,
        "commit": plan.commit,
        "lost": plan.lost,
        "to": plan.to,
        "selection": {
            "regions": sorted(plan.selection.regions),
            "services": sorted(plan.selection.services),
            "units": sorted(plan.selection.units),
        },
        "moves": [
            {"service": move.service, "region": move.region, "from": move.source, "to": move.target}
            for move in plan.moves
        ],
        "order": list(plan.order),
        "limits": {
            "region": plan.limits.region,
            "bastion": plan.limits.bastion,
            "link": {name.value: limit for name, limit in plan.limits.link.items()},
        },
        "totals": {
            "endpoints": sum(len(wave.steps) for wave in plan.endpoint_waves),
            "units": sum(len(wave.steps) for wave in plan.unit_waves),
            "offices": len({step.office for step in plan.steps() if step.office is not None}),
            "regions": len({step.region for step in plan.steps() if step.region is not None}),
        },
        "waves": [
            {
                "name": wave.name,
                "services": list(wave.services),
                "canaries": [step.name for step in wave.canaries],
                "rest": [step.name for step in wave.rest],
            }
            for wave in plan.waves
        ],
    }


def _plan(
    estate: Estate,
    fingerprint: str,
    selection: Selection,
    endpoints: Sequence[Endpoint],
    units: Sequence[tuple[Region, Office, Unit]],
    *,
    moves: tuple[Move, ...],
    lost: DataCentreName | None,
    to: DataCentreName | None,
    commit: str | None,
) -> Plan:
    if not endpoints and not units:
        raise PlanError("The selection holds no unit and no endpoint: give other --region, --service or --unit.")
    order = [service for level in levels(estate.services) for service in level]
    present = {endpoint.service for endpoint in endpoints} | {unit.service for _, _, unit in units}
    digest = estate_digest(estate)
    return Plan(
        lost=lost,
        to=to,
        selection=selection,
        moves=moves,
        endpoint_waves=tuple(_endpoint_waves(estate, endpoints)),
        unit_waves=tuple(_unit_waves(estate, units, order)),
        order=tuple(service.name for service in order if service.name in present),
        limits=estate.limits,
        estate_digest=digest,
        hash=_digest(
            [
                digest,
                fingerprint,
                lost or "",
                to or "",
                json.dumps([sorted(selection.regions), sorted(selection.services), sorted(selection.units)]),
            ]
        ),
        commit=commit,
    )


def _endpoint_waves(estate: Estate, endpoints: Sequence[Endpoint]) -> Iterable[Wave]:
    for level in levels(estate.services):
        steps = [
            Step(
                name=endpoint.name,
                kind=ENDPOINT_KIND,
                service=endpoint.service,
                region=None,
                office=None,
                title=estate.data_centre[endpoint.data_centre].title,
                data_centre=endpoint.data_centre,
                link=LinkName.FIBRE,
                bastion=estate.data_centre[endpoint.data_centre].bastion,
            )
            for service in level
            for endpoint in endpoints
            if endpoint.service == service.name
        ]
        if steps:
            services = tuple(dict.fromkeys(step.service for step in steps))
            yield Wave(name=f"endpoints of {', '.join(services)}", services=services, canaries=(), rest=tuple(steps))


def _unit_waves(
    estate: Estate, units: Sequence[tuple[Region, Office, Unit]], order: Sequence[Service]
) -> Iterable[Wave]:
    by_service: dict[ServiceName, list[Step]] = {}
    for region, office, unit in units:
        by_service.setdefault(unit.service, []).append(
            Step(
                name=unit.name,
                kind=estate.service[unit.service].unit_kind or "",
                service=unit.service,
                region=region.name,
                office=office.name,
                title=office.title,
                data_centre=estate.placement.of(unit.service, region.name),
                link=office.link,
                bastion=office.bastion,
            )
        )
    for service in order:
        steps = by_service.get(service.name, [])
        if not steps:
            continue
        canaries: dict[tuple[LinkName, str], Step] = {}
        for step in steps:
            canaries.setdefault((step.link, step.kind), step)
        first = {step.name for step in canaries.values()} if len(steps) > len(canaries) else set[UnitName]()
        yield Wave(
            name=service.name,
            services=(service.name,),
            canaries=tuple(step for step in steps if step.name in first),
            rest=tuple(step for step in steps if step.name not in first),
        )


def _selected(place: tuple[Region, Office, Unit], services: Iterable[ServiceName], selection: Selection) -> bool:
    region, _, unit = place
    return (
        not unit.retired
        and unit.service in services
        and (not selection.regions or region.name in selection.regions)
        and (not selection.units or unit.name in selection.units)
    )


def _centres(estate: Estate, service: ServiceName) -> list[DataCentreName]:
    """The data centres that serve a service for anybody, the default one first."""
    regional = [estate.placement.of(service, region.name) for region in estate.regions]
    return list(dict.fromkeys([estate.placement.default[service], *regional]))


def _target(
    estate: Estate, services: frozenset[ServiceName], lost: DataCentreName, to: DataCentreName | None
) -> DataCentreName:
    for name in (lost, to):
        if name is not None and name not in estate.data_centre:
            raise PlanError(f"There is no data centre {name}; declared are {', '.join(estate.data_centre)}.")
    if to == lost:
        raise PlanError(f"{lost} can't take over from itself: give another --to.")
    lacking = {
        name: sorted(service for service in services if (service, name) not in estate.endpoint)
        for name in estate.data_centre
        if name != lost
    }
    if to is not None:
        if lacking[to]:
            raise PlanError(f"{to} can't take over: it has no endpoint of {', '.join(lacking[to])}.")
        return to
    able = [name for name, without in lacking.items() if not without]
    if len(able) == 1:
        return able[0]
    if able:
        raise PlanError(f"{', '.join(able)} can all take over from {lost}: choose one with --to.")
    detail = "; ".join(f"{name} lacks {', '.join(without)}" for name, without in lacking.items())
    raise PlanError(f"No data centre can take over from {lost}: {detail or 'it is the only one'}.")


def _check_selection(estate: Estate, selection: Selection) -> None:
    known = (
        ("region", selection.regions, {region.name for region in estate.regions}),
        ("service", selection.services, set(estate.service)),
        ("unit", selection.units, {unit.name for _, _, unit in estate.places()}),
    )
    for word, asked, declared in known:
        unknown = sorted(set(asked) - set(declared))
        if unknown:
            raise PlanError(f"There is no {word} {', '.join(unknown)} in this estate.")


def _canonical(placement: Placement) -> str:
    lean = placement.moved(())
    return json.dumps(
        [
            sorted(lean.default.items()),
            sorted((region, service, centre) for (region, service), centre in lean.regional.items()),
        ]
    )


def _digest(parts: Sequence[str]) -> str:
    return "sha256:" + hashlib.sha256(json.dumps(parts).encode()).hexdigest()
