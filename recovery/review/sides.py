"""One side of a change: an estate as a revision declares it, with everything that it makes of it rendered. Pure."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from recovery.model.bundle import Bundle
from recovery.model.estate import (
    Bastion,
    BastionName,
    DataCentreName,
    Endpoint,
    Estate,
    HostKey,
    Login,
    Office,
    OfficeName,
    Region,
    RegionName,
    ServiceName,
    Unit,
    UnitName,
)
from recovery.policy import warnings
from recovery.render import Renderer, Templates


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A unit or an endpoint as it is declared.

    Attributes:
        region: None for an endpoint.
        office: None for an endpoint.
        data_centre: The data centre that serves it, or that the endpoint stands in.
        own: What is its alone in its files, each with the word that stands for it where hosts are shown together.
        facts: How it is reached and where it belongs, by what each fact is called.
        bundle: None for a retired unit, to which nothing is deployed.
    """

    name: UnitName
    service: ServiceName
    region: RegionName | None
    office: OfficeName | None
    data_centre: DataCentreName
    own: tuple[tuple[str, str], ...]
    facts: Mapping[str, str]
    bundle: Bundle | None


class Rendered(Renderer):
    """Renders each host once, however many ask."""

    def __init__(self, estate: Estate, templates: Templates) -> None:
        super().__init__(estate, templates)
        self._bundles: dict[UnitName, Bundle] = {}

    def unit(self, region: Region, office: Office, unit: Unit) -> Bundle:
        """Render one unit; see `Renderer.unit`."""
        if unit.name not in self._bundles:
            self._bundles[unit.name] = super().unit(region, office, unit)
        return self._bundles[unit.name]

    def endpoint(self, endpoint: Endpoint) -> Bundle:
        """Render the host of one endpoint; see `Renderer.endpoint`."""
        if endpoint.name not in self._bundles:
            self._bundles[endpoint.name] = super().endpoint(endpoint)
        return self._bundles[endpoint.name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """An estate with everything rendered.

    Attributes:
        revision: As it was asked for.
        commit: What that is, in full.
        units: By name, in the order of the estate.
        endpoints: By name.
        warnings: What is allowed and still worth a sentence.
    """

    revision: str
    commit: str
    estate: Estate
    units: Mapping[UnitName, Host]
    endpoints: Mapping[UnitName, Host]
    warnings: tuple[str, ...]

    @staticmethod
    def of(revision: str, commit: str, renderer: Rendered) -> Side:
        """Render everything that an estate declares.

        Raises:
            DeclarationError: Something can't be rendered.
        """
        estate = renderer.estate
        return Side(
            revision=revision,
            commit=commit,
            estate=estate,
            units={host.name: host for host in _units(renderer)},
            endpoints={host.name: host for host in _endpoints(renderer)},
            warnings=warnings(estate),
        )


def fingerprint(key: HostKey) -> str:
    """Return a host key as people compare it. Source: ssh-keygen(1), option -l."""
    kind, _, encoded = key.partition(" ")
    digest = base64.b64encode(hashlib.sha256(base64.b64decode(encoded)).digest()).decode().rstrip("=")
    return f"{kind} SHA256:{digest}"


def _units(renderer: Rendered) -> Iterator[Host]:
    estate = renderer.estate
    for region, office, unit in estate.places():
        own = {
            unit.name: "«unit»",
            office.name: "«office»",
            office.title: "«office title»",
            unit.login.address: "«unit address»",
        }
        yield Host(
            name=unit.name,
            service=unit.service,
            region=region.name,
            office=office.name,
            data_centre=estate.placement.of(unit.service, region.name),
            own=_longest_first(own),
            facts={
                "region": region.name,
                "office": office.name,
                "service": unit.service,
                "line": office.link.value,
                **_way(unit.login, unit.root, office.bastion, estate.bastions),
            },
            bundle=None if unit.retired else renderer.unit(region, office, unit),
        )


def _endpoints(renderer: Rendered) -> Iterator[Host]:
    estate = renderer.estate
    for centre in estate.data_centres:
        for endpoint in centre.endpoints:
            own = {endpoint.name: "«endpoint»", endpoint.login.address: "«host address»"}
            yield Host(
                name=endpoint.name,
                service=endpoint.service,
                region=None,
                office=None,
                data_centre=centre.name,
                own=_longest_first(own),
                facts={
                    "served at": f"{endpoint.address} port {endpoint.port}",
                    **_way(endpoint.login, endpoint.root, centre.bastion, estate.bastions),
                },
                bundle=renderer.endpoint(endpoint),
            )


def _way(
    login: Login, root: str, bastion: BastionName | None, bastions: Mapping[BastionName, Bastion]
) -> dict[str, str]:
    through = "none" if bastion is None else f"{bastion}, {_login(bastions[bastion].login)}"
    return {
        "address": f"{login.address} port {login.port}",
        "account": login.user,
        "host key": fingerprint(login.host_key),
        "folder": root,
        "bastion": through,
    }


def _login(login: Login) -> str:
    return f"{login.user} at {login.address} port {login.port}, {fingerprint(login.host_key)}"


def _longest_first(own: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(own.items(), key=lambda entry: -len(entry[0])))
