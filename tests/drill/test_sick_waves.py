"""Waves with too many sick units: canaries are replaced, a wave is held or stopped, and the printed line goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recovery import declared, lab
from recovery.model.estate import UnitName
from tests.drill.watching import newest_run, pulih, the_lab

GO_ON = "To go on past what failed in that wave: "


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder for a lab, which is ended afterwards."""
    try:
        yield tmp_path / "lab"
    finally:
        lab.down(tmp_path / "lab")


def lost(folder: Path, units: int) -> str:
    """Bring a lab up that has lost pdns-2, and return its estate."""
    lab.up(units, folder)
    lab.lose(folder, "pdns-2")
    return str(folder / "estate")


def waves(folder: Path, estate: str) -> dict[str, dict[str, list[str]]]:
    """Return the waves of the recovery, by name, with the names of their canaries and of the rest."""
    plan = folder.parent / "plan.json"
    made = pulih("plan", "--lost", "pdns-2", "--out", str(plan), "--estate", estate)
    assert made.returncode == 0, made.stderr
    return {wave["name"]: wave for wave in json.loads(plan.read_text())["waves"]}


def report(folder: Path) -> dict[str, Any]:
    return json.loads((folder / ".pulih" / "runs" / newest_run(folder) / "report.json").read_text())


def journal(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    """Return what a run's journal says, as kind and data."""
    path = folder / ".pulih" / "runs" / newest_run(folder) / "journal.jsonl"
    return [(line["kind"], line["data"]) for line in map(json.loads, path.read_text().splitlines())]


def typed(line: str) -> subprocess.CompletedProcess[str]:
    """Type a line that was printed, as it stands."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        ["sh", "-c", line],
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PATH": path},
    )


def printed(stderr: str) -> str:
    """Return the line that a held run says to type."""
    (line,) = [line.removeprefix(GO_ON) for line in stderr.splitlines() if line.startswith(GO_ON)]
    return line


def test_a_failed_canary_is_replaced_by_another_of_its_line_and_kind_before_the_rest_goes(folder: Path) -> None:
    estate = lost(folder, 40)
    wave = waves(folder, estate)["passport"]
    link = {unit.name: office.link for _, office, unit in declared.load(Path(estate)).places()}
    groups = [link[UnitName(name)] for name in wave["rest"]]  # all of one service, and so of one kind
    canary = next(name for name in wave["canaries"] if link[UnitName(name)] in groups)
    other = wave["rest"][groups.index(link[UnitName(canary)])]
    lab.break_unit(folder, canary, "disk-full")
    done = pulih("recover", "--lost", "pdns-2", "--yes", "--estate", estate)
    assert done.returncode == 3, done.stderr
    told = [(kind, data["name"]) for kind, data in journal(folder) if kind in ("unit-started", "unit-finished")]
    replaced = told.index(("unit-finished", other))
    assert told.index(("unit-finished", canary)) < told.index(("unit-started", other))
    rest = [name for name in wave["rest"] if name != other]
    assert rest
    assert all(told.index(("unit-started", name)) > replaced for name in rest)
    assert report(folder)["totals"]["verified"] == 39


def test_a_wave_with_too_many_failures_is_held_and_the_printed_line_goes_on_past_it(folder: Path) -> None:
    estate = lost(folder, 12)
    units = the_lab(folder)["units"]
    border = [name for name, unit in units.items() if unit["service"] == "border-crossing"]
    sick = border[:3]
    for unit in sick:
        lab.break_unit(folder, unit, "validate-fails")
    held = pulih("recover", "--lost", "pdns-2", "--yes", "--estate", estate)
    assert held.returncode == 5, held.stderr
    assert "wave border-crossing: 3 of 4 failed (3 validate-failed), 2 may" in held.stderr
    first = report(folder)
    assert (first["exit_code"], first["totals"]["verified"], first["totals"]["not_started"]) == (5, 1, 8)

    line = printed(held.stderr)
    assert line.startswith("pulih resume ")
    assert "--past border-crossing" in line
    gone_on = typed(line)
    assert gone_on.returncode == 3, gone_on.stderr
    second = report(folder)
    assert second["run"] == first["run"]
    assert {unit["name"]: unit["cause"] for unit in second["units"] if unit["state"] == "quarantined"} == dict.fromkeys(
        sick, "validate-failed"
    )
    assert second["totals"]["verified"] == 9


def test_the_breaker_stops_a_wave_in_which_more_than_half_fail_alike_and_says_so(folder: Path) -> None:
    estate = lost(folder, 40)
    wave = waves(folder, estate)["border-crossing"]
    assert len(wave["rest"]) > 8
    for unit in wave["rest"]:
        lab.break_unit(folder, unit, "disk-full")
    done = pulih("recover", "--lost", "pdns-2", "--yes", "--parallel", "1", "--estate", estate)
    assert done.returncode == 5, done.stderr
    well = len(wave["canaries"])
    stopped_at = max(8, 2 * well + 1)
    said = f"{stopped_at - well} of the first {stopped_at} units failed with the same cause, disk-full"
    assert f"wave border-crossing: {said}" in done.stderr
    assert said in done.stdout
    told = report(folder)
    assert told["totals"]["quarantined"] == stopped_at - well
    assert told["totals"]["not_started"] == 40 - stopped_at
    assert "--past border-crossing" in printed(done.stderr)

    for unit in wave["rest"]:
        lab.heal_unit(folder, unit)
    mended = pulih("resume", "--estate", estate)
    assert mended.returncode == 0, mended.stderr
    assert report(folder)["totals"]["verified"] == 40
