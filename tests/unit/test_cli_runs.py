"""`pulih runs diff`: how units ended in one run, against how they did in another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recovery.errors import UnreachableError
from recovery.model.estate import UnitName
from tests.cli_world import Units, pulih, small_estate

Capture = pytest.CaptureFixture[str]
PASSPORT = UnitName("airport-passport")


def test_two_runs_are_compared_unit_by_unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.delenv("PULIH_STATE", raising=False)
    estate = small_estate(tmp_path)
    units = Units(estate).install(monkeypatch)
    units.fails[PASSPORT] = UnreachableError(PASSPORT, "nobody there")
    assert pulih(capsys, "apply", "--estate", estate).code == 3
    units.fails.clear()
    units.digests.clear()
    assert pulih(capsys, "apply", "--estate", estate).code == 0
    listed = json.loads(pulih(capsys, "runs", "--estate", estate, "--output", "json").out)["runs"]
    names = {run["state"]: run["run"] for run in listed}  # not by their moments: both may be of one second
    first, second = names["partial"], names["done"]
    assert {run["state"]: run["exit_code"] for run in listed} == {"partial": 3, "done": 0}
    said = pulih(capsys, "runs", "diff", first, second, "--estate", estate)
    assert said.code == 2
    head, row = said.out.splitlines()
    assert head.split() == ["Unit", "Before", "After"]
    assert row.split()[:4] == [PASSPORT, "quarantined", "unreachable", "verified"]
    assert said.err == f"1 of 7 ended otherwise in {second} than in {first}\n"
    document = json.loads(pulih(capsys, "runs", "diff", first, second, "--estate", estate, "--output", "json").out)
    assert [unit["name"] for unit in document["units"]] == [PASSPORT]
    same = pulih(capsys, "runs", "diff", second, second, "--estate", estate)
    assert (same.code, same.out, same.err) == (0, "no unit ended otherwise\n", "")
