"""What the engine's events tell of a stack, and the exit code and report of all of them."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from infra.memory import available_bytes, session_bytes
from infra.outcomes import Failure, Outcome, State, Story, exit_code, failure, to_json, to_markdown

UNIT = "urn:pulumi:east::pulih::pulih:index:Office$pulih:index:Unit::embassy-passport"


def ended(op: str, *, kind: str = "pulih:index:Unit", failed: bool = False) -> dict[str, Any]:
    return {"resOpFailedEvent" if failed else "resOutputsEvent": {"metadata": {"op": op, "type": kind, "urn": UNIT}}}


def error(text: str, urn: str = UNIT, severity: str = "error") -> dict[str, Any]:
    return {"diagnosticEvent": {"urn": urn, "message": text, "severity": severity}}


def told(*events: dict[str, Any]) -> Story:
    story = Story()
    for event in events:
        story.notice(event)
    return story


def outcome(name: str, state: State = State.DONE, *failures: Failure, **units: int) -> Outcome:
    return Outcome(stack=name, state=state, seconds=1.5, memory_bytes=1000, units=units, failures=failures)


def test_units_are_counted_and_components_are_not() -> None:
    story = told(
        ended("create"),
        ended("update"),
        ended("same", kind="pulih:index:Endpoint"),
        ended("same", kind="pulih:index:Office"),
        ended("delete"),
        ended("create", failed=True),
    )
    assert story.units == {"changed": 2, "unchanged": 1, "deleted": 1, "failed": 1}


def test_a_units_failure_is_told_by_its_cause() -> None:
    story = told(error("<{%reset%}>embassy-passport: unreachable: Connection refused\n<{%reset%}>"))
    assert story.failures == [Failure(unit="embassy-passport", cause="unreachable", reason="Connection refused")]


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("held: east is held by somebody", "held"),
        ("error: the stack is currently locked by 1 lock(s). Either wait", "held"),
        ("refused: it is illustrative", "refused"),
        ("embassy-passport: nonsense: of a kind that no report names", "engine"),
        ("plugin not found", "engine"),
    ],
)
def test_every_other_failure_has_a_word_too(text: str, cause: str) -> None:
    assert failure(text, "embassy-passport").cause == cause


def test_what_says_nothing_is_no_failure() -> None:
    stack = "urn:pulumi:east::pulih::pulumi:pulumi:Stack::pulih-east"
    assert told(error("update failed", stack), error("a warning", severity="warning")).failures == []


HELD = Failure(unit=None, cause="held", reason="held by somebody")
REFUSED = Failure(unit=None, cause="refused", reason="illustrative")
BROKEN = Failure(unit="u", cause="probe-failed", reason="no answer")


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ([outcome("a", changed=1), outcome("b", unchanged=4)], 0),
        ([outcome("a"), outcome("b", State.FAILED, BROKEN)], 3),
        ([outcome("a", State.FAILED, BROKEN, changed=1)], 3),
        ([outcome("a", State.FAILED, HELD), outcome("b", State.FAILED, HELD)], 4),
        ([outcome("a", State.FAILED, REFUSED)], 5),
        ([outcome("a", State.FAILED, HELD, REFUSED)], 1),
        ([outcome("a", State.FAILED, BROKEN)], 1),
    ],
)
def test_the_exit_code_says_how_all_of_them_ended(outcomes: list[Outcome], code: int) -> None:
    assert exit_code(outcomes, interrupted=False) == code
    assert exit_code(outcomes, interrupted=True) == 130


def test_the_report_adds_up_and_names_what_failed() -> None:
    outcomes = [outcome("a", changed=2, unchanged=1), outcome("b", State.FAILED, BROKEN, changed=1, failed=1)]
    document = to_json(outcomes, preview=False, code=3, seconds=4.0, engines=2)
    assert json.loads(json.dumps(document)) == document
    assert document["schema"] == "pulih/up/v1"
    totals: Any = document["totals"]
    assert totals["stacks"] == totals["done"] + totals["failed"] == 2
    assert (totals["units_changed"], totals["units_unchanged"], totals["units_failed"]) == (3, 1, 1)
    page = to_markdown(outcomes, preview=False, code=3, seconds=4.0)
    assert "1 of 2 stacks done" in page
    assert "- b, u: probe-failed: no answer" in page


def test_what_a_sessions_processes_hold_is_added_up() -> None:
    size = 40 * 1024 * 1024
    program = f"import os; kept = bytearray(os.urandom(1024)) * {size // 1024}; print(); input()"
    words = [sys.executable, "-c", program]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert size < session_bytes(process.pid) < 3 * size
        assert available_bytes() > 0
        process.communicate(b"\n", timeout=10)
    assert session_bytes(process.pid) == 0
