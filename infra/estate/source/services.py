"""The services, the two data centres and the limits of the shipped estate: illustrative, but of a likely size."""

from __future__ import annotations

from infra.estate.source.addresses import address, host_key
from infra.estate.source.bastions import bastion_of_data_centre
from recovery.model.estate import (
    Bastion,
    DataCentre,
    DataCentreName,
    Endpoint,
    Limits,
    Link,
    LinkName,
    Login,
    Service,
    ServiceClass,
    ServiceName,
    Timeouts,
    UnitName,
    WavePass,
)

USER = "pulih"
ROOT = "/srv/pulih"

LIMITS = Limits(
    region=32,
    bastion=10,
    link={LinkName.FIBRE: 64, LinkName.RADIO: 24, LinkName.SATELLITE: 12},
)
"""Units in flight at once. Source for the bastion's: sshd_config(5), MaxStartups drops logins beyond 10 at random."""

LINKS = {
    LinkName.FIBRE: Link(name=LinkName.FIBRE, rtt_ms=20, kbit_s=20_000),
    LinkName.RADIO: Link(name=LinkName.RADIO, rtt_ms=60, kbit_s=4_000),
    LinkName.SATELLITE: Link(name=LinkName.SATELLITE, rtt_ms=600, kbit_s=1_000),
}
"""Geostationary satellites stand 35,786 km up: there and back twice takes light 480 ms, equipment the rest."""

TIMEOUTS = Timeouts(connect_s=10, step_s=30, unit_s=120, retries=2)
WAVE_PASS = WavePass(share=0.95, failures=1)

_SUPPORTING = frozenset({ServiceName("identity"), ServiceName("time")})


def _supporting(name: str, title: str, *, rpo_min: int) -> Service:
    return Service(
        name=ServiceName(name),
        title=title,
        service_class=ServiceClass.SUPPORTING,
        unit_kind=None,
        rto_s=60 * 60,
        rpo_s=rpo_min * 60,
        after=frozenset(),
    )


def _serving(name: str, title: str, unit_kind: str | None, *, rto_h: int, rpo_min: int) -> Service:
    return Service(
        name=ServiceName(name),
        title=title,
        service_class=ServiceClass.SERVING,
        unit_kind=unit_kind,
        rto_s=rto_h * 3600,
        rpo_s=rpo_min * 60,
        after=_SUPPORTING,
    )


SERVICES = (
    _supporting("identity", "Identity: accounts of officers and units", rpo_min=15),
    _supporting("time", "Time: NTP for every unit", rpo_min=60),
    _serving("border-crossing", "Border crossing", "border-gate", rto_h=2, rpo_min=15),
    _serving("visa", "Visa", None, rto_h=8, rpo_min=60),
    _serving("stay-permit", "Stay permit", "stay-permit-desk", rto_h=12, rpo_min=60),
    _serving("citizen-app", "The citizens' app", None, rto_h=16, rpo_min=120),
    _serving("passport", "Passport", "passport-counter", rto_h=24, rpo_min=120),
)
"""In the order in which they come back: border crossing first and passports last, as in the event."""

_PORTS = {"time": 123}
"""Where a service is not served on 443."""

_DATA_CENTRES = (
    ("pdns-2", "Pusat Data Nasional Sementara 2, Surabaya", "Asia/Jakarta", 0x1),
    ("cloud-1", "Public cloud, Jakarta region", "Asia/Jakarta", 0x2),
)
"""Name, title, time zone, number of the /48 inside 2001:db8::/32."""

HOME_OF_ALL = DataCentreName("pdns-2")
"""The data centre that serves everything before a loss."""


def data_centres() -> tuple[DataCentre, ...]:
    """Return both data centres, each with an endpoint of every service."""
    return tuple(
        DataCentre(
            name=DataCentreName(name),
            title=title,
            time_zone=time_zone,
            bastion=bastion_of_data_centre(name, title, network).name,
            endpoints=tuple(
                _endpoint(service, DataCentreName(name), network, number)
                for number, service in enumerate(SERVICES, start=1)
            ),
        )
        for name, title, time_zone, network in _DATA_CENTRES
    )


def data_centre_bastions() -> tuple[Bastion, ...]:
    """Return the bastions in front of the data centres."""
    return tuple(bastion_of_data_centre(name, title, network) for name, title, _, network in _DATA_CENTRES)


def _endpoint(service: Service, data_centre: DataCentreName, network: int, number: int) -> Endpoint:
    """Return a service's endpoint: in its subnet the service is host 1 and the host to configure is host 2."""
    name = UnitName(f"{service.name}-{data_centre}")
    return Endpoint(
        name=name,
        service=service.name,
        data_centre=data_centre,
        address=address(network, number, 1),
        port=_PORTS.get(service.name, 443),
        app_port=9000 + number,
        login=Login(address=address(network, number, 2), port=22, user=USER, host_key=host_key(name)),
        root=ROOT,
    )
