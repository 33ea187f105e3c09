"""One region's stack with the literal CLI: up, preview, drift, refresh, what the state holds, stack commands."""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from pathlib import Path

import pytest

from infra.declaration import ROOT
from tests.engine.backends import BACKENDS, in_backend
from tests.engine.practice import Practice

REGION = "jawa-barat"


@pytest.fixture(scope="module", params=BACKENDS)
def practice(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[Practice]:
    """A lab whose data centre and one region are deployed; tests share it and leave it as declared."""
    made = Practice.begin(tmp_path_factory.mktemp("up"))
    try:
        with in_backend(request.param, made) as stored:
            stored.deploy("pdns-2", REGION)
            yield stored
    finally:
        made.end()


def kept(practice: Practice) -> tuple[dict[str, str], dict[str, list[tuple[str, int]]]]:
    """Return the receipts and releases on the region's units."""
    units = practice.units(REGION)
    receipts = {name: text for name, text in practice.receipts().items() if name in units}
    return receipts, {name: found for name, found in practice.releases().items() if name in units}


def test_the_region_is_as_declared_and_a_second_up_changes_nothing(practice: Practice) -> None:
    assert practice.pulih("drift", "--region", REGION).returncode == 0
    before = kept(practice)
    again = practice.up(REGION, "--expect-no-changes")
    assert (again.code, set(again.summary)) == (0, {"unchanged"}), again.out
    assert kept(practice) == before


def test_a_preview_touches_no_unit_and_takes_no_lease(practice: Practice) -> None:
    practice.init("amerika")
    said = practice.preview("amerika")
    assert said.code == 0, said.out
    units = practice.units("amerika")
    assert said.summary["create"] == 1 + 2 * len(units), said.out
    for root in units.values():
        assert not any((root / name).exists() for name in ("current", "releases", "epoch", "lock"))
    leases = {path.stem for path in (practice.home / ".pulih" / "leases").iterdir()}
    assert leases == {"pdns-2", REGION}


def test_the_lease_was_held_under_one_epoch_and_is_given_back(practice: Practice) -> None:
    lease = json.loads((practice.home / ".pulih" / "leases" / f"{REGION}.json").read_text())
    assert lease["released"] is True
    assert "-up-" in lease["run"]
    receipts = [json.loads((root / "receipt.json").read_text()) for root in practice.units(REGION).values()]
    assert len({(receipt["epoch"], receipt["holder"]) for receipt in receipts}) == 1


def test_a_relative_state_folder_starts_at_the_project_for_the_provider_as_for_pulih_there(
    practice: Practice, tmp_path: Path
) -> None:
    elsewhere = practice.with_environment(PULIH_STATE=os.path.relpath(tmp_path, ROOT))
    (practice.units(REGION)[min(practice.units(REGION))] / "receipt.json").unlink()
    seen = practice.pulumi("refresh", "--stack", REGION, "--yes", "--skip-preview", "--suppress-outputs")
    assert seen.code == 0, seen.out
    assert "stale-epoch" in elsewhere.up(REGION).out, "these leases have never seen the unit"
    assert (tmp_path / "leases" / f"{REGION}.json").exists()
    assert practice.up(REGION).code == 0


def test_a_planted_drift_is_seen_by_refresh_and_only_that_is_healed(practice: Practice) -> None:
    units = practice.units(REGION)
    drifted, *others = sorted(units)
    receipts = {name: (units[name] / "receipt.json").read_text() for name in others}
    with (units[drifted] / "current" / "gateway" / "nginx.conf").open("a") as file:
        file.write("# planted\n")
    (units[drifted] / "current" / "time" / "chrony.conf").chmod(0o600)
    (units[drifted] / "current" / "planted").touch()
    shown = practice.preview(REGION, "--refresh", "--diff", "--expect-no-changes")
    assert shown.code == 7, shown.out
    for path in ("gateway/nginx.conf", "time/chrony.conf", "planted"):
        assert f"{path} " in shown.out or f"{path}:" in shown.out, shown.out
    assert "-rw-------" in shown.out
    seen = practice.pulumi("refresh", "--stack", REGION, "--yes", "--skip-preview", "--suppress-outputs")
    assert seen.summary["updated"] == 1, seen.out
    healed = practice.up(REGION)
    assert (healed.code, healed.summary["updated"]) == (0, 1), healed.out
    assert practice.pulih("drift", "--region", REGION).returncode == 0
    assert {name: (units[name] / "receipt.json").read_text() for name in others} == receipts
    assert practice.preview(REGION, "--refresh", "--expect-no-changes").code == 0


def test_a_unit_holds_at_most_three_kilobytes_of_state_and_no_content(practice: Practice) -> None:
    for resource in practice.resources(REGION):
        resource.pop("stackTrace")  # the SDK's own
        size = len(json.dumps(resource, separators=(",", ":")))
        assert size <= 3 * 1024, (resource["urn"], size)
        assert resource["id"] == resource["inputs"]["unit"]
        assert set(resource["outputs"]) - set(resource["inputs"]) == {"epoch", "appliedAt", "run"}
        assert resource["provider"].split("::")[3] == "default_0_1_0"
    stored = practice.pulumi("stack", "export", "--stack", REGION).out
    key = (practice.home / "keys" / "client").read_text().splitlines()[2]
    assert "proxy_pass" not in stored
    assert key not in stored


def test_endpoints_come_after_identity_and_time(practice: Practice) -> None:
    made = {resource["id"]: resource for resource in practice.resources("pdns-2")}
    first = {resource["urn"] for name, resource in made.items() if name in ("identity-pdns-2", "time-pdns-2")}
    for name, resource in made.items():
        wanted = set[str]() if resource["urn"] in first else first
        assert set(resource.get("dependencies", [])) == wanted, name


def test_a_stacks_outputs_are_by_service(practice: Practice) -> None:
    said = practice.pulumi("stack", "output", "--stack", REGION, "--json")
    outputs = json.loads(said.out)
    deployed = {name: resource for resource in practice.resources(REGION) for name in [resource["id"]]}
    assert {unit for service in outputs.values() for unit in service["units"]} == set(deployed)
    for service, shown in outputs.items():
        assert shown["endpoint"] == f"{service}-pdns-2"
        assert all(deployed[unit]["outputs"]["digest"] == digest for unit, digest in shown["units"].items())


def test_destroy_forgets_and_darkens_nothing_and_import_takes_a_unit_back(practice: Practice) -> None:
    serving = practice.status().serving
    releases = kept(practice)[1]
    gone = practice.pulumi("destroy", "--stack", REGION, "--yes", "--skip-preview")
    assert gone.code == 0, gone.out
    assert practice.resources(REGION) == []
    assert practice.status().serving == serving
    units = practice.units(REGION)
    assert not any((root / "receipt.json").exists() for root in units.values())

    name = min(units)
    taken = practice.pulumi("import", "pulih:index:Unit", name, name, "--stack", REGION, "--yes", "--skip-preview")
    assert taken.code == 0, taken.out
    (resource,) = practice.resources(REGION)
    assert resource["outputs"]["files"]["receipt.json"] == "none"
    back = practice.up(REGION)
    assert back.code == 0, back.out
    assert (back.summary["updated"], "deleted" in back.summary) == (1, False), back.out
    assert sorted(resource["id"] for resource in practice.resources(REGION)) == sorted(units)
    assert kept(practice)[1] == releases, "no bundle was sent"
    assert practice.pulih("drift", "--region", REGION).returncode == 0


def test_a_unit_that_is_not_declared_can_not_be_imported(practice: Practice) -> None:
    said = practice.pulumi("import", "pulih:index:Unit", "x", "nowhere", "--stack", REGION, "--yes", "--skip-preview")
    assert said.code != 0
    assert "nowhere is not among what the declaration deploys in the stack jawa-barat" in said.out
