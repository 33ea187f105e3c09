"""The report: its figures add up whatever happened, and it reads back as it was written."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recovery.errors import StoredReportError
from recovery.model.estate import DataCentreName, OfficeName, RegionName, ServiceName, UnitName
from recovery.model.forecast import Forecast, ServiceForecast, WaveForecast
from recovery.model.outcome import Cause, Outcome, RunResult, ServiceTarget, State
from recovery.model.story import Story
from recovery.report import from_json, service_actuals, to_json, to_markdown, totals

START = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
PASSPORT, BORDER = ServiceName("passport"), ServiceName("border-crossing")


def outcome(
    name: str,
    state: State = State.VERIFIED,
    *,
    service: ServiceName = PASSPORT,
    region: str | None = "aceh",
    seconds: float = 1.5,
    cause: Cause | None = None,
    reason: str = "",
) -> Outcome:
    failed = state in (State.QUARANTINED, State.SKIPPED)
    return Outcome(
        name=UnitName(name),
        office=None if region is None else OfficeName(f"office-of-{name}"),
        region=None if region is None else RegionName(region),
        service=service,
        data_centre=DataCentreName("cloud-1"),
        state=state,
        digest=None if failed else "sha256:" + "0" * 64,
        seconds=seconds,
        finished_at=None if state is State.NOT_STARTED else START + timedelta(seconds=seconds),
        cause=cause or (Cause.TIMEOUT if failed else None),
        reason=reason,
    )


def result(*units: Outcome, endpoints: tuple[Outcome, ...] = (), exit_code: int = 0) -> RunResult:
    return RunResult(
        run="20261123-170000",
        verb="recover",
        estate_name="nusantara",
        estate_digest="sha256:" + "1" * 64,
        plan_hash="sha256:" + "2" * 64,
        lost=DataCentreName("pdns-2"),
        to=DataCentreName("cloud-1"),
        started_at=START,
        finished_at=START + timedelta(seconds=41.2),
        lost_at=START,
        exit_code=exit_code,
        units=units,
        endpoints=endpoints,
        services=(
            ServiceTarget(name=BORDER, title="Border crossing", rto_s=1800),
            ServiceTarget(name=PASSPORT, title="Passport", rto_s=3600),
        ),
    )


def page_of(run: RunResult) -> str:
    return to_markdown(Story(result=run, finished=True))


text = st.text(max_size=20)
moments = st.datetimes(datetime(2024, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 aware by timezones
outcomes = st.builds(
    Outcome,
    name=text.map(UnitName),
    office=st.none() | text.map(OfficeName),
    region=st.none() | text.map(RegionName),
    service=st.sampled_from([PASSPORT, BORDER]),
    data_centre=text.map(DataCentreName),
    state=st.sampled_from(State),
    digest=st.none() | text,
    seconds=st.floats(0, 1e6),
    finished_at=st.none() | moments,
    cause=st.none() | st.sampled_from(Cause),
    reason=text,
)
seconds = st.floats(0, 1e6).map(lambda number: round(number, 3))
forecasts = st.builds(
    Forecast,
    waves=st.lists(st.builds(WaveForecast, name=text, steps=st.integers(0, 9), starts_s=seconds, ends_s=seconds)).map(
        tuple
    ),
    services=st.lists(
        st.builds(
            ServiceForecast,
            name=st.sampled_from([PASSPORT, BORDER]),
            ends_s=seconds,
            rto_s=st.integers(1, 10_000),
            lost_s=seconds,
            holds_with=st.none() | st.integers(1, 200),
        )
    ).map(tuple),
    parallel=st.integers(1, 200),
    known=st.integers(0, 9),
    steps=st.integers(0, 9),
)
results = st.builds(
    replace,
    st.just(result()),
    units=st.lists(outcomes, max_size=12).map(tuple),
    endpoints=st.lists(outcomes, max_size=4).map(tuple),
    started_at=moments,
    finished_at=moments,
    lost_at=moments,
    exit_code=st.sampled_from([0, 3, 130]),
    forecast=st.none() | forecasts,
)


@settings(max_examples=60, deadline=None)
@given(results)
def test_whatever_happened_the_totals_add_up(run: RunResult) -> None:
    total = totals(run.units)
    assert total.units == len(run.units)
    assert total.units == total.verified + total.quarantined + total.skipped + total.not_started
    assert total.verified == total.applied + total.unchanged


@settings(max_examples=60, deadline=None)
@given(results)
def test_whatever_happened_a_service_is_met_only_when_all_of_it_is_verified_in_time(run: RunResult) -> None:
    everything = run.units + run.endpoints
    for actual in service_actuals(run):
        mine = [member for member in everything if member.service == actual.name]
        if actual.met:
            assert mine
            assert all(member.is_verified for member in mine)
            assert actual.actual_s is not None
            assert actual.actual_s <= actual.rto_s
        if any(not member.is_verified for member in mine):
            assert actual.actual_s is None


@settings(max_examples=60, deadline=None)
@given(results)
def test_whatever_happened_the_json_reads_back_as_it_was_written(run: RunResult) -> None:
    written = json.dumps(to_json(run))
    assert to_json(from_json(json.loads(written))) == json.loads(written)
    assert from_json(json.loads(written)).forecast == run.forecast


@settings(max_examples=60, deadline=None)
@given(results)
def test_whatever_happened_a_stored_run_is_rendered_as_it_was(run: RunResult) -> None:
    assert page_of(from_json(to_json(run))) == page_of(run)


@settings(max_examples=60, deadline=None)
@given(results)
def test_whatever_happened_every_row_of_the_markdown_has_as_many_cells_as_its_heads(run: RunResult) -> None:
    lines = page_of(run).split("\n")
    cells = 0
    for before, line in pairwise(lines):
        if line.startswith("| --- |") or not line.startswith("|"):
            continue
        bars = line.replace("\\\\", "").replace("\\|", "").count("|")
        cells = bars if not before.startswith("|") else cells
        assert bars == cells, line


def test_the_json_has_the_agreed_fields() -> None:
    endpoint = outcome("passport-cloud-1", region=None, seconds=0.4)
    sick = outcome("sick", State.QUARANTINED, cause=Cause.DISK_FULL, reason="12 KiB free, 40 needed")
    report = to_json(result(outcome("well"), sick, endpoints=(endpoint,), exit_code=3))
    assert report["schema"] == "pulih/report/v1"
    assert (report["run"], report["exit_code"], report["seconds"]) == ("20261123-170000", 3, 41.2)
    assert report["totals"] == {
        "units": 2,
        "verified": 1,
        "applied": 1,
        "unchanged": 0,
        "quarantined": 1,
        "skipped": 0,
        "not_started": 0,
    }
    assert report["units"] == [
        {
            "name": "well",
            "office": "office-of-well",
            "service": "passport",
            "region": "aceh",
            "data_centre": "cloud-1",
            "state": "verified",
            "digest": "sha256:" + "0" * 64,
            "seconds": 1.5,
            "finished_at": "2026-11-23T17:00:01.500000Z",
            "cause": None,
            "reason": "",
        },
        {
            "name": "sick",
            "office": "office-of-sick",
            "service": "passport",
            "region": "aceh",
            "data_centre": "cloud-1",
            "state": "quarantined",
            "digest": None,
            "seconds": 1.5,
            "finished_at": "2026-11-23T17:00:01.500000Z",
            "cause": "disk-full",
            "reason": "12 KiB free, 40 needed",
        },
    ]


def test_a_service_took_until_its_last_unit_or_endpoint_was_verified() -> None:
    run = result(
        outcome("a", seconds=20),
        outcome("b", State.UNCHANGED, seconds=30.25),
        outcome("c", service=BORDER, seconds=10),
        endpoints=(outcome("border-crossing-cloud-1", service=BORDER, region=None, seconds=12),),
    )
    assert [(actual.name, actual.actual_s, actual.met) for actual in service_actuals(run)] == [
        (BORDER, 12.0, True),
        (PASSPORT, 30.25, True),
    ]


def test_time_counts_from_the_loss_not_from_the_start_of_the_run() -> None:
    run = replace(result(outcome("a", seconds=20), outcome("b", service=BORDER)), lost_at=START - timedelta(hours=1))
    border, passport = service_actuals(run)
    assert (border.met, passport.actual_s, passport.met) == (False, 3620.0, False)


@pytest.mark.parametrize("state", [State.QUARANTINED, State.SKIPPED, State.NOT_STARTED])
def test_a_service_with_one_unit_missing_has_no_actual_time(state: State) -> None:
    _, passport = service_actuals(result(outcome("a"), outcome("b", state)))
    assert (passport.actual_s, passport.met) == (None, False)


def test_a_service_that_nothing_was_measured_for_is_not_met() -> None:
    border, _ = service_actuals(result(outcome("a")))
    assert (border.actual_s, border.met) == (None, False)


def test_figures_of_a_stored_report_are_counted_again_not_believed() -> None:
    stored = to_json(result(outcome("sick", State.QUARANTINED)))
    stored["totals"] = {"units": 1, "verified": 1}
    assert totals(from_json(stored).units).verified == 0


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"schema": "pulih/report/v9"}, r"report\.schema: found 'pulih/report/v9'"),
        ({"units": None}, r"report\.units: expected a list"),
        ({"units": [3]}, r"report\.units\[0\]: expected an object"),
        ({"units": [dict[str, object]()]}, r"report\.units\[0\]\.office: missing"),
        ({"started_at": "yesterday"}, r"report\.started_at: expected a moment"),
        ({"started_at": "2026-11-23T17:00:00"}, r"report\.started_at: .* offset from UTC"),
        ({"exit_code": True}, r"report\.exit_code: expected a number"),
        ({"exit_code": float("nan")}, r"report\.exit_code: expected a number"),
    ],
)
def test_a_damaged_report_says_where(change: dict[str, object], complaint: str) -> None:
    with pytest.raises(StoredReportError, match=complaint):
        from_json(to_json(result()) | change)


@pytest.mark.parametrize("document", [None, [], "report", 7])
def test_what_is_no_object_is_no_report(document: object) -> None:
    with pytest.raises(StoredReportError, match="expected an object"):
        from_json(document)
