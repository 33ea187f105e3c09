"""Makes the practice estate of a lab out of a real or illustrative one. Pure: sockets and keys are given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from recovery.declared.folders import beside
from recovery.errors import LabError
from recovery.model.estate import (
    DataCentre,
    DataCentreName,
    Endpoint,
    Estate,
    HostKey,
    Limits,
    LinkName,
    Login,
    Office,
    Placement,
    Region,
    ServiceClass,
    ServiceName,
    Timeouts,
    Unit,
    UnitName,
    WavePass,
)
from recovery.model.publish import MirrorPlace, Publish

USER = "pulih"
ADDRESS = "127.0.0.1"
HOME = DataCentreName("pdns-2")
"""Where everything is placed before a loss."""

APP = ServiceName("citizen-app")
"""The service whose apps are told where everything is."""

_AT_ONCE = 64
_TIMEOUTS = Timeouts(connect_s=3, step_s=5, unit_s=10, retries=1)
_WAVE_PASS = WavePass(share=0.5, failures=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one SSH host of the lab is.

    Attributes:
        port: TCP port of its SSH server.
        host_key: Public half of its host key.
        root: Its folder.
        service_port: TCP port of the endpoint that it serves; None for a unit.
    """

    port: int
    host_key: HostKey
    root: Path
    service_port: int | None


def estate(
    source: Estate, regions: tuple[Region, ...], places: Mapping[UnitName, Place], folder: Path, ssh_key: Path
) -> Estate:
    """Return the practice estate.

    Args:
        source: The estate that it practises.
        regions: The part of it that the lab has.
        places: Where each of its units and endpoints is.
        folder: Where it will be written.
        ssh_key: The private key that logs in.

    Raises:
        LabError: The source has no data centre of the name that everything is placed at.
    """
    if HOME not in source.data_centre:
        raise LabError(f"the estate in {source.folder} has no data centre {HOME}")
    return replace(
        source,
        folder=folder,
        name="lab",
        title=f"Practice estate, made from {source.title}",
        illustrative=False,
        practice=True,
        staging=(),
        ssh_key=ssh_key,
        leases=None,
        publish=_publish(source, folder),
        limits=Limits(region=_AT_ONCE, bastion=_AT_ONCE, link=dict.fromkeys(LinkName, _AT_ONCE)),
        timeouts=_TIMEOUTS,
        wave_pass=_WAVE_PASS,
        data_centres=tuple(_data_centre(centre, places) for centre in source.data_centres),
        placement=Placement(default=dict.fromkeys(source.placement.default, HOME), regional={}),
        bastions={},
        regions=tuple(
            replace(region, offices=tuple(_office(office, places) for office in region.offices)) for region in regions
        ),
    )


def _publish(source: Estate, folder: Path) -> Publish | None:
    """Return what a lab tells citizens' apps: on two mirrors beside its estate, signed by keys that lie there too."""
    if APP not in source.service:
        return None
    names = ("../citizens/mirror-1", "../citizens/mirror-2")
    return Publish(
        service=APP,
        services=tuple(each.name for each in source.services if each.service_class is ServiceClass.SERVING),
        mirrors=tuple(MirrorPlace(name=name, directory=beside(folder, name)) for name in names),
        roots=folder / "roots",
        online=beside(folder, "../citizens/online"),
        offline=beside(folder, "../citizens/offline"),
        minimum_version="1.0.0",
        message={
            "id": "Latihan: layanan telah pulih. Anda tidak perlu memasang ulang aplikasi.",
            "en": "Practice: the services are back. You need not install the app again.",
        },
        reset=("endpoints", "sessions", "pins"),
        keep=("drafts", "bookings", "documents"),
    )


def _login(place: Place) -> Login:
    return Login(address=ADDRESS, port=place.port, user=USER, host_key=place.host_key)


def _data_centre(centre: DataCentre, places: Mapping[UnitName, Place]) -> DataCentre:
    return replace(centre, bastion=None, endpoints=tuple(_endpoint(one, places[one.name]) for one in centre.endpoints))


def _endpoint(endpoint: Endpoint, place: Place) -> Endpoint:
    if place.service_port is None:
        raise LabError(f"{endpoint.name} has no port to serve at")
    return replace(endpoint, address=ADDRESS, port=place.service_port, login=_login(place), root=str(place.root))


def _office(office: Office, places: Mapping[UnitName, Place]) -> Office:
    return replace(office, bastion=None, units=tuple(_unit(unit, places[unit.name]) for unit in office.units))


def _unit(unit: Unit, place: Place) -> Unit:
    return replace(unit, login=_login(place), root=str(place.root))
