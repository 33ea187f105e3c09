"""From the checked files to the model. Nothing can be wrong any more; units change from minutes to seconds here."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from recovery.declared import schema
from recovery.declared.folders import beside
from recovery.model.estate import (
    Bastion,
    BastionName,
    DataCentre,
    DataCentreName,
    Endpoint,
    HostKey,
    Limits,
    Link,
    LinkName,
    Login,
    Office,
    OfficeName,
    Placement,
    Region,
    RegionName,
    Service,
    ServiceClass,
    ServiceName,
    Timeouts,
    Unit,
    UnitName,
    WavePass,
)
from recovery.model.publish import MirrorPlace, Publish


def login(block: schema.HostBlock | schema.BastionBlock | schema.UnitBlock) -> Login:
    """Return how a host is reached."""
    return Login(address=block.address, port=block.port, user=block.user, host_key=HostKey(block.host_key))


def bastion_name(name: str | None) -> BastionName | None:
    """Return the name of a bastion, where there is one."""
    return None if name is None else BastionName(name)


def services(file: schema.ServicesFile) -> tuple[Service, ...]:
    """Return the services in the order declared."""
    return tuple(
        Service(
            name=ServiceName(block.name),
            title=block.title,
            service_class=ServiceClass(block.service_class),
            unit_kind=block.unit_kind,
            rto_s=round(block.rto_min * 60),
            rpo_s=round(block.rpo_min * 60),
            after=frozenset(ServiceName(name) for name in block.after),
        )
        for block in file.services
    )


def data_centres(file: schema.DataCentresFile) -> tuple[DataCentre, ...]:
    """Return the data centres in the order declared."""
    return tuple(
        DataCentre(
            name=DataCentreName(block.name),
            title=block.title,
            time_zone=block.time_zone,
            bastion=bastion_name(block.bastion),
            endpoints=tuple(_endpoint(endpoint, block.name) for endpoint in block.endpoints),
        )
        for block in file.data_centres
    )


def _endpoint(block: schema.EndpointBlock, data_centre: str) -> Endpoint:
    return Endpoint(
        name=UnitName(f"{block.service}-{data_centre}"),
        service=ServiceName(block.service),
        data_centre=DataCentreName(data_centre),
        address=block.address,
        port=block.port,
        app_port=block.app_port,
        login=login(block.host),
        root=block.host.root,
    )


def placement(file: schema.PlacementFile) -> Placement:
    """Return the placement as declared, entries that repeat the default included."""
    return Placement(
        default={ServiceName(name): DataCentreName(centre) for name, centre in file.placement.items()},
        regional={
            (RegionName(region), ServiceName(name)): DataCentreName(centre)
            for region, entries in file.regional.items()
            for name, centre in entries.items()
        },
    )


def bastions(file: schema.BastionsFile) -> dict[BastionName, Bastion]:
    """Return the bastions by name, in the order declared."""
    return {
        BastionName(block.name): Bastion(name=BastionName(block.name), title=block.title, login=login(block))
        for block in file.bastions
    }


def regions(files: Iterable[schema.RegionFile]) -> tuple[Region, ...]:
    """Return the regions."""
    return tuple(
        Region(name=RegionName(file.region), title=file.title, offices=tuple(map(_office, file.offices)))
        for file in files
    )


def _office(block: schema.OfficeBlock) -> Office:
    return Office(
        name=OfficeName(block.name),
        kind=block.kind,
        title=block.title,
        city=block.city,
        time_zone=block.time_zone,
        link=LinkName(block.link),
        bastion=bastion_name(block.bastion),
        units=tuple(map(_unit, block.units)),
    )


def _unit(block: schema.UnitBlock) -> Unit:
    return Unit(
        name=UnitName(block.name),
        service=ServiceName(block.service),
        login=login(block),
        gateway_port=block.gateway_port,
        root=block.root,
        retired=block.state == "retired",
    )


def limits(block: schema.LimitsBlock) -> Limits:
    """Return the limits on units in flight."""
    by_link = {LinkName(name): limit for name, limit in block.link.model_dump().items()}
    return Limits(region=block.region, bastion=block.bastion, link=by_link)


def links(block: schema.LinksBlock) -> dict[LinkName, Link]:
    """Return the classes of line by name."""
    named = {LinkName.FIBRE: block.fibre, LinkName.RADIO: block.radio, LinkName.SATELLITE: block.satellite}
    return {name: Link(name=name, rtt_ms=link.rtt_ms, kbit_s=link.kbit_s) for name, link in named.items()}


def timeouts(block: schema.TimeoutsBlock) -> Timeouts:
    """Return the limits on time."""
    return Timeouts(connect_s=block.connect_s, step_s=block.step_s, unit_s=block.unit_s, retries=block.retries)


def wave_pass(block: schema.WavePassBlock) -> WavePass:
    """Return when a wave passes."""
    return WavePass(share=block.share, failures=block.failures)


def staging(file: schema.EstateFile) -> tuple[IPv4Network | IPv6Network, ...]:
    """Return the networks of a practice estate beside loopback."""
    return tuple(ip_network(network) for network in file.staging)


def publish(block: schema.PublishBlock | None, folder: Path, known: Iterable[Service]) -> Publish | None:
    """Return what is published; without a list of its own every serving service, in the order declared."""
    if block is None:
        return None
    serving = [service.name for service in known if service.service_class is ServiceClass.SERVING]
    return Publish(
        service=ServiceName(block.service),
        services=tuple(serving if block.services is None else map(ServiceName, block.services)),
        mirrors=tuple(
            MirrorPlace(name=name, directory=None if name.startswith("s3:") else beside(folder, name))
            for name in block.mirrors
        ),
        roots=beside(folder, block.roots),
        online=beside(folder, block.online),
        offline=None if block.offline is None else beside(folder, block.offline),
        minimum_version=block.minimum_version,
        message={"id": block.message.id, "en": block.message.en},
        reset=tuple(block.reset),
        keep=tuple(block.keep),
    )
