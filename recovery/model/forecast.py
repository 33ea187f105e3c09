"""How long a plan was, or now is, expected to take, wave by wave and service by service."""

from __future__ import annotations

from dataclasses import dataclass

from recovery.model.estate import ServiceName


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
        lost_s: How long before the run began the service was lost, seconds: its objective counts from there.
        holds_with: Connections at once with which the objective would be met although it will not; None when it will
            be, or when no number that was tried does it.
    """

    name: ServiceName
    ends_s: float
    rto_s: int
    lost_s: float = 0.0
    holds_with: int | None = None

    @property
    def is_met(self) -> bool:
        """Whether it is back in time."""
        return self.late_s <= 0

    @property
    def late_s(self) -> float:
        """How long after its objective it is back, seconds; negative when before it."""
        return self.lost_s + self.ends_s - self.rto_s


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
