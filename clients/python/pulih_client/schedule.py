"""When to ask again; pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from random import Random

REGULAR_S = 3600.0
"""Between two polls on average, while everything works: a manifest that changes is with everybody in 90 minutes."""

HURRIED_S = 600.0
"""The same while the service does not answer the app: known to all who miss it in 15 minutes."""

SPREAD = 0.5
"""Each wait is drawn evenly from the average, less or more this share of it."""

GRACE = timedelta(days=14)
"""How long an app says nothing of a configuration that it could not check; it goes on using it afterwards too."""

FRESH = timedelta(days=1)


class Age(StrEnum):
    """How old the last word of a mirror is; the configuration is used whatever it is."""

    FRESH = "fresh"
    GRACE = "grace"
    STALE = "stale"
    """The app says that it could not check for long whether its services have moved."""


def wait_s(random: Random, *, connected: bool, unanswered: int, regular_s: float = REGULAR_S) -> float:
    """Return how long to wait before the next poll, seconds.

    Args:
        random: Where the jitter comes from; never shared between clients.
        connected: Whether the app's last transaction with its service worked, if it made one.
        unanswered: How many polls in a row found no mirror that could be followed.
        regular_s: The average wait while everything works; the hurried one keeps its proportion to it.
    """
    hurried_s = regular_s * HURRIED_S / REGULAR_S
    mean_s = hurried_s if not connected or unanswered else regular_s
    if unanswered:
        mean_s = min(regular_s, hurried_s * 2 ** min(unanswered - 1, 16))
    return mean_s * random.uniform(1 - SPREAD, 1 + SPREAD)


def first_wait_s(random: Random, *, connected: bool, regular_s: float = REGULAR_S) -> float:
    """Return how long to wait after the app was started: evenly spread, so that a new version makes no wave."""
    return random.uniform(0, regular_s if connected else regular_s * HURRIED_S / REGULAR_S)


def age(now: datetime, checked_at: datetime | None) -> Age:
    """Return how old the last word of a mirror is."""
    if checked_at is None or now - checked_at > GRACE:
        return Age.STALE
    return Age.FRESH if now - checked_at <= FRESH else Age.GRACE
