"""What a review says in sentences, the same in Markdown and on a terminal. Pure.

Only names that are slugs, numbers and words of pulih's own stand in them, so they need no escaping.
"""

from __future__ import annotations

from collections.abc import Iterator

from recovery.report.text import counted, duration
from recovery.review.compare import Change, Review
from recovery.review.reach import TRAILER
from recovery.review.rescues import Rescue
from recovery.review.settings import Moved

TITLES = {
    Change.CHANGED: "Changed",
    Change.ADDED: "Added",
    Change.REMOVED: "Removed",
    Change.RETIRED: "Retired",
    Change.RETURNED: "Back in service",
}


def title(review: Review) -> str:
    """Say how much changes."""
    if review.is_empty:
        return "nothing changes at any unit"
    counts = review.counts
    told = [f"{counts[Change.CHANGED]:,} of {review.reach.of:,} units change"]
    told += [
        f"{counts[change]:,} {TITLES[change].lower()}"
        for change in Change
        if counts[change] and change is not Change.CHANGED
    ]
    return ", ".join(told)


def reach(review: Review) -> str:
    """Say how far it reaches."""
    found = review.reach
    if not found.units:
        return "No counter is out of reach if it goes wrong."
    by_service = ", ".join(f"{count:,} {service}" for service, count in found.counters.items())
    return (
        f"If it goes wrong, {counted(len(found.units), 'counter')} of {found.of:,} ({found.share:.0%}) are out of "
        f"reach: {by_service}; in {counted(found.offices, 'office')} of {counted(len(found.regions), 'region')}."
    )


def notices(review: Review) -> Iterator[str]:
    """Say what to look at first."""
    excess = review.reach.excess
    if excess is not None and not review.reasons:
        yield f"Too far for one change: {excess}"
    elif excess is not None:
        yield f"It reaches further than one change may, and a commit says why ({TRAILER}, below)."
    changed = {setting.what: setting for setting in review.settings}
    for what in ("illustrative", "practice", "leases"):
        if what in changed:
            yield f"`{what}` is changed: see the settings below."
    keyed = [
        change.host.name
        for change in (*review.units, *review.endpoints)
        if any(fact.what == "host key" for fact in change.facts)
    ]
    if keyed:
        some = ", ".join(keyed[:5]) + (f" and {len(keyed) - 5:,} more" if len(keyed) > 5 else "")
        yield f"{counted(len(keyed), 'host key')} changed; compare with the hosts' own: {some}."
    for rescue in review.rescues_after:
        if rescue.forecast is None and _was_possible(review, rescue):
            yield f"{rescue.lost} can no longer be recovered anywhere: {rescue.why_not}"
    yield from _misses(review)
    for warning in review.warnings:
        if warning.is_new:
            yield f"New: {warning.text}."


def _was_possible(review: Review, rescue: Rescue) -> bool:
    return any(before.lost == rescue.lost and before.forecast is not None for before in review.rescues_before)


def _misses(review: Review) -> Iterator[str]:
    for rescue in review.rescues_after:
        for service in rescue.forecast.services if rescue.forecast else ():
            if not service.is_met:
                late = duration(service.ends_s - service.rto_s)
                yield f"Recovered from {rescue.lost} to {rescue.to}, {service.name} would miss its RTO by {late}."


def move(found: Moved) -> tuple[str, str, str, str]:
    """Return a move as service, regions, from and to."""
    return (
        found.service,
        ", ".join(found.regions) or "everywhere",
        found.before or "nowhere",
        found.after or "nowhere",
    )


def source(review: Review) -> str:
    """Say by what the forecast is known."""
    played = [rescue.forecast for rescue in review.rescues_after if rescue.forecast is not None]
    known = any(one.known for one in played)
    at_once = played[0].parallel if played else 0
    by = "by earlier runs on this estate" if known else "by default durations, as no earlier run is known here"
    return f"Forecast with {at_once} at once, {by}; nothing fails in it."
