from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest

from recovery.gate import Breaker, allowed_failures, hold, replacement, tripped
from recovery.model.estate import WavePass
from recovery.model.outcome import Cause, Outcome, State
from recovery.model.plan import Selection, Step, Wave
from recovery.plan import routine
from tests.many import an_estate_of

SHIPPED = WavePass(share=0.95, failures=1)


def outcome(step: Step, state: State, cause: Cause | None = None) -> Outcome:
    return Outcome(
        name=step.name,
        office=step.office,
        region=step.region,
        service=step.service,
        data_centre=step.data_centre,
        state=state,
        digest=None,
        seconds=1.0,
        finished_at=datetime(2024, 6, 20, tzinfo=UTC),
        cause=cause,
    )


def a_wave() -> Wave:
    plan, _ = routine(an_estate_of(60), "", Selection())
    return plan.unit_waves[0]


@pytest.mark.parametrize(
    ("size", "allowed"),
    [
        pytest.param(1, 1, id="a wave of one is never held"),
        pytest.param(20, 1, id="5 % of 20 is 1, not 0.999"),
        pytest.param(39, 1, id="rounded down"),
        pytest.param(40, 2, id="two of forty"),
        pytest.param(367, 18, id="the passport wave"),
    ],
)
def test_a_wave_may_lose_its_share_or_the_fixed_number(size: int, allowed: int) -> None:
    assert allowed_failures(SHIPPED, size) == allowed


def test_a_wave_is_held_when_one_more_than_allowed_failed_and_says_the_causes() -> None:
    wave = a_wave()
    failed = [outcome(step, State.QUARANTINED, Cause.TIMEOUT) for step in wave.steps[:2]]
    assert hold(wave, failed[:1], SHIPPED) is None
    assert hold(wave, failed, SHIPPED) == "wave border-crossing: 2 of 20 failed (2 timeout), 1 may"


def test_skipped_units_hold_nobody() -> None:
    wave = a_wave()
    assert hold(wave, [outcome(step, State.SKIPPED, Cause.UNREACHABLE) for step in wave.steps], SHIPPED) is None


def test_the_breaker_needs_eight_units_and_more_than_half_with_one_cause() -> None:
    assert tripped(7, Counter({Cause.TIMEOUT: 7})) is None
    assert tripped(8, Counter({Cause.TIMEOUT: 4, Cause.LOGIN: 4})) is None
    assert tripped(8, Counter({Cause.TIMEOUT: 5})) == "5 of the first 8 units failed with the same cause, timeout"


def test_a_breaker_counts_who_failed_among_all_who_are_finished_and_keeps_its_first_reason() -> None:
    wave = a_wave()
    breaker = Breaker(wave)
    for step in wave.steps[:3]:
        breaker.note(outcome(step, State.VERIFIED))
    for step in wave.steps[3:5]:
        breaker.note(outcome(step, State.SKIPPED, Cause.TIMEOUT))  # it was never visited
    for step in wave.steps[5:10]:
        breaker.note(outcome(step, State.QUARANTINED, Cause.TIMEOUT))
    assert breaker.reason is None, "five of ten"
    breaker.note(outcome(wave.steps[10], State.QUARANTINED, Cause.TIMEOUT))
    said = "wave border-crossing: 6 of the first 11 units failed with the same cause, timeout"
    assert breaker.reason == said
    breaker.note(outcome(wave.steps[11], State.QUARANTINED, Cause.TIMEOUT))
    assert breaker.reason == said


def test_a_breaker_that_was_overruled_stops_nobody_again() -> None:
    wave = a_wave()
    breaker = Breaker(wave)
    breaker.overruled = True
    for step in wave.steps:
        breaker.note(outcome(step, State.QUARANTINED, Cause.TIMEOUT))
    assert breaker.reason is None


def test_a_failed_canary_is_replaced_by_one_of_its_own_group() -> None:
    wave = a_wave()
    for canary in wave.canaries:
        other = replacement(canary, wave.rest)
        assert other is not None
        assert (other.link, other.kind) == (canary.link, canary.kind)
    assert replacement(wave.canaries[0], ()) is None
