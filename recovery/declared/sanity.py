"""Values that are well formed and still impossible together: addresses, ports, times and objectives."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from recovery.declared.fields import number
from recovery.declared.folders import Files
from recovery.declared.names import place, units_of
from recovery.declared.nodes import Data, Document, Location, block, blocks, quoted, text
from recovery.model.bucket import Bucket

_LOOPBACK = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
_DOCUMENTATION = tuple(
    ipaddress.ip_network(network) for network in ("2001:db8::/32", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")
)
"""Source: RFC 3849 and RFC 5737."""


@dataclass(frozen=True, slots=True)
class _Place:
    """An address with a port in a file.

    Attributes:
        is_login: It is that of an SSH server, not of a service.
        is_used: Something will connect to it: not so for a retired unit.
    """

    document: Document
    location: Location
    data: dict[str, Data]
    is_login: bool
    is_used: bool = True


def check(files: Files) -> None:
    """Note every impossible combination."""
    places = list(_places(files))
    _shared(places)
    _allowed(files.estate, places)
    _leases(files.estate)
    _modes(files.estate)
    _times(files.estate)
    _objectives(files.services)
    _gateways(files)


def _places(files: Files) -> Iterator[_Place]:
    for index, centre in blocks(files.data_centres.data, "data_centres"):
        for at, endpoint in blocks(centre, "endpoints"):
            location = ("data_centres", index, "endpoints", at)
            yield _Place(files.data_centres, location, endpoint, is_login=False)
            yield _Place(files.data_centres, (*location, "host"), block(endpoint, "host"), is_login=True)
    for index, bastion in blocks(files.bastions.data, "bastions"):
        yield _Place(files.bastions, ("bastions", index), bastion, is_login=True)
    for region in files.regions:
        for location, unit in units_of(region):
            yield _Place(region, location, unit, is_login=True, is_used=unit.get("state") != "retired")


def _shared(places: list[_Place]) -> None:
    """Two hosts can't answer at the same address and port; a retired unit may have left its own to another."""
    first: dict[tuple[bool, str, str], tuple[Document, Location]] = {}
    for found in places:
        address, port = text(found.data, "address"), text(found.data, "port")
        if not address or not port or not found.is_used:
            continue
        here = (found.document, (*found.location, "address"))
        known = first.setdefault((found.is_login, address, port), here)
        if known != here:
            what = "SSH server" if found.is_login else "endpoint"
            message = f"{quoted(address)} with port {quoted(port)} is already another {what}'s, at {place(known)}"
            found.document.add(here[1], message, is_follow_up=True)


def _allowed(estate: Document, places: list[_Place]) -> None:
    """A practice estate keeps to loopback and staging, an illustrative one to addresses of documentation."""
    is_practice, is_illustrative = text(estate.data, "practice") == "true", text(estate.data, "illustrative") == "true"
    if is_practice == is_illustrative:
        return
    networks = practice_networks(estate) if is_practice else list(_DOCUMENTATION)
    expected = (
        "a loopback address, or one of a network under `staging:`, because estate.yaml says practice: true"
        if is_practice
        else f"one of {', '.join(map(str, _DOCUMENTATION))}, because estate.yaml says illustrative: true"
    )
    for found in places:
        address = _parsed(text(found.data, "address"))
        if address is not None and not any(address in network for network in networks):
            location = (*found.location, "address")
            found.document.add(location, f"found '{address}', expected {expected}", is_follow_up=True)


def _leases(estate: Document) -> None:
    """A practice estate has its regions' real names: in the real bucket it would hold the real leases."""
    declared = text(estate.data, "leases")
    if declared is None or text(estate.data, "practice") != "true":
        return
    try:
        bucket = Bucket.parse(declared)
    except ValueError:
        return
    if bucket.address is None or not any(bucket.address in network for network in practice_networks(estate)):
        message = (
            f"found {bucket}, expected an endpoint at a loopback address, or at one of a network under `staging:`, "
            "because estate.yaml says practice: true"
        )
        estate.add(("leases",), message, is_follow_up=True)


def practice_networks(estate: Document) -> list[IPv4Network | IPv6Network]:
    """Return the networks that a practice estate keeps to: loopback, and those under `staging:`."""
    items = estate.data.get("staging") if isinstance(estate.data, dict) else None
    networks: list[IPv4Network | IPv6Network] = [*_LOOPBACK]
    for item in items if isinstance(items, list) else []:
        try:
            networks.append(ipaddress.ip_network(str(item), strict=False))
        except ValueError:
            continue
    return networks


def _parsed(address: str | None) -> IPv4Address | IPv6Address | None:
    try:
        return None if address is None else ipaddress.ip_address(address)
    except ValueError:
        return None


def _modes(estate: Document) -> None:
    is_practice = text(estate.data, "practice") == "true"
    if is_practice and text(estate.data, "illustrative") == "true":
        estate.add(
            ("practice",), "found true beside illustrative: true, expected at most one of the two", is_follow_up=True
        )
    for key in ("staging", "ssh_key"):
        if isinstance(estate.data, dict) and key in estate.data and not is_practice:
            estate.add((key,), "is for an estate with practice: true only", is_follow_up=True)


def _times(estate: Document) -> None:
    timeouts = block(estate.data, "timeouts")
    whole = number(text(timeouts, "unit_s"))
    for key in ("connect_s", "step_s"):
        part = number(text(timeouts, key))
        if whole is not None and part is not None and part > whole:
            message = f"found {part:g} seconds, expected at most the {whole:g} of unit_s"
            estate.add(("timeouts", key), message, is_follow_up=True)


def _objectives(services: Document) -> None:
    """No service can be back before one that it waits for."""
    rto = {text(service, "name"): number(text(service, "rto_min")) for _, service in blocks(services.data, "services")}
    for index, service in blocks(services.data, "services"):
        own = number(text(service, "rto_min"))
        after = service.get("after")
        for other in after if isinstance(after, list) else []:
            earlier = rto.get(other) if isinstance(other, str) else None
            if own is not None and earlier is not None and own < earlier:
                message = f"found {own:g} minutes, but it comes after '{other}', which may take {earlier:g}"
                services.add(("services", index, "rto_min"), message, is_follow_up=True)


def _gateways(files: Files) -> None:
    """A host's SSH server is there already when its gateway or application wants to listen."""
    for region in files.regions:
        for location, unit in units_of(region):
            port = text(unit, "gateway_port")
            if port is not None and port == text(unit, "port"):
                message = f"found {quoted(port)}, which is the port of its SSH server too"
                region.add((*location, "gateway_port"), message, is_follow_up=True)
    for index, centre in blocks(files.data_centres.data, "data_centres"):
        for at, endpoint in blocks(centre, "endpoints"):
            port = text(endpoint, "app_port")
            if port is not None and port == text(block(endpoint, "host"), "port"):
                message = f"found {quoted(port)}, which is the port of its host's SSH server too"
                location = ("data_centres", index, "endpoints", at, "app_port")
                files.data_centres.add(location, message, is_follow_up=True)
