"""The page of a run, part by part: what each template is given, and what comes out as a tree of nodes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import cast

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from recovery.model.estate import OfficeName
from recovery.model.forecast import Forecast
from recovery.model.outcome import Cause, Outcome, State
from recovery.model.story import Story
from recovery.report.advice import ADVICE, exit_meaning, what_next
from recovery.report.apps import citizen_totals, citizens_by_kind
from recovery.report.atlas import atlas, land_path
from recovery.report.facts import ServiceActual, by_region, failures_by_cause, service_actuals, slowest, totals
from recovery.report.foresight import back_after, compared, told, warned
from recovery.report.marks import Mark, counted_marks, mark
from recovery.report.text import counted, duration, printable
from recovery.report.timeline import Axis, wave_rows
from recovery.report.tree import Node, parse

FOLDER = Path(__file__).parent / "page"

PARTS = ("head", "next", "services", "citizens", "map", "timeline", "more", "foot")
"""The templates of the page, in the order in which they are read."""

LISTED = 20
"""Units named for one cause, retried or slow; all of them stand in the timeline and in report.json."""

SLOWEST = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRow:
    """A service's line: how far it is, and its time to recover against the objective.

    Attributes:
        verdict: What people read.
        share: How much of the objective was used, 0 to 100.
        forecast_s: Seconds that were forecast; None without a forecast.
        expected_s: Seconds after which it is now expected back; None when it is, or will not be.
        compared: How what it took compares with the forecast.
    """

    actual: ServiceActual
    done: int
    total: int
    mark: Mark
    verdict: str
    share: float
    forecast_s: float | None
    expected_s: float | None
    compared: str


def page_parts(story: Story, *, at: datetime, is_live: bool = False, outlook: Forecast | None = None) -> dict[str, str]:
    """Render the parts of a run's page as HTML, by name, in their order.

    Args:
        story: The run.
        at: The moment that a run without an end has come to.
        is_live: Whether the page goes on changing.
        outlook: How the rest of it is expected to go; None when nobody can tell.
    """
    result, axis = story.result, Axis.of(story, at, outlook)
    took_s = ((result.finished_at if story.finished else at) - result.started_at).total_seconds()
    is_whole = story.finished and story.resumed_at is None
    everything = (*result.endpoints, *result.units)
    skipped = [outcome for outcome in everything if outcome.state is State.SKIPPED]
    drawn = atlas(story)
    context: dict[str, object] = {
        "story": story,
        "result": result,
        "title": story.scene.title or result.estate_name,
        "is_live": is_live,
        "totals": totals(result.units),
        "marks": [(each, sum(m is each for m in _marks(story))) for each in reversed(Mark)],
        "endpoints": (sum(one.is_verified for one in result.endpoints), len(result.endpoints)),
        "verdict": _verdict(story, is_live=is_live),
        "took": duration(took_s),
        "left": None if outlook is None else duration(outlook.seconds - took_s),
        "forecast": result.forecast,
        "forecast_told": "" if result.forecast is None else told(result.forecast, took_s if is_whole else None),
        "exit_meaning": exit_meaning(result.exit_code),
        "steps": [*what_next(story, is_live=is_live), *([] if outlook is None else warned(outlook, result.run))],
        "groups": [(cause, ADVICE[cause], members) for cause, members in failures_by_cause(everything)],
        "skipped": skipped,
        "not_started": [outcome for outcome in everything if outcome.state is State.NOT_STARTED],
        "offices": {place.name: place for place in story.scene.offices},
        "services": list(_services(story, outlook)),
        "citizens": None if result.citizens is None else citizen_totals(result.citizens),
        "citizen_kinds": () if result.citizens is None else citizens_by_kind(result.citizens),
        "atlas": drawn,
        "office_counts": counted_marks(drawn.offices.values()),
        "land": land_path,
        "axis": axis,
        "waves": wave_rows(story, axis, at, outlook),
        "outlook": outlook,
        "slowest": slowest(result.units, SLOWEST),
        "regions": by_region(result.units),
        "retried": _retried(story),
    }
    return {name: _environment().get_template(f"{name}.html.j2").render(context) for name in PARTS}


def nodes(parts: dict[str, str]) -> list[Node]:
    """Return the parts of a page as the children of its `main`."""
    return [node for part in parts.values() for node in parse(part)]


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    cast(dict[str, object], made.globals).update(Mark=Mark, LISTED=LISTED, mark=mark, title_of=_title_of)
    cast(dict[str, object], made.filters).update(
        compared=compared, duration=duration, moment=_moment, counted=counted, number="{:,}".format
    )
    return made


def _shown(value: object) -> object:
    """Return what a template puts out: nothing in a text from outside acts, not even on the direction of reading."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _marks(story: Story) -> list[Mark]:
    return [mark(unit, story) for unit in story.result.units]


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _title_of(office: OfficeName | None, offices: dict[OfficeName, object]) -> str:
    place = offices.get(office) if office is not None else None
    return str(getattr(place, "title", office or "-"))


def _verdict(story: Story, *, is_live: bool) -> tuple[Mark, str]:
    """How the run stands, in a sentence for somebody who has five seconds."""
    result = story.result
    failed = sum(not outcome.is_verified for outcome in (*result.units, *result.endpoints))
    if not story.finished:
        return (Mark.UNDER_WAY, "Under way") if is_live else (Mark.FAILED, "Broken off before its end")
    if result.exit_code == 0:
        return Mark.DONE, "Done, everything as declared"
    if story.held is not None:
        return Mark.FAILED, f"Held at the wave {story.held}"
    if result.exit_code == 3:
        return Mark.FAILED, f"Partial: {counted(failed, 'unit')} need{'s' if failed == 1 else ''} you"
    meaning = exit_meaning(result.exit_code)
    return Mark.FAILED, meaning[0].upper() + meaning[1:]


def _services(story: Story, outlook: Forecast | None) -> Iterator[ServiceRow]:
    result = story.result
    forecast_s, expected_s = back_after(result.forecast), back_after(outlook)
    for actual in service_actuals(result):
        members = [one for one in (*result.endpoints, *result.units) if one.service == actual.name]
        done = sum(one.is_verified for one in members)
        if actual.actual_s is not None:
            verdict = (Mark.DONE, "met") if actual.met else (Mark.FAILED, "missed")
        elif any(one.state in (State.QUARANTINED, State.SKIPPED) for one in members):
            verdict = Mark.FAILED, "not met"
        else:
            verdict = Mark.WAITING if done == 0 else Mark.UNDER_WAY, "not yet"
        share = 0.0 if actual.actual_s is None else min(100.0, 100 * actual.actual_s / max(actual.rto_s, 1))
        yield ServiceRow(
            actual=actual,
            done=done,
            total=len(members),
            mark=verdict[0],
            verdict=verdict[1],
            share=round(max(share, 0.5) if actual.actual_s is not None else 0.0, 1),
            forecast_s=forecast_s.get(actual.name),
            expected_s=expected_s.get(actual.name) if actual.actual_s is None else None,
            compared=compared(actual.actual_s, forecast_s.get(actual.name)),
        )


def _retried(story: Story) -> list[tuple[Outcome, int, str, Cause | None]]:
    """Units that needed more than one try, those with most first, with the reason of the last try before the end."""
    found = [
        (outcome, len(tries), tries[-1].reason, outcome.cause)
        for outcome in (*story.result.endpoints, *story.result.units)
        if (tries := story.retries.get(outcome.name))
    ]
    return sorted(found, key=lambda row: (-row[1], row[0].name))
