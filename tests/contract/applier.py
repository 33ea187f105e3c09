"""What every unit must answer and keep: `recovery/applier.sh` in a real shell, and its twin in the simulation.

Collected where a test module imports these functions beside a fixture `unit`:

    from tests.contract.applier import *  # noqa: F403

    @pytest.fixture
    def unit() -> Subject: ...
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import pytest

from recovery.model.bundle import Bundle
from tests.shells import bundle

A, B = bundle("a"), bundle("b")
INVALID, DEAF = bundle("invalid", validate="exit 1"), bundle("deaf", probe="exit 1")

SENT = ["send", "at stage", "at check", "at validate", "at swap", "at reload", "at probe"]
DONE = ["at receipt", "answer", "receipt", "done"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What stands on a unit's disk.

    Attributes:
        current: Digest of the release that runs.
        receipt: The digest that the receipt names; empty when it was emptied, None when there is none.
        epoch: The largest number accepted; 0 before the first.
        releases: How many there are.
    """

    current: str | None
    receipt: str | None
    epoch: int
    releases: int


class Subject(Protocol):
    """One unit."""

    def visit(
        self, mode: str, wanted: Bundle | None, epoch: int, *, holder: str = "h", part: float = 1.0, struck: str = ""
    ) -> list[str]:
        """Visit it.

        Args:
            mode: `apply`, `probe` or `forget`.
            wanted: The bundle; None where the mode has none.
            epoch: Number of the epoch.
            holder: Of the epoch.
            part: How much of the bundle gets through before the connection breaks.
            struck: Where the applier is killed; empty for nowhere.

        Returns:
            The lines of its answer, without what follows `answer`, `receipt`, `done` and a release's name.
        """
        ...

    def fill(self) -> None:
        """Let its disk have no room."""
        ...

    def empty(self) -> None:
        """Let its disk have room again."""
        ...

    def kept(self) -> Kept:
        """Return what stands on its disk."""
        ...


def test_a_bundle_goes_through_every_step_once_and_then_only_through_a_probe(unit: Subject) -> None:
    assert unit.visit("apply", A, 1) == [*SENT, *DONE]
    assert unit.kept() == Kept(current=A.digest, receipt=A.digest, epoch=1, releases=1)
    assert unit.visit("apply", A, 2) == ["same", "at probe", "answer", "receipt", "done"]
    assert unit.kept() == Kept(current=A.digest, receipt=A.digest, epoch=2, releases=1)


def test_of_older_releases_one_stays(unit: Subject) -> None:
    for number, wanted in enumerate((A, B, bundle("c")), start=1):
        unit.visit("apply", wanted, number)
    assert unit.kept().releases == 2


@pytest.mark.parametrize(("epoch", "holder"), [(4, "h"), (5, "other")])
def test_whoever_was_overtaken_is_refused(unit: Subject, epoch: int, holder: str) -> None:
    unit.visit("apply", A, 5)
    for mode in ("apply", "forget"):
        assert unit.visit(mode, B, epoch, holder=holder) == ["refused stale-epoch 5 h"]
    assert unit.kept() == Kept(current=A.digest, receipt=A.digest, epoch=5, releases=1)


def test_what_is_not_valid_never_runs(unit: Subject) -> None:
    unit.visit("apply", A, 1)
    assert unit.visit("apply", INVALID, 2) == [*SENT[:4], "failed validate validate-failed untouched"]
    assert unit.kept() == Kept(current=A.digest, receipt=A.digest, epoch=2, releases=1)


def test_what_does_not_serve_is_taken_back(unit: Subject) -> None:
    unit.visit("apply", A, 1)
    assert unit.visit("apply", DEAF, 2) == [*SENT, "at back", "failed probe probe-failed previous"]
    assert unit.kept() == Kept(current=A.digest, receipt=A.digest, epoch=2, releases=1)
    assert unit.visit("apply", A, 3) == ["same", "at probe", "answer", "receipt", "done"]


def test_without_a_release_before_it_back_is_nothing(unit: Subject) -> None:
    assert unit.visit("apply", DEAF, 1) == [*SENT, "at back", "failed probe probe-failed none"]
    assert unit.kept() == Kept(current=None, receipt=None, epoch=1, releases=0)
    assert unit.visit("probe", None, 0) == ["failed probe probe-failed none"]


@pytest.mark.parametrize("part", [0.0, 0.5])
def test_half_a_bundle_is_not_a_bundle(unit: Subject, part: float) -> None:
    unit.visit("apply", A, 1)
    assert unit.visit("apply", B, 2, part=part) == [*SENT[:2], "failed stage internal untouched"]
    assert unit.kept() == Kept(current=A.digest, receipt=A.digest, epoch=2, releases=1)


@pytest.mark.parametrize(
    ("struck", "answered", "current", "receipt"),
    [
        ("stage", SENT[:2], A, A),
        ("check", SENT[:3], A, A),
        ("moved", SENT[:5], A, A),
        ("emptied", SENT[:5], A, None),
        ("swapped", SENT[:5], B, None),
        ("receipt", [*SENT, "at receipt"], B, None),
    ],
)
def test_struck_anywhere_it_is_old_or_new_and_the_next_visit_finishes(
    unit: Subject, struck: str, answered: list[str], current: Bundle, receipt: Bundle | None
) -> None:
    unit.visit("apply", A, 1)
    assert unit.visit("apply", B, 2, struck=struck) == answered
    kept = unit.kept()
    assert (kept.current, kept.receipt) == (current.digest, receipt.digest if receipt else "")
    again = unit.visit("apply", B, 3)
    assert again == (["same", "at reload", "at probe", *DONE] if current is B else [*SENT, *DONE])
    assert unit.kept() == Kept(current=B.digest, receipt=B.digest, epoch=3, releases=2)


def test_a_full_disk_is_told_before_anything_is_sent(unit: Subject) -> None:
    unit.visit("apply", A, 1)
    unit.fill()
    assert unit.visit("apply", B, 2) == ["refused disk-full"]
    assert unit.visit("apply", A, 2) == ["same", "at probe", "answer", "receipt", "done"]
    unit.empty()
    assert unit.visit("apply", B, 2) == [*SENT, *DONE]


def test_what_is_forgotten_is_proven_afresh(unit: Subject) -> None:
    unit.visit("apply", A, 1)
    assert unit.visit("forget", None, 2) == ["done"]
    assert unit.kept() == Kept(current=A.digest, receipt=None, epoch=2, releases=1)
    assert unit.visit("apply", A, 3) == ["same", "at reload", "at probe", *DONE]


def test_a_probe_says_what_runs_and_writes_nothing(unit: Subject) -> None:
    unit.visit("apply", A, 1)
    assert unit.visit("probe", None, 0, holder="nonce") == ["current", "answer", "done"]
    assert unit.kept() == Kept(current=A.digest, receipt=A.digest, epoch=1, releases=1)
