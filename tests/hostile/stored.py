"""Readers of what runs leave behind: plans, journals, reports, leases, receipts, lab cards; and commands over them."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime, timedelta
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from recovery.cli import planned
from recovery.cli.main import main
from recovery.cli.summary import lines as summary_lines
from recovery.errors import BrokenRecordError, LabError, PlanError, PulihError, RefusedError
from recovery.journal import FIRST, Journal, read
from recovery.lab import manage
from recovery.lease import Holder
from recovery.model.citizens import Citizen, Citizens
from recovery.model.estate import DataCentreName, OfficeName, RegionName, ServiceName, UnitName
from recovery.model.forecast import Forecast, ServiceForecast, WaveForecast
from recovery.model.outcome import Cause, Outcome, RunResult, ServiceTarget, State
from recovery.model.story import OfficePlace, Scene, Story, WaveSteps
from recovery.plan import recovery
from recovery.plan import to_json as plan_to_json
from recovery.protocol import parse_receipt
from recovery.report import citizens_to_json, forecast_to_json, from_json, to_json, to_markdown
from recovery.report.as_html import to_html
from recovery.report.as_junit import to_junit
from recovery.report.text import json_text, printable
from recovery.retold import scene_to_json, story
from tests.estates import write_files
from tests.hostile.property import Property, shown
from tests.hostile.readers import a_folder, sound
from tests.hostile.strategies import (
    any_json,
    damaged,
    damaged_bytes,
    hostile_text,
    junk,
)

AT = datetime(2024, 6, 20, 0, 54, tzinfo=UTC)


@cache
def _plan() -> dict[str, Any]:
    declared = sound()
    prints = planned.fingerprint(declared.templates.digest)
    lost, to = DataCentreName("pdns-2"), DataCentreName("cloud-1")
    none = planned.Request.of(declared.estate, lost=None, to=None, regions=None, services=None, units=None).selection
    return plan_to_json(recovery(declared.estate, prints, none, lost=lost, to=to, commit=None)[0])


def _one_line(text: str) -> None:
    shown(printable(text), at_most=2000)
    assert "\n" not in text


def _stored_plan(content: bytes) -> None:
    with a_folder() as name:
        path = Path(name) / "plan.json"
        path.write_bytes(content)
        try:
            plan, _ = planned.from_file(sound(), path)
        except (PlanError, RefusedError) as error:
            _one_line(str(error))
        else:
            assert plan.hash == _plan()["hash"]


selections = st.tuples(
    st.sampled_from(["regions", "services", "units"]), st.lists(hostile_text | any_json, min_size=1, max_size=3)
).map(lambda drawn: as_bytes({**_plan(), "selection": {**_plan()["selection"], drawn[0]: drawn[1]}}))
hostile_plans = st.deferred(lambda: damaged(_plan()).map(as_bytes) | damaged_bytes(as_bytes(_plan())))

RESULT = RunResult(
    run="20240620T005400Z-recover-3f9a1c",
    verb="recover",
    estate_name="small",
    estate_digest="sha256:0",
    plan_hash="sha256:0",
    lost=DataCentreName("pdns-2"),
    to=DataCentreName("cloud-1"),
    started_at=AT,
    finished_at=AT + timedelta(seconds=5),
    lost_at=AT,
    exit_code=3,
    units=(
        Outcome(
            name=UnitName("airport-passport"),
            office=OfficeName("airport"),
            region=RegionName("west"),
            service=ServiceName("passport"),
            data_centre=DataCentreName("cloud-1"),
            state=State.QUARANTINED,
            digest=None,
            seconds=1.5,
            finished_at=AT,
            cause=Cause.TIMEOUT,
            reason="nothing happened",
        ),
    ),
    endpoints=(),
    services=(ServiceTarget(name=ServiceName("passport"), title="Passports", rto_s=60),),
)


SCENE = scene_to_json(
    Scene(
        title="Small estate",
        offices=(
            OfficePlace(
                name=OfficeName("airport"),
                title="Airport",
                city="Jakarta",
                time_zone="Asia/Jakarta",
                region=RegionName("west"),
                is_abroad=False,
            ),
        ),
        waves=(WaveSteps(name="passport", steps=(UnitName("airport-passport"),)),),
    )
)
FORECAST = forecast_to_json(
    Forecast(
        waves=(WaveForecast(name="passport", steps=1, starts_s=0.0, ends_s=70.0),),
        services=(ServiceForecast(name=ServiceName("passport"), ends_s=70.0, rto_s=60, holds_with=8),),
        parallel=4,
        known=1,
        steps=1,
    )
)
CITIZENS = citizens_to_json(
    Citizens(
        told_at=AT,
        wave="passport",
        passed_at=None,
        each=(Citizen(name="app-1", kind="offline", reconnected_at=None, drafts_lost=1, reason="no answer"),),
    )
)


def _told(whole: Story) -> None:
    result = whole.result
    shown(json_text(to_json(result)))
    shown(to_junit(result))
    for text in (to_markdown(whole), to_html(whole)):
        shown(text)
    for line, _ in summary_lines(result):
        shown(line)
        assert "\n" not in line


def _report(document: Any) -> None:
    try:
        result = from_json(document)
    except PulihError as error:
        shown(printable(str(error)))
    else:
        _told(Story(result=result, finished=True))


def _journal(content: bytes) -> None:
    with a_folder() as name:
        path = Path(name) / "journal.jsonl"
        path.write_bytes(content)
        try:
            told = story(read(path))
        except BrokenRecordError:
            return
        if told is not None:
            _told(told)


def chained(records: list[tuple[str, str, Any]]) -> bytes:
    """Return a journal whose chain is right, whatever it says: the hash is no secret."""
    import hashlib

    before, lines = FIRST, list[str]()
    for number, (at, kind, data) in enumerate(records, start=1):
        body = {"number": number, "at": at, "kind": kind, "data": data}
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        before = hashlib.sha256(f"{before}\n{text}".encode("utf-8", "surrogatepass")).hexdigest()
        lines.append(json.dumps({**body, "hash": before}, ensure_ascii=False, separators=(",", ":")) + "\n")
    return "".join(lines).encode("utf-8", "surrogatepass")


UNDER_WAY: tuple[tuple[str, dict[str, Any]], ...] = (
    ("wave-started", {"wave": "passport"}),
    ("unit-started", {"name": "airport-passport"}),
    ("unit-retried", {"name": "airport-passport", "attempt": 1, "reason": "nobody listens"}),
    ("wave-held", {"wave": "passport", "reason": "1 of 1 failed", "went_on": True}),
    ("wave-finished", {"wave": "passport", "passed": False}),
)
"""What happens between a run's beginning and its end."""


