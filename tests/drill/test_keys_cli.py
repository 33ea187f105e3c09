"""Key ceremonies as they are typed: each key lost or stolen in turn, and an app that is installed follows."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tuf.api.exceptions import RepositoryError

from tests.citizens import App, Office


@pytest.fixture
def office(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Office:
    return Office(tmp_path, capsys, monkeypatch)


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
    refused = office.pulih("keys", "change", "--replace", lost, *office.signing("root-1"))
    assert refused.code == 5
    assert len(list((office.folder / "online").glob("*.pem"))) == 1  # none that counts for nothing stays behind
    said = office.pulih("publish", "--refresh")
    assert said.code == 1
    assert f"pulih keys change --replace {lost}" in said.err
    office.ok("keys", "change", "--replace", lost, *office.signing("root-1", "root-2"))
    assert office.told()["config_epoch"] == office.epoch
    office.ok("publish", "--refresh")
    office.told()


@pytest.mark.parametrize("stolen", ["root-1", "targets-1"])
def test_a_stolen_key_of_a_person_counts_no_longer(office: Office, stolen: str) -> None:
    role = stolen.partition("-")[0]
    fresh = office.fresh(f"{role}-4")
    office.ok(
        "keys",
        "change",
        "--replace",
        f"{stolen}={fresh}",
        *office.signing("root-2", "root-3", f"{role}-4", "targets-2", "targets-3"),
    )
    assert office.told()["config_epoch"] == office.epoch
    office.moves()
    if role == "targets":
        said = office.pulih("publish", *office.signing(stolen, "targets-2"))
        assert "targets.json has 1 of 2 signatures" in said.err
    else:
        said = office.pulih("keys", "change", *office.signing(stolen, "root-2"))
        assert "3.root.json has 1 of 2 signatures" in said.err
    assert said.code == 5
    assert office.told()["config_epoch"] == office.epoch


def test_what_a_stolen_timestamp_key_signs_is_refused_once_it_is_replaced(office: Office, tmp_path: Path) -> None:
    """A thief holds apps back with an old timestamp, as long as the root names its key."""
    stolen = tmp_path / "stolen"
    shutil.copytree(office.mirrors[0], stolen)
    office.ok("keys", "change", "--replace", "timestamp", *office.signing("root-2", "root-3"))
    assert office.told()["config_epoch"] == office.epoch
    for root in office.mirrors[0].glob(
        "metadata/*.root.json"
    ):  # whoever serves old files can't hide newer roots for ever
        shutil.copy(root, stolen / "metadata")
    with pytest.raises(RepositoryError, match="timestamp was signed by 0/1 keys"):
        office.app.twin(tmp_path / "twin").read(stolen)


def test_a_key_of_the_machine_is_replaced_while_a_mirror_lags(office: Office, tmp_path: Path) -> None:
    """The lagging mirror stays as it was and is still taken; when it is brought up, both tell the same."""
    behind = tmp_path / "behind"
    office.mirrors[1].rename(behind)
    office.mirrors[1].write_text("not a folder")  # nothing can be read or written there
    (office.folder / "online" / "timestamp-1.pem").unlink()
    said = office.pulih("keys", "change", "--replace", "timestamp", *office.signing("root-1", "root-2"))
    assert said.code == 3
    assert "failed: ../mirrors/b" in said.out
    assert office.app.twin(tmp_path / "twin-a").read(office.mirrors[0])["config_epoch"] == office.epoch
    assert office.app.twin(tmp_path / "twin-b").read(behind)["config_epoch"] == office.epoch
    office.mirrors[1].unlink()
    behind.rename(office.mirrors[1])
    said = office.ok("publish", "--refresh")
    assert "brought up: ../mirrors/b: it lagged: root 1, 3 elsewhere" in said.out
    assert office.told()["config_epoch"] == office.epoch


def test_two_people_sign_on_two_machines_without_a_network(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.moves()
    carried = tmp_path / "carried"
    said = office.pulih("publish")
    assert said.code == 5
    assert "pulih publish --prepare DIR" in said.err
    office.ok("publish", "--prepare", carried)
    assert office.told()["config_epoch"] == office.epoch
    early = office.pulih("publish", "--finish", carried)
    assert "targets.json has 0 of 2 signatures" in early.err
    monkeypatch.setenv("PULIH_ESTATE", str(tmp_path / "no-estate-here"))
    first = office.ok("publish", "--sign", carried, "--key", office.key("targets-1"))
    assert '"url": "https://10.2.0.4:443/"' in first.out
    assert "targets.json has 1 of 2 signatures by the keys of root 1; missing of targets-2, targets-3" in first.out
    second = office.ok("publish", "--sign", carried, "--key", office.key("targets-3"))
    assert second.out.endswith("enough have signed\n")
    monkeypatch.setenv("PULIH_ESTATE", str(office.estate))
    office.ok("publish", "--finish", carried)
    assert office.told()["config_epoch"] == office.epoch + 1
    assert office.ok("publish", "--finish", carried).out.startswith("renewed: ")  # as if it had been broken off


def test_what_was_signed_is_refused_when_the_declaration_says_something_else_by_now(
    office: Office, tmp_path: Path
) -> None:
    office.moves()
    office.ok("publish", "--prepare", tmp_path / "carried")
    office.ok("publish", "--sign", tmp_path / "carried", *office.signing("targets-1", "targets-3"))
    (office.estate / "estate.yaml").write_text((office.estate / "estate.yaml").read_text().replace("4.2.0", "4.3.0"))
    said = office.pulih("publish", "--finish", tmp_path / "carried")
    assert said.code == 5
    assert "not what the declaration says now" in said.err
    office.publish()
    said = office.pulih("publish", "--finish", tmp_path / "carried")
    assert office.told()["minimum_version"] == "4.3.0"


def test_a_threshold_is_raised_and_lowered_again(office: Office) -> None:
    people = office.signing("root-1", "root-2", "root-3", "targets-1", "targets-2", "targets-3")
    office.ok("keys", "change", "--threshold", "targets=3", "--threshold", "root=3", *people)
    assert office.told()["config_epoch"] == office.epoch
    office.moves()
    said = office.pulih("publish", *office.signing("targets-1", "targets-2"))
    assert "targets.json has 2 of 3 signatures" in said.err
    office.publish("targets-1", "targets-2", "targets-3")
    office.ok("keys", "change", "--threshold", "targets=2", "--threshold", "root=2", *people)
    assert office.told()["config_epoch"] == office.epoch + 1
    said = office.pulih("keys", "change", "--threshold", "targets=1", *people)
    assert "one thief enough" in said.err


def test_the_first_root_is_made_from_keys_that_six_people_made_by_themselves(office: Office, tmp_path: Path) -> None:
    shutil.rmtree(office.estate / "roots")
    shutil.rmtree(office.folder / "mirrors")
    names = [f"{role}-{person}" for role in ("root", "targets") for person in ("ani", "budi", "citra")]
    added = [word for name in names for word in ("--add", f"{name.partition('-')[0]}={office.fresh(name)}")]
    carried = tmp_path / "carried"
    office.ok("keys", "new", *added, "--prepare", carried)
    office.ok("publish", "--sign", carried, "--key", office.key("root-ani"))
    assert "1.root.json has 1 of 2 signatures by its own keys" in office.pulih("publish", "--finish", carried).err
    office.ok("publish", "--sign", carried, "--key", office.key("root-citra"))
    office.ok("publish", "--finish", carried)
    office.publish("targets-ani", "targets-budi")
    app = App(tmp_path / "another-app", (office.estate / "roots" / "1.root.json").read_bytes())
    assert app.read(office.mirrors[1])["minimum_version"] == "4.2.0"


def test_an_app_two_roots_behind_follows(office: Office, tmp_path: Path) -> None:
    old = office.app.twin(tmp_path / "old")
    for number in (4, 5):
        fresh = office.fresh(f"root-{number}")
        office.ok(
            "keys",
            "change",
            "--replace",
            f"root-{number - 3}={fresh}",
            *office.signing(f"root-{number - 3}", "root-3", f"root-{number}"),
        )
    office.ok("keys", "change", "--replace", "snapshot", *office.signing("root-4", "root-5"))
    assert office.shown()["root"] == 5
    office.moves()
    office.publish()
    assert old.read(office.mirrors[0])["config_epoch"] == office.epoch + 1


def test_a_threshold_of_root_keys_that_is_lost_says_that_no_command_mends_it(office: Office) -> None:
    for name in ("root-1", "root-2"):
        office.key(name).unlink()
    fresh = office.fresh("root-4")
    said = office.pulih("keys", "change", "--replace", f"root-1={fresh}", *office.signing("root-3", "root-4"))
    assert said.code == 5
    assert "2.root.json has 1 of 2 signatures by the keys of root 1; missing of root-1, root-2" in said.err
    assert office.told()["config_epoch"] == office.epoch


def test_a_key_that_is_not_encrypted_signs_nothing_real(office: Office) -> None:
    from cryptography.hazmat.primitives import serialization

    file = office.key("targets-1")
    loaded = serialization.load_pem_private_key(file.read_bytes(), (office.folder / "passphrase").read_bytes().strip())
    file.write_bytes(
        loaded.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    office.moves()
    said = office.pulih("publish", *office.signing("targets-1", "targets-2"))
    assert said.code == 5
    assert "targets-1.pem is not encrypted" in said.err
    assert office.told()["config_epoch"] == office.epoch


def test_a_wrong_passphrase_opens_nothing_and_is_not_shown(office: Office, tmp_path: Path) -> None:
    (tmp_path / "passphrase").write_text("wrong horse battery\n")
    office.moves()
    said = office.pulih("publish", *office.signing("targets-1", "targets-2"))
    assert said.code == 1
    assert "targets-1.pem: no passphrase that was given opens it" in said.err
    assert "wrong horse" not in said.err


def test_what_is_shown_names_every_key_and_what_needs_doing(office: Office) -> None:
    shown = office.shown()
    assert [key["name"] for key in shown["keys"] if key["has_signed"]] == ["targets-1", "targets-2"]
    assert [key["name"] for key in shown["keys"] if key["is_here"]] == ["snapshot-1", "timestamp-1"]
    assert shown["mirrors"] == [{"name": f"../mirrors/{name}", "state": "as it should be"} for name in "ab"]
    assert shown["to_do"] == []
    assert office.ok("keys", "show").out.splitlines()[0].split() == [
        "Role",
        "Must",
        "sign",
        "Key",
        "Id",
        "Here",
        "Signed",
        "what",
        "is",
        "published",
    ]
    (office.folder / "online" / "snapshot-1.pem").unlink()
    (office.folder / "online" / "snapshot-1.pub").unlink()
    said = office.pulih("keys", "show", "--output", "json")
    assert said.code == 2
    assert "pulih keys change --replace snapshot" in json.loads(said.out)["to_do"][0]


def forked(office: Office) -> None:
    """Have two people sign two things at once: each reaches one mirror only."""
    before = office.folder / "before"
    shutil.copytree(office.mirrors[0], before)
    shutil.rmtree(office.mirrors[1])
    office.mirrors[1].write_text("not there")
    for version in ("4.3.0", "4.4.0"):
        estate = office.estate / "estate.yaml"
        estate.write_text(estate.read_text().replace("4.2.0", version).replace("4.3.0", version))
        assert office.pulih("publish", *office.signing("targets-1", "targets-2")).code == 3
        if version == "4.3.0":
            office.mirrors[0].rename(office.folder / "other")
            before.rename(office.mirrors[0])
    office.mirrors[1].unlink()
    (office.folder / "other").rename(office.mirrors[1])


def test_two_histories_are_refused_until_people_sign_above_both(office: Office, tmp_path: Path) -> None:
    forked(office)
    apps = [office.app.twin(tmp_path / name) for name in ("x", "y")]
    read = [app.read(mirror) for app, mirror in zip(apps, office.mirrors, strict=True)]
    assert [(told["config_epoch"], told["minimum_version"]) for told in read] == [
        (office.epoch + 1, "4.4.0"),
        (office.epoch + 1, "4.3.0"),
    ]
    for words in (["--refresh"], office.signing("targets-1", "targets-2"), ["--prepare", tmp_path / "no"]):
        said = office.pulih("publish", *words)
        assert said.code == 6
        assert f"hold two versions {office.epoch + 1} of targets.json" in said.err
        assert "pulih publish --settle" in said.err
    office.ok("publish", "--settle", *office.signing("targets-2", "targets-3"))
    for app in (*apps, office.app):
        for mirror in office.mirrors:
            told = app.read(mirror)
            assert (told["config_epoch"], told["minimum_version"]) == (office.epoch + 2, "4.4.0")


def test_two_histories_are_settled_by_people_elsewhere(office: Office, tmp_path: Path) -> None:
    forked(office)
    carried = tmp_path / "carried"
    office.ok("publish", "--settle", "--prepare", carried)
    office.ok("publish", "--sign", carried, *office.signing("targets-1", "targets-2"))
    office.ok("publish", "--finish", carried)
    assert office.told()["config_epoch"] == office.epoch + 2


def test_two_roots_of_one_version_are_refused(office: Office) -> None:
    before = office.folder / "before"
    shutil.copytree(office.estate / "roots", before)
    shutil.copytree(office.folder / "mirrors", office.folder / "mirrors-before")
    office.ok("keys", "change", *office.signing("root-1", "root-2"))
    shutil.rmtree(office.mirrors[0])
    (office.folder / "mirrors-before" / "a").rename(office.mirrors[0])
    shutil.rmtree(office.estate / "roots")
    before.rename(office.estate / "roots")
    aside = office.folder / "aside"
    office.mirrors[1].rename(aside)
    office.mirrors[1].write_text("not there")
    people = office.signing("root-1", "root-2", "root-3", "targets-1", "targets-2", "targets-3")
    assert office.pulih("keys", "change", "--threshold", "root=3", *people).code == 3
    office.mirrors[1].unlink()
    aside.rename(office.mirrors[1])
    for words in (["publish", "--refresh"], ["publish", "--settle", *people], ["keys", "change", *people]):
        said = office.pulih(*words)
        assert said.code == 6
        assert "../mirrors/b holds another version 2 of root.json" in said.err


def test_what_a_thief_signed_far_ahead_is_named_and_left_behind(office: Office) -> None:
    """A thief with both keys of the machine signs a version after which nothing can follow."""
    from recovery.publish import keys, metadata
    from recovery.publish.formats import Metadata, Timestamp

    stolen = keys.read(office.folder / "online" / "timestamp-1.pem", lambda _name: ()).signer
    path = office.mirrors[1] / "metadata" / "timestamp.json"
    forged = Metadata[Timestamp].from_bytes(path.read_bytes())
    forged.signed.version = (1 << 63) - 1
    forged.sign(stolen)
    path.write_bytes(metadata.to_bytes(forged))
    robbed = office.app.twin(office.folder / "robbed")
    robbed.read(office.mirrors[1])
    said = office.ok("publish", "--refresh")
    assert "which pulih never makes" in said.out
    with pytest.raises(RepositoryError):
        robbed.read(office.mirrors[1])
    office.ok("keys", "change", "--replace", "timestamp", *office.signing("root-1", "root-2"))
    assert robbed.read(office.mirrors[1])["config_epoch"] == office.epoch
    assert office.told()["config_epoch"] == office.epoch
