"""What `pulih plan` says of the time a plan takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli_world import Units, pulih, small_estate

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def estate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("PULIH_STATE", raising=False)
    return small_estate(tmp_path)


def last_line(capsys: Capture, estate: Path, *words: str) -> str:
    return pulih(capsys, "plan", "--estate", estate, *words).out.splitlines()[-1]


def test_a_plan_says_how_long_it_takes_and_by_what_that_is_known(
    estate: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert last_line(capsys, estate).endswith("by default durations: no earlier run on this estate is known")
    units = Units(estate, pause_s=0.01).install(monkeypatch)
    assert pulih(capsys, "apply", "--estate", estate, "--unit", "airport-passport").code == 0
    assert last_line(capsys, estate).endswith("by earlier runs for 1 of 7 steps, by defaults for the others")
    assert pulih(capsys, "apply", "--estate", estate).code == 0
    document = json.loads(pulih(capsys, "plan", "--estate", estate, "--output", "json").out)["forecast"]
    assert (document["steps"], document["steps_known"]) == (7, 7)
    assert [wave["steps"] for wave in document["waves"]] == [2, 2, 1, 2]
    assert {service["name"]: service["met"] for service in document["services"]}["passport"]
    assert units.visited


def test_a_miss_is_told_with_the_number_of_connections_that_holds(estate: Path, capsys: Capture) -> None:
    services = estate / "services.yaml"
    services.write_text(services.read_text().replace("rto_min: 60\n", "rto_min: 0.05\n").replace("120\n", "0.2\n"))
    said = pulih(capsys, "plan", "--estate", estate, "--parallel", 1).out.splitlines()
    at = next(place for place, line in enumerate(said) if line.startswith("Forecast: "))
    assert said[at + 1].startswith("time will miss its RTO of 3.0 s by ")
    assert said[at + 1].endswith("; with `--parallel 2` it holds")
    with_two = pulih(capsys, "plan", "--estate", estate, "--parallel", 2).out
    assert "time will miss" not in with_two


def test_an_edited_journal_is_left_out_of_the_forecast_and_holds_up_no_plan(
    estate: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    Units(estate).install(monkeypatch)
    assert pulih(capsys, "apply", "--estate", estate).code == 0
    (journal,) = (estate.parent / ".pulih" / "runs").glob("*/journal.jsonl")
    journal.write_text(journal.read_text().replace("airport-passport", "airport-passports"))
    said = pulih(capsys, "plan", "--estate", estate, "--lost", "pdns-2")
    assert said.code == 0
    assert said.err.startswith("not trusted, and left out of the forecast: ")
    assert said.out.splitlines()[-1].endswith("no earlier run on this estate is known")
