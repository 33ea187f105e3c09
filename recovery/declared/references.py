"""What one file says about another: services, bastions, data centres and placements that must be there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from recovery.declared.folders import Files
from recovery.declared.names import AllNames, units_of
from recovery.declared.nodes import Data, Document, Location, block, blocks, quoted, text
from recovery.declared.sentences import close, near

ENDPOINT_HOST = "endpoint-host"
"""The kind of every endpoint. See the templates."""

MAX_SERVICES = 500
"""More than any estate has; looking for rings among them costs the square of their number."""


def check(files: Files, names: AllNames) -> None:
    """Note every reference that leads nowhere."""
    _services(files, names)
    _data_centres(files, names)
    _placement(files, names)
    with_units = {
        name
        for _, service in blocks(files.services.data, "services")
        if (name := text(service, "name")) is not None and "unit_kind" in service
    }
    for region in files.regions:
        for index, office in blocks(region.data, "offices"):
            names.bastions.refer(region, ("offices", index, "bastion"), text(office, "bastion"))
        for location, unit in units_of(region):
            service = text(unit, "service")
            is_known = names.services.refer(region, (*location, "service"), service)
            if is_known and service not in with_units:
                message = f"found '{service}', which has no unit_kind in services.yaml, so no unit can serve it"
                region.add((*location, "service"), message, is_follow_up=True)


def kinds(files: Files, templates: Path) -> None:
    """Note each kind of unit, and the endpoints' own, that has no templates."""
    there = sorted(file.parent.name for file in templates.glob("*/unit.yaml"))
    for index, service in blocks(files.services.data, "services"):
        kind = text(service, "unit_kind")
        if kind and kind not in there:
            message = f"found {quoted(kind)}, expected a folder of {templates} with a unit.yaml{near(kind, there)}"
            files.services.add(("services", index, "unit_kind"), message, is_follow_up=True)
    if ENDPOINT_HOST not in there:
        message = f"the folder {templates} has no {ENDPOINT_HOST}/unit.yaml, which every endpoint is made from"
        files.estate.add(("templates",), message, is_follow_up=True)


def _services(files: Files, names: AllNames) -> None:
    document = files.services
    for index, service in blocks(document.data, "services"):
        seen: set[str] = set()
        for number, name in _texts(service, "after"):
            location = ("services", index, "after", number)
            names.services.refer(document, location, name)
            if name in seen:
                document.add(location, f"{quoted(name)} is named twice", is_follow_up=True)
            seen.add(name)
    _cycles(document)


def _cycles(document: Document) -> None:
    """Name each group of services that wait for each other, once."""
    waiting: dict[str, list[str]] = {}
    index_of: dict[str, int] = {}
    for index, service in blocks(document.data, "services"):
        name = text(service, "name")
        if name is not None and name not in waiting:
            waiting[name] = [other for _, other in _texts(service, "after")]
            index_of[name] = index
    if len(waiting) > MAX_SERVICES:
        document.add(("services",), f"found {len(waiting):,} services, expected at most {MAX_SERVICES}")
        return
    while (cycle := _cycle(waiting)) is not None:
        first = cycle.index(min(cycle, key=index_of.__getitem__))
        cycle = cycle[first:] + cycle[:first]
        chain = " after ".join(quoted(name) for name in [*cycle, cycle[0]])
        document.add(("services", index_of[cycle[0]], "after"), f"can never start: {chain}")
        for name in cycle:
            del waiting[name]


def _cycle(waiting: Mapping[str, list[str]]) -> list[str] | None:
    """Return services that wait for each other in a ring, or None when there are none (any more)."""
    left = {name: {other for other in after if other in waiting} for name, after in waiting.items()}
    while free := [name for name, after in left.items() if not after]:
        for name in free:
            del left[name]
        for after in left.values():
            after.difference_update(free)
    if not left:
        return None
    path = [next(iter(left))]
    while (after := next(name for name in waiting[path[-1]] if name in left)) not in path:
        path.append(after)
    return path[path.index(after) :]


def _data_centres(files: Files, names: AllNames) -> None:
    document = files.data_centres
    for index, centre in blocks(document.data, "data_centres"):
        names.bastions.refer(document, ("data_centres", index, "bastion"), text(centre, "bastion"))
        for number, endpoint in blocks(centre, "endpoints"):
            location = ("data_centres", index, "endpoints", number, "service")
            names.services.refer(document, location, text(endpoint, "service"))


def _placement(files: Files, names: AllNames) -> None:
    document = files.placement
    endpoints = _endpoints(files.data_centres)
    placement = block(document.data, "placement")
    _placed(document, ("placement",), placement, names, endpoints)
    regional = block(document.data, "regional")
    for region, entries in regional.items():
        if names.regions.refer(document, ("regional", region), region) and isinstance(entries, dict):
            _placed(document, ("regional", region), entries, names, endpoints)
    if not isinstance(document.data, dict) or not isinstance(document.data.get("placement"), dict):
        return
    misspelt = [name for name in placement if name not in names.services.first]
    for name, (services, location) in names.services.first.items():
        is_spelt_wrong = close(name, misspelt) is not None
        if name not in placement and not is_spelt_wrong:
            message = f"is missing, expected the data centre that serves {quoted(name)}"
            document.add(("placement", name), f"{message} (declared in {services.file.name}:{services.line(location)})")


def _placed(
    document: Document,
    around: Location,
    entries: Mapping[str, Data],
    names: AllNames,
    endpoints: Mapping[str, set[str] | None],
) -> None:
    for service, centre in entries.items():
        location = (*around, service)
        is_service = names.services.refer(document, location, service)
        if not isinstance(centre, str) or not names.data_centres.refer(document, location, centre):
            continue
        served = endpoints.get(centre)
        if is_service and served is not None and service not in served:
            elsewhere = [name for name, services in endpoints.items() if services is not None and service in services]
            hint = f"; it has one at {' and '.join(elsewhere)}" if elsewhere else ""
            message = f"found '{centre}', which has no endpoint of {quoted(service)} in data-centres.yaml{hint}"
            document.add(location, message, is_follow_up=True)


def _endpoints(document: Document) -> dict[str, set[str] | None]:
    """Return the services that each data centre has endpoints of; None where they can't all be read."""
    found: dict[str, set[str] | None] = {}
    for _, centre in blocks(document.data, "data_centres"):
        name = text(centre, "name")
        items = centre.get("endpoints")
        if name is not None:
            services = [text(item, "service") for item in items] if isinstance(items, list) else [None]
            found[name] = None if None in services else {service for service in services if service is not None}
    return found


def _texts(data: Data, key: str) -> Iterator[tuple[int, str]]:
    items = data.get(key) if isinstance(data, dict) else None
    if isinstance(items, list):
        for index, item in enumerate(items):
            if isinstance(item, str):
                yield index, item
