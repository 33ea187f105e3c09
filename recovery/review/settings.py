"""What an estate declares besides its units: placement, services and what they come after, limits. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from recovery.model.estate import DataCentreName, Estate, RegionName, Service, ServiceName
from recovery.model.publish import Publish
from recovery.report.text import duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """One value that was changed.

    Attributes:
        what: Where it is declared, such as `limits.region`.
        before: None where there was none.
        after: None where there is none.
    """

    what: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A service that is served from elsewhere.

    Attributes:
        regions: Of those that move; empty stands for all.
        before: None where the service was not declared.
        after: None where it is no longer declared.
    """

    service: ServiceName
    regions: tuple[RegionName, ...]
    before: DataCentreName | None
    after: DataCentreName | None


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[Changed, ...]:
    """Compare values by name, in the order in which they first stand."""
    return tuple(
        Changed(what=what, before=before.get(what), after=after.get(what))
        for what in dict.fromkeys([*before, *after])
        if before.get(what) != after.get(what)
    )


def moved(before: Estate, after: Estate) -> tuple[Moved, ...]:
    """Return which services are served from elsewhere, and for whom."""
    found: list[Moved] = []
    regions = dict.fromkeys([*(region.name for region in before.regions), *(region.name for region in after.regions)])
    for service in dict.fromkeys([*before.service, *after.service]):
        ways: dict[tuple[DataCentreName | None, DataCentreName | None], list[RegionName]] = {}
        for region in regions:
            ways.setdefault((_placed(before, service, region), _placed(after, service, region)), []).append(region)
        for (source, target), those in ways.items():
            if source != target:
                everybody = len(those) == len(regions)
                found.append(
                    Moved(service=service, regions=() if everybody else tuple(those), before=source, after=target)
                )
    return tuple(found)


def _placed(estate: Estate, service: ServiceName, region: RegionName) -> DataCentreName | None:
    return estate.placement.of(service, region) if service in estate.service else None


def service_values(estate: Estate) -> dict[str, str]:
    """Return what is declared of services, by name."""
    values: dict[str, str] = {}
    for service in estate.services:
        values |= {f"{service.name}.{key}": value for key, value in _service(service).items()}
    return values


def _service(service: Service) -> dict[str, str]:
    return {
        "after": ", ".join(sorted(service.after)) or "nothing",
        "class": service.service_class.value,
        "unit_kind": service.unit_kind or "none",
        "rto": duration(service.rto_s),
        "rpo": duration(service.rpo_s),
        "title": service.title,
    }


def setting_values(estate: Estate) -> dict[str, str]:
    """Return everything else that is declared for the whole estate, by name."""
    limits, timeouts, passed = estate.limits, estate.timeouts, estate.wave_pass
    values = {
        "name": estate.name,
        "version": estate.version,
        "title": estate.title,
        "illustrative": _yes(estate.illustrative),
        "practice": _yes(estate.practice),
        "staging": ", ".join(map(str, estate.staging)) or "none",
        "leases": estate.leases or "beside the estate",
        "trust_anchors": _anchors(estate.trust_anchors),
        "limits.region": str(limits.region),
        "limits.bastion": str(limits.bastion),
        **{f"limits.link.{link.value}": str(limit) for link, limit in limits.link.items()},
        "timeouts.connect_s": f"{timeouts.connect_s:g}",
        "timeouts.step_s": f"{timeouts.step_s:g}",
        "timeouts.unit_s": f"{timeouts.unit_s:g}",
        "timeouts.retries": str(timeouts.retries),
        "wave_pass.share": f"{passed.share:g}",
        "wave_pass.failures": str(passed.failures),
    }
    if estate.publish is not None:
        values |= {f"publish.{key}": value for key, value in _publish(estate.publish).items()}
    for link in estate.links.values():
        values[f"links.{link.name.value}"] = f"{link.rtt_ms} ms, {link.kbit_s} kbit/s"
    for centre in estate.data_centres:
        values[f"data_centres.{centre.name}"] = f"{centre.title}, {centre.time_zone}"
    for bastion in estate.bastions.values():
        values[f"bastions.{bastion.name}"] = bastion.title
    for region in estate.regions:
        values[f"regions.{region.name}"] = region.title
        for office in region.offices:
            values[f"regions.{region.name}.{office.name}"] = (
                f"{office.title}, {office.kind}, {office.city}, {office.time_zone}"
            )
    return values


def _publish(publish: Publish) -> dict[str, str]:
    """Return what citizens' apps are told, by name; where keys lie is another matter on each machine."""
    return {
        "service": publish.service,
        "services": ", ".join(publish.services),
        "mirrors": ", ".join(place.name for place in publish.mirrors),
        "minimum_version": publish.minimum_version,
        **{f"message.{language}": text for language, text in publish.message.items()},
        "reset": ", ".join(publish.reset) or "nothing",
        "keep": ", ".join(publish.keep) or "nothing",
    }


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _anchors(pem: str) -> str:
    digest = hashlib.sha256(pem.encode()).hexdigest()[:12]
    return f"{pem.count('-----BEGIN CERTIFICATE-----')} certificates, SHA-256 {digest}"
