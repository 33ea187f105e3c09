"""A small sound estate for tests: two offices, two bastions, two data centres; as files and as a model.

The files are written out by hand and the model is built by hand, so each can be held against the other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from recovery.declared.folders import OWN_TEMPLATES
from recovery.declared.hostkeys import ed25519_line
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

CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBOjCB7aADAgECAhRYTMr0/YjnQwM9d+xMscRze58srTAFBgMrZXAwGjEYMBYG
A1UEAwwPRXhhbXBsZSBDQSBtYWluMB4XDTI1MDEwMTAwMDAwMFoXDTM2MDEwMTAw
MDAwMFowGjEYMBYGA1UEAwwPRXhhbXBsZSBDQSBtYWluMCowBQYDK2VwAyEAWX9P
MvKiXWVMo4U4jkbH6AhZDSveT+7ryJXvm57JaBmjRTBDMBIGA1UdEwEB/wQIMAYB
Af8CAQAwDgYDVR0PAQH/BAQDAgEGMB0GA1UdDgQWBBTH/EadLw2acZrN38FgJdSI
PQQYIDAFBgMrZXADQQCS7tKUvA6zoqOMyN4I5qdW+y80sCsvDWu2ynGYl0JkYBvt
SfqQk10vJNNwR30zEk5sTKm19mU02icEJ7ZquzUH
-----END CERTIFICATE-----
"""
"""An authority that nobody uses; the private half was never kept."""

ENDPOINTS = {"identity": (443, 9001), "time": (123, 9002), "border-crossing": (443, 9003), "passport": (443, 9004)}
"""By service: the port at which it is served, and that of its application."""

_ESTATE = """\
# A small sound estate.
name: small
version: "1"
title: A small estate
trust_anchors: trust-anchors.pem

limits:
  region: 32
  bastion: 10
  link:
    fibre: 64
    radio: 24
    satellite: 12

links:
  fibre:
    rtt_ms: 20
    kbit_s: 20000
  radio:
    rtt_ms: 60
    kbit_s: 4000
  satellite:
    rtt_ms: 600
    kbit_s: 1000

timeouts:
  connect_s: 10
  step_s: 30
  unit_s: 120
  retries: 2

wave_pass:
  share: 0.95
  failures: 2
"""

_SERVICES = """\
services:
  - name: identity
    title: Identity
    class: supporting
    rto_min: 60
    rpo_min: 15
  - name: time
    title: Time
    class: supporting
    rto_min: 60
    rpo_min: 60
  - name: border-crossing
    title: Border crossing
    class: serving
    unit_kind: border-gate
    rto_min: 120
    rpo_min: 15
    after:
      - identity
      - time
  - name: passport
    title: Passports
    class: serving
    unit_kind: passport-counter
    rto_min: 1440
    rpo_min: 120
    after:
      - identity
      - time
"""

_PLACEMENT = """\
# Where everything runs.
placement:
  identity: pdns-2
  time: pdns-2
  border-crossing: pdns-2  # since the move
  passport: pdns-2
"""


def host_key(name: str) -> HostKey:
    """Return a host key made from a name; it has no private half."""
    return ed25519_line(hashlib.sha256(name.encode()).digest())


def _bastions_text() -> str:
    blocks = [
        f"""\
  - name: {name}
    title: Bastion in the {side}
    address: {address}
    port: 22
    user: pulih
    host_key: {host_key(name)}
"""
        for name, side, address in (("gate-west", "west", "10.8.1.1"), ("gate-east", "east", "10.8.2.1"))
    ]
    return "bastions:\n" + "".join(blocks)


def _data_centres_text() -> str:
    text = "data_centres:\n"
    for name, title, network in (("pdns-2", "Second national centre", "10.1"), ("cloud-1", "Rented", "10.2")):
        text += f"  - name: {name}\n    title: {title}\n    time_zone: Asia/Jakarta\n    endpoints:\n"
        for number, (service, (port, app_port)) in enumerate(ENDPOINTS.items(), start=1):
            text += f"""\
      - service: {service}
        address: {network}.0.{number}
        port: {port}
        app_port: {app_port}
        host:
          address: {network}.1.{number}
          port: 22
          user: pulih
          root: /srv/pulih
          host_key: {host_key(f"{service}-{name}")}
"""
    return text


_WEST = f"""\
region: west
title: The west

offices:
  - name: airport
    kind: tpi
    title: 'TPI "Soekarno-Hatta": gate #1'
    city: Tangerang
    time_zone: Asia/Jakarta
    link: fibre
    bastion: gate-west
    units:
      - name: airport-border-crossing
        service: border-crossing
        address: 10.8.10.1
        port: 22
        user: pulih
        root: /srv/pulih
        host_key: {host_key("airport-border-crossing")}
      - name: airport-passport
        service: passport
        address: 10.8.10.2
        port: 22
        user: pulih
        root: /srv/pulih
        host_key: {host_key("airport-passport")}
        gateway_port: 8081
"""

_EAST = f"""\
region: east
title: The east

offices:
  - name: embassy
    kind: mission
    title: KBRI São Tomé — 大使館
    city: NO
    time_zone: Asia/Jayapura
    link: satellite
    bastion: gate-east
    units:
      - name: embassy-passport
        service: passport
        address: 10.8.20.1
        port: 22
        user: pulih
        root: /srv/pulih
        host_key: {host_key("embassy-passport")}
      - name: embassy-passport-old
        service: passport
        address: 10.8.20.2
        port: 22
        user: pulih
        root: /srv/pulih
        host_key: {host_key("embassy-passport-old")}
        state: retired
"""


