"""The shape of each of the estate's files: one pydantic class a file, one a block in it.

A field's description is what people read when it is missing, in the JSON Schema and in an editor.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema

from recovery.declared.fields import (
    Address,
    AppVersion,
    Failures,
    FilePath,
    HostKeyLine,
    KbitPerSecond,
    Limit,
    Message,
    Milliseconds,
    Minutes,
    MirrorAddress,
    Network,
    Port,
    Retries,
    Root,
    Seconds,
    Share,
    Slug,
    StoreAddress,
    TimeZone,
    Title,
    Truth,
    User,
)

DEFAULT_GATEWAY_PORT = 8080
LinkWord = Literal["fibre", "radio", "satellite"]


class Block(BaseModel):
    """A block of keys; a key it doesn't know is a mistake."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True)


class LinkLimitsBlock(Block):
    """How many units may be in flight at once, by class of line."""

    fibre: Limit = Field(description="connections at once over fibre")
    radio: Limit = Field(description="connections at once over radio")
    satellite: Limit = Field(description="connections at once over satellite")


class LimitsBlock(Block):
    """How many units may be in flight at once."""

    region: Limit = Field(description="connections at once in one region")
    bastion: Limit = Field(description="connections at once through one bastion")
    link: LinkLimitsBlock = Field(description="connections at once by class of line")


class LinkBlock(Block):
    """One class of line."""

    rtt_ms: Milliseconds = Field(description="its round-trip time to the data centres, milliseconds")
    kbit_s: KbitPerSecond = Field(description="its bandwidth, kilobits a second")


class LinksBlock(Block):
    """The classes of line."""

    fibre: LinkBlock = Field(description="round-trip time and bandwidth over fibre")
    radio: LinkBlock = Field(description="round-trip time and bandwidth over radio")
    satellite: LinkBlock = Field(description="round-trip time and bandwidth over satellite")


class TimeoutsBlock(Block):
    """How long a unit may take; satellite links double the times."""

    connect_s: Seconds = Field(description="seconds to connect and log in")
    step_s: Seconds = Field(description="seconds for one step to show progress")
    unit_s: Seconds = Field(description="seconds for the unit in all, tries and pauses included")
    retries: Retries = Field(description="tries after the first")


class WavePassBlock(Block):
    """When a wave passes."""

    share: Share = Field(description="the share of a wave that must be verified, 0 to 1")
    failures: Failures = Field(description="the failures that never hold a wave")


class MessageBlock(Block):
    """What people are told when the app finds a new configuration."""

    id: Message = Field(description="the message in Indonesian")
    en: Message = Field(description="the message in English")


class PublishBlock(Block):
    """What citizens' apps are told, and where they read it."""

    service: Slug = Field(default="citizen-app", description="the service whose apps read it")
    services: list[Slug] | None = Field(
        default=None, min_length=1, description="the services that apps reach, the serving ones without it"
    )
    mirrors: list[MirrorAddress] = Field(
        min_length=1, description="the folders and buckets that apps read from, a folder from this one"
    )
    roots: FilePath = Field(default="roots", description="the folder of public root metadata, from this folder")
    online: FilePath = Field(description="the folder of the keys that sign without anybody there, from this folder")
    offline: FilePath | None = Field(
        default=None, description="the folder where offline keys are while somebody has them there, from this folder"
    )
    minimum_version: AppVersion = Field(description="the oldest version of the app that may go on")
    message: MessageBlock = Field(description="what people are told, in Indonesian and English")
    reset: list[Slug] = Field(
        default=["endpoints", "sessions", "pins"], description="what the app forgets when its configuration changes"
    )
    keep: list[Slug] = Field(default=["drafts", "bookings", "documents"], description="what the app never forgets")


class EstateFile(Block):
    """`estate.yaml`: what the estate is, and how carefully its units are treated."""

    name: Slug = Field(description="the estate's name")
    version: Title = Field(description="the estate's version")
    title: Title = Field(description="the estate's name as people read it")
    illustrative: Truth = Field(default=False, description="true: addresses and keys belong to nobody")
    practice: Truth = Field(default=False, description="true: loopback and staging addresses only")
    staging: list[Network] = Field(default=[], description="networks of a practice estate beside loopback")
    templates: FilePath | None = Field(default=None, description="the folder of templates, from this folder")
    ssh_key: FilePath | None = Field(default=None, description="the private key a practice estate logs in with")
    leases: StoreAddress | None = Field(default=None, description="the S3 store that operators share their leases in")
    publish: PublishBlock | None = Field(default=None, description="what citizens' apps are told, and where")
    trust_anchors: FilePath = Field(description="the PEM file of the certificates that gateways trust")
    limits: LimitsBlock = Field(description="the limits on units in flight at once")
    links: LinksBlock = Field(description="the classes of line")
    timeouts: TimeoutsBlock = Field(description="the times that a unit may take")
    wave_pass: WavePassBlock = Field(description="the rule by which a wave passes")


class ServiceBlock(Block):
    """One of the services."""

    name: Slug = Field(description="the service's name")
    title: Title = Field(description="the service's name as people read it")
    service_class: Literal["supporting", "serving"] = Field(alias="class", description="supporting or serving")
    unit_kind: Slug | None = Field(default=None, description="the kind of unit that serves it at an office")
    rto_min: Minutes = Field(description="the longest tolerable time to recover, minutes")
    rpo_min: Minutes = Field(description="the age of data one can afford to lose, minutes")
    after: list[Slug] = Field(default=[], description="the services that must be back before it")


