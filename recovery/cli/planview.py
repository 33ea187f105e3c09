"""A plan as people read it: how far it reaches, its waves, its limits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from recovery.cli.output import columns
from recovery.forecast import Forecast
from recovery.model.estate import Estate, RegionName, ServiceName
from recovery.model.plan import Plan
from recovery.report.text import counted, duration, printable


def reach(plan: Plan) -> str:
    """Say in one line what a plan touches."""
    units = [step for step in plan.steps() if not step.is_endpoint]
    endpoints = sum(1 for step in plan.steps() if step.is_endpoint)
    offices = len({step.office for step in units})
    regions = len({step.region for step in units})
    return (
        f"{counted(len(units), 'unit')} in {counted(offices, 'office')} of {counted(regions, 'region')}, "
        f"{counted(endpoints, 'endpoint')}"
    )


def head(plan: Plan, estate: Estate) -> Iterator[str]:
    """Say what a plan does, and to how much."""
    if plan.lost is None:
        yield printable(f"Deployment of {estate.name}: {reach(plan)}")
        return
    yield printable(f"Recovery of {estate.name} from {plan.lost} to {plan.to}: {reach(plan)}")
    if plan.moves:
        services = ", ".join(dict.fromkeys(move.service for move in plan.moves))
        yield printable(f"The placement of {services} will be written; until then nothing at an office changes.")
    else:
        yield "The placement has moved already; what is in place costs a compare."


def lines(plan: Plan, estate: Estate, expected: Forecast) -> Iterator[str]:
    """Describe a plan in full."""
    yield from head(plan, estate)
    yield ""
    yield from _waves(plan, estate, expected)
    yield ""
    reaches = list(_by_region(plan))
    if len(reaches) > 1:
        yield from columns(reaches, right=frozenset(range(1, len(reaches[0]))))
        yield ""
    links = ", ".join(f"{limit} over {name.value}" for name, limit in plan.limits.link.items())
    yield f"At once: {plan.limits.region} in a region, {plan.limits.bastion} through a bastion, {links}"
    yield printable(f"Plan {plan.hash}" + (f", commit {plan.commit}" if plan.commit else ""))


def _waves(plan: Plan, estate: Estate, expected: Forecast) -> Iterator[str]:
    rows: list[tuple[str, ...]] = [("#", "Wave", "Steps", "Canaries", "Through after", "RTO")]
    for number, (wave, played) in enumerate(zip(plan.waves, expected.waves, strict=True), start=1):
        rto_s = min(estate.service[service].rto_s for service in wave.services)
        rows.append(
            (
                str(number),
                wave.name,
                f"{len(wave.steps):,}",
                str(len(wave.canaries)) if wave.canaries else "-",
                duration(played.ends_s),
                duration(rto_s),
            )
        )
    return columns(rows, right=frozenset({0, 2, 3, 4, 5}))


def _by_region(plan: Plan) -> Iterator[tuple[str, ...]]:
    """Yield the rows of a table of units by region and service, heads first."""
    counts: dict[RegionName, Counter[ServiceName]] = {}
    for step in plan.steps():
        if step.region is not None:
            counts.setdefault(step.region, Counter())[step.service] += 1
    present = {service for counter in counts.values() for service in counter}
    services = [service for service in plan.order if service in present]
    yield ("Region", *services, "Units")
    for region in sorted(counts):
        counter = counts[region]
        yield (region, *(f"{counter[service]:,}" for service in services), f"{counter.total():,}")
