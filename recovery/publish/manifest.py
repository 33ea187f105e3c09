"""What citizens' apps are told: made from the declared placement, read back from a mirror. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from recovery.errors import PublishError, UntrustedError
from recovery.model.estate import DataCentreName, Endpoint, Estate, ServiceName
from recovery.model.publish import Publish

SCHEMA = "pulih/citizen-app/v1"
TARGET = "citizen-app.json"
MAX_BYTES = 64 << 10
"""Clients refuse a larger one. That of the shipped estate has 1 KB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One manifest.

    Attributes:
        config_epoch: Grows with each change of the content.
        content: As it is written, without the epoch.
    """

    config_epoch: int
    content: Mapping[str, object]

    def to_bytes(self) -> bytes:
        """Return it as clients get it.

        Raises:
            PublishError: It is larger than clients take.
        """
        schema, rest = self.content["schema"], {key: self.content[key] for key in self.content if key != "schema"}
        whole = {"schema": schema, "config_epoch": self.config_epoch, **rest}
        written = json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        if len(written) > MAX_BYTES:
            raise PublishError(
                f"{TARGET} would have {len(written):,} bytes, and clients take {MAX_BYTES:,}: declare fewer services "
                "under `publish:` in estate.yaml"
            )
        return written

    @staticmethod
    def read(written: bytes) -> Manifest:
        """Read what `to_bytes` wrote.

        Raises:
            UntrustedError: It is no manifest.
        """
        try:
            whole = json.loads(written)
            epoch = whole.pop("config_epoch")
            if whole["schema"] != SCHEMA or type(epoch) is not int or epoch < 1:
                raise ValueError("neither schema nor config_epoch are those of a manifest")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise UntrustedError(f"{TARGET} is no manifest: {error}") from error
        return Manifest(config_epoch=epoch, content=whole)


def content(estate: Estate, publish: Publish) -> dict[str, object]:
    """Return what is to be told now, without an epoch: the endpoints that the placement leads to."""
    services = {
        service: [{"data_centre": endpoint.data_centre, "url": url(endpoint)} for endpoint in _serving(estate, service)]
        for service in publish.services
    }
    return {
        "schema": SCHEMA,
        "minimum_version": publish.minimum_version,
        "services": services,
        "reset": list(publish.reset),
        "keep": list(publish.keep),
        "message": dict(publish.message),
    }


def url(endpoint: Endpoint) -> str:
    """Return where an endpoint is reached."""
    address = ip_address(endpoint.address)
    host = f"[{address}]" if isinstance(address, IPv6Address) else str(address)
    return f"https://{host}:{endpoint.port}/"


def _serving(estate: Estate, service: ServiceName) -> Iterator[Endpoint]:
    """Yield the endpoints that serve a service: that of most regions first, then those of single regions."""
    centres: dict[DataCentreName, None] = {estate.placement.of(service, None): None}
    for region in estate.regions:
        centres[estate.placement.of(service, region.name)] = None
    for centre in centres:
        yield estate.endpoint[service, centre]
