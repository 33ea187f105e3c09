"""Rules of a stack's resources, and the estate's rules that the policy pack adds to `pulih validate`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from infra.declaration import ROOT
from infra.rules import secrets, unpinned
from recovery import policy
from recovery.model.estate import Estate
from tests.estates import host_key, sound_estate

COMMAND = "command:remote:Command"


@pytest.fixture
def estate(tmp_path: Path) -> Estate:
    return sound_estate(tmp_path)


def test_a_command_with_the_declared_key_passes_through_a_bastion_with_its_own(estate: Estate) -> None:
    proxy = {"host": "10.8.1.1", "hostKey": host_key("gate-west")}
    connection = {"host": "10.1.1.1", "port": 22.0, "hostKey": host_key("identity-pdns-2"), "proxy": proxy}
    assert list(unpinned(COMMAND, {"connection": connection}, estate)) == []
    assert list(unpinned("aws:s3:Bucket", {"connection": {"host": "10.1.1.1"}}, estate)) == []


@pytest.mark.parametrize("kind", [COMMAND, "command:remote:CopyToRemote", "command:remote:CopyFile"])
@pytest.mark.parametrize("key", [None, "", "  "])
def test_a_command_without_a_key_goes_to_whoever_answers(estate: Estate, kind: str, key: str | None) -> None:
    connection = {"host": "10.1.1.1", "hostKey": key}
    (sentence,) = unpinned(kind, {"connection": connection}, estate)
    assert sentence.startswith("connection.hostKey is missing: ")
    assert "10.1.1.1" in sentence
    (sentence,) = unpinned(kind, {}, None)
    assert sentence.startswith("connection.hostKey is missing: ")


def test_the_bastion_of_a_command_needs_a_key_too(estate: Estate) -> None:
    connection = {"host": "10.1.1.1", "hostKey": host_key("identity-pdns-2"), "proxy": {"host": "10.8.1.1"}}
    (sentence,) = unpinned(COMMAND, {"connection": connection}, estate)
    assert sentence.startswith("connection.proxy.hostKey is missing: ")


def test_a_declared_host_has_its_declared_key_and_no_other(estate: Estate) -> None:
    other = {"host": "10.8.10.2", "hostKey": host_key("airport-border-crossing")}
    (sentence,) = unpinned(COMMAND, {"connection": other}, estate)
    assert sentence == ("connection.hostKey is not the key that the estate declares for 10.8.10.2. Give that one.")
    elsewhere = {"host": "10.8.10.2", "port": 2222, "hostKey": host_key("whoever")}
    assert list(unpinned(COMMAND, {"connection": elsewhere}, estate)) == []


@pytest.mark.parametrize(
    ("inputs", "path"),
    [
        ({"password": "hunter2"}, "password"),
        ({"connection": {"privateKey": "hunter2"}}, "connection.privateKey"),
        ({"environment": {"DB_PASSWORD": "hunter2"}}, "environment.DB_PASSWORD"),
        ({"args": ["a", "--token=hunter2"]}, "args[1]"),
        ({"tokens": ["hunter2"]}, "tokens[0]"),
        ({"stdin": "set -e\nexport PASSWORD=hunter2\n"}, "stdin"),
        ({"stdin": "cat <<END\n-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n"}, "stdin"),
        ({"url": "https://me:hunter2@example.org/"}, "url"),
        ({"files": {"a.conf": "api_key: hunter2"}}, 'files["a.conf"]'),
    ],
)
def test_an_input_that_looks_like_a_secret_is_named_and_not_repeated(inputs: dict[str, object], path: str) -> None:
    (sentence,) = secrets(COMMAND, inputs)
    assert sentence.startswith(f"{path} looks like a secret: ")
    assert "hunter2" not in sentence


def test_what_the_program_declares_holds_no_secret(estate: Estate) -> None:
    digests = {"gateway/password.conf": "ab" * 32, "private/token": "cd" * 32}
    assert list(secrets("pulih:index:Unit", {"unit": "a", "digest": "sha256:" + "ab" * 32, "files": digests})) == []
    script = (ROOT / "infra" / "hooks" / "bootstrap.sh").read_text()
    connection = {"host": "h", "port": 22.0, "hostKey": estate.bastions[next(iter(estate.bastions))].login.host_key}
    assert list(secrets(COMMAND, {"stdin": script, "connection": connection, "triggers": ["ab" * 32]})) == []


def test_hosts_that_pin_the_same_key_are_named(estate: Estate) -> None:
    assert policy.shared_host_keys(estate) == ()
    (east, west) = estate.regions
    units = tuple(
        replace(unit, login=replace(unit.login, host_key=host_key("gate-west"))) for unit in west.offices[0].units
    )
    shared = replace(west, offices=(replace(west.offices[0], units=units),))
    (sentence,) = policy.warnings(replace(estate, regions=(east, shared)))
    assert sentence == (
        "gate-west and airport-border-crossing and 1 more pin the same host key: whoever holds its private half can "
        "pass for each of them"
    )
    retired = tuple(replace(unit, retired=True) for unit in units)
    gone = replace(west, offices=(replace(west.offices[0], units=retired),))
    assert policy.shared_host_keys(replace(estate, regions=(east, gone))) == ()
