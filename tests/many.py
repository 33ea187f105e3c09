"""An estate in memory of as many units as a test wants, spread over regions, bastions, lines and three services."""

from __future__ import annotations

from dataclasses import replace

from recovery.model.estate import (
    Bastion,
    BastionName,
    Estate,
    Limits,
    LinkName,
    Office,
    OfficeName,
    Region,
    RegionName,
    ServiceName,
    Timeouts,
    Unit,
    UnitName,
    WavePass,
)
from tests.places import an_estate, login

SERVICES = tuple(map(ServiceName, ("border-crossing", "stay-permit", "passport")))
_RTO_S = {"identity": 1800, "time": 1800, "border-crossing": 7200, "stay-permit": 14400, "passport": 28800}


def an_estate_of(
    units: int, *, regions: int = 2, timeouts: Timeouts | None = None, limits: Limits | None = None
) -> Estate:
    """Return an estate of that many units, one an office; deterministic."""
    base = an_estate()
    bastions = [
        Bastion(name=BastionName(f"bastion-{n}"), title=f"Bastion {n}", login=login(f"2001:db8:b::{n + 1:x}"))
        for n in range(regions)
    ]
    links = list(LinkName)
    offices: list[list[Office]] = [[] for _ in range(regions)]
    for n in range(units):
        region = n % regions
        service = SERVICES[(n // regions) % len(SERVICES)]
        unit = Unit(
            name=UnitName(f"office-{n:03}-{service}"),
            service=service,
            login=login(f"2001:db8:f::{n + 1:x}"),
            gateway_port=8080,
            root="/srv/pulih",
            retired=False,
        )
        offices[region].append(
            Office(
                name=OfficeName(f"office-{n:03}"),
                kind="office",
                title=f"Office {n}",
                city="Jakarta",
                time_zone="Asia/Jakarta",
                link=links[(n // 7) % len(links)],
                bastion=bastions[region].name,
                units=(unit,),
            )
        )
    return replace(
        base,
        bastions={bastion.name: bastion for bastion in bastions},
        services=tuple(replace(service, rto_s=_RTO_S[service.name]) for service in base.services),
        data_centres=tuple(replace(centre, bastion=None) for centre in base.data_centres),
        regions=tuple(
            Region(name=RegionName(f"region-{n}"), title=f"Region {n}", offices=tuple(offices[n]))
            for n in range(regions)
        ),
        timeouts=timeouts or Timeouts(connect_s=3, step_s=5, unit_s=60, retries=2),
        limits=limits or Limits(region=64, bastion=64, link=dict.fromkeys(LinkName, 64)),
        wave_pass=WavePass(share=0.5, failures=1),
    )
