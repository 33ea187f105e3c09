"""What a full recovery would be, from each data centre that serves something: its waves and its time. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from recovery.errors import PlanError
from recovery.forecast import Forecast, History, forecast
from recovery.model.estate import DataCentreName, Estate
from recovery.model.plan import Selection
from recovery.plan import recovery


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescue:
    """A recovery that could be.

    Attributes:
        to: None where no data centre can take over.
        units: How many it brings up.
        endpoints: The same.
        forecast: How long it takes; None where no data centre can take over.
        why_not: Why none can; empty otherwise.
    """

    lost: DataCentreName
    to: DataCentreName | None
    units: int = 0
    endpoints: int = 0
    forecast: Forecast | None = None
    why_not: str = ""


def rescues(estate: Estate, history: History, parallel: int) -> tuple[Rescue, ...]:
    """Plan every recovery from one data centre to another that the estate allows."""
    placed = {*estate.placement.default.values(), *estate.placement.regional.values()}
    return tuple(
        rescue
        for centre in estate.data_centres
        if centre.name in placed
        for rescue in _from(estate, centre.name, history, parallel)
    )


def _from(estate: Estate, lost: DataCentreName, history: History, parallel: int) -> Iterator[Rescue]:
    reasons: list[str] = []
    for to in estate.data_centre:
        if to == lost:
            continue
        try:
            plan, moved = recovery(estate, "", Selection(), lost=lost, to=to)
        except PlanError as error:
            reasons.append(str(error))
            continue
        yield Rescue(
            lost=lost,
            to=to,
            units=sum(len(wave.steps) for wave in plan.unit_waves),
            endpoints=sum(len(wave.steps) for wave in plan.endpoint_waves),
            forecast=forecast(plan, moved, history, parallel=parallel),
        )
    if len(reasons) == len(estate.data_centre) - 1:
        yield Rescue(lost=lost, to=None, why_not=" ".join(reasons) or "It is the only data centre.")
