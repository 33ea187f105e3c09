"""A review as one comment of a pull request: totals first, whole within its limit, and nothing in it acts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from recovery.model.estate import RegionName
from recovery.report.text import counted, duration, inert, printable
from recovery.review import words
from recovery.review.compare import Change, HostChange, Review
from recovery.review.diffs import Difference
from recovery.review.fitting import Block, fitted
from recovery.review.rescues import Rescue
from recovery.review.settings import Changed

MARK = "<!-- pulih-review -->"
"""The first line: whoever posts a review finds the comment to update by it."""

ROWS = 40
"""Rows of a table; the others are counted."""
DIFF_LINES = 60
LINE_CHARACTERS = 240
NAMED = 5
"""Hosts named under a difference; beyond, they are counted and named by region."""


def to_markdown(review: Review) -> str:
    """Return a review as Markdown of at most `fitting.LIMIT_BYTES`."""
    head = [
        *_head(review),
        *_notices(review),
        *_moves(review),
        *_values("Services and what they come after", review.services),
        *_values("Settings", review.settings),
        *_rescues(review),
        *_warnings(review),
    ]
    regions = _by_region(review)
    blocks = [
        Block(kind="lists of units by region", text=_lines(_region(region, changes, review)))
        for region, changes in regions.items()
    ]
    blocks.extend(_endpoints(review))
    diffs = [Block(kind="differences of files", text=_lines(_diff(one, review))) for one in review.differences]
    return fitted(
        [
            (_lines([*head, *_regions(regions)]), blocks),
            ("## Files\n\n" if diffs else "", diffs),
        ],
        rest=_lines(["", "All of it: `pulih review BASE..HEAD --output json`."]),
    )


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _head(review: Review) -> Iterator[str]:
    yield MARK
    yield f"# pulih: {words.title(review)}"
    yield ""
    yield (
        f"{inert(review.after.estate.title)} from {inert(review.before.revision)} ({review.before.commit[:12]}) "
        f"to {inert(review.after.revision)} ({review.after.commit[:12]})."
    )
    yield ""
    if review.is_empty:
        return
    counts, found = review.counts, review.reach
    heads = [*(words.TITLES[change] for change in Change), "Endpoints", "Offices", "Regions", "Services"]
    row = [*(counts[change] for change in Change), len(review.endpoints)]
    row += [found.offices, len(found.regions), len(found.services)]
    yield from _table(heads, [[f"{number:,}" for number in row]])
    yield f"**{words.reach(review)}**"
    yield ""


def _notices(review: Review) -> Iterator[str]:
    found = list(words.notices(review))
    if found:
        yield "## Look at this first"
        yield ""
        for notice in found[:ROWS]:
            yield f"- {notice}"
        yield from _more(found)
        yield ""
    for reason in review.reasons[:ROWS]:
        yield f"Why it reaches so far, by its commit: {inert(reason[:LINE_CHARACTERS])}"
        yield ""


def _moves(review: Review) -> Iterator[str]:
    if review.moved:
        yield "## Placement"
        yield ""
        rows = [words.move(move) for move in review.moved]
        yield from _table(("Service", "Regions", "From", "To"), rows[:ROWS])
        yield from _more(rows)


def _values(title: str, changes: Sequence[Changed]) -> Iterator[str]:
    if changes:
        yield f"## {title}"
        yield ""
        rows = [(inert(change.what), _value(change.before), _value(change.after)) for change in changes[:ROWS]]
        yield from _table(("What", "Before", "After"), rows)
        yield from _more(changes)


def _value(value: str | None) -> str:
    return "-" if value is None else inert(value[:LINE_CHARACTERS])


def _rescues(review: Review) -> Iterator[str]:
    before = {(one.lost, one.to): one for one in review.rescues_before}
    after = {(one.lost, one.to): one for one in review.rescues_after}
    if review.is_empty or not (before or after):
        return
    yield "## A full recovery, before and after"
    yield ""
    rows: list[tuple[str, ...]] = []
    for key in dict.fromkeys([*before, *after]):
        rows += [_rescue(word, one) for word, one in (("before", before.get(key)), ("after", after.get(key))) if one]
    yield from _table(("From, to", "", "Units", "Endpoints", "Waves", "Takes", "RTO"), rows[:ROWS])
    yield words.source(review)
    yield ""
    for key in list(dict.fromkeys([*before, *after]))[:NAMED]:
        yield from _waves(before.get(key), after.get(key))


def _rescue(word: str, rescue: Rescue) -> tuple[str, ...]:
    way = f"{rescue.lost}, {rescue.to or 'nowhere'}"
    if rescue.forecast is None:
        return way, word, "-", "-", "-", "**not possible**", "-"
    late = [service.name for service in rescue.forecast.services if not service.is_met]
    return (
        way,
        word,
        f"{rescue.units:,}",
        f"{rescue.endpoints:,}",
        str(len(rescue.forecast.waves)),
        duration(rescue.forecast.seconds),
        f"**missed: {', '.join(late)}**" if late else "met",
    )


def _waves(before: Rescue | None, after: Rescue | None) -> Iterator[str]:
    sides = [
        {wave.name: wave for wave in one.forecast.waves} if one is not None and one.forecast is not None else {}
        for one in (before, after)
    ]
    names = list(dict.fromkeys([*sides[0], *sides[1]]))
    rescue = after or before
    if not names or rescue is None:
        return
    yield f"<details><summary>Waves from {rescue.lost} to {rescue.to}</summary>"
    yield ""
    rows = [
        (
            name,
            *(
                cell
                for side in sides
                for cell in ((f"{side[name].steps:,}", duration(side[name].ends_s)) if name in side else ("-", "-"))
            ),
        )
        for name in names[:ROWS]
    ]
    yield from _table(("Wave", "Steps before", "Through after", "Steps after", "Through after"), rows)
    yield "</details>"
    yield ""


def _warnings(review: Review) -> Iterator[str]:
    if review.warnings:
        yield "## Warnings"
        yield ""
        for warning in review.warnings[:ROWS]:
            yield f"- {'**new** ' if warning.is_new else ''}{warning.text}"
        yield from _more(review.warnings)
        yield ""


def _by_region(review: Review) -> dict[RegionName, list[HostChange]]:
    regions: dict[RegionName, list[HostChange]] = {}
    for change in review.units:
        if change.host.region is not None:
            regions.setdefault(change.host.region, []).append(change)
    return regions


def _regions(regions: Mapping[RegionName, Sequence[HostChange]]) -> Iterator[str]:
    if regions:
        yield "## Units, by region"
        yield ""
        rows = [
            (
                region,
                *(str(sum(change.change is one for change in changes) or "-") for one in Change),
                str(len({change.host.office for change in changes})),
            )
            for region, changes in list(regions.items())[:ROWS]
        ]
        yield from _table(("Region", *words.TITLES.values(), "Offices"), rows)
        yield from _more(list(regions))


def _region(region: str, changes: Sequence[HostChange], review: Review) -> Iterator[str]:
    yield f"<details><summary>{region}: {counted(len(changes), 'unit')}</summary>"
    yield ""
    yield from _hosts(changes, review)
    yield ""
    yield "</details>"
    yield ""


def _hosts(changes: Sequence[HostChange], review: Review) -> Iterator[str]:
    """Name hosts, those with the same differences together."""
    paths = {difference.key: difference.path for difference in review.differences}
    groups: dict[tuple[str, tuple[str, ...], tuple[Changed, ...]], list[str]] = {}
    for change in changes:
        groups.setdefault((change.change.value, change.differences, change.facts), []).append(change.host.name)
    for (change, differences, facts), names in groups.items():
        files = ", ".join(f"{key} `{paths[key]}`" for key in differences)
        told = "; ".join(f"{fact.what} {_value(fact.before)} → {_value(fact.after)}" for fact in facts)
        what = "; ".join(part for part in (files, told) if part)
        yield f"- {change}{f' ({what})' if what else ''}: {', '.join(names)}"


def _endpoints(review: Review) -> Iterator[Block]:
    if review.endpoints:
        lines = ["## Endpoints", "", *_hosts(review.endpoints, review), ""]
        yield Block(kind="lists of endpoints", text=_lines(lines))


def _diff(difference: Difference, review: Review) -> Iterator[str]:
    hosts = difference.hosts
    regions = {host.region for name in hosts if (host := review.after.units.get(name)) is not None}
    where = ", ".join(hosts) if len(hosts) <= NAMED else f"{len(hosts):,} hosts in {counted(len(regions), 'region')}"
    yield f"**{difference.key}** `{difference.path}`, {difference.change.value}: {where}"
    yield ""
    lines = [_short(line) for line in difference.lines[:DIFF_LINES]]
    fence = "`" * max(3, 1 + max((_run(line) for line in lines), default=0))
    if lines:
        yield f"{fence}diff"
        yield from lines
        yield fence
    if len(difference.lines) > DIFF_LINES:
        yield ""
        yield f"And {len(difference.lines) - DIFF_LINES:,} more lines, left out for length."
    yield ""


def _short(line: str) -> str:
    line = printable(line)
    return line if len(line) <= LINE_CHARACTERS else f"{line[:LINE_CHARACTERS]}…"


def _run(line: str) -> int:
    """Return the length of the longest run of backticks in a line."""
    longest = run = 0
    for character in line:
        run = run + 1 if character == "`" else 0
        longest = max(longest, run)
    return longest


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(heads) + " |"
    yield "|" + " --- |" * len(heads)
    for row in rows:
        yield "| " + " | ".join(row) + " |"
    yield ""


def _more(rows: Sequence[object]) -> Iterator[str]:
    if len(rows) > ROWS:
        yield f"And {len(rows) - ROWS:,} more, left out for length."
        yield ""
