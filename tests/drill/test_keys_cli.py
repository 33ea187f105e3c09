"""Key ceremonies as they are typed: each key lost or stolen in turn, and an app that is installed follows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.citizens import App, publishing_estate
from tests.cli_world import Said, pulih

Capture = pytest.CaptureFixture[str]


class Office:
    """Where keys are kept and ceremonies held."""

    def __init__(self, folder: Path, capsys: Capture) -> None:
        self.folder = folder
        self.capsys = capsys
        self.estate = publishing_estate(folder)
        self.keys = folder / "keys"
        self.mirrors = [folder / "mirrors" / name for name in ("a", "b")]
        self.ok("keys", "new", "--dir", self.keys)
        self.publish()
        self.app = App(folder / "app", (self.estate / "roots" / "1.root.json").read_bytes())
        self.epoch = self.app.read(self.mirrors[0])["config_epoch"]

    def pulih(self, *words: object) -> Said:
        return pulih(self.capsys, *words)

    def ok(self, *words: object) -> Said:
        said = self.pulih(*words)
        assert said.code == 0, said
        return said

    def key(self, name: str) -> Path:
        return self.keys / f"{name}.pem"

    def fresh(self, name: str) -> Path:
        """Make a key on somebody's machine and return its public half."""
        self.ok("keys", "new", "--key", self.key(name))
        return self.keys / f"{name}.pub"

    def signing(self, *names: str) -> list[object]:
        return [word for name in names for word in ("--key", self.key(name))]

    def publish(self, *names: str) -> Said:
        return self.ok("publish", *self.signing(*(names or ("targets-1", "targets-2"))))

    def moves(self) -> None:
        """Change what apps are told."""
        text = (self.estate / "placement.yaml").read_text()
        moved = text.replace("passport: pdns-2", "passport: cloud-1")
        assert moved != text
        (self.estate / "placement.yaml").write_text(moved)

    def told(self) -> dict[str, Any]:
        """Return what the installed app is told, the same at every mirror."""
        told = [self.app.read(mirror) for mirror in self.mirrors]
        assert told[0] == told[1]
        return told[0]

    def shown(self) -> dict[str, Any]:
        said = self.pulih("keys", "show", "--output", "json")
        return json.loads(said.out)


@pytest.fixture
def office(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> Office:
    monkeypatch.delenv("PULIH_STATE", raising=False)
    monkeypatch.setenv("PULIH_ESTATE", str(tmp_path / "estate"))
    monkeypatch.setenv("PULIH_PASSPHRASE_FILE", str(tmp_path / "passphrase"))
    return Office(tmp_path, capsys)


@pytest.mark.parametrize("lost", ["root-1", "root-3", "targets-1", "targets-3"])
def test_a_lost_key_of_a_person_is_replaced_and_installed_apps_follow(office: Office, lost: str) -> None:
    role = lost.partition("-")[0]
    fresh = office.fresh(f"{role}-4")
    office.key(lost).unlink()
    roots = [name for name in ("root-1", "root-2", "root-3") if name != lost][:2]
    targets = [name for name in ("targets-1", "targets-2", "targets-3") if name != lost][:2]
    office.ok(
        "keys",
        "change",
        "--replace",
        f"{lost}={fresh}",
        *office.signing(*roots, "root-4" if role == "root" else targets[0], targets[1]),
    )
    assert office.told()["config_epoch"] == office.epoch
    office.moves()
    office.publish(*(("targets-4", targets[0]) if role == "targets" else targets))
    assert office.told()["config_epoch"] == office.epoch + 1
    assert lost not in [key["name"] for key in office.shown()["keys"]]


@pytest.mark.parametrize("lost", ["snapshot", "timestamp"])
def test_a_lost_key_of_the_machine_is_replaced_and_installed_apps_follow(office: Office, lost: str) -> None:
    (office.folder / "online" / f"{lost}-1.pem").unlink()
    said = office.pulih("publish", "--refresh")
    assert said.code == 1
    assert f"pulih keys change --replace {lost}" in said.err
    office.ok("keys", "change", "--replace", lost, *office.signing("root-1", "root-2"))
    assert office.told()["config_epoch"] == office.epoch
    office.ok("publish", "--refresh")
    office.told()
