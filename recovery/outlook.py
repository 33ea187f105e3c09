"""How long the rest of a run will take, by what it has come to. Pure.

What is left of the plan is played from the moment on: units in flight keep their places, and those that are still to
come take as long as was forecast of them, times what the steps of their class have taken so far against their forecast.
It is played again for each look, so whoever looks decides how often.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from recovery.forecast import Class, History, class_of, dealt, more_than, play, services_of
from recovery.model.estate import Estate, UnitName
from recovery.model.forecast import Forecast
from recovery.model.outcome import Outcome
from recovery.model.plan import Plan
from recovery.model.story import Story

ENOUGH = 3
"""Steps of a class that have ended before what they took says anything of the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SoFar:
    """What a run has come to.

    Attributes:
        started_at: When the run began, from which everything is counted.
        begun_at: When the part of it began that goes on now; a run that was resumed has several.
        lost_at: From when the time to recover counts.
        outcomes: What is known of steps, of earlier parts too.
        under_way: Steps in flight, and since when.
        forecast: How long it was expected to take before it began, where that is known.
    """

    started_at: datetime
    begun_at: datetime
    lost_at: datetime
    outcomes: Iterable[Outcome]
    under_way: Mapping[UnitName, datetime]
    forecast: Forecast | None = None

    @staticmethod
    def of(story: Story) -> SoFar:
        """Return what a record tells."""
        result = story.result
        return SoFar(
            started_at=result.started_at,
            begun_at=story.resumed_at or result.started_at,
            lost_at=result.lost_at,
            outcomes=(*result.endpoints, *result.units),
            under_way=story.under_way,
            forecast=result.forecast,
        )

    def seconds(self, moment: datetime) -> float:
        """Return a moment in seconds from the start of the run."""
        return (moment - self.started_at).total_seconds()


class Outlook:
    """One plan, and what its steps are expected to take."""

    def __init__(self, plan: Plan, estate: Estate, history: History, *, parallel: int, most: int) -> None:
        """Deal out what each step takes.

        Args:
            plan: What is done.
            estate: The estate that it is a plan of.
            history: What earlier runs took.
            parallel: Most steps in flight at once.
            most: Most that may be tried, to find with how many an objective would be met that will not be.
        """
        self._plan, self._estate, self._history = plan, estate, history
        self._parallel, self._most = parallel, most
        self._takes_s, self._known = dealt(plan, estate, history)
        self._class = {step.name: class_of(step) for step in plan.steps()}
        self._service = {step.name: step.service for step in plan.steps()}

    def rest(self, so_far: SoFar, at: datetime) -> Forecast:
        """Play what is left of the run.

        Services of which something has failed in this run are left out: they are not back when it ends. What more
        connections would bring is the run stopped and resumed with them, where every unit is visited again.

        Args:
            so_far: What it has come to.
            at: The moment.
        """
        ended = {outcome.name: outcome for outcome in so_far.outcomes if self._has_ended(outcome, so_far)}
        takes_s = self._corrected([one for one in ended.values() if (one.finished_at or at) >= so_far.begun_at])
        now_s = so_far.seconds(at)
        running = {
            name: now_s + self._left_s(name, takes_s[name], so_far.seconds(at) - so_far.seconds(since))
            for name, since in so_far.under_way.items()
            if name in takes_s
        }
        played = play(
            self._plan,
            takes_s,
            self._parallel,
            from_s=now_s,
            ended={name: so_far.seconds(one.finished_at or at) for name, one in ended.items()},
            running=running,
        )
        failed = {one.service for one in ended.values() if not one.is_verified}
        drained_s = max(running.values(), default=now_s)
        others = (
            (more, play(self._plan, takes_s, more, from_s=drained_s).ends_s)
            for more in more_than(self._parallel, self._most)
        )
        return Forecast(
            waves=played.waves,
            services=services_of(
                self._estate,
                [name for name in self._plan.order if name not in failed],
                played.ends_s,
                (so_far.started_at - so_far.lost_at).total_seconds(),
                others,
            ),
            parallel=self._parallel,
            known=self._known,
            steps=len(self._takes_s),
        )

    def _has_ended(self, outcome: Outcome, so_far: SoFar) -> bool:
        """What failed in an earlier part is tried again in this one; what was verified costs a compare at most."""
        if outcome.name not in self._takes_s or outcome.name in so_far.under_way or outcome.finished_at is None:
            return False
        return outcome.is_verified or outcome.finished_at >= so_far.begun_at

    def _corrected(self, ended: Iterable[Outcome]) -> Mapping[UnitName, float]:
        """Return what each step takes, by what steps of its class have taken; by all steps where its class is new."""
        took: dict[Class, list[tuple[float, float]]] = {}
        for outcome in ended:
            if outcome.is_verified:
                pair = (outcome.seconds, self._takes_s[outcome.name])
                took.setdefault(self._class[outcome.name], []).append(pair)
        overall = _ratio([pair for pairs in took.values() for pair in pairs], 1.0)
        ratios = {key: _ratio(pairs, overall) for key, pairs in took.items()}
        return {name: takes_s * ratios.get(self._class[name], overall) for name, takes_s in self._takes_s.items()}

    def _left_s(self, name: UnitName, takes_s: float, elapsed_s: float) -> float:
        """Return what a step in flight still needs, seconds.

        One that has taken longer already takes as long as those of its class that took longer still, or as long again.
        """
        if elapsed_s <= takes_s:
            return takes_s - elapsed_s
        longer = [seconds for seconds in self._history.seconds.get(self._class[name], ()) if seconds > elapsed_s]
        return median(longer) - elapsed_s if longer else elapsed_s


def _ratio(pairs: Iterable[tuple[float, float]], otherwise: float) -> float:
    """Return what steps took against what was forecast of them, by medians: one that hangs says nothing of the rest."""
    known = [pair for pair in pairs if pair[1] > 0]
    if len(known) < ENOUGH:
        return otherwise
    return median(took for took, _ in known) / median(forecast for _, forecast in known)
