"""What was forecast of a run before it, for a report that sets it beside what came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from recovery.model.estate import ServiceName


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """A forecast as a report shows it.

    Attributes:
        services: Seconds from the run's start until each service is back.
        waves: Seconds from the run's start until each wave ends.
    """

    services: Mapping[ServiceName, float]
    waves: Mapping[str, float]
