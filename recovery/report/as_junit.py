"""A run's outcomes as JUnit XML, the form that test dashboards read: a suite a service, a case a unit or endpoint."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from recovery.model.estate import ServiceName
from recovery.model.outcome import Outcome, RunResult, State
from recovery.report.text import printable

_NOT_XML = re.compile("[\ufffe\uffff]")
"""What `printable` leaves and XML 1.0 does not allow. Source: XML 1.0, section 2.2."""


def to_junit(result: RunResult) -> str:
    """Return the outcomes of a run as JUnit XML: quarantined is a failure, skipped or not started is skipped."""
    everything = (*result.endpoints, *result.units)
    by_service: dict[ServiceName, list[Outcome]] = {}
    for outcome in everything:
        by_service.setdefault(outcome.service, []).append(outcome)
    took = (result.finished_at - result.started_at).total_seconds()
    root = Element("testsuites", {"name": _text(f"pulih {result.verb} {result.run}"), **_counts(everything)})
    root.set("time", f"{took:.3f}")
    for service, members in by_service.items():
        seconds = sum(round(member.seconds, 3) for member in members)
        suite = SubElement(root, "testsuite", {"name": _text(service), **_counts(members), "time": f"{seconds:.3f}"})
        suite.set("timestamp", result.started_at.isoformat(timespec="seconds"))
        for member in members:
            _case(suite, member)
    indent(root)
    return "<?xml version='1.0' encoding='utf-8'?>\n" + tostring(root, encoding="unicode") + "\n"


def _counts(members: Sequence[Outcome]) -> dict[str, str]:
    failures = sum(member.state is State.QUARANTINED for member in members)
    skipped = sum(member.state in (State.SKIPPED, State.NOT_STARTED) for member in members)
    return {"tests": str(len(members)), "failures": str(failures), "errors": "0", "skipped": str(skipped)}


def _case(suite: Element, outcome: Outcome) -> None:
    place = outcome.region or outcome.data_centre
    case = SubElement(
        suite,
        "testcase",
        {
            "classname": _text(f"{outcome.service}.{place}"),
            "name": _text(outcome.name),
            "time": f"{outcome.seconds:.3f}",
        },
    )
    if outcome.state is State.QUARANTINED:
        cause = outcome.cause.value if outcome.cause is not None else "internal"
        SubElement(case, "failure", {"type": cause, "message": _text(outcome.reason or cause)})
    elif outcome.state in (State.SKIPPED, State.NOT_STARTED):
        word = outcome.state.value.replace("_", " ")
        SubElement(case, "skipped", {"message": _text(outcome.reason or word)})


def _text(text: str) -> str:
    return _NOT_XML.sub("�", printable(text))
