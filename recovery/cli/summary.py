"""How a run ended, in a few lines at the end of a command."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from recovery.cli.output import columns
from recovery.model.outcome import RunResult, State
from recovery.report import failures_by_cause, service_actuals, totals
from recovery.report.advice import ADVICE, exit_meaning
from recovery.report.text import counted, duration, printable

if TYPE_CHECKING:
    from rich.text import Text

    from recovery.cli.afterwards import Told

NAMED = 3
"""Failed units named for each cause; all of them are in the report."""

GOOD, BAD, WARN, QUIET = "bold green", "bold red", "yellow", "dim"

Line = tuple[str, str]
"""A line and its style; the style is empty for ordinary text."""


def lines(result: RunResult) -> Iterator[Line]:
    """Say how a run ended: totals, actual against RTO by service, failures by cause."""
    yield _totals(result)
    yield "", ""
    yield from _services(result)
    yield from _failures(result)
    if result.exit_code:
        yield f"Exit code {result.exit_code}: {exit_meaning(result.exit_code)}", WARN


def _totals(result: RunResult) -> Line:
    total = totals(result.units)
    took = duration((result.finished_at - result.started_at).total_seconds())
    line = f"{total.verified:,} of {counted(total.units, 'unit')} verified"
    if result.to is not None:
        line += f" at {result.to}"
    line += f" in {took}: {total.applied:,} sent, {total.unchanged:,} unchanged"
    for count, word in (
        (total.quarantined, "quarantined"),
        (total.skipped, "skipped"),
        (total.not_started, "not started"),
    ):
        if count:
            line += f", {count:,} {word}"
    if result.endpoints:
        verified = sum(endpoint.is_verified for endpoint in result.endpoints)
        line += f"; {verified} of {counted(len(result.endpoints), 'endpoint')}"
    return printable(line), GOOD if result.exit_code == 0 else BAD


def _services(result: RunResult) -> Iterator[Line]:
    actuals = service_actuals(result)
    if not actuals or result.verb == "verify":  # nothing is brought back, so nothing took its time
        return
    rows = [("Service", "RTO", "Actual", "Met")]
    rows += [
        (actual.name, duration(actual.rto_s), duration(actual.actual_s), "yes" if actual.met else "no")
        for actual in actuals
    ]
    styles = [QUIET, *("" if actual.met else BAD for actual in actuals)]
    yield from zip(columns(rows, right=frozenset({1, 2})), styles, strict=True)
    yield "", ""


def _failures(result: RunResult) -> Iterator[Line]:
    for cause, members in failures_by_cause((*result.endpoints, *result.units)):
        names = ", ".join(member.name for member in members[:NAMED])
        more = f" and {len(members) - NAMED:,} more" if len(members) > NAMED else ""
        yield printable(f"{cause.value} {len(members):,}: {names}{more}"), BAD
        yield printable(f"  {members[0].reason}"), ""
        yield f"  {ADVICE[cause].action}", WARN
    skipped = [outcome for outcome in (*result.endpoints, *result.units) if outcome.state is State.SKIPPED]
    for reason, count in Counter(outcome.reason for outcome in skipped).most_common(NAMED):
        yield printable(f"skipped {count:,}: {reason}"), WARN
    waiting = [outcome for outcome in (*result.endpoints, *result.units) if outcome.state is State.NOT_STARTED]
    for reason, count in Counter(outcome.reason for outcome in waiting if outcome.reason).most_common(NAMED):
        yield printable(f"not started {count:,}: {reason}"), WARN


def told_lines(told: Told | None) -> list[Line]:
    """Say what became of telling citizens' apps; nothing where they are told nothing."""
    if told is None:
        return []
    return [(line, GOOD if told.is_done else WARN) for line in told.lines]


def show_lines(told: Iterable[Line]) -> None:
    """Write lines to stdout, with their styles where it is a terminal."""
    from rich.console import Console

    console = Console(markup=False, highlight=False, emoji=False)
    for line in told:
        console.print(styled(line), soft_wrap=True)


def styled(line: Line) -> Text:
    """Return a line for a rich console; nothing in it is taken for markup."""
    from rich.text import Text

    text, style = line
    return Text(text, style=style)
