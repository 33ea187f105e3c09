"""Sick units in a recovery: they are named with their cause, hold nobody else, and come back once they are healed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recovery import declared, lab
from tests.drill.watching import newest_run, pulih, roots, the_lab
from tests.labs import say

CAUSES = {
    "hang": "timeout",
    "wrong-host-key": "host-key",
    "disk-full": "disk-full",
    "validate-fails": "validate-failed",
    "probe-fails": "probe-failed",
    "unreachable": "unreachable",
}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder for a lab, which is ended afterwards."""
    try:
        yield tmp_path / "lab"
    finally:
        lab.down(tmp_path / "lab")


def command(*words: str | Path, code: int = 0) -> str:
    """Type a command and return its stdout; it must end with the exit code."""
    done = pulih(*map(str, words))
    assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def bring_up(folder: Path, units: int) -> Path:
    """Type what brings a lab and its units up, and return the estate."""
    command("lab", "up", "--units", str(units), "--dir", folder)
    command("apply", "--estate", folder / "estate")
    return folder / "estate"


def make_sick(folder: Path, sick: dict[str, str]) -> None:
    for unit, how in sick.items():
        command("lab", "break", unit, "--how", how, "--dir", folder)


def report(folder: Path, run: str | None = None) -> dict[str, Any]:
    return json.loads((folder / ".pulih" / "runs" / (run or newest_run(folder)) / "report.json").read_text())


def causes(told: dict[str, Any], kind: str = "units") -> dict[str, str]:
    return {unit["name"]: unit["cause"] for unit in told[kind] if unit["state"] == "quarantined"}


def of_service(folder: Path, service: str) -> list[str]:
    return [name for name, unit in the_lab(folder)["units"].items() if unit["service"] == service]


def receipts(folder: Path) -> dict[str, bytes | None]:
    found = {name: root / "receipt.json" for name, root in roots(folder).items()}
    return {name: path.read_bytes() if path.exists() else None for name, path in found.items()}


def running(folder: Path) -> dict[str, str | None]:
    """Return what every unit's `current` points to."""
    links = {name: root / "current" for name, root in roots(folder).items()}
    return {name: os.readlink(link) if link.is_symlink() else None for name, link in links.items()}  # noqa: PTH115


def test_four_sick_of_forty_are_named_the_others_recovered_and_all_of_them_once_healed(folder: Path) -> None:
    estate = bring_up(folder, 40)
    units = list(the_lab(folder)["units"])
    sick = dict(zip(units[3::10], ["hang", "wrong-host-key", "disk-full", "validate-fails"], strict=True))
    command("lab", "lose", "pdns-2", "--dir", folder)
    make_sick(folder, sick)
    command("recover", "--lost", "pdns-2", "--yes", "--estate", estate, code=3)
    first = report(folder)
    assert causes(first) == {unit: CAUSES[how] for unit, how in sick.items()}
    assert {unit["state"] for unit in first["units"] if unit["name"] not in sick} == {"verified"}
    assert (first["totals"]["verified"], first["totals"]["quarantined"], first["exit_code"]) == (36, 4, 3)
    before = receipts(folder)
    assert {name for name, receipt in before.items() if receipt is None} == set()  # of before the loss, and untouched
    assert {name for name, release in running(folder).items() if release is None} == set(sick)

    command("lab", "heal", "--all", "--dir", folder)
    command("resume", "--estate", estate)
    second = report(folder)
    assert second["run"] == first["run"]
    assert (second["totals"]["verified"], second["totals"]["units"], causes(second)) == (40, 40, {})
    changed = {name for name, receipt in receipts(folder).items() if receipt != before[name]}
    assert changed == set(sick)
    command("drift", "--estate", estate)


def test_each_sickness_ends_in_its_own_cause(folder: Path) -> None:
    estate = bring_up(folder, 12)
    sick: dict[str, str] = {}
    hows = iter(CAUSES)
    for service in ("border-crossing", "stay-permit", "passport"):
        sick.update(zip(of_service(folder, service), [next(hows), next(hows)], strict=False))
    command("lab", "lose", "pdns-2", "--dir", folder)
    make_sick(folder, sick)
    told = json.loads(command("lab", "status", "--dir", folder, "--output", "json"))
    assert {one["unit"]: one["how"] for one in told["broken"]} == sick
    shown = command("lab", "status", "--dir", folder).splitlines()
    assert {line for line in shown if line.startswith("broken: ")} == {f"broken: {unit}: {sick[unit]}" for unit in sick}
    out = command("recover", "--lost", "pdns-2", "--yes", "--estate", estate, code=3)
    told = report(folder)
    assert causes(told) == {unit: CAUSES[how] for unit, how in sick.items()}
    assert told["totals"]["verified"] == 6
    for unit in sick:
        assert unit in out
    reasons = {CAUSES[sick[unit["name"]]]: unit["reason"] for unit in told["units"] if unit["name"] in sick}
    assert "values mismatch" in reasons["validate-failed"]
    assert "0 KiB free" in reasons["disk-full"]
    assert "had no previous release and is not serving" in reasons["probe-failed"]
    assert "refused" in reasons["unreachable"]
    for unit in sick:
        command("lab", "heal", unit, "--dir", folder)
    command("resume", "--estate", estate)


