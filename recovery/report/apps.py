"""The figures of a drill's citizens' apps: how many found the services again by themselves, and after how long."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from recovery.model.citizens import Citizen, Citizens

LISTED = 20
"""Apps that have not reconnected and are named; all of them are in report.json."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CitizenTotals:
    """How many apps did what.

    Attributes:
        reconnected: Those whose transaction was answered by the data centre that took over.
        before_the_wave: Those of them that were answered before the wave of their service had passed.
        median_s: From when the first mirror told them to when half of them were back, seconds; None for none.
        last_s: To when the last one was back.
    """

    clients: int
    reconnected: int
    before_the_wave: int
    drafts_lost: int
    median_s: float | None
    last_s: float | None

    @property
    def is_good(self) -> bool:
        """Whether all are back, none too early, and nothing was lost."""
        return self.reconnected == self.clients and not self.before_the_wave and not self.drafts_lost


def citizen_totals(citizens: Citizens) -> CitizenTotals:
    """Count all of them."""
    return _counted(citizens, citizens.each)


def citizens_by_kind(citizens: Citizens) -> tuple[tuple[str, CitizenTotals], ...]:
    """Count them by what they had been through, in the order in which kinds first appear."""
    kinds = dict.fromkeys(citizen.kind for citizen in citizens.each)
    return tuple(
        (kind, _counted(citizens, tuple(citizen for citizen in citizens.each if citizen.kind == kind)))
        for kind in kinds
    )


def _counted(citizens: Citizens, each: tuple[Citizen, ...]) -> CitizenTotals:
    back = [citizen.reconnected_at for citizen in each if citizen.reconnected_at is not None]
    told_at, passed_at = citizens.told_at, citizens.passed_at
    waits = [] if told_at is None else [(moment - told_at).total_seconds() for moment in back]
    return CitizenTotals(
        clients=len(each),
        reconnected=len(back),
        before_the_wave=sum(passed_at is None or moment < passed_at for moment in back),
        drafts_lost=sum(citizen.drafts_lost for citizen in each),
        median_s=round(median(waits), 3) if waits else None,
        last_s=round(max(waits), 3) if waits else None,
    )
