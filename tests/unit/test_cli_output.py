"""What commands write: documents, tables, plans, comparisons; each with fixed inputs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recovery.cli import contents, driftview, planview, summary
from recovery.cli.output import Format, columns, emit, note, records, write_file
from recovery.diff import differences
from recovery.errors import HostKeyError
from recovery.forecast import NO_HISTORY, forecast
from recovery.model.bundle import Bundle, RenderedFile
from recovery.model.outcome import Cause, State
from recovery.model.plan import Selection, Step
from recovery.model.visit import Epoch, Observed, ObservedFile, Receipt
from recovery.plan import recovery, routine
from recovery.survey import Finding
from tests.many import an_estate_of
from tests.unit.test_report import outcome, result


def test_json_is_the_document_and_jsonl_a_summary_and_a_line_an_object(capsys: pytest.CaptureFixture[str]) -> None:
    document = {"schema": "pulih/x/v1", "count": 2, "names": ["a"], "units": [{"name": "a"}, {"name": "b"}]}
    emit(document, Format.JSON, lambda: ["never asked"])
    assert json.loads(capsys.readouterr().out) == document
    emit(document, Format.JSONL, lambda: ["never asked"])
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        {"schema": "pulih/x/v1", "record": "summary", "count": 2, "names": ["a"]},
        {"schema": "pulih/x/v1", "record": "units", "name": "a"},
        {"schema": "pulih/x/v1", "record": "units", "name": "b"},
    ]


def test_an_empty_list_adds_no_record() -> None:
    assert list(records({"schema": "s", "units": []})) == [{"schema": "s", "record": "summary"}]


def test_a_note_goes_to_stderr_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    note("one\ntwo\x1b[31m")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "one\\x0atwo\\x1b[31m\n")


def test_columns_line_up_whatever_the_script() -> None:
    assert list(columns([("Name", "N"), ("東京", "1"), ("a\tb", "200")], right=frozenset({1}))) == [
        "Name      N",
        "東京      1",
        "a\\x09b  200",
    ]


def test_a_file_is_written_whole_with_its_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "report.json"
    write_file(path, "old")
    write_file(path, json.dumps({"é": "\udc80"}, ensure_ascii=False))
    assert json.loads(path.read_bytes()) == {"é": "\udc80"}
    assert [found.name for found in path.parent.iterdir()] == ["report.json"]


def test_a_recovery_plan_reads_like_this() -> None:
    estate = an_estate_of(24)
    lost = estate.placement.default[estate.services[0].name]
    to = next(name for name in estate.data_centre if name != lost)
    plan, moved = recovery(estate, "sha256:0", Selection(), lost=lost, to=to, commit="c0ffee")
    lines = list(planview.lines(plan, moved, forecast(plan, moved, NO_HISTORY, parallel=64)))
    endpoints = sum(step.is_endpoint for step in plan.steps())
    assert lines[0] == (
        f"Recovery of {estate.name} from {lost} to {to}: 24 units in 24 offices of 2 regions, {endpoints} endpoints"
    )
    assert lines[1].startswith("The placement of identity, time, ")
    heads = next(line for line in lines if line.startswith("Region"))
    assert heads.split() == ["Region", "border-crossing", "stay-permit", "passport", "Units"]
    assert "region-0                4            4         4     12" in lines
    assert lines[-1] == f"Plan {plan.hash}, commit c0ffee"


def test_a_plan_whose_placement_moved_already_says_so() -> None:
    estate = an_estate_of(6)
    lost = estate.placement.default[estate.services[0].name]
    to = next(name for name in estate.data_centre if name != lost)
    _, moved = recovery(estate, "sha256:0", Selection(), lost=lost, to=to)
    plan, moved = recovery(moved, "sha256:0", Selection(), lost=lost, to=to)
    assert "The placement has moved already" in list(planview.head(plan, moved))[1]


def test_a_routine_plan_has_no_way_from_and_to() -> None:
    estate = an_estate_of(1)
    plan, same = routine(estate, "sha256:0", Selection())
    played = forecast(plan, same, NO_HISTORY, parallel=64)
    assert next(planview.lines(plan, same, played)).startswith(
        f"Deployment of {estate.name}: 1 unit in 1 office of 1 region, "
    )


def a_step() -> Step:
    plan, _ = routine(an_estate_of(1), "sha256:0", Selection())
    return next(step for step in plan.steps() if not step.is_endpoint)


WANTED = Bundle.of(
    [
        RenderedFile(path="conf/a.conf", mode=0o644, content=b"one\ntwo\npassword = right\nlast\n"),
        RenderedFile(path="conf/b.conf", mode=0o644, content=b"same\n"),
    ]
)


def a_finding(files: dict[str, bytes], *, modes: dict[str, str] | None = None) -> Finding:
    seen = {
        path: ObservedFile(
            sha256=RenderedFile(path=path, mode=0o644, content=content).sha256,
            mode=(modes or {}).get(path, "-rw-r--r--"),
        )
        for path, content in files.items()
    }
    epoch = Epoch(number=3, holder="h")
    observed = Observed(
        digest=WANTED.digest,
        receipt=Receipt(digest=WANTED.digest, epoch=epoch, run="run-1", applied_at="2026-11-23T17:00:00Z"),
        epoch=epoch,
        files=seen,
        odd=0,
        missing=(),
        contents=files,
    )
    return Finding(
        step=a_step(),
        bundle=WANTED,
        differences=differences(WANTED, observed),
        observed=observed,
        error=None,
        seconds=0.1,
    )


AS_DECLARED = {"MANIFEST": WANTED.manifest, **{file.path: file.content for file in WANTED.files}}


def test_a_comparison_shows_the_lines_that_differ_and_hides_secrets() -> None:
    found = a_finding({**AS_DECLARED, "conf/a.conf": b"one\nTWO\x1b\npassword = wrong\nlast\n"})
    lines = list(contents.lines(found))
    assert lines[1:] == [
        "@@ -1 +1 @@",
        " one",
        r"-TWO\x1b",
        "-password = [hidden]",
        "+two",
        "+password = [hidden]",
        " last",
        " ",
    ]
    assert lines[0].startswith("conf/a.conf: content, declared ")


def test_a_comparison_shows_what_is_missing_and_what_is_extra() -> None:
    found = a_finding({"MANIFEST": WANTED.manifest, "conf/a.conf": AS_DECLARED["conf/a.conf"], "extra": b"x"})
    assert "+same" in list(contents.lines(found))
    assert "-x" in list(contents.lines(found))


def test_a_comparison_of_what_is_not_text_shows_sizes() -> None:
    found = a_finding({**AS_DECLARED, "conf/b.conf": b"\0\1"})
    assert list(contents.lines(found))[1:] == ["  (not text: 5 bytes declared, 2 found)"]


def test_a_unit_as_declared_has_nothing_to_show() -> None:
    found = a_finding(AS_DECLARED)
    assert list(contents.lines(found)) == [f"{found.step.name} is as declared: {WANTED.digest}"]
    assert contents.document(found)["differences"] == []


def test_drift_says_what_differs_who_was_not_read_and_how_many_are_as_declared() -> None:
    good, bad = a_finding(AS_DECLARED), a_finding(AS_DECLARED, modes={"conf/a.conf": "-rwxrwxrwx"})
    unread = Finding(
        step=a_step(),
        bundle=WANTED,
        differences=(),
        observed=None,
        error=HostKeyError("u", "showed another key"),
        seconds=1.0,
    )
    findings = [good, bad, unread]
    lines = list(driftview.lines(findings))
    assert lines[0].split() == ["Unit", "Change", "Path", "Declared", "Found"]
    assert lines[1].split()[1:] == ["mode", "conf/a.conf", "-rw-r--r--", "-rwxrwxrwx"]
    assert lines[-1] == "3 units and 0 endpoints: 1 as declared, 1 different, 1 not read"
    document = driftview.document(findings)
    assert document["totals"] == {"units": 3, "as_declared": 1, "different": 1, "unread": 1}
    states = [(unit["state"], unit["cause"]) for unit in list(records(document))[1:]]
    assert states == [("as-declared", None), ("different", None), ("unread", "host-key")]


def test_the_summary_of_a_full_recovery_reads_like_this() -> None:
    run = result(
        outcome("a", seconds=4),
        outcome("b", State.UNCHANGED, service=outcome("x").service, seconds=41),
        endpoints=(outcome("passport-cloud-1", region=None, seconds=2),),
    )
    assert [line for line, _ in summary.lines(run)] == [
        "2 of 2 units verified at cloud-1 in 41 s: 1 sent, 1 unchanged; 1 of 1 endpoint",
        "",
        "Service             RTO  Actual  Met",
        "border-crossing  30 min       -  no",
        "passport            1 h    41 s  yes",
        "",
    ]


def test_the_summary_groups_failures_by_cause_and_says_what_to_do() -> None:
    run = result(
        *(
            outcome(f"u{number}", State.QUARANTINED, cause=Cause.DISK_FULL, reason="12 KiB\x1bfree")
            for number in range(5)
        ),
        exit_code=3,
    )
    lines = [line for line, _ in summary.lines(run)]
    assert "disk-full 5: u0, u1, u2 and 2 more" in lines
    assert r"  12 KiB\x1bfree" in lines
    assert lines[-1] == "Exit code 3: partial, some units are quarantined or not verified"


def test_a_summary_on_a_pipe_has_no_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    summary.show_lines([("[bold]x[/] " + "y" * 200, "bold red")])
    assert capsys.readouterr().out == "[bold]x[/] " + "y" * 200 + "\n"
