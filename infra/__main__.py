"""The program: declares the stack that was chosen, the offices of a region or the endpoints of a data centre.

What is deployed is in `infra/estate`; this says only how it becomes resources. A region's stack refers to no other, so
that it can be deployed alone when every other's state is gone.
"""

from __future__ import annotations

import sys

import pulumi

from infra.components import DataCentre, DataCentreArgs, Office, OfficeArgs, Unit
from infra.declaration import declaration, estate_folder
from infra.hostcommands import hooks
from recovery.cli.loading import refuse_illustrative
from recovery.errors import PlanError, PulihError
from recovery.model.estate import Region

# The SDK keeps the whole call stack of every resource in the state, 2 KB each; the two innermost calls tell enough.
sys.tracebacklimit = 7


def declare(stack: str) -> None:
    """Declare the resources and outputs of a stack."""
    config = pulumi.Config()
    declared = declaration(estate_folder(config.get("estate")), stack)
    place = declared.stack(stack)
    if not pulumi.runtime.is_dry_run():
        refuse_illustrative(declared.estate)
    units: dict[str, Unit] = {}
    configured = config.get_object("hooks")
    if isinstance(place, Region):
        if configured is not None:
            raise PlanError(f"pulih:hooks: {stack} is a region; hooks run on the hosts of a data centre only")
        for office in place.offices:
            units |= Office(office.name, OfficeArgs.of(declared, place, office)).units
    else:
        args = DataCentreArgs.of(declared, place, hooks(configured))
        units |= DataCentre(place.name, args).units
    by_service: dict[str, dict[str, pulumi.Output[str]]] = {}
    for name, deployable in declared.deployables.items():
        by_service.setdefault(deployable.step.service, {})[name] = units[name].digest
    for service, endpoint in declared.services(place).items():
        if service in by_service:
            pulumi.export(service, {**endpoint, "units": by_service[service]})


try:
    declare(pulumi.get_stack())
except PulihError as error:
    raise pulumi.RunError(str(error)) from error