@cache
def honest_journal() -> bytes:
    """Return a journal as pulih writes it."""
    with a_folder() as name:
        journal = Journal(Path(name) / "journal.jsonl")
        journal.append("forecast", AT, FORECAST)
        journal.append("run-started", AT, {"epoch": 1, "holder": "h", "report": to_json(RESULT), "scene": SCENE})
        for kind, data in UNDER_WAY:
            journal.append(kind, AT, data)
        journal.append("unit-finished", AT, to_json(RESULT)["units"][0])  # type: ignore[index]
        journal.append("run-finished", AT, {"exit_code": 3, "seconds": 5.0, "not_started": None})
        journal.append("clients-reconnected", AT, CITIZENS)
        journal.close()
        return (Path(name) / "journal.jsonl").read_bytes()


moments = st.one_of(st.sampled_from([AT.isoformat(), "0001-01-01T00:00:00+23:59", "2024-06-20T00:54:00"]), hostile_text)
records = st.tuples(
    moments,
    st.sampled_from(["run-started", "unit-finished", "run-finished", "other"]),
    st.one_of(
        damaged({"epoch": 1, "holder": "h", "report": to_json(RESULT), "scene": SCENE}),
        damaged(to_json(RESULT)["units"][0]),  # type: ignore[index]
        damaged({"exit_code": 3, "seconds": 5.0, "not_started": {"cause": "timeout", "reason": "r"}}),
    ),
)
said_of_it = st.sampled_from([("forecast", FORECAST), ("clients-reconnected", CITIZENS), *UNDER_WAY]).flatmap(
    lambda drawn: st.tuples(st.just(AT.isoformat()), st.just(drawn[0]), damaged(drawn[1]))
)
first_record = st.tuples(
    st.just(AT.isoformat()), st.just("run-started"), st.just({"epoch": 1, "report": to_json(RESULT), "scene": SCENE})
)
hostile_journals = st.one_of(
    damaged_bytes(honest_journal()),
    st.lists(records, max_size=3).map(chained),
    st.tuples(first_record, st.lists(records | said_of_it, max_size=4)).map(
        lambda drawn: chained([drawn[0], *drawn[1]])
    ),
)


