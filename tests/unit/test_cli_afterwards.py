"""The last step of a recovery: apps are told when their service is proven, and never before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from recovery.errors import UnreachableError
from recovery.model.estate import UnitName
from tests.citizens import PUBLISH, Office
from tests.cli_world import Units

RECOVER = ("recover", "--lost", "pdns-2", "--to", "cloud-1", "--yes")


@pytest.fixture
def office(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Office:
    """The keys are in the folder that a recovery looks into."""
    return Office(tmp_path, capsys, monkeypatch, PUBLISH + "  offline: ../keys\n")


@pytest.fixture
def units(office: Office, monkeypatch: pytest.MonkeyPatch) -> Units:
    return Units(office.estate).install(monkeypatch)


def manifest(office: Office) -> dict[str, Any]:
    """Return what a mirror tells, as it lies there."""
    stamp = json.loads((office.mirrors[0] / "metadata" / "timestamp.json").read_bytes())
    version = stamp["signed"]["meta"]["snapshot.json"]["version"]
    snapshot = json.loads((office.mirrors[0] / "metadata" / f"{version}.snapshot.json").read_bytes())
    version = snapshot["signed"]["meta"]["targets.json"]["version"]
    targets = json.loads((office.mirrors[0] / "metadata" / f"{version}.targets.json").read_bytes())
    digest = targets["signed"]["targets"]["citizen-app.json"]["hashes"]["sha256"]
    return json.loads((office.mirrors[0] / "targets" / f"{digest}.citizen-app.json").read_bytes())


def places(told: dict[str, Any]) -> set[str]:
    return {place["data_centre"] for service in told["services"].values() for place in service}


def test_apps_are_told_at_the_end_of_a_recovery_and_not_before(office: Office, units: Units) -> None:
    seen: list[set[str]] = []
    units.hook = lambda _name: seen.append(places(manifest(office)))
    office.ok("apply")
    assert manifest(office)["config_epoch"] == office.epoch
    said = office.ok(*RECOVER)
    assert {frozenset(each) for each in seen} == {frozenset({"pdns-2"})}
    assert f"Citizens' apps are told of it by 2 of 2 mirrors: config_epoch {office.epoch + 1}" in said.out.splitlines()
    told = office.told()
    assert places(told) == {"cloud-1"}
    assert told["services"]["passport"] == [{"data_centre": "cloud-1", "url": "https://10.2.0.4:443/"}]


def test_apps_are_not_told_while_a_unit_of_their_service_fails(office: Office, units: Units) -> None:
    office.ok("apply")
    failing = UnitName("embassy-passport")
    assert failing in units.digests
    units.fails[failing] = UnreachableError(failing, "no answer")
    said = office.pulih(*RECOVER)
    assert said.code == 3
    assert f"Citizens' apps were not told of it: {failing} is not verified" in said.out.splitlines()
    assert office.told()["config_epoch"] == office.epoch
    units.fails.clear()
    said = office.ok("resume")
    assert "Citizens' apps are told of it by 2 of 2 mirrors" in said.out
    assert places(office.told()) == {"cloud-1"}


def test_a_recovery_of_another_service_tells_apps_nothing(office: Office, units: Units) -> None:
    office.ok("apply")
    assert units.digests
    said = office.ok(*RECOVER, "--service", "border-crossing")
    assert "Citizens' apps were not told of it: passport was no part of this run" in said.out.splitlines()


@pytest.mark.usefixtures("units")
def test_without_the_keys_of_people_the_line_to_type_is_said_and_the_recovery_is_done(office: Office) -> None:
    office.keys.rename(office.folder / "elsewhere")
    said = office.ok(*RECOVER, "--output", "json")
    assert json.loads(said.out)["exit_code"] == 0
    lines = said.err.splitlines()
    start = lines.index("Citizens' apps were not told of it: people must sign first")
    assert lines[start + 1 :] == [
        "  targets.json has 0 of 2 signatures by the keys of root 1; missing of targets-1, targets-2, targets-3",
        f"To have it signed: pulih publish --prepare DIR --estate {office.estate}",
    ]
    office.keys = office.folder / "elsewhere"
    office.publish()
    assert places(office.told()) == {"cloud-1"}


@pytest.mark.usefixtures("units")
def test_a_passphrase_that_opens_nothing_is_a_key_that_is_not_there(office: Office) -> None:
    (office.folder / "passphrase").write_text("another horse\n")
    said = office.ok(*RECOVER)
    assert "targets-1.pem: no passphrase that was given opens it" in said.out
    assert "another horse" not in said.out + said.err


@pytest.mark.usefixtures("units")
def test_a_mirror_that_fails_is_named_and_the_recovery_is_done(office: Office) -> None:
    office.mirrors[1].rename(office.folder / "away")
    office.mirrors[1].write_text("no folder")
    said = office.ok(*RECOVER)
    assert "Citizens' apps are told of it by 1 of 2 mirrors" in said.out
    assert "../mirrors/b: metadata/1.root.json can't be" in said.out
    assert f"To bring the others up: pulih publish --refresh --estate {office.estate}" in said.out


@pytest.mark.usefixtures("units")
def test_what_can_not_be_told_for_another_reason_is_said_with_what_to_type(office: Office) -> None:
    (office.folder / "online" / "timestamp-1.pem").unlink()
    said = office.ok(*RECOVER)
    assert "Citizens' apps were not told of it: the key of timestamp that root 1 names is not in the folder" in said.out
    assert f"To try again: pulih publish --estate {office.estate}" in said.out
    assert office.told()["config_epoch"] == office.epoch


@pytest.mark.parametrize("verb", ["validate", "plan"])
def test_what_needs_seeing_to_is_said_beforehand(office: Office, verb: str) -> None:
    said = office.ok(verb)
    assert "targets keys" not in said.err
    office.keys.rename(office.folder / "elsewhere")
    (office.folder / "online" / "timestamp-1.pem").unlink()
    (office.folder / "online" / "timestamp-1.pub").unlink()
    said = office.ok(verb)
    assert "note: 0 of the 2 targets keys that must sign are here: after a recovery citizens' apps are told" in said.err
    assert "note: the key of timestamp is not in" in said.err
    (office.estate / "roots" / "1.root.json").unlink()
    assert "note: citizens' apps can't be told anything: there is no root in" in office.ok(verb).err
