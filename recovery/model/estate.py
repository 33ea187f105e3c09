"""What is declared: services, data centres, placement, bastions, regions, offices and units."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import NewType

from recovery.model.publish import Publish

UnitName = NewType("UnitName", str)
OfficeName = NewType("OfficeName", str)
RegionName = NewType("RegionName", str)
ServiceName = NewType("ServiceName", str)
DataCentreName = NewType("DataCentreName", str)
BastionName = NewType("BastionName", str)
HostKey = NewType("HostKey", str)
"""An OpenSSH public key line of two words, `ssh-ed25519 AAAA…`, without a comment."""


class ServiceClass(StrEnum):
    """What a service is for: the supporting ones come back first."""

    SUPPORTING = "supporting"
    SERVING = "serving"


class LinkName(StrEnum):
    """The class of an office's line."""

    FIBRE = "fibre"
    RADIO = "radio"
    SATELLITE = "satellite"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One class of line.

    Attributes:
        rtt_ms: Round-trip time to the data centres, milliseconds.
        kbit_s: Bandwidth, kilobits a second.
    """

    name: LinkName
    rtt_ms: int
    kbit_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """How a host is reached over SSH.

    Attributes:
        address: IP address.
        port: TCP port of its SSH server.
        user: Account that applies bundles.
        host_key: The only host key accepted from it.
    """

    address: str
    port: int
    user: str
    host_key: HostKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Bastion:
    """A host that connections to some offices go through."""

    name: BastionName
    title: str
    login: Login


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One of the services an estate runs.

    Attributes:
        unit_kind: The kind of unit that serves it at an office (a folder of templates); None where it has no units.
        rto_s: Longest tolerable time to recover, seconds (NIST SP 800-34 Rev. 1).
        rpo_s: Age of data one can afford to lose, seconds.
        after: Services that must be back before it.
    """

    name: ServiceName
    title: str
    service_class: ServiceClass
    unit_kind: str | None
    rto_s: int
    rpo_s: int
    after: frozenset[ServiceName]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A service's place at one data centre: an address that serves, and a host to configure.

    Attributes:
        name: `<service>.<data centre>` with a hyphen for the point; unique among endpoints and units.
        address: IP address at which the service is served.
        port: TCP port of the service there (UDP for time).
        app_port: Loopback TCP port of the service's application on the host.
        login: How its host is reached.
        root: Absolute folder on the host that pulih owns.
    """

    name: UnitName
    service: ServiceName
    data_centre: DataCentreName
    address: str
    port: int
    app_port: int
    login: Login
    root: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DataCentre:
    """A place where services run.

    Attributes:
        bastion: The bastion in front of its hosts; None where they are reached directly.
    """

    name: DataCentreName
    title: str
    time_zone: str
    bastion: BastionName | None
    endpoints: tuple[Endpoint, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One service's local system at one office, rebuilt as one.

    Attributes:
        name: Unique in the estate; the key in plan, journal, report and Pulumi state.
        service: The service it serves at its office.
        gateway_port: Loopback TCP port of its gateway, which the counter application talks to.
        root: Absolute folder on the unit that pulih owns.
        retired: Declared out of service: no longer planned, its last release left as it is.
    """

    name: UnitName
    service: ServiceName
    login: Login
    gateway_port: int
    root: str
    retired: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """A place: immigration office, ULP, UKK, public-service mall, lounge, border post or mission abroad.

    Attributes:
        kind: One word, such as `office`, `tpi` or `mission`.
        title: Its name as people read it; any text.
        time_zone: IANA name.
        link: The class of its line.
        bastion: The bastion in front of its units; None where they are reached directly.
    """

    name: OfficeName
    kind: str
    title: str
    city: str
    time_zone: str
    link: LinkName
    bastion: BastionName | None
    units: tuple[Unit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """The offices deployed by one Pulumi stack."""

    name: RegionName
    title: str
    offices: tuple[Office, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Which data centre serves which service.

    Attributes:
        default: By service, for every region that has no entry of its own.
        regional: By region and service, where it differs from the default.
    """

    default: Mapping[ServiceName, DataCentreName]
    regional: Mapping[tuple[RegionName, ServiceName], DataCentreName]

    def of(self, service: ServiceName, region: RegionName | None) -> DataCentreName:
        """Return the data centre that serves `service` for `region`.

        Raises:
            KeyError: The service is placed nowhere (`declared` refuses such an estate).
        """
        if region is not None and (region, service) in self.regional:
            return self.regional[region, service]
        return self.default[service]

    def moved(self, moves: Iterable[tuple[ServiceName, RegionName | None, DataCentreName]]) -> Placement:
        """Return the placement after some moves, without regional entries that say the same as the default.

        Args:
            moves: Service, region (None: the default of all regions) and the data centre that serves it from now on.
        """
        default, regional = dict(self.default), dict(self.regional)
        for service, region, target in moves:
            if region is None:
                default[service] = target
            else:
                regional[region, service] = target
        return Placement(
            default=default,
            regional={key: centre for key, centre in regional.items() if default.get(key[1]) != centre},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many units may be in flight at once.

    Attributes:
        region: In one region.
        bastion: Through one bastion (OpenSSH's MaxStartups is 10:30:100 as shipped).
        link: By class of line.
    """

    region: int
    bastion: int
    link: Mapping[LinkName, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long a unit may take.

    Attributes:
        connect_s: To connect and log in, seconds.
        step_s: For one step to show progress, seconds.
        unit_s: For the unit in all, tries and pauses included, seconds.
        retries: Tries after the first.
    """

    connect_s: float
    step_s: float
    unit_s: float
    retries: int

    def over(self, link: LinkName) -> Timeouts:
        """Return the limits for a class of line: satellite doubles the times."""
        if link is not LinkName.SATELLITE:
            return self
        return Timeouts(
            connect_s=self.connect_s * 2, step_s=self.step_s * 2, unit_s=self.unit_s * 2, retries=self.retries
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WavePass:
    """When a wave passes: failures ≤ max(`failures`, (1 - `share`)·n).

    Attributes:
        share: Share of a wave that must be verified, 0 to 1.
        failures: Failures that never hold a wave, however small it is.
    """

    share: float
    failures: int


@dataclass(frozen=True, kw_only=True)
class Estate:
    """Everything declared.

    Attributes:
        folder: The folder its files were read from.
        illustrative: It must never be connected to: its addresses and keys belong to nobody.
        practice: It may be connected to and is not the real one; loopback addresses or `staging` ranges only.
        templates: Folder of the templates, one subfolder a kind of unit.
        ssh_key: Private key file that a practice estate logs in with; None means agent or `PULIH_SSH_KEY`.
        leases: `s3://…` of the store that operators share their leases in; None keeps them beside the estate.
        publish: What citizens' apps are told, and where; None where nothing is published.
        trust_anchors: PEM text of the certificates that gateways trust; public, never a private key.
        files_digest: `sha256:` over the bytes of every file of the estate but `placement.yaml`.
    """

    folder: Path
    name: str
    version: str
    title: str
    illustrative: bool
    practice: bool
    staging: tuple[IPv4Network | IPv6Network, ...]
    templates: Path
    ssh_key: Path | None
    leases: str | None = None
    publish: Publish | None = None
    trust_anchors: str
    limits: Limits
    timeouts: Timeouts
    wave_pass: WavePass
    links: Mapping[LinkName, Link]
    services: tuple[Service, ...]
    data_centres: tuple[DataCentre, ...]
    placement: Placement
    bastions: Mapping[BastionName, Bastion]
    regions: tuple[Region, ...]
    files_digest: str

    @cached_property
    def service(self) -> Mapping[ServiceName, Service]:
        """Services by name."""
        return {service.name: service for service in self.services}

    @cached_property
    def data_centre(self) -> Mapping[DataCentreName, DataCentre]:
        """Data centres by name."""
        return {data_centre.name: data_centre for data_centre in self.data_centres}

    @cached_property
    def endpoint(self) -> Mapping[tuple[ServiceName, DataCentreName], Endpoint]:
        """Endpoints by service and data centre."""
        return {
            (endpoint.service, endpoint.data_centre): endpoint
            for data_centre in self.data_centres
            for endpoint in data_centre.endpoints
        }

    def places(self) -> Iterator[tuple[Region, Office, Unit]]:
        """Yield every unit with its office and region, in the order declared."""
        for region in self.regions:
            for office in region.offices:
                for unit in office.units:
                    yield region, office, unit
