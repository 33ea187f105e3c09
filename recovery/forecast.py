"""How long a plan will take, wave by wave and service by service. Pure.

The plan is played, not computed by a formula: waves in their order, canaries before the rest, everybody within the same
limits as in a run (`slots.Places`). What a step takes is what steps of its kind and class of line took in earlier
runs on this estate; where none did, a default made from what is declared of its line. Nothing fails in a forecast, and
nobody is asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from statistics import median

from recovery.model.estate import Estate, Link, LinkName, ServiceName, UnitName
from recovery.model.forecast import Forecast, ServiceForecast, WaveForecast
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


TOGETHER = 5
"""Earlier runs that a duration is the median of, at most: a run on a busy day tells little of the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What steps took in earlier runs.

    Attributes:
        seconds: By class, each step's duration in the order of the estate.
    """

    seconds: Mapping[Class, Sequence[float]]


NO_HISTORY = History(seconds={})


def forecast(
    plan: Plan, estate: Estate, history: History, *, parallel: int, lost_s: float = 0.0, most: int = 0
) -> Forecast:
    """Play a plan.

    Args:
        plan: What will be done.
        estate: The estate that it is a plan of.
        history: What earlier runs took.
        parallel: Most steps in flight at once.
        lost_s: How long before the run begins everything was lost, seconds.
        most: Most steps in flight that may be tried, to find with how many an objective would be met that will not be.
    """
    takes_s, known = dealt(plan, estate, history)
    played = play(plan, takes_s, parallel)

    others = ((more, play(plan, takes_s, more).ends_s) for more in more_than(parallel, most))
    return Forecast(
        waves=played.waves,
        services=services_of(estate, plan.order, played.ends_s, lost_s, others),
        parallel=parallel,
        known=known,
        steps=len(takes_s),
    )


def more_than(parallel: int, most: int) -> Iterator[int]:
    """Yield the numbers of steps in flight that are tried when these are too few: twice and four times as many, all."""
    last = parallel
    for more in (min(2 * parallel, most), min(4 * parallel, most), most):
        if more > last:
            yield more
            last = more


def services_of(
    estate: Estate,
    names: Iterable[ServiceName],
    ends_s: Mapping[ServiceName, float],
    lost_s: float,
    others: Iterator[tuple[int, Mapping[ServiceName, float]]],
) -> tuple[ServiceForecast, ...]:
    """Set when services are back against their objectives; for those that are late, find with what they would not be.

    Args:
        estate: Declares the objectives.
        names: Of the services, in their order.
        ends_s: When each is back, seconds from the start of the run.
        lost_s: How long before it everything was lost, seconds.
        others: Numbers of steps in flight, the smallest first, each with when services would be back; taken as long as
            one is late.
    """
    found = {
        name: ServiceForecast(name=name, ends_s=ends_s[name], rto_s=estate.service[name].rto_s, lost_s=lost_s)
        for name in names
    }
    late = [service for service in found.values() if not service.is_met]
    while late and (other := next(others, None)) is not None:
        more, ends = other
        for service in late:
            if replace(service, ends_s=ends[service.name]).is_met:
                found[service.name] = replace(service, holds_with=more)
        late = [service for service in late if found[service.name].holds_with is None]
    return tuple(found.values())


def observed(results: Iterable[RunResult], estate: Estate) -> History:
    """Return what runs took, by class: of each class the median of the newest runs that saw most of it.

    The n-th step of a class is set with the n-th of the other runs, so that what is slow in every run stays where it
    is, and what was slow once counts little. Only steps that were sent a bundle count; to find one in place takes less.

    Args:
        results: Of earlier runs on this estate, the newest first.
        estate: Says of which kind a unit is, and over which line it is reached.
    """
    classes: dict[str, Class] = {
        unit.name: (estate.service[unit.service].unit_kind or "", office.link) for _, office, unit in estate.places()
    }
    classes |= {endpoint.name: (ENDPOINT_KIND, LinkName.FIBRE) for endpoint in estate.endpoint.values()}
    best: dict[Class, list[list[float]]] = {}
    for result in results:
        seen: dict[Class, list[float]] = {}
        outcomes: tuple[Outcome, ...] = (*result.endpoints, *result.units)
        for outcome in outcomes:
            if outcome.state is State.VERIFIED and outcome.name in classes:
                seen.setdefault(classes[outcome.name], []).append(outcome.seconds)
        for key, seconds in seen.items():
            of_most = best.setdefault(key, [seconds])
            if len(seconds) > len(of_most[0]):
                best[key] = [seconds]
            elif len(seconds) == len(of_most[0]) and of_most[-1] is not seconds and len(of_most) < TOGETHER:
                of_most.append(seconds)
    return History(seconds={key: [median(nth) for nth in zip(*of_most, strict=True)] for key, of_most in best.items()})


def class_of(step: Step) -> Class:
    """Return the class that a step takes its duration from."""
    return (step.kind, step.link)


def dealt(plan: Plan, estate: Estate, history: History) -> tuple[dict[UnitName, float], int]:
    """Deal out durations: the n-th step of a class takes what the n-th of that class took before.

    Returns:
        Seconds by step, and of how many steps the class was seen before.
    """
    turns: Counter[Class] = Counter()
    takes_s: dict[UnitName, float] = {}
    known = 0
    for wave in plan.waves:
        for phase, visits in ((wave.canaries, 2), (wave.rest, 1)):
            for step in phase:
                key = class_of(step)
                seen = history.seconds.get(key)
                if seen:
                    takes_s[step.name] = seen[turns[key] % len(seen)]
                    turns[key] += 1
                    known += 1
                else:
                    takes_s[step.name] = default_s(estate.links[step.link], visits)
    return takes_s, known


def default_s(link: Link, visits: int) -> float:
    """Return what a step takes over a class of line when nothing is known, seconds.

    Args:
        link: The class.
        visits: 2 for a canary, which is proven over a new connection; else 1.
    """
    return WORK_S + visits * ROUND_TRIPS * link.rtt_ms / 1000 + BUNDLE_KBIT / link.kbit_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """How a plan went when it was played.

    Attributes:
        ends_s: When the last step of each service was through, seconds from the start of the run.
    """

    waves: tuple[WaveForecast, ...]
    ends_s: Mapping[ServiceName, float]


_NONE: Mapping[UnitName, float] = {}


def play(
    plan: Plan,
    takes_s: Mapping[UnitName, float],
    parallel: int,
    *,
    from_s: float = 0.0,
    ended: Mapping[UnitName, float] = _NONE,
    running: Mapping[UnitName, float] = _NONE,
) -> Played:
    """Play a plan, or what is left of one. Moments are seconds from the start of the run.

    Args:
        plan: What will be done.
        takes_s: What each step takes, seconds.
        parallel: Most steps in flight at once.
        from_s: The moment from which it is played.
        ended: Steps that are through, and since when.
        running: Steps that are in flight, and until when.
    """
    places = Places[Step](plan.limits, parallel)
    waves: list[WaveForecast] = []
    ends_s: dict[ServiceName, float] = {}
    now_s = from_s
    for wave in plan.waves:
        starts_s = waves[-1].ends_s if waves else 0.0 if ended else from_s
        wave_ends_s = starts_s
        for step in wave.steps:
            if step.name in ended:
                wave_ends_s = max(wave_ends_s, ended[step.name])
                ends_s[step.service] = max(ends_s.get(step.service, 0.0), ended[step.name])
        for phase in (wave.canaries, wave.rest):
            left = [step for step in phase if step.name not in ended]
            for step, end_s in _played(left, places, takes_s, now_s, running):
                now_s = wave_ends_s = end_s
                ends_s[step.service] = end_s
        waves.append(WaveForecast(name=wave.name, steps=len(wave.steps), starts_s=starts_s, ends_s=wave_ends_s))
    return Played(waves=tuple(waves), ends_s=ends_s)


def _played(
    steps: Sequence[Step],
    places: Places[Step],
    takes_s: Mapping[UnitName, float],
    now_s: float,
    running: Mapping[UnitName, float],
) -> Iterator[tuple[Step, float]]:
    """Yield each step with the moment at which it is through, in that order."""
    flying: list[tuple[float, int, Step]] = []
    started = 0

    def start(step: Step, end_s: float) -> None:
        nonlocal started
        started += 1  # among those that end together, who began first
        heappush(flying, (end_s, started, step))

    for step in sorted(steps, key=lambda step: step.name not in running) if running else steps:
        if places.take(step, step):
            start(step, max(now_s, running[step.name]) if step.name in running else now_s + takes_s[step.name])
    while flying:
        end_s, _, step = heappop(flying)
        yield step, end_s
        for following in places.give_back(step):
            start(following, end_s + takes_s[following.name])
