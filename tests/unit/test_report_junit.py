"""JUnit XML of a run: well-formed whatever a unit says, and its figures are the report's."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from recovery.model.outcome import RunResult
from recovery.report import totals
from recovery.report.as_junit import to_junit
from tests.stories import every_ending
from tests.unit.test_report import results


def test_units_are_cases_by_service_and_region() -> None:
    root = ET.fromstring(to_junit(every_ending().result))  # noqa: S314 our own
    assert [(suite.get("name"), suite.get("tests")) for suite in root] == [("border-crossing", "2"), ("passport", "4")]
    cases = {case.get("name"): case for case in root.iter("testcase")}
    assert cases["gate"].get("classname") == "border-crossing.aceh"
    assert cases["border-crossing-cloud-1"].get("classname") == "border-crossing.cloud-1"
    assert [(child.tag, dict(child.attrib)) for child in cases["sick"]] == [
        ("failure", {"type": "disk-full", "message": "12 KiB free, <b>40</b> needed"})
    ]
    assert [(child.tag, child.get("message")) for child in cases["left"]] == [("skipped", "its endpoint failed")]
    assert [(child.tag, child.get("message")) for child in cases["late"]] == [("skipped", "not started")]
    assert list(cases["counter"]) == []
    assert cases["counter"].get("time") == "4.000"


@settings(max_examples=80, deadline=None)
@given(results, st.text(max_size=20))
def test_whatever_happened_it_is_xml_and_adds_up(run: RunResult, reason: str) -> None:
    told = replace(run, units=tuple(replace(unit, reason=reason) for unit in run.units))
    root = ET.fromstring(to_junit(told))  # noqa: S314 our own
    everything = totals((*told.endpoints, *told.units))
    assert int(root.get("tests", "")) == len(list(root.iter("testcase"))) == everything.units
    assert int(root.get("failures", "")) == len(list(root.iter("failure"))) == everything.quarantined
    assert len(list(root.iter("skipped"))) == everything.skipped + everything.not_started
