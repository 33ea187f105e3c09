"""Writes an estate's files from the model: the same estate, the same bytes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from recovery.declared.emit import Value, document
from recovery.declared.folders import beside, templates_folder
from recovery.declared.schema import DEFAULT_GATEWAY_PORT
from recovery.model.estate import (
    Bastion,
    DataCentre,
    Endpoint,
    Estate,
    Login,
    Office,
    Placement,
    Region,
    Service,
    Unit,
)
from recovery.model.publish import MirrorPlace, Publish

TRUST_ANCHORS = "trust-anchors.pem"


def write(estate: Estate, folder: Path) -> None:
    """Write all files of an estate; `load` reads back an equal one.

    Files of regions that the estate doesn't have are removed, nothing else is. Comments in files that stand there are
    lost (`write_placement` keeps them).
    """
    regions = folder / "regions"
    regions.mkdir(parents=True, exist_ok=True)
    for name, content in _files(estate, folder):
        (folder / name).write_bytes(content.encode())
    kept = {f"{region.name}.yaml" for region in estate.regions}
    for file in regions.glob("*.yaml"):
        if file.name not in kept:
            file.unlink()


def _files(estate: Estate, folder: Path) -> Iterator[tuple[str, str]]:
    yield "estate.yaml", document(_estate(estate, folder))
    yield "services.yaml", document({"services": [_service(service) for service in estate.services]})
    yield "data-centres.yaml", document({"data_centres": [_data_centre(centre) for centre in estate.data_centres]})
    yield "placement.yaml", document(_placement(estate.placement))
    yield "bastions.yaml", document({"bastions": [_bastion(bastion) for bastion in estate.bastions.values()]})
    yield TRUST_ANCHORS, estate.trust_anchors
    for region in estate.regions:
        yield f"regions/{region.name}.yaml", document(_region(region))


def _estate(estate: Estate, folder: Path) -> dict[str, Value]:
    content: dict[str, Value] = {"name": estate.name, "version": estate.version, "title": estate.title}
    if estate.illustrative:
        content["illustrative"] = True
    if estate.practice:
        content["practice"] = True
    if estate.staging:
        content["staging"] = [str(network) for network in estate.staging]
    if estate.templates.resolve() != templates_folder(folder, None):
        content["templates"] = _relative(estate.templates, folder)
    if estate.ssh_key is not None:
        content["ssh_key"] = _relative(estate.ssh_key, folder)
    if estate.leases is not None:
        content["leases"] = estate.leases
    if estate.publish is not None:
        content["publish"] = _publish(estate.publish, folder)
    limits, timeouts, wave_pass = estate.limits, estate.timeouts, estate.wave_pass
    return content | {
        "trust_anchors": TRUST_ANCHORS,
        "limits": {
            "region": limits.region,
            "bastion": limits.bastion,
            "link": {name.value: limit for name, limit in limits.link.items()},
        },
        "links": {name.value: {"rtt_ms": link.rtt_ms, "kbit_s": link.kbit_s} for name, link in estate.links.items()},
        "timeouts": {
            "connect_s": timeouts.connect_s,
            "step_s": timeouts.step_s,
            "unit_s": timeouts.unit_s,
            "retries": timeouts.retries,
        },
        "wave_pass": {"share": wave_pass.share, "failures": wave_pass.failures},
    }


def _publish(publish: Publish, folder: Path) -> dict[str, Value]:
    content: dict[str, Value] = {
        "service": publish.service,
        "services": list(publish.services),
        "mirrors": [_mirror(place, folder) for place in publish.mirrors],
        "roots": _relative(publish.roots, folder),
        "online": _relative(publish.online, folder),
    }
    if publish.offline is not None:
        content["offline"] = _relative(publish.offline, folder)
    return content | {
        "minimum_version": publish.minimum_version,
        "message": dict(publish.message),
        "reset": list(publish.reset),
        "keep": list(publish.keep),
    }


def _mirror(place: MirrorPlace, folder: Path) -> str:
    if place.directory is None or beside(folder, place.name) == place.directory:
        return place.name
    return _relative(place.directory, folder)


def _relative(path: Path, folder: Path) -> str:
    """Write a path from the estate's folder when it is in or beside it, so that both can move together."""
    base, path = folder.resolve(), path.absolute()
    if path.is_relative_to(base.parent) and base.parent != Path(base.anchor):
        return Path(os.path.relpath(path, base)).as_posix()
    return path.as_posix()


def _service(service: Service) -> dict[str, Value]:
    content: dict[str, Value] = {
        "name": service.name,
        "title": service.title,
        "class": service.service_class.value,
    }
    if service.unit_kind is not None:
        content["unit_kind"] = service.unit_kind
    content |= {"rto_min": service.rto_s / 60, "rpo_min": service.rpo_s / 60}
    if service.after:
        content["after"] = sorted(service.after)
    return content


def _login(login: Login, root: str | None = None) -> dict[str, Value]:
    content: dict[str, Value] = {"address": login.address, "port": login.port, "user": login.user}
    if root is not None:
        content["root"] = root
    return content | {"host_key": login.host_key}


def _data_centre(centre: DataCentre) -> dict[str, Value]:
    content: dict[str, Value] = {"name": centre.name, "title": centre.title, "time_zone": centre.time_zone}
    if centre.bastion is not None:
        content["bastion"] = centre.bastion
    return content | {"endpoints": [_endpoint(endpoint) for endpoint in centre.endpoints]}


def _endpoint(endpoint: Endpoint) -> dict[str, Value]:
    return {
        "service": endpoint.service,
        "address": endpoint.address,
        "port": endpoint.port,
        "app_port": endpoint.app_port,
        "host": _login(endpoint.login, endpoint.root),
    }


def _placement(placement: Placement) -> dict[str, Value]:
    default: dict[str, Value] = {}
    default.update(placement.default.items())
    regional: dict[str, dict[str, Value]] = {}
    for (region, service), centre in placement.regional.items():
        regional.setdefault(region, {})[service] = centre
    return {"placement": default, **({"regional": regional} if regional else {})}


def _bastion(bastion: Bastion) -> dict[str, Value]:
    return {"name": bastion.name, "title": bastion.title, **_login(bastion.login)}


def _region(region: Region) -> dict[str, Value]:
    return {
        "region": region.name,
        "title": region.title,
        "offices": [_office(office) for office in region.offices],
    }


def _office(office: Office) -> dict[str, Value]:
    content: dict[str, Value] = {
        "name": office.name,
        "kind": office.kind,
        "title": office.title,
        "city": office.city,
        "time_zone": office.time_zone,
        "link": office.link.value,
    }
    if office.bastion is not None:
        content["bastion"] = office.bastion
    return content | {"units": [_unit(unit) for unit in office.units]}


def _unit(unit: Unit) -> dict[str, Value]:
    content: dict[str, Value] = {"name": unit.name, "service": unit.service, **_login(unit.login, unit.root)}
    if unit.gateway_port != DEFAULT_GATEWAY_PORT:
        content["gateway_port"] = unit.gateway_port
    if unit.retired:
        content["state"] = "retired"
    return content
