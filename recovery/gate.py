"""What must hold before the next wave, and when a wave is stopped half way. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from recovery.model.estate import WavePass
from recovery.model.outcome import Cause, Outcome, State
from recovery.model.plan import Step, Wave

BREAKER_UNITS = 8
"""The breaker looks at a wave once this many of its units are finished."""


def allowed_failures(wave_pass: WavePass, size: int) -> int:
    """Return how many units of a wave of `size` may fail: max(`failures`, (1 - `share`)·size), rounded down."""
    # The share is a decimal fraction such as 0.95; a part in a million keeps 0.05 · 20 from coming out as 0.999….
    return max(wave_pass.failures, int((1 - wave_pass.share) * size + 1e-6))


def failures(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Return the units that failed themselves; skipped ones wait for something else, and hold nobody."""
    return [outcome for outcome in outcomes if outcome.state is State.QUARANTINED]


def hold(wave: Wave, outcomes: Sequence[Outcome], wave_pass: WavePass) -> str | None:
    """Return why a wave does not pass, or None when it does.

    Args:
        wave: The wave, wholly or partly finished.
        outcomes: Of its finished units.
        wave_pass: The estate's rule.
    """
    failed = failures(outcomes)
    allowed = allowed_failures(wave_pass, len(wave.steps))
    if len(failed) <= allowed:
        return None
    causes = Counter(outcome.cause.value for outcome in failed if outcome.cause).most_common()
    told = ", ".join(f"{count} {cause}" for cause, count in causes)
    return f"wave {wave.name}: {len(failed)} of {len(wave.steps)} failed ({told}), {allowed} may"


def tripped(finished: int, causes: Counter[Cause]) -> str | None:
    """Return why the breaker stops a wave, or None.

    It does when at least `BREAKER_UNITS` are finished and more than half of them failed with one cause: what is wrong
    is then most likely the same for those still to come.

    Args:
        finished: How many units of the wave are.
        causes: How many of them failed, by cause.
    """
    if finished < BREAKER_UNITS:
        return None
    for cause, count in causes.most_common(1):
        if count * 2 > finished:
            return f"{count} of the first {finished} units failed with the same cause, {cause.value}"
    return None


def replacement(failed: Step, rest: Iterable[Step]) -> Step | None:
    """Return the step that goes first in place of a failed canary: the next of its class of line and kind of unit."""
    return next((step for step in rest if (step.link, step.kind) == (failed.link, failed.kind)), None)


class Breaker:
    """Watches the units of one wave as they finish; `overruled` once somebody said to go on all the same."""

    def __init__(self, wave: Wave) -> None:
        self.wave = wave
        self.reason: str | None = None
        self.overruled = False
        self._finished = 0
        self._causes: Counter[Cause] = Counter()

    def note(self, outcome: Outcome) -> None:
        """Count a unit of the wave that has finished."""
        self._finished += 1
        if outcome.state is State.QUARANTINED and outcome.cause is not None:
            self._causes[outcome.cause] += 1
        if not self.overruled and self.reason is None:
            reason = tripped(self._finished, self._causes)
            self.reason = reason and f"wave {self.wave.name}: {reason}"
