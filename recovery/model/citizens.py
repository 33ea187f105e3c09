"""What became of the citizens' apps of a drill."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Citizen:
    """One installation of the app.

    Attributes:
        kind: What it had been through, such as `offline`.
        reconnected_at: When its first transaction after the loss was answered, UTC; None when none was.
        drafts_lost: Drafts that are not as they were entered.
        reason: Why it has not reconnected; empty when it has.
    """

    name: str
    kind: str
    reconnected_at: datetime | None
    drafts_lost: int
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Citizens:
    """All installations of a drill.

    Attributes:
        told_at: When the first mirror showed where the services are now, UTC; None when none did.
        wave: The wave of the service that they talk to; empty when the run had none.
        passed_at: When it had passed, UTC; None when it had not.
    """

    told_at: datetime | None
    wave: str
    passed_at: datetime | None
    each: tuple[Citizen, ...]
