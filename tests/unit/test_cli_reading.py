"""`validate`, `schema`, `plan`, `drift`, `diff`, `verify` and `report`: what they print."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from recovery.cli.storing import read_report
from recovery.errors import HostKeyError, StoredReportError, UnreachableError
from recovery.model.estate import UnitName
from tests.cli_world import Units, pulih, small_estate

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch
PASSPORT = UnitName("airport-passport")


@pytest.fixture
def estate(tmp_path: Path, monkeypatch: Patch) -> Path:
    monkeypatch.delenv("PULIH_STATE", raising=False)
    return small_estate(tmp_path)


@pytest.fixture
def units(estate: Path, monkeypatch: Patch) -> Units:
    return Units(estate).install(monkeypatch)


@pytest.fixture
def applied(estate: Path, units: Units, capsys: Capture) -> Units:
    assert pulih(capsys, "apply", "--estate", estate).code == 0
    units.visited.clear()
    return units


def test_a_sound_estate_is_summed_up_in_one_line(estate: Path, capsys: Capture) -> None:
    said = pulih(capsys, "validate", "--estate", estate)
    digest = json.loads(pulih(capsys, "plan", "--estate", estate, "--output", "json").out)["estate_digest"]
    assert said.out == (f"sound: small 1: 4 units, 2 offices, 2 regions, 4 services, 2 data centres, {digest}\n")


def test_every_mistake_has_a_line_of_its_own_that_is_never_wrapped(estate: Path, capsys: Capture) -> None:
    west, placement = estate / "regions" / "west.yaml", estate / "placement.yaml"
    west.write_text(west.read_text().replace("port: 22", "port: 99999").replace("link: fibre", "link: " + "x" * 300))
    placement.write_text(placement.read_text().replace("passport: pdns-2", "passport: nowhere"))
    said = pulih(capsys, "validate", "--estate", estate)
    assert (said.code, said.err) == (1, "")
    lines = said.out.splitlines()
    assert [line.split(": ")[:2] for line in lines] == [
        [f"{placement}:6", "placement.passport"],
        [f"{west}:10", "offices[0].link"],
        [f"{west}:16", "offices[0].units[0].port"],
        [f"{west}:23", "offices[0].units[1].port"],
    ]


def test_mistakes_of_files_and_of_templates_are_named_in_one_run(estate: Path, capsys: Capture, tmp_path: Path) -> None:
    shutil.copytree(Path(__file__).resolve().parents[2] / "templates", tmp_path / "templates")
    settings = estate / "estate.yaml"
    settings.write_text(
        settings.read_text()
        .replace("name: small", "name: small\ntemplates: ../templates")
        .replace("rtt_ms: 20", "rtt_ms: x")
    )
    nft = tmp_path / "templates" / "border-gate" / "egress.nft.j2"
    nft.write_text(nft.read_text().replace("tcp dport {{ login.port }} accept", "counter"))
    said = pulih(capsys, "validate", "--estate", estate)
    first, second = said.out.splitlines()
    line = 1 + settings.read_text().splitlines().index("    rtt_ms: x")
    assert first.startswith(f"{settings}:{line}: links.fibre.rtt_ms: ")
    assert second.startswith(f"{nft}:1: (template): egress/egress.nft has no rule that accepts new connections")


def test_mistakes_as_json(estate: Path, capsys: Capture) -> None:
    settings = estate / "estate.yaml"
    settings.write_text(settings.read_text().replace("share: 0.95", "share: 7"))
    said = pulih(capsys, "validate", "--estate", estate, "--output", "json")
    document = json.loads(said.out)
    assert (said.code, document["schema"], document["sound"]) == (1, "pulih/validate/v1", False)
    (mistake,) = document["mistakes"]
    assert (mistake["file"], mistake["path"]) == (str(settings), "wave_pass.share")
    assert mistake["line"] == 1 + settings.read_text().splitlines().index("  share: 7")


def test_the_schema_of_an_estate_is_json_schema(capsys: Capture) -> None:
    said = pulih(capsys, "schema", "estate")
    assert said.code == 0
    assert "$schema" in json.loads(said.out)


def test_a_plan_is_stored_as_it_is_printed(estate: Path, capsys: Capture, tmp_path: Path) -> None:
    words = ("plan", "--lost", "pdns-2", "--estate", estate, "--out", tmp_path / "plan.json", "--output", "json")
    said = pulih(capsys, *words)
    assert json.loads(said.out) == json.loads((tmp_path / "plan.json").read_text())
    assert json.loads(said.out)["schema"] == "pulih/plan/v1"
    assert said.err == f"written: {tmp_path / 'plan.json'}\n"


def test_to_without_lost_makes_no_plan(estate: Path, capsys: Capture) -> None:
    said = pulih(capsys, "plan", "--to", "cloud-1", "--estate", estate)
    assert said.code == 1
    assert "--lost" in said.err


def test_drift_is_0_after_an_apply_and_writes_to_no_unit(estate: Path, applied: Units, capsys: Capture) -> None:
    said = pulih(capsys, "drift", "--estate", estate)
    assert (said.code, said.out) == (0, "3 units and 4 endpoints: 7 as declared, 0 different, 0 not read\n")
    assert {mode for mode, _ in applied.visited} == {"read"}
    assert len(list((estate.parent / ".pulih" / "runs").iterdir())) == 1


def test_drift_names_what_differs_and_ends_with_2_even_when_another_is_unread(
    estate: Path, applied: Units, capsys: Capture
) -> None:
    applied.files[PASSPORT]["gateway/nginx.conf"] += b"# by hand\n"
    other = UnitName("embassy-passport")
    applied.fails[other] = UnreachableError(other, "nobody there")
    said = pulih(capsys, "drift", "--estate", estate, "--output", "json")
    document = json.loads(said.out)
    assert said.code == 2
    assert document["totals"] == {"units": 3, "as_declared": 1, "different": 1, "unread": 1}
    states = {unit["name"]: unit["state"] for unit in document["units"]}
    assert (states[PASSPORT], states[other]) == ("different", "unread")
    (difference,) = next(unit["differences"] for unit in document["units"] if unit["name"] == PASSPORT)
    assert (difference["path"], difference["change"]) == ("gateway/nginx.conf", "content")


def test_drift_ends_with_3_when_nothing_differs_but_a_unit_is_unread(
    estate: Path, applied: Units, capsys: Capture
) -> None:
    applied.fails[PASSPORT] = UnreachableError(PASSPORT, "nobody there")
    assert pulih(capsys, "drift", "--estate", estate).code == 3


def test_diff_shows_the_lines_and_hides_a_secret(estate: Path, applied: Units, capsys: Capture) -> None:
    assert pulih(capsys, "diff", PASSPORT, "--estate", estate).code == 0
    applied.files[PASSPORT]["gateway/nginx.conf"] += b"password = hunter2\n"
    said = pulih(capsys, "diff", PASSPORT, "--estate", estate)
    assert said.code == 2
    assert "-password = [hidden]" in said.out.splitlines()
    assert "hunter2" not in said.out + pulih(capsys, "diff", PASSPORT, "--estate", estate, "--output", "json").out
    assert {name for mode, name in applied.visited if mode == "read"} == {PASSPORT}


def test_diff_of_a_unit_with_another_host_key_ends_with_6(estate: Path, applied: Units, capsys: Capture) -> None:
    applied.fails[PASSPORT] = HostKeyError(PASSPORT, "showed another key")
    said = pulih(capsys, "diff", PASSPORT, "--estate", estate)
    assert said.code == 6
    assert "not trusted: airport-passport: showed another key" in said.err


def test_diff_of_an_unknown_unit_suggests_the_nearest(estate: Path, applied: Units, capsys: Capture) -> None:
    said = pulih(capsys, "diff", "airport-pasport", "--estate", estate)
    assert (said.code, applied.visited) == (1, [])
    assert "did you mean airport-passport?" in said.err


def test_verify_reports_every_unit_and_writes_to_none(
    estate: Path, applied: Units, capsys: Capture, tmp_path: Path
) -> None:
    said = pulih(capsys, "verify", "--estate", estate, "--report-dir", tmp_path / "r")
    assert said.code == 0
    assert {mode for mode, _ in applied.visited} == {"probe"}
    stored = json.loads((tmp_path / "r" / "report.json").read_text())
    assert (stored["verb"], stored["totals"]["unchanged"], stored["totals"]["units"]) == ("verify", 3, 3)
    for unit in stored["units"]:
        assert unit["digest"] == applied.digests[unit["name"]]
    applied.fails[PASSPORT] = UnreachableError(PASSPORT, "nobody there")
    assert pulih(capsys, "verify", "--estate", estate).code == 3


def test_a_stored_run_is_rendered_again_just_as_it_was(
    estate: Path, units: Units, capsys: Capture, tmp_path: Path
) -> None:
    units.fails[PASSPORT] = UnreachableError(PASSPORT, "nobody there")
    assert pulih(capsys, "apply", "--estate", estate, "--report-dir", tmp_path / "first").code == 3
    said = pulih(capsys, "report", "--estate", estate, "--report-dir", tmp_path / "second")
    assert said.code == 0
    for name in ("report.json", "report.md", "report.html", "junit.xml"):
        assert (tmp_path / "first" / name).read_text() == (tmp_path / "second" / name).read_text()
    assert said.out == (tmp_path / "first" / "report.md").read_text()
    run = json.loads((tmp_path / "first" / "report.json").read_text())["run"]
    again = pulih(capsys, "report", run, "--estate", estate, "--output", "json")
    assert json.loads(again.out) == json.loads((tmp_path / "first" / "report.json").read_text())


def test_a_run_that_is_not_there_is_an_error_that_names_the_newest(
    estate: Path, applied: Units, capsys: Capture
) -> None:
    del applied
    said = pulih(capsys, "report", "../../etc", "--estate", estate)
    assert said.code == 1
    assert "-apply-" in said.err


def test_an_edited_journal_ends_with_6(estate: Path, applied: Units, capsys: Capture) -> None:
    del applied
    (journal,) = (estate.parent / ".pulih" / "runs").glob("*/journal.jsonl")
    journal.write_text(journal.read_text().replace('"verified"', '"unchanged"', 1))
    said = pulih(capsys, "report", "--estate", estate)
    assert (said.code, said.out) == (6, "")
    assert "this journal was edited" in said.err


def test_a_report_without_its_journal_still_renders(estate: Path, applied: Units, capsys: Capture) -> None:
    del applied
    (journal,) = (estate.parent / ".pulih" / "runs").glob("*/journal.jsonl")
    journal.unlink()
    assert pulih(capsys, "report", "--estate", estate).out.startswith("# small: 3 of 3 units verified")
    (journal.parent / "report.json").write_text('{"schema": "pulih/report/v1"')
    said = pulih(capsys, "report", "--estate", estate)
    assert said.code == 1
    assert "report.json: " in said.err


@pytest.mark.parametrize("content", ["", "null", "[1]", '{"schema": "x"}', "[" * 100_000, '{"a": NaN}'])
def test_a_damaged_report_is_an_error_not_a_crash(tmp_path: Path, content: str) -> None:
    (tmp_path / "report.json").write_text(content)
    with pytest.raises(StoredReportError, match=r"report\.json: "):
        read_report(tmp_path / "report.json")
