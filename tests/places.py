"""A small estate in memory, for tests that render it: three kinds of unit, two data centres, no file read.

Its values are arguments, so that a test can put it on loopback ports or fill it with odd titles. (`estates.py` has the
small estate that is read from files.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from recovery.model.estate import (
    Bastion,
    BastionName,
    DataCentre,
    DataCentreName,
    Endpoint,
    Estate,
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

TEMPLATES = Path(__file__).parent.parent / "templates"

ANCHOR = """\
-----BEGIN CERTIFICATE-----
MIIBdDCCARqgAwIBAgIUQgMpH2BC1h2xXlZ3nUqWcmVb7ogwCgYIKoZIzj0EAwIw
-----END CERTIFICATE-----
"""
"""Has the form of a certificate; enough where no real program reads it."""

PDNS, CLOUD = DataCentreName("pdns-2"), DataCentreName("cloud-1")
KINDS = {
    "border-crossing": "border-gate",
    "passport": "passport-counter",
    "stay-permit": "stay-permit-desk",
}
"""Kind of unit by service."""

_SUPPORTING = ("identity", "time")
_KEY = HostKey("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl")
_BASTION = BastionName("bastion-1")


def login(address: str, port: int = 22) -> Login:
    return Login(address=address, port=port, user="pulih", host_key=_KEY)


def _endpoint(service: str, data_centre: DataCentreName, number: int, side: int, root: str) -> Endpoint:
    address = f"2001:db8:{side}::{number:x}" if data_centre == PDNS else f"192.0.2.{number}"
    return Endpoint(
        name=UnitName(f"{service}-{data_centre}"),
        service=ServiceName(service),
        data_centre=data_centre,
        address=address,
        port=123 if service == "time" else 8443,
        app_port=9000 + number,
        login=login(address),
        root=root,
    )


def an_estate(
    *,
    title: str = "Kantor Imigrasi Kelas I TPI Soekarno-Hatta",
    city: str = "Tangerang",
    link: LinkName = LinkName.FIBRE,
    bastion: bool = True,
    placed: DataCentreName = PDNS,
    trust_anchors: str = ANCHOR,
    endpoint: Callable[[Endpoint], Endpoint] = lambda endpoint: endpoint,
    unit: Callable[[Unit], Unit] = lambda unit: unit,
) -> Estate:
    """Return an estate of one office with a unit of each kind; `endpoint` and `unit` may change each of theirs."""
    names = (*_SUPPORTING, *KINDS)
    office = Office(
        name=OfficeName("soekarno-hatta"),
        kind="office",
        title=title,
        city=city,
        time_zone="Asia/Jakarta",
        link=link,
        bastion=_BASTION if bastion else None,
        units=tuple(
            unit(
                Unit(
                    name=UnitName(f"{service}-soekarno-hatta"),
                    service=ServiceName(service),
                    login=login(f"2001:db8:f::{number}"),
                    gateway_port=8080,
                    root="/srv/pulih",
                    retired=False,
                )
            )
            for number, service in enumerate(KINDS, start=1)
        ),
    )
    data_centres = tuple(
        DataCentre(
            name=name,
            title=name.upper(),
            time_zone="Asia/Jakarta",
            bastion=_BASTION if bastion else None,
            endpoints=tuple(
                endpoint(_endpoint(service, name, number, side, "/srv/pulih"))
                for number, service in enumerate(names, start=1)
            ),
        )
        for side, name in enumerate((PDNS, CLOUD), start=1)
    )
    links: Mapping[LinkName, Link] = {name: Link(name=name, rtt_ms=20, kbit_s=10_000) for name in LinkName}
    return Estate(
        folder=Path("estate"),
        name="practice",
        version="1",
        title="Practice",
        illustrative=False,
        practice=True,
        staging=(),
        templates=TEMPLATES,
        ssh_key=None,
        trust_anchors=trust_anchors,
        limits=Limits(region=8, bastion=8, link=dict.fromkeys(LinkName, 8)),
        timeouts=Timeouts(connect_s=3, step_s=5, unit_s=10, retries=1),
        wave_pass=WavePass(share=0.9, failures=1),
        links=links,
        services=tuple(
            Service(
                name=ServiceName(name),
                title=name.capitalize(),
                service_class=ServiceClass.SUPPORTING if name in _SUPPORTING else ServiceClass.SERVING,
                unit_kind=KINDS.get(name),
                rto_s=3600,
                rpo_s=900,
                after=frozenset() if name in _SUPPORTING else frozenset(map(ServiceName, _SUPPORTING)),
            )
            for name in names
        ),
        data_centres=data_centres,
        placement=Placement(default={ServiceName(name): placed for name in names}, regional={}),
        bastions={_BASTION: Bastion(name=_BASTION, title="Bastion", login=login("2001:db8:b::1"))},
        regions=(Region(name=RegionName("jakarta"), title="Jakarta", offices=(office,)),),
        files_digest="sha256:" + "0" * 64,
    )
