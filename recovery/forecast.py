"""How long a plan will take, wave by wave and service by service. Pure.

The plan is played, not computed by a formula: waves in their order, canaries before the rest, everybody within the same
limits as in a run (`slots.Places`). What a step takes is what steps of its kind and class of line took in an earlier
run on this estate; where none did, a default made from what is declared of its line. Nothing fails in a forecast, and
nobody is asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

from recovery.model.estate import Estate, Link, LinkName, ServiceName
from recovery.model.outcome import Outcome, RunResult, State
from recovery.model.plan import Plan, Step
from recovery.plan import ENDPOINT_KIND
from recovery.slots import Places

Class = tuple[str, LinkName]
"""Kind of unit and class of line."""

ROUND_TRIPS = 11
"""Of one visit, its connection included. Source: measured, paramiko over a line of 200 ms, 200 units."""
WORK_S = 2.0
"""What a host itself takes to stage, validate, swap, reload and probe, seconds: nginx, nftables and chrony restart."""
BUNDLE_KBIT = 160
"""An ordinary bundle of 20 KiB, kilobits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What steps took in earlier runs.

    Attributes:
        seconds: By class, each step's duration in the order of the estate.
    """

    seconds: Mapping[Class, Sequence[float]]


NO_HISTORY = History(seconds={})


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveForecast:
    """One wave.

    Attributes:
        steps: How many units or endpoints.
        starts_s: From the start of the run, seconds.
        ends_s: The same.
    """

    name: str
    steps: int
    starts_s: float
    ends_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceForecast:
    """When the last unit or endpoint of a service is back.

    Attributes:
        ends_s: From the start of the run, seconds.
        rto_s: Its objective.
    """

    name: ServiceName
    ends_s: float
    rto_s: int

    @property
    def is_met(self) -> bool:
        """Whether it is back in time."""
        return self.ends_s <= self.rto_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """How long a plan will take.

    Attributes:
        services: In the order in which the plan brings them back.
        parallel: Steps in flight at once.
        known: Of how many steps the class was seen in an earlier run; the others have default durations.
        steps: How many there are.
    """

    waves: tuple[WaveForecast, ...]
    services: tuple[ServiceForecast, ...]
    parallel: int
    known: int
    steps: int

    @property
    def seconds(self) -> float:
        """From the start of the run to its end."""
        return self.waves[-1].ends_s if self.waves else 0.0


def forecast(plan: Plan, estate: Estate, history: History, *, parallel: int) -> Forecast:
    """Play a plan.

    Args:
        plan: What will be done.
        estate: The estate that it is a plan of.
        history: What earlier runs took.
        parallel: Most steps in flight at once.
    """
    durations, places = _Durations(estate, history), Places[Step](plan.limits, parallel)
    waves: list[WaveForecast] = []
    ends_s: dict[ServiceName, float] = {}
    now_s = 0.0
    for wave in plan.waves:
        starts_s = now_s
        for phase, visits in ((wave.canaries, 2), (wave.rest, 1)):
            for step, end_s in _played(phase, places, {step: durations.of(step, visits) for step in phase}, now_s):
                now_s = end_s
                ends_s[step.service] = end_s
        waves.append(WaveForecast(name=wave.name, steps=len(wave.steps), starts_s=starts_s, ends_s=now_s))
    return Forecast(
        waves=tuple(waves),
        services=tuple(
            ServiceForecast(name=name, ends_s=ends_s[name], rto_s=estate.service[name].rto_s) for name in plan.order
        ),
        parallel=parallel,
        known=durations.known,
        steps=sum(len(wave.steps) for wave in plan.waves),
    )


def observed(results: Iterable[RunResult], estate: Estate) -> History:
    """Return what runs took, by class: of each class the run that saw most of it, the first one among equals.

    Only steps that were sent a bundle count; to find one in place takes less.

    Args:
        results: Of earlier runs on this estate, the newest first.
        estate: Says of which kind a unit is, and over which line it is reached.
    """
    classes: dict[str, Class] = {
        unit.name: (estate.service[unit.service].unit_kind or "", office.link) for _, office, unit in estate.places()
    }
    classes |= {endpoint.name: (ENDPOINT_KIND, LinkName.FIBRE) for endpoint in estate.endpoint.values()}
    best: dict[Class, list[float]] = {}
    for result in results:
        seen: dict[Class, list[float]] = {}
        outcomes: tuple[Outcome, ...] = (*result.endpoints, *result.units)
        for outcome in outcomes:
            if outcome.state is State.VERIFIED and outcome.name in classes:
                seen.setdefault(classes[outcome.name], []).append(outcome.seconds)
        for key, seconds in seen.items():
            if len(seconds) > len(best.get(key, ())):
                best[key] = seconds
    return History(seconds=best)


class _Durations:
    """Deals out durations: the n-th step of a class takes what the n-th of that class took before."""

    def __init__(self, estate: Estate, history: History) -> None:
        self._links = estate.links
        self._history = history.seconds
        self._dealt: Counter[Class] = Counter()
        self.known = 0

    def of(self, step: Step, visits: int) -> float:
        key = (step.kind, step.link)
        seen = self._history.get(key)
        if not seen:
            return default_s(self._links[step.link], visits)
        self.known += 1
        self._dealt[key] += 1
        return seen[(self._dealt[key] - 1) % len(seen)]


def default_s(link: Link, visits: int) -> float:
    """Return what a step takes over a class of line when nothing is known, seconds.

    Args:
        link: The class.
        visits: 2 for a canary, which is proven over a new connection; else 1.
    """
    return WORK_S + visits * ROUND_TRIPS * link.rtt_ms / 1000 + BUNDLE_KBIT / link.kbit_s


def _played(
    steps: Iterable[Step], places: Places[Step], takes_s: Mapping[Step, float], now_s: float
) -> Iterator[tuple[Step, float]]:
    """Yield each step with the moment at which it is through, in that order."""
    running: list[tuple[float, int, Step]] = []
    started = 0

    def start(step: Step, at_s: float) -> None:
        nonlocal started
        started += 1  # among those that end together, who began first
        heappush(running, (at_s + takes_s[step], started, step))

    for step in steps:
        if places.take(step, step):
            start(step, now_s)
    while running:
        end_s, _, step = heappop(running)
        yield step, end_s
        for following in places.give_back(step):
            start(following, end_s)
