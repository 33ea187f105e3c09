"""What a run says of itself in the end, set against its journal, its report and what it has done."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import cast

from recovery.model.outcome import Outcome, RunResult
from recovery.report import to_json
from tests.sim.part import Part

BRINGS = ("verified", "unchanged")

_OVERTAKEN, _HELD, _CANCELLED = 4, 5, 130
_STOPPED = (1, _OVERTAKEN, _HELD, _CANCELLED)
"""Exit codes of runs that ended before everybody's turn; the first because they could not be recorded any more."""


def faults_of(part: Part, result: RunResult, retold: RunResult | None, report: bytes | None) -> Iterator[str]:
    """Yield what is wrong with what a run says, a sentence each; it was not overtaken.

    Args:
        part: The process that has conducted it to its end.
        result: What it returned.
        retold: What its journal tells.
        report: What it has left on the disk; None when there is no report.
    """
    if retold is None or _gist(retold) != _gist(result):
        yield f"the journal of {part.who} tells another story than its report"
    said = to_json(result)
    if report is None:
        yield f"{part.who} has left no report"
    elif json.loads(report) != json.loads(json.dumps(said)):
        yield f"the report on {part.who}'s disk is not that of its run"
    yield from _counts(part, result, cast(dict[str, int], said["totals"]))
    yield from _exit_code(part, result)
    yield from _times(part, result, cast(list[dict[str, object]], said["services"]))


def _counts(part: Part, result: RunResult, totals: dict[str, int]) -> Iterator[str]:
    states = ("quarantined", "skipped", "not_started")
    counted = {state: sum(unit.state == state for unit in result.units) for state in states}
    brought = sum(unit.state in BRINGS for unit in result.units)
    if totals["verified"] != brought or any(totals[state] != count for state, count in counted.items()):
        yield f"the totals of {part.who} are {totals}, counted are {brought} verified and {counted}"
    if totals["units"] != len(result.units):
        yield f"{part.who} reports {totals['units']} units of {len(result.units)}"
    named = sorted(str(outcome.name) for outcome in (*result.units, *result.endpoints))
    if named != sorted(part.steps):
        yield f"{part.who} reports others than it was to bring: {named}"


def _exit_code(part: Part, result: RunResult) -> Iterator[str]:
    outcomes = (*result.units, *result.endpoints)
    left = [outcome for outcome in outcomes if outcome.state == "not_started"]
    failed = [outcome for outcome in outcomes if outcome.state not in BRINGS and outcome not in left]
    code = result.exit_code
    if code == _OVERTAKEN:
        yield f"{part.who} ended as overtaken, and nobody had overtaken it"
    if code == 0 and (left or failed):
        yield f"{part.who} ended with 0 although not everybody is verified"
    if code == 3 and not failed:
        yield f"{part.who} ended with 3 although nobody has failed"
    if left and code not in _STOPPED:
        yield f"{part.who} ended with {code} although {left[0].name} has not had its turn"
    for outcome in left:
        if not outcome.cause or not outcome.reason:
            yield f"{outcome.name} has not had its turn for {part.who}, without a cause"
    if code == _CANCELLED and part.stops_from is None:
        yield f"{part.who} ended as cancelled, and nobody had cancelled it"
    if code == _CANCELLED and left and not any(outcome.cause == "cancelled" for outcome in left):
        yield f"{part.who} was cancelled and does not say so of {left[0].name}"


def _times(part: Part, result: RunResult, services: list[dict[str, object]]) -> Iterator[str]:
    outcomes = (*result.units, *result.endpoints)
    for service in services:
        mine = [outcome for outcome in outcomes if outcome.service == service["name"]]
        moments = [outcome.finished_at for outcome in mine if outcome.state in BRINGS]
        last = max(filter(None, moments), default=None) if len(moments) == len(mine) else None
        wanted = None if last is None else _seconds(result.lost_at, last)
        if service["actual_s"] != wanted:
            yield f"{service['name']} was back after {wanted} s, {part.who} says {service['actual_s']}"
        if service["met"] != (wanted is not None and wanted <= cast(int, service["rto_s"])):
            yield f"{part.who} says of {service['name']} that its objective was met: {service['met']}, after {wanted} s"


def _seconds(begin: datetime, end: datetime) -> float:
    return round((end - begin).total_seconds(), 3)


def _gist(result: RunResult) -> list[tuple[str, str, str | None, str]]:
    outcomes: tuple[Outcome, ...] = (*result.units, *result.endpoints)
    return [(outcome.name, outcome.state, outcome.digest, outcome.reason) for outcome in outcomes]
