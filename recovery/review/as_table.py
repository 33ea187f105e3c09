"""A review for a terminal. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from recovery.report.text import counted, duration, printable
from recovery.review import words
from recovery.review.compare import HostChange, Review
from recovery.review.diffs import Difference


def lines(review: Review) -> Iterator[str]:
    """Say everything, line by line: the totals first and once more at the end, where the eye is."""
    before, after = review.before, review.after
    yield printable(f"{before.revision} ({before.commit[:12]}) → {after.revision} ({after.commit[:12]})")
    yield from _totals(review)
    if review.is_empty:
        return
    yield from _sections(review)
    for change in (*review.units, *review.endpoints):
        yield from _host(change)
    for difference in review.differences:
        yield from _difference(difference)
    yield ""
    yield from _totals(review)


def _totals(review: Review) -> Iterator[str]:
    yield f"{words.title(review)}, {counted(len(review.endpoints), 'endpoint')}"
    if not review.is_empty:
        yield words.reach(review)
    for notice in words.notices(review):
        yield f"! {printable(notice)}"
    for reason in review.reasons:
        yield f"Why it reaches so far, by its commit: {printable(reason)}"


def _sections(review: Review) -> Iterator[str]:
    yield ""
    for move in review.moved:
        service, regions, source, target = words.move(move)
        yield f"placement of {service}: {source} → {target} ({regions})"
    for change in (*review.services, *review.settings):
        yield printable(f"{change.what}: {change.before or '-'} → {change.after or '-'}")
    for word, rescues in (("before", review.rescues_before), ("after", review.rescues_after)):
        for rescue in rescues:
            if rescue.forecast is None:
                yield f"recovery from {rescue.lost}, {word}: not possible. {rescue.why_not}"
            else:
                yield (
                    f"recovery from {rescue.lost} to {rescue.to}, {word}: {counted(rescue.units, 'unit')}, "
                    f"{counted(len(rescue.forecast.waves), 'wave')}, {duration(rescue.forecast.seconds)}"
                )
    yield words.source(review)
    for warning in review.warnings:
        yield f"note{' (new)' if warning.is_new else ''}: {warning.text}"
    yield ""


def _host(change: HostChange) -> Iterator[str]:
    where = change.host.region or change.host.data_centre
    yield printable(f"{change.change.value} {change.host.name} ({where}) {' '.join(change.differences)}".rstrip())
    for fact in change.facts:
        yield printable(f"    {fact.what}: {fact.before or '-'} → {fact.after or '-'}")


def _difference(difference: Difference) -> Iterator[str]:
    yield ""
    hosts = counted(len(difference.hosts), "host")
    yield f"{difference.key} {difference.path}: {difference.change.value}, at {hosts}"
    yield from (f"    {line}" for line in difference.lines)