def _lease(content: bytes) -> None:
    try:
        holder = Holder.from_json("leases/west.json", content)
    except PulihError as error:
        shown(printable(str(error)))
        return
    shown(holder.run + holder.scope + holder.epoch.holder)
    assert len(str(holder.epoch.number + 1)) <= 18  # the most digits that an applier takes
    _ = AT - holder.heartbeat


LEASE = {
    "schema": "pulih/lease/v1",
    "scope": "west",
    "epoch": 7,
    "holder": "0123456789abcdef",
    "run": "20240620T005400Z-recover-3f9a1c",
    "process": {"machine": "m", "boot": "b", "namespace": "n", "pid": 1, "started": "1", "where": "a@b"},
    "since": AT.isoformat(),
    "heartbeat": AT.isoformat(),
    "released": False,
}

RECEIPT = {"digest": f"sha256:{'0' * 64}", "epoch": 1, "holder": "h", "run": "r", "applied_at": "2024-06-20T00:54:00Z"}


def _receipt(text: str) -> None:
    receipt = parse_receipt(text)
    if receipt is not None:
        shown(" ".join((receipt.digest, receipt.epoch.holder, receipt.run, receipt.applied_at)), at_most=600)
        assert 1 <= receipt.epoch.number < 10**15


def as_bytes(value: Any) -> bytes:
    """Return a value as JSON, as lax as Python writes it."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _card(content: bytes) -> None:
    with a_folder() as name:
        (Path(name) / "lab.json").write_bytes(content)
        try:
            status = manage.status(Path(name))
        except LabError as error:
            shown(printable(str(error)))
            return
        assert not status.alive
        assert status.pid > 1


CARD: dict[str, Any] = {
    "schema": "pulih/lab/v1",
    "pid": 4711,
    "units": {"airport-passport": {"dir": "/nowhere", "port": 1}},
    "data_centres": {"pdns-2": {"endpoints": {}}},
}


def _command_line(folder: Path, *arguments: str) -> None:
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main([*arguments])
    assert code in (0, 1, 2, 3, 4, 5, 6), code
    shown(out.getvalue())
    shown(err.getvalue())
    assert "Traceback" not in err.getvalue(), err.getvalue()[-2000:]
    assert sorted(path.name for path in folder.iterdir()) == [".pulih", "estate"]


def _told_by_the_cli(drawn: tuple[list[str], str, bytes]) -> None:
    """A command over a state folder that somebody else has written."""
    arguments, file, content = drawn
    with a_folder() as name:
        folder = Path(name)
        write_files(folder / "estate")
        run = folder / ".pulih" / "runs" / RESULT.run
        run.mkdir(parents=True)
        (run / "plan.json").write_bytes(as_bytes(_plan()))
        (run / "journal.jsonl").write_bytes(honest_journal())
        (run / file).write_bytes(content)
        _command_line(folder, *arguments, "--estate", str(folder / "estate"))


_READING = [["runs"], ["runs", "show"], ["report"], ["runs", "diff", RESULT.run], ["cancel", RESULT.run]]
commands = st.tuples(
    st.sampled_from([[*words, "--output", form] for words in _READING[:-1] for form in ("table", "json", "jsonl")])
    | st.just(_READING[-1]),
    st.sampled_from(["journal.jsonl", "journal.jsonl", "process.json", "plan.json"]),
    hostile_journals | junk,
)


def _of(
    name: str, inputs: st.SearchStrategy[Any], check: Callable[[Any], None], weight: int, examples: int
) -> Property:
    return Property(name=name, inputs=inputs, check=check, weight=weight, examples=examples)


PROPERTIES = (
    _of("plan", junk | hostile_plans | selections, _stored_plan, 80, 25),
    _of("report", any_json | damaged(to_json(RESULT)), _report, 100, 25),
    _of("journal", junk | hostile_journals, _journal, 100, 25),
    _of("lease", junk | damaged(LEASE).map(as_bytes), _lease, 60, 25),
    _of("receipt", hostile_text | damaged(RECEIPT).map(json.dumps), _receipt, 60, 25),
    _of("lab card", junk | damaged(CARD).map(as_bytes), _card, 40, 25),
    _of("command lines", commands, _told_by_the_cli, 8, 10),
)
