"""The words for what can be wrong with a host of the lab."""

from __future__ import annotations

import pytest

from recovery.cli.lab import HOWS
from recovery.errors import LabError
from recovery.lab import sickness
from recovery.lab.sickness import ENDS_IN, How
from recovery.model.outcome import Cause


def test_every_sickness_ends_in_a_cause_of_its_own_that_a_report_knows() -> None:
    assert set(ENDS_IN) == set(How)
    assert {Cause(cause) for cause in ENDS_IN.values()} == {
        Cause.TIMEOUT,
        Cause.HOST_KEY,
        Cause.DISK_FULL,
        Cause.VALIDATE_FAILED,
        Cause.PROBE_FAILED,
        Cause.UNREACHABLE,
    }


def test_the_help_names_every_sickness() -> None:
    assert ", ".join(How) == HOWS


@pytest.mark.parametrize("word", [*How])
def test_a_sickness_is_read_by_its_name(word: str) -> None:
    assert sickness.read(word) == word


def test_a_word_that_is_nearly_one_is_answered_with_the_one() -> None:
    with pytest.raises(LabError, match="no sickness disk-ful; did you mean disk-full"):
        sickness.read("disk-ful")


def test_a_name_like_no_other_is_answered_with_all_where_they_are_few_and_with_one_where_not() -> None:
    few, many = ["b", "a"], [f"name-{number:02}" for number in range(21)]
    assert str(sickness.unknown("office", "xyz", few)) == "the lab has no office xyz; it has a, b"
    assert str(sickness.unknown("office", "xyz", many)) == "the lab has no office xyz; it has 21, such as name-00"
