"""What a stack is made of: units and endpoints as resources, offices and data centres as the components around them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pulumi

from infra.declaration import ENDPOINT, UNIT, VERSION, Declaration, Deployable, after
from infra.hostcommands import Hook, host_commands
from recovery.model import estate as model

Endpoints = Mapping[str, Mapping[str, str]]
"""By service, where it is served: endpoint, data centre, address and port."""


class Unit(pulumi.CustomResource):
    """One service's local system at one office, or the host of an endpoint, kept at its declared state.

    Attributes:
        digest: Of the bundle that it runs.
        run: The run that brought it there.
    """

    digest: pulumi.Output[str]
    run: pulumi.Output[str]

    def __init__(self, name: str, deployable: Deployable, opts: pulumi.ResourceOptions, kind: str = UNIT) -> None:
        props = {**deployable.inputs, "epoch": None, "appliedAt": None, "run": None}
        # `pulumi import` puts a unit below no office; the next update finds it there.
        fixed = pulumi.ResourceOptions(version=VERSION, aliases=[pulumi.Alias(parent=pulumi.ROOT_STACK_RESOURCE)])
        super().__init__(kind, name, props, pulumi.ResourceOptions.merge(fixed, opts))


class Endpoint(Unit):
    """A service's host at one data centre, kept at its declared state."""

    def __init__(self, name: str, deployable: Deployable, opts: pulumi.ResourceOptions) -> None:
        super().__init__(name, deployable, opts, kind=ENDPOINT)


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficeArgs:
    """What an office is made of.

    Attributes:
        endpoints: Of the services that it offers.
        units: Its units, by name.
    """

    office: model.Office
    endpoints: Endpoints
    units: Mapping[str, Deployable]

    @staticmethod
    def of(declared: Declaration, region: model.Region, office: model.Office) -> OfficeArgs:
        """Return what the declaration says of an office."""
        units: dict[str, Deployable] = {
            unit.name: declared.deployables[unit.name] for unit in office.units if unit.name in declared.deployables
        }
        offered = {unit.service for unit in office.units if unit.name in units}
        served = declared.services(region)
        return OfficeArgs(
            office=office,
            endpoints={name: endpoint for name, endpoint in served.items() if name in offered},
            units=units,
        )


class Office(pulumi.ComponentResource):
    """A place with its units.

    Attributes:
        endpoints: Where the services that it offers are served from.
        units: Its units, by name.
    """

    endpoints: pulumi.Output[Endpoints]
    units: Mapping[str, Unit]

    def __init__(self, name: str, args: OfficeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        office = args.office
        # Not the endpoints: those are outputs. As inputs of a component, which is never refreshed, they would make a
        # change of it after a recovery that has brought every unit to its place.
        shown = {"title": office.title, "city": office.city, "link": office.link.value, "services": [*args.endpoints]}
        super().__init__("pulih:index:Office", name, shown, opts)
        below = pulumi.ResourceOptions(parent=self)
        self.units = {unit: Unit(unit, deployable, below) for unit, deployable in args.units.items()}
        self.endpoints = pulumi.Output.from_input(args.endpoints)
        self.register_outputs(_outputs(args.endpoints, args.units.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class DataCentreArgs:
    """What a data centre is made of.

    Attributes:
        services: Declared services, by name, for what must be up before what.
        hosts: The endpoints that serve somebody, by service.
        bastion: The host in front of its hosts; None where they are reached directly.
        hooks: What runs on each host before its endpoint is applied.
    """

    data_centre: model.DataCentre
    services: Mapping[model.ServiceName, model.Service]
    endpoints: Endpoints
    hosts: Mapping[str, Deployable]
    bastion: model.Bastion | None = None
    hooks: tuple[Hook, ...] = ()

    @staticmethod
    def of(declared: Declaration, data_centre: model.DataCentre, hooks: tuple[Hook, ...] = ()) -> DataCentreArgs:
        """Return what the declaration says of a data centre."""
        hosts: dict[str, Deployable] = {host.step.service: host for host in declared.deployables.values()}
        served = declared.services(data_centre)
        return DataCentreArgs(
            data_centre=data_centre,
            services=declared.estate.service,
            endpoints={name: endpoint for name, endpoint in served.items() if name in hosts},
            hosts=hosts,
            bastion=None if data_centre.bastion is None else declared.estate.bastions[data_centre.bastion],
            hooks=hooks,
        )


class DataCentre(pulumi.ComponentResource):
    """A place where services run: each endpoint after those it depends on, identity and time before the rest.

    Attributes:
        endpoints: Where each service is served.
        units: The hosts of its endpoints, by name.
    """

    endpoints: pulumi.Output[Endpoints]
    units: Mapping[str, Unit]

    def __init__(self, name: str, args: DataCentreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("pulih:index:DataCentre", name, {"title": args.data_centre.title}, opts)
        made: dict[str, Endpoint] = {}
        for service in args.hosts:
            self._host(service, args, made)
        self.endpoints = pulumi.Output.from_input(args.endpoints)
        self.units = {args.hosts[service].step.name: host for service, host in made.items()}
        self.register_outputs(_outputs(args.endpoints, args.hosts.values()))

    def _host(self, service: str, args: DataCentreArgs, made: dict[str, Endpoint]) -> Endpoint:
        """Make an endpoint's resource, and before it those of the services it comes after."""
        if service not in made:
            needed = after(args.services[model.ServiceName(service)], args.hosts)
            first: list[pulumi.Resource] = [self._host(name, args, made) for name in needed]
            host = next(endpoint for endpoint in args.data_centre.endpoints if endpoint.service == service)
            ready = host_commands(host, args.bastion, args.hooks, parent=self, after=first)
            below = pulumi.ResourceOptions(parent=self, depends_on=[*first, *ready])
            made[service] = Endpoint(host.name, args.hosts[service], below)
        return made[service]


def _outputs(endpoints: Endpoints, units: Iterable[Deployable]) -> dict[str, object]:
    """Return a component's outputs: known at once, so that they are written while the state is small."""
    return {"endpoints": endpoints, "units": {unit.step.name: unit.bundle.digest for unit in units}}