class ServicesFile(Block):
    """`services.yaml`: what the estate runs."""

    services: list[ServiceBlock] = Field(min_length=1, description="the list of services")


class HostBlock(Block):
    """How an endpoint's host is reached over SSH."""

    address: Address = Field(description="the host's IP address")
    port: Port = Field(description="the TCP port of its SSH server")
    user: User = Field(description="the account that applies bundles")
    root: Root = Field(description="the absolute folder that pulih owns there")
    host_key: HostKeyLine = Field(description="the only SSH host key accepted from it")


class EndpointBlock(Block):
    """A service's place at a data centre. It is named `<service>-<data centre>`."""

    service: Slug = Field(description="the service")
    address: Address = Field(description="the IP address at which it is served")
    port: Port = Field(description="the port at which it is served")
    app_port: Port = Field(description="the loopback port of the service's application on the host")
    host: HostBlock = Field(description="the login of the host to configure")


class DataCentreBlock(Block):
    """A place where services run."""

    name: Slug = Field(description="the data centre's name")
    title: Title = Field(description="the data centre's name as people read it")
    time_zone: TimeZone = Field(description="an IANA time zone")
    bastion: Slug | None = Field(default=None, description="the bastion in front of its hosts")
    endpoints: list[EndpointBlock] = Field(description="the list of its endpoints")


class DataCentresFile(Block):
    """`data-centres.yaml`: where services run."""

    data_centres: list[DataCentreBlock] = Field(min_length=1, description="the list of data centres")


class PlacementFile(Block):
    """`placement.yaml`: which data centre serves which service."""

    placement: dict[Slug, Slug] = Field(description="the data centre of each service")
    regional: dict[Slug, dict[Slug, Slug]] = Field(default={}, description="by region, where it differs")


class BastionBlock(Block):
    """A host that connections to some offices go through."""

    name: Slug = Field(description="the bastion's name")
    title: Title = Field(description="the bastion's name as people read it")
    address: Address = Field(description="the bastion's IP address")
    port: Port = Field(description="the TCP port of its SSH server")
    user: User = Field(description="the account to log in as")
    host_key: HostKeyLine = Field(description="the only SSH host key accepted from it")


class BastionsFile(Block):
    """`bastions.yaml`: the hosts that connections go through."""

    bastions: list[BastionBlock] = Field(description="the list of bastions, [] for none")


class UnitBlock(Block):
    """One service's local system at one office."""

    name: Slug = Field(description="the unit's name, unique in the estate")
    service: Slug = Field(description="the service that it serves")
    address: Address = Field(description="the unit's IP address")
    port: Port = Field(description="the TCP port of its SSH server")
    user: User = Field(description="the account that applies bundles")
    root: Root = Field(description="the absolute folder that pulih owns there")
    host_key: HostKeyLine = Field(description="the only SSH host key accepted from it")
    gateway_port: Port = Field(default=DEFAULT_GATEWAY_PORT, description="the loopback port of its gateway")
    state: Literal["active", "retired"] = Field(default="active", description="active or retired")


class OfficeBlock(Block):
    """A place with units."""

    name: Slug = Field(description="the office's name")
    kind: Slug = Field(description="the kind of office, one word such as office, tpi or mission")
    title: Title = Field(description="the office's name as people read it")
    city: Title = Field(description="the city it is in")
    time_zone: TimeZone = Field(description="an IANA time zone")
    link: LinkWord = Field(description="the class of its line: fibre, radio or satellite")
    bastion: Slug | None = Field(default=None, description="the bastion in front of its units")
    units: list[UnitBlock] = Field(description="the list of its units")


class RegionFile(Block):
    """`regions/<region>.yaml`: the offices of one region."""

    region: Slug = Field(description="the region's name, that of the file")
    title: Title = Field(description="the region's name as people read it")
    offices: list[OfficeBlock] = Field(description="the list of offices")


FILES: dict[str, type[Block]] = {
    "estate.yaml": EstateFile,
    "services.yaml": ServicesFile,
    "data-centres.yaml": DataCentresFile,
    "placement.yaml": PlacementFile,
    "bastions.yaml": BastionsFile,
}
"""The files that every estate has, beside those of its regions."""


def estate_schema() -> dict[str, object]:
    """Return the JSON Schema (2020-12) of the estate's files.

    It describes an object whose keys are the files' names. Editors that check one YAML file at a time point at its
    class under `$defs`, such as `estate.schema.json#/$defs/RegionFile`.
    """
    models = [*FILES.values(), RegionFile]
    _, schema = models_json_schema([(model, "validation") for model in models], by_alias=True)
    definitions: dict[str, Any] = schema["$defs"]
    _drop_nulls(definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The files of an estate",
        "description": "Each property is a file of the estate's folder; what it holds is under $defs.",
        "type": "object",
        "properties": {name: {"$ref": f"#/$defs/{model.__name__}"} for name, model in FILES.items()},
        "patternProperties": {r"^regions/[a-z0-9-]{1,63}\.yaml$": {"$ref": "#/$defs/RegionFile"}},
        "required": list(FILES),
        "additionalProperties": False,
        "$defs": definitions,
    }


def _drop_nulls(definitions: dict[str, Any]) -> None:
    """Make `X or null` an `X`: an optional key is left out, never empty."""
    for definition in definitions.values():
        for name, value in definition.get("properties", {}).items():
            choices = [choice for choice in value.get("anyOf", ()) if choice != {"type": "null"}]
            if len(choices) == 1 and len(value["anyOf"]) == 2:
                rest = {key: item for key, item in value.items() if key not in ("anyOf", "default")}
                definition["properties"][name] = {**choices[0], **rest}
