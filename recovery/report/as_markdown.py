"""A run's result on a page that a director can read: totals first, then what failed and what to do next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from recovery.model.citizens import Citizens
from recovery.model.outcome import Outcome, RunResult, State
from recovery.model.story import Story
from recovery.report.advice import ADVICE, AGAIN, VERIFY_AGAIN, exit_meaning
from recovery.report.apps import citizen_totals, citizens_by_kind
from recovery.report.facts import by_region, failures_by_cause, service_actuals, slowest, totals
from recovery.report.foresight import back_after, compared, told
from recovery.report.text import counted, duration, markdown, printable

LISTED = 20
"""Failed units named for one cause; all of them are in report.json."""

SLOWEST = 5


def to_markdown(story: Story) -> str:
    """Return the report of a run as Markdown; the same story gives the same bytes."""
    result = story.result
    sections = (
        _head(story),
        _totals(result),
        _services(result),
        _citizens(result.citizens),
        _failures(result),
        _waves(story),
        _regions(result),
        _slowest(result),
    )
    return "\n".join(line for section in sections for line in section)


def _head(story: Story) -> Iterator[str]:
    result = story.result
    total = totals(result.units)
    yield f"# {markdown(result.estate_name)}: {total.verified:,} of {counted(total.units, 'unit')} verified"
    yield ""
    if result.lost is not None and result.to is not None:
        yield (
            f"Data centre **{markdown(result.lost)}** was given up; **{markdown(result.to)}** takes over. "
            f"Time to recover counts from {_moment(result.lost_at)}."
        )
        yield ""
    took_s = (result.finished_at - result.started_at).total_seconds()
    yield (
        f"Run {markdown(result.run)} (pulih {markdown(result.verb)}) began {_moment(result.started_at)} "
        f"and took {duration(took_s)}. "
        f"Exit code {result.exit_code}: {exit_meaning(result.exit_code)}."
    )
    yield ""
    if result.forecast is not None:
        yield told(result.forecast, took_s if story.finished and story.resumed_at is None else None)
        yield ""


def _totals(result: RunResult) -> Iterator[str]:
    total = totals(result.units)
    yield from _table(
        ("Units", "Verified", "of them sent", "unchanged", "Quarantined", "Skipped", "Not started"),
        [
            (
                f"{total.units:,}",
                f"**{total.verified:,}**",
                f"{total.applied:,}",
                f"{total.unchanged:,}",
                f"{total.quarantined:,}",
                f"{total.skipped:,}",
                f"{total.not_started:,}",
            )
        ],
    )
    if result.endpoints:
        verified = sum(endpoint.is_verified for endpoint in result.endpoints)
        yield f"Endpoints at the data centres: {verified} of {len(result.endpoints)} verified."
        yield ""


def _services(result: RunResult) -> Iterator[str]:
    actuals = service_actuals(result)
    if not actuals:
        return
    forecast_s = back_after(result.forecast)
    yield "## Time to recover, by service"
    yield ""
    yield from _table(
        ("Service", "Objective", "Actual", "Met", *(["Forecast"] if forecast_s else [])),
        [
            (
                markdown(actual.title or actual.name),
                duration(actual.rto_s),
                duration(actual.actual_s),
                "yes" if actual.met else "**no**",
                *([_forecast(forecast_s.get(actual.name), actual.actual_s)] if forecast_s else []),
            )
            for actual in actuals
        ],
    )


def _waves(story: Story) -> Iterator[str]:
    """Set each wave's end beside its forecast."""
    made = story.result.forecast
    if made is None:
        return
    ended = {span.name: span.finished_at for span in story.waves}
    yield "## Forecast and actual, by wave"
    yield ""
    rows: list[tuple[str, ...]] = []
    for wave in made.waves:
        at = ended.get(wave.name)
        ended_s = None if at is None else (at - story.result.started_at).total_seconds()
        rows.append((markdown(wave.name), f"{wave.steps:,}", duration(ended_s), _forecast(wave.ends_s, ended_s)))
    yield from _table(("Wave", "Steps", "Ended after", "Forecast"), rows)


def _forecast(expected_s: float | None, actual_s: float | None) -> str:
    comparison = compared(actual_s, expected_s)
    return f"{duration(expected_s)} ({comparison})" if comparison else duration(expected_s)


