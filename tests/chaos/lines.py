"""Faults of a line, to a unit that is reached directly and to the bastion that others are behind."""

from __future__ import annotations

from dataclasses import replace

from tests.chaos.ground import BASTION, DIRECT, TIMEOUTS
from tests.chaos.proxy import End, Weather
from tests.chaos.trial import Kind, Trial

VISIT_BYTES = 30_000
"""About what a visit with a bundle sends to a unit: 2 KB to log in, the applier, the bundle."""

SLOW = {
    "latency of 100 ms each way": Weather(latency_s=0.1),
    "30 KB a second": Weather(bytes_per_s=30_000),
}
BROKEN = {
    "reset when it connects": Weather(end=End.RESET),
    "reset within the bundle": Weather(end=End.RESET, after_bytes=VISIT_BYTES * 3 // 5),
    "black hole": Weather(end=End.SILENCE),
    "half-open within the bundle": Weather(end=End.SILENCE, after_bytes=VISIT_BYTES * 3 // 5),
}
SHORT = replace(TIMEOUTS, connect_s=3, step_s=3)
"""What silence costs, seconds."""

PLACES = {"a unit": DIRECT, "a bastion": BASTION}


def slow(name: str, place: str, weather: Weather) -> Kind:
    """Return the kind of a line that is slow, and no more than that."""

    def strike(trial: Trial) -> None:
        line = trial.ground.proxy.lines[PLACES[place]]
        line.weather, line.longest = weather, 0
        done = trial.command()
        assert done.returncode == 0, done
        assert line.longest > VISIT_BYTES // 2

    return Kind(name=f"line to {place}: {name}", strike=strike)


def broken(name: str, place: str, weather: Weather) -> Kind:
    """Return the kind of a line that ends whatever goes over it."""

    def strike(trial: Trial) -> None:
        line = trial.ground.proxy.lines[PLACES[place]]
        line.weather, line.ended = weather, 0
        done = trial.command()
        assert done.returncode in (3, 5), done
        assert line.ended > 0

    return Kind(
        name=f"line to {place}: {name}", strike=strike, timeouts=SHORT if weather.end is End.SILENCE else TIMEOUTS
    )


KINDS = (
    *(slow(name, place, weather) for name, weather in SLOW.items() for place in PLACES),
    *(broken(name, place, weather) for name, weather in BROKEN.items() for place in PLACES),
)
