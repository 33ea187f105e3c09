"""What became of each unit and endpoint in a run, and of the run as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from recovery.model.citizens import Citizens
from recovery.model.estate import DataCentreName, OfficeName, RegionName, ServiceName, UnitName
from recovery.model.forecast import Forecast


class Cause(StrEnum):
    """Why a unit failed; the whole list a report may use."""

    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    HOST_KEY = "host-key"
    LOGIN = "login"
    DISK_FULL = "disk-full"
    VALIDATE_FAILED = "validate-failed"
    PROBE_FAILED = "probe-failed"
    STALE_EPOCH = "stale-epoch"
    BAD_ANSWER = "bad-answer"
    CANCELLED = "cancelled"
    INTERNAL = "internal"


class State(StrEnum):
    """How a unit ended."""

    VERIFIED = "verified"
    """It got a bundle and serves."""
    UNCHANGED = "unchanged"
    """It serves, and nothing had to be sent."""
    QUARANTINED = "quarantined"
    """It failed; its cause is named and it holds nobody else."""
    SKIPPED = "skipped"
    """Something it depends on failed, so it was left as it was."""
    NOT_STARTED = "not_started"
    """The run ended before its turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one unit or endpoint.

    Attributes:
        office: None for an endpoint.
        region: None for an endpoint.
        data_centre: The data centre that serves it, or that the endpoint stands in.
        digest: Of the bundle it runs, as far as is known; None when it runs none or could not be asked.
        seconds: Spent on it, tries and pauses included.
        finished_at: When it was known, UTC; None when it never started.
        cause: None unless it failed or was skipped.
        reason: One sentence for people; empty unless it failed or was skipped.
    """

    name: UnitName
    office: OfficeName | None
    region: RegionName | None
    service: ServiceName
    data_centre: DataCentreName
    state: State
    digest: str | None
    seconds: float
    finished_at: datetime | None
    cause: Cause | None = None
    reason: str = ""

    @property
    def is_verified(self) -> bool:
        """Whether it runs its declared bundle and serves."""
        return self.state in (State.VERIFIED, State.UNCHANGED)

    def after(self, earlier: Outcome | None) -> Outcome:
        """Return what a report says of a unit that an earlier part of the same run had an outcome for.

        A unit that was brought up earlier and has only been read again was back when it was brought up.
        """
        if earlier is not None and earlier.is_verified and self.state is State.UNCHANGED:
            return earlier if earlier.digest == self.digest else self
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceTarget:
    """A service of a run and its recovery time objective, seconds."""

    name: ServiceName
    title: str
    rto_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """Everything a report is made from.

    Attributes:
        run: Name of the run.
        verb: The command: `apply`, `recover`, `verify`.
        lost_at: From when the time to recover counts: `--lost-at`, else the start, UTC.
        units: In the order of the estate.
        endpoints: Endpoints the run brought up, in the order of their waves.
        services: Services of the run, in the order in which they come back.
        forecast: How long it was expected to take, before it began; None where nobody has said so.
        citizens: The citizens' apps of a drill; None for any other run.
    """

    run: str
    verb: str
    estate_name: str
    estate_digest: str
    plan_hash: str
    lost: DataCentreName | None
    to: DataCentreName | None
    started_at: datetime
    finished_at: datetime
    lost_at: datetime
    exit_code: int
    units: tuple[Outcome, ...]
    endpoints: tuple[Outcome, ...]
    services: tuple[ServiceTarget, ...]
    forecast: Forecast | None = None
    citizens: Citizens | None = None