def _citizens(citizens: Citizens | None) -> Iterator[str]:
    if citizens is None:
        return
    total = citizen_totals(citizens)
    yield "## Citizens' apps"
    yield ""
    yield (
        f"**{total.reconnected:,} of {counted(total.clients, 'app')}** found the services again without a reinstall, "
        f"half of them within {duration(total.median_s)} of being told, the last after {duration(total.last_s)}. "
        f"Drafts lost: {total.drafts_lost:,}. Reconnected before their wave ({markdown(citizens.wave or '-')}) had "
        f"passed: {total.before_the_wave:,}."
    )
    yield ""
    yield from _table(
        ("Apps", "In all", "Reconnected", "Half of them after", "Last after", "Drafts lost"),
        [
            (
                markdown(kind),
                f"{of_kind.clients:,}",
                f"{of_kind.reconnected:,}",
                duration(of_kind.median_s),
                duration(of_kind.last_s),
                f"{of_kind.drafts_lost:,}",
            )
            for kind, of_kind in citizens_by_kind(citizens)
        ],
    )
    missing = [citizen for citizen in citizens.each if citizen.reconnected_at is None]
    if missing:
        yield from _table(
            ("Not reconnected", "Kind", "Reason"),
            [(markdown(one.name), markdown(one.kind), markdown(one.reason or "-")) for one in missing[:LISTED]],
        )


def _failures(result: RunResult) -> Iterator[str]:
    everything = (*result.endpoints, *result.units)
    groups = failures_by_cause(everything)
    skipped = [outcome for outcome in everything if outcome.state is State.SKIPPED]
    not_started = [outcome for outcome in everything if outcome.state is State.NOT_STARTED]
    if not (groups or skipped or not_started):
        return
    yield "## Not verified, and what to do next"
    yield ""
    run = printable(result.run).replace("`", "'")  # it stands in code, where nothing else needs escaping
    yield VERIFY_AGAIN if result.verb == "verify" else AGAIN.format(run=run)
    yield ""
    for cause, members in groups:
        yield f"### {cause.value} ({len(members):,})"
        yield ""
        yield f"{ADVICE[cause].meaning} {ADVICE[cause].action}"
        yield ""
        yield from _named(members)
    if skipped:
        yield f"### Skipped ({len(skipped):,})"
        yield ""
        yield "What they depend on failed, so they were left as they were. Mend that first."
        yield ""
        yield from _named(skipped)
    if not_started:
        yield f"### Not started ({len(not_started):,})"
        yield ""
        reasons = sorted({outcome.reason for outcome in not_started if outcome.reason})[:3]
        yield f"The run ended before their turn{': ' if reasons else ''}{markdown('; '.join(reasons))}."
        yield ""


def _named(members: Sequence[Outcome]) -> Iterator[str]:
    yield from _table(
        ("Unit", "Office", "Region", "Service", "Reason"),
        [
            (
                markdown(member.name),
                markdown(member.office or "-"),
                markdown(member.region or member.data_centre),
                markdown(member.service),
                markdown(member.reason or "-"),
            )
            for member in members[:LISTED]
        ],
    )
    if len(members) > LISTED:
        yield f"And {len(members) - LISTED:,} more, all in report.json."
        yield ""


def _regions(result: RunResult) -> Iterator[str]:
    regions = by_region(result.units)
    if not regions:
        return
    yield "## By region"
    yield ""
    yield from _table(
        ("Region", "Units", "Verified", "Quarantined", "Skipped", "Not started"),
        [
            (
                markdown(region),
                f"{total.units:,}",
                f"{total.verified:,}",
                f"{total.quarantined:,}",
                f"{total.skipped:,}",
                f"{total.not_started:,}",
            )
            for region, total in regions
        ],
    )


def _slowest(result: RunResult) -> Iterator[str]:
    units = slowest(result.units, SLOWEST)
    if not units:
        return
    yield "## Slowest units"
    yield ""
    yield from _table(
        ("Unit", "Region", "Service", "Took", "State"),
        [
            (
                markdown(unit.name),
                markdown(unit.region or "-"),
                markdown(unit.service),
                duration(unit.seconds),
                unit.state.value.replace("_", " "),
            )
            for unit in units
        ],
    )


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(heads) + " |"
    yield "|" + " --- |" * len(heads)
    for row in rows:
        yield "| " + " | ".join(row) + " |"
    yield ""


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