def test_a_unit_whose_probe_fails_goes_on_with_its_old_release(folder: Path) -> None:
    estate = bring_up(folder, 6)
    sick, *others = the_lab(folder)["units"]
    before, proven = running(folder), receipts(folder)
    command("lab", "break", sick, "--how", "probe-fails", "--dir", folder)
    for path in (estate / "regions").glob("*.yaml"):
        path.write_text(path.read_text().replace("    city: ", "    city: New "))
    command("apply", "--estate", estate, code=3)
    (cause,) = causes(report(folder)).items()
    assert cause == (sick, "probe-failed")
    after = running(folder)
    assert after[sick] == before[sick]
    assert receipts(folder)[sick] == proven[sick]
    assert all(after[unit] != before[unit] for unit in others)
    assert lab.status(folder).serving == 6

    command("lab", "heal", sick, "--dir", folder)
    unit = next(place[2] for place in declared.load(estate).places() if place[2].name == sick)
    ask = f"curl -sS -f -H 'X-Pulih-Nonce: 7' http://127.0.0.1:{unit.gateway_port}/pulih/probe"
    answered = say(unit.login, folder / "keys" / "client", ask)
    assert answered.out == f"pulih-probe/1 data-centre=pdns-2 service={unit.service} nonce=7\n"
    command("resume", "--estate", estate)
    assert running(folder)[sick] != before[sick]


def test_a_sick_endpoint_is_named_and_its_units_wait_for_it(folder: Path) -> None:
    estate = bring_up(folder, 6)
    command("lab", "lose", "pdns-2", "--dir", folder)
    make_sick(folder, {"passport-cloud-1": "unreachable"})
    command("recover", "--lost", "pdns-2", "--yes", "--estate", estate, code=3)
    told = report(folder)
    waiting = of_service(folder, "passport")
    assert causes(told, "endpoints") == {"passport-cloud-1": "unreachable"}
    assert {unit["name"] for unit in told["units"] if unit["state"] == "skipped"} == set(waiting)
    assert told["totals"]["verified"] == 6 - len(waiting)
    command("lab", "heal", "passport-cloud-1", "--dir", folder)
    command("resume", "--estate", estate)
    assert report(folder)["totals"]["verified"] == 6
    command("drift", "--estate", estate)


def test_an_office_behind_a_slow_line_is_recovered_and_takes_its_time(folder: Path) -> None:
    estate = bring_up(folder, 8)
    (office, unit) = next(
        (place[1], place[2]) for place in declared.load(estate).places() if place[1].link == "satellite"
    )
    command("lab", "slow", office.name, "--latency-ms", "300", "--kbit-s", "256", "--dir", folder)
    command("lab", "lose", "pdns-2", "--dir", folder)
    command("recover", "--lost", "pdns-2", "--yes", "--estate", estate)
    seconds = {one["name"]: one["seconds"] for one in report(folder)["units"]}
    # Four round trips of 0.6 s to get in and ask, and 45 kB (the applier, the bundle) at 32 kB a second, at the least.
    assert seconds.pop(unit.name) > 3.5
    assert sorted(seconds.values())[len(seconds) // 2] < 3.5
    command("lab", "slow", office.name, "--latency-ms", "0", "--dir", folder)
    assert not lab.status(folder).slow


def test_a_name_that_the_lab_does_not_have_is_answered_with_the_nearest(folder: Path) -> None:
    command("lab", "up", "--units", "3", "--dir", folder)
    unit = next(iter(the_lab(folder)["units"]))
    for words, hint in (
        (["break", unit[:-1], "--how", "hang"], f"did you mean {unit}?"),
        (["break", unit, "--how", "disk-fall"], "did you mean disk-full?"),
        (["heal", unit[1:]], f"did you mean {unit}?"),
        (["heal"], "say which unit"),
        (["slow", the_lab(folder)["units"][unit]["office"] + "x", "--latency-ms", "1"], "did you mean "),
    ):
        refused = pulih("lab", *words, "--dir", str(folder))
        assert refused.returncode == 1
        assert hint in refused.stderr
    assert "no lab runs in" in pulih("lab", "heal", "--all", "--dir", str(folder / "none")).stderr
