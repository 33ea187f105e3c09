"""What the declaration says of one stack: which estate is meant, and what the engine is told of each unit in it.

Program and provider both take it from here, so they can differ only when the files changed in between, and then the
provider refuses. Nothing here connects to anything.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from recovery import policy
from recovery.declared import load
from recovery.errors import DeclarationError, PlanError, RefusedError
from recovery.model.bundle import Bundle
from recovery.model.estate import DataCentre, Estate, Office, Region, Service
from recovery.model.plan import Plan, Selection, Step
from recovery.plan import routine
from recovery.render import Renderer, Templates

ROOT = Path(__file__).resolve().parents[1]
"""The folder of Pulumi.yaml; relative paths in the environment and in a stack's configuration start here."""

UNIT = "pulih:index:Unit"
ENDPOINT = "pulih:index:Endpoint"
VERSION = "0.1.0"
"""Of the provider: the project's, in Pulumi.yaml too. A test compares the three."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployable:
    """One unit or endpoint as the engine is told of it.

    Attributes:
        step: Where it is and how it is reached.
        bundle: Rendered from the declaration.
        inputs: The properties of its resource; digests only, never contents or secrets.
    """

    step: Step
    bundle: Bundle
    inputs: Mapping[str, str | Mapping[str, str]]

    @property
    def scope(self) -> str:
        """The scope whose lease a write to it needs: its region, or its data centre."""
        return self.step.data_centre if self.step.region is None else self.step.region


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """A sound estate, seen from one stack.

    Attributes:
        place: What the stack stands for: a region or a data centre; None when the estate has none of that name.
        deployables: By name, what the stack deploys, in the order declared; retired units and endpoints that serve
            nobody are not among them.
        files: Digest over the estate's files as they were read.
    """

    estate: Estate
    renderer: Renderer
    place: Region | DataCentre | None
    deployables: Mapping[str, Deployable]
    files: str

    def check_unchanged(self) -> None:
        """Make sure that the estate's files are still what they were read as.

        Raises:
            RefusedError: They are not: a recovery may have moved the placement meanwhile.
        """
        if _fingerprint(self.estate.folder) != self.files:
            raise RefusedError(
                f"{self.estate.folder} was changed while this deployment was being prepared, perhaps by a recovery. "
                "Look at the new preview and run it again."
            )

    def stack(self, name: str) -> Region | DataCentre:
        """Return what the stack stands for.

        Raises:
            PlanError: The estate has no region and no data centre of that name; lists those it has.
        """
        if self.place is not None:
            return self.place
        there = ", ".join([*(region.name for region in self.estate.regions), *self.estate.data_centre])
        raise PlanError(
            f"The stack {name} is neither a region nor a data centre of {self.estate.folder}, which has {there}. "
            "Choose another with `pulumi stack select`, or another estate with PULIH_ESTATE. If it is gone for good, "
            f"`pulumi destroy --stack {name}` forgets it; its units are not visited."
        )

    def services(self, place: Region | DataCentre) -> Mapping[str, Mapping[str, str]]:
        """Return the endpoint of every service, as a region's offices or a data centre's own hosts see it."""
        if isinstance(place, Region):
            centres = {name: self.estate.placement.of(name, place.name) for name in self.estate.service}
        else:
            centres = dict.fromkeys(self.estate.service, place.name)
        found = {name: self.estate.endpoint.get((name, centre)) for name, centre in centres.items()}
        return {
            name: {
                "endpoint": endpoint.name,
                "dataCentre": endpoint.data_centre,
                "address": endpoint.address,
                "port": str(endpoint.port),
            }
            for name, endpoint in found.items()
            if endpoint is not None
        }


def estate_folder(configured: str | None) -> Path:
    """Return the estate that is meant: `PULIH_ESTATE`, else the stack's `pulih:estate`, else `infra/estate`.

    Args:
        configured: What the stack's configuration says.
    """
    named = os.environ.get("PULIH_ESTATE") or configured or "infra/estate"
    return Path(os.path.normpath(ROOT / Path(named).expanduser()))


def declaration(folder: Path, stack: str) -> Declaration:
    """Read an estate, check the part that a stack deploys, and render it.

    Args:
        folder: The estate's.
        stack: Name of the stack: of a region or a data centre.

    Raises:
        DeclarationError: Every mistake of the estate's files, and of what the stack would deploy.
    """
    files = _fingerprint(folder)
    estate = load(folder)
    renderer = Renderer(estate, Templates.load(estate.templates))
    places: dict[str, Region | DataCentre] = {region.name: region for region in estate.regions}
    places |= {centre.name: centre for centre in estate.data_centres}
    place = places.get(stack)
    mistakes = () if place is None else policy.check(_part(estate, place), renderer)
    if mistakes:
        raise DeclarationError(mistakes)
    return Declaration(
        estate=estate,
        renderer=renderer,
        place=place,
        deployables=_deployables(estate, renderer, place),
        files=files,
    )


def after(service: Service, present: Mapping[str, object]) -> list[str]:
    """Return the services that must be up before one at the same place, of those that are there."""
    return sorted(name for name in service.after if name in present)


def _fingerprint(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.suffix in (".yaml", ".pem") and path.is_file()):
        content = file.read_bytes()
        digest.update(f"{file} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def _part(estate: Estate, place: Region | DataCentre) -> Estate:
    """The estate with no more hosts than the stack deploys."""
    if isinstance(place, Region):
        return replace(estate, regions=(place,), data_centres=())
    return replace(estate, regions=(), data_centres=(place,))


def _deployables(estate: Estate, renderer: Renderer, place: Region | DataCentre | None) -> dict[str, Deployable]:
    if place is None:
        return {}
    steps = {step.name: step for step in _plan(estate).steps()}
    if isinstance(place, Region):
        return {
            unit.name: _unit(estate, renderer, place, office, steps[unit.name])
            for office in place.offices
            for unit in office.units
            if unit.name in steps
        }
    return {
        endpoint.name: _deployable(
            steps[endpoint.name],
            renderer.endpoint(endpoint),
            {"endpoint": endpoint.name, "service": endpoint.service, "dataCentre": endpoint.data_centre},
        )
        for endpoint in place.endpoints
        if endpoint.name in steps
    }


def _plan(estate: Estate) -> Plan:
    plan, _ = routine(estate, "", Selection())
    return plan


def _unit(estate: Estate, renderer: Renderer, region: Region, office: Office, step: Step) -> Deployable:
    unit = next(unit for unit in office.units if unit.name == step.name)
    endpoint = estate.endpoint[step.service, step.data_centre]
    named = {
        "unit": unit.name,
        "office": office.name,
        "service": unit.service,
        "dataCentre": endpoint.data_centre,
        "endpoint": endpoint.name,
    }
    return _deployable(step, renderer.unit(region, office, unit), named)


def _deployable(step: Step, bundle: Bundle, named: Mapping[str, str]) -> Deployable:
    files = {file.path: file.sha256 for file in bundle.files}
    return Deployable(step=step, bundle=bundle, inputs={**named, "digest": bundle.digest, "files": files})
