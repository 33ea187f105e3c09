"""Histories that once broke a promise, each with its story; the code was mended, and they stay."""

from __future__ import annotations

from tests.sim.faults import Fault, Site
from tests.sim.history import play


def held(seed: int, *trace: Fault) -> None:
    history = play(seed, trace)
    assert not history.broken, (history.broken, history.told)
    assert set(history.fired) == {fault.site for fault in trace}, "it is not that story any more"


def test_a_unit_that_lost_its_power_behind_the_swap_served_half_a_bundle() -> None:
    # `current` had come to the platter and the files had not: the service started with what was left of them. Now the
    # files are synced before anything points to them.
    for seed in range(12):
        held(seed, Fault(Site.POWER_CUT, "border-crossing-cloud-1", how="receipt", seconds=1))
        held(seed, Fault(Site.POWER_CUT, "office-000-border-crossing", how="written", seconds=1))


def test_a_disk_that_was_full_let_the_placement_move_unrecorded() -> None:
    # The record that says "the placement is about to be written" did not fit on the disk, and it was written all the
    # same. Now a run that can't record that stops there.
    for seed in range(4):
        held(seed, Fault(Site.JOURNAL_FULL, at=16))


def test_a_second_ctrl_c_left_units_in_the_report_that_the_journal_had_never_begun() -> None:
    # The report called them quarantined and the journal not started. Now the journal is told of them too.
    for record in (2, 5, 17, 24):
        held(1, Fault(Site.INTERRUPTED, at=record, how="twice"))


def test_a_canary_was_believed_that_ended_with_another_digest_than_it_said_it_ran() -> None:
    # The last line of a probe was read, and its digest was not. Now it must be the one that the unit has said it runs.
    held(557, Fault(Site.LIES, "office-002-stay-permit", at=2))


def test_a_second_ctrl_c_left_units_unsaid_whose_turn_had_not_come() -> None:
    # They stood in the report as not started, and nothing said why. Now they say that the run was interrupted.
    held(1838, Fault(Site.INTERRUPTED, at=10, how="twice"))


def test_a_process_that_was_stopped_in_a_write_wrote_into_the_journal_of_who_went_on() -> None:
    # It had looked whether the journal was still its own, and was stopped before it wrote; half a minute later its line
    # stood behind the last one of the run, and the journal was "edited". Now whoever goes on has a file of its own.
    for record in (4, 19, 31):
        held(1, Fault(Site.OVERTAKEN, at=record, how="within", seconds=40))
