"""What a forecast says, in sentences: by what it is known, what is missed, and how it compares with what came."""

from __future__ import annotations

from collections.abc import Iterator

from recovery.model.estate import ServiceName
from recovery.model.forecast import Forecast, ServiceForecast
from recovery.report.advice import Next
from recovery.report.text import counted, duration


def source(made: Forecast) -> str:
    """Say by what a forecast is known."""
    if made.known == made.steps:
        return "by earlier runs on this estate"
    if made.known:
        return f"by earlier runs for {made.known:,} of {counted(made.steps, 'step')}, by defaults for the others"
    return "by default durations: no earlier run on this estate is known"


def misses(made: Forecast) -> Iterator[str]:
    """Say which objectives will be missed, by how much, and with how many connections they would not be."""
    for service in made.services:
        if not service.is_met:
            yield missed(service)


def missed(service: ServiceForecast) -> str:
    """Say that an objective will be missed."""
    said = f"{service.name} will miss its RTO of {duration(service.rto_s)} by {duration(service.late_s)}"
    return said if service.holds_with is None else f"{said}; with `--parallel {service.holds_with}` it holds"


def warned(outlook: Forecast, run: str) -> Iterator[Next]:
    """Say what to do about objectives that a run will miss, while it goes on."""
    for service in outlook.services:
        if not service.is_met:
            said = f"{service.name} will miss its RTO of {duration(service.rto_s)} by {duration(service.late_s)}"
            if service.holds_with is None:
                yield Next(f"{said}, with any number of connections.")
            else:
                command = f"pulih cancel {run} && pulih resume {run} --parallel {service.holds_with}"
                yield Next(f"{said}; with --parallel {service.holds_with} it holds:", command)


def compared(actual_s: float | None, expected_s: float | None) -> str:
    """Say how much longer or shorter something took than was forecast; empty where there is nothing to compare."""
    if actual_s is None or not expected_s:
        return ""
    share = round(100 * (actual_s / expected_s - 1))
    return "as forecast" if share == 0 else f"{abs(share):,} % {'longer' if share > 0 else 'shorter'}"


def told(made: Forecast, took_s: float | None) -> str:
    """Say what was forecast of a whole run, and how it compares.

    Args:
        made: The forecast.
        took_s: What the run took; None when it has not come to its end by itself.
    """
    said = f"Forecast before it began: {duration(made.seconds)} with {made.parallel:,} at once, {source(made)}"
    comparison = compared(took_s, made.seconds)
    return f"{said}; it took {duration(took_s)}, {comparison}." if comparison else f"{said}."


def back_after(made: Forecast | None) -> dict[ServiceName, float]:
    """Return after how many seconds each service is back, counted as its objective is."""
    return {} if made is None else {one.name: one.lost_s + one.ends_s for one in made.services}