def sound_files() -> dict[str, str]:
    """Return the files of the small estate: text by path inside its folder."""
    return {
        "estate.yaml": _ESTATE,
        "services.yaml": _SERVICES,
        "data-centres.yaml": _data_centres_text(),
        "placement.yaml": _PLACEMENT,
        "bastions.yaml": _bastions_text(),
        "trust-anchors.pem": CERTIFICATE,
        "regions/east.yaml": _EAST,
        "regions/west.yaml": _WEST,
    }


def write_files(folder: Path, files: Mapping[str, str] | None = None) -> Path:
    """Write the small estate, or other files, and return the folder."""
    for name, text in (sound_files() if files is None else files).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def login(name: str, address: str) -> Login:
    """Return the login of a host of the small estate."""
    return Login(address=address, port=22, user="pulih", host_key=host_key(name))


def unit(name: str, service: str, address: str, *, gateway_port: int = 8080, retired: bool = False) -> Unit:
    """Return a unit like those of the small estate."""
    return Unit(
        name=UnitName(name),
        service=ServiceName(service),
        login=login(name, address),
        gateway_port=gateway_port,
        root="/srv/pulih",
        retired=retired,
    )


def _data_centre(name: str, title: str, network: str) -> DataCentre:
    return DataCentre(
        name=DataCentreName(name),
        title=title,
        time_zone="Asia/Jakarta",
        bastion=None,
        endpoints=tuple(
            Endpoint(
                name=UnitName(f"{service}-{name}"),
                service=ServiceName(service),
                data_centre=DataCentreName(name),
                address=f"{network}.0.{number}",
                port=port,
                app_port=app_port,
                login=login(f"{service}-{name}", f"{network}.1.{number}"),
                root="/srv/pulih",
            )
            for number, (service, (port, app_port)) in enumerate(ENDPOINTS.items(), start=1)
        ),
    )


def _services() -> tuple[Service, ...]:
    supporting = frozenset({ServiceName("identity"), ServiceName("time")})

    def service(name: str, title: str, kind: str | None, rto_min: int, rpo_min: int) -> Service:
        return Service(
            name=ServiceName(name),
            title=title,
            service_class=ServiceClass.SUPPORTING if kind is None else ServiceClass.SERVING,
            unit_kind=kind,
            rto_s=rto_min * 60,
            rpo_s=rpo_min * 60,
            after=frozenset() if kind is None else supporting,
        )

    return (
        service("identity", "Identity", None, 60, 15),
        service("time", "Time", None, 60, 60),
        service("border-crossing", "Border crossing", "border-gate", 120, 15),
        service("passport", "Passports", "passport-counter", 1440, 120),
    )


def _regions() -> tuple[Region, ...]:
    airport = Office(
        name=OfficeName("airport"),
        kind="tpi",
        title='TPI "Soekarno-Hatta": gate #1',
        city="Tangerang",
        time_zone="Asia/Jakarta",
        link=LinkName.FIBRE,
        bastion=BastionName("gate-west"),
        units=(
            unit("airport-border-crossing", "border-crossing", "10.8.10.1"),
            unit("airport-passport", "passport", "10.8.10.2", gateway_port=8081),
        ),
    )
    embassy = Office(
        name=OfficeName("embassy"),
        kind="mission",
        title="KBRI São Tomé — 大使館",
        city="NO",
        time_zone="Asia/Jayapura",
        link=LinkName.SATELLITE,
        bastion=BastionName("gate-east"),
        units=(
            unit("embassy-passport", "passport", "10.8.20.1"),
            unit("embassy-passport-old", "passport", "10.8.20.2", retired=True),
        ),
    )
    return (
        Region(name=RegionName("east"), title="The east", offices=(embassy,)),
        Region(name=RegionName("west"), title="The west", offices=(airport,)),
    )


def sound_estate(folder: Path, *, templates: Path = OWN_TEMPLATES) -> Estate:
    """Return the small estate as a model.

    Args:
        folder: Where its files stand, or would stand; nothing is read.
        templates: Folder of its templates.
    """
    gates = (("gate-west", "west", "10.8.1.1"), ("gate-east", "east", "10.8.2.1"))
    services = _services()
    return Estate(
        folder=folder,
        name="small",
        version="1",
        title="A small estate",
        illustrative=False,
        practice=False,
        staging=(),
        templates=templates,
        ssh_key=None,
        trust_anchors=CERTIFICATE,
        limits=Limits(region=32, bastion=10, link={LinkName.FIBRE: 64, LinkName.RADIO: 24, LinkName.SATELLITE: 12}),
        timeouts=Timeouts(connect_s=10, step_s=30, unit_s=120, retries=2),
        wave_pass=WavePass(share=0.95, failures=2),
        links={
            LinkName.FIBRE: Link(name=LinkName.FIBRE, rtt_ms=20, kbit_s=20000),
            LinkName.RADIO: Link(name=LinkName.RADIO, rtt_ms=60, kbit_s=4000),
            LinkName.SATELLITE: Link(name=LinkName.SATELLITE, rtt_ms=600, kbit_s=1000),
        },
        services=services,
        data_centres=(
            _data_centre("pdns-2", "Second national centre", "10.1"),
            _data_centre("cloud-1", "Rented", "10.2"),
        ),
        placement=Placement(default={service.name: DataCentreName("pdns-2") for service in services}, regional={}),
        bastions={
            BastionName(name): Bastion(
                name=BastionName(name), title=f"Bastion in the {side}", login=login(name, address)
            )
            for name, side, address in gates
        },
        regions=_regions(),
        files_digest="",
    )
