"""The reference client on what real ceremonies publish, over HTTP: nothing is installed again, no draft is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pulih_client import Client, Manifest, Outcome, State

from recovery import declared
from recovery.lab.mirror import shown
from recovery.publish import keys, manifest, metadata, places, publisher, request
from recovery.publish.formats import Metadata
from tests.citizens import WORDS, Office
from tests.unit.test_client_killed import a_home, held
from tests.vectors.case import ENTERED


class Installed:
    """An office that publishes, and one installation of the app that reads its mirrors."""

    def __init__(self, office: Office, mirrors: list[str]) -> None:
        self.office = office
        root = (office.estate / "roots" / "1.root.json").read_bytes()
        self.home = a_home(office.folder)
        self.client = Client(State(self.home), root, mirrors)
        assert self.learns(Outcome.UPDATED).config_epoch == office.epoch

    def learns(self, outcome: Outcome) -> Manifest:
        poll = self.client.poll(datetime.now(UTC))
        assert (poll.outcome, poll.refusals) == (outcome, ())
        assert sorted(held(self.home)) == list(ENTERED)
        used = self.client.configuration
        assert used is not None
        return used


@pytest.fixture
def installed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Installed]:
    office = Office(tmp_path, capsys, monkeypatch)
    with ExitStack() as stack:
        yield Installed(office, [stack.enter_context(shown(mirror)) for mirror in office.mirrors])


def test_every_key_is_replaced_in_turn_and_the_app_follows(installed: Installed) -> None:
    office = installed.office
    office.ok("keys", "change", "--replace", "timestamp", *office.signing("root-1", "root-2"))
    office.ok("keys", "change", "--replace", "snapshot", *office.signing("root-1", "root-2"))
    assert installed.learns(Outcome.UNCHANGED).config_epoch == office.epoch
    words = "--replace", f"root-1={office.fresh('root-4')}", "--replace", f"targets-1={office.fresh('targets-4')}"
    signing = office.signing("root-2", "root-3", "root-4", "targets-2", "targets-3")
    office.ok("keys", "change", *words, *signing)
    office.moves()
    office.publish("targets-4", "targets-2")
    used = installed.learns(Outcome.UPDATED)
    assert used.config_epoch == office.epoch + 1
    assert [place.data_centre for place in used.services["passport"]] == ["cloud-1"]


@pytest.mark.parametrize("far", [2**30, 2**53 - 1], ids=["room above", "the largest there is"])
def test_after_the_theft_of_enough_keys_the_app_comes_back_without_a_reinstall(installed: Installed, far: int) -> None:
    """Thieves with two targets keys and those of the machine tell apps what they like, until the keys are replaced."""
    office = installed.office
    before = office.epoch
    thieves_publish(office, far)
    assert "thieves" in str(installed.learns(Outcome.UPDATED).services)
    words = [f"targets-{old}={office.fresh(f'targets-{old + 3}')}" for old in (1, 2)]
    office.ok(
        "keys",
        "change",
        *(word for each in (*words, "snapshot", "timestamp") for word in ("--replace", each)),
        *office.signing("root-1", "root-2", "targets-1", "targets-2", "targets-4", "targets-5"),
    )
    office.publish("targets-4", "targets-5")
    used = installed.learns(Outcome.UPDATED)
    assert "thieves" not in str(used.services)
    assert used.config_epoch == far + 1 if far == 2**30 else before <= used.config_epoch < far


def thieves_publish(office: Office, epoch: int) -> None:
    """Publish another manifest with stolen keys: it is signed as it should be."""
    publish = declared.load(office.estate).publish
    assert publish is not None
    found = places.found(publish)
    assert found.newest is not None
    text = json.dumps(found.newest.told.content).replace("pdns-2", "thieves")
    written = manifest.Manifest(config_epoch=epoch, content=json.loads(text)).to_bytes()
    version, now = found.newest.versions.targets + 1, datetime.now(UTC)
    asked = request.Request(
        current=found.chain.newest, targets=Metadata(metadata.targets(written, version, now)), manifest=written
    )
    stolen = [keys.read(office.key(f"targets-{number}"), lambda _: [WORDS.encode()]) for number in (1, 2)]
    request.sign(asked, [pair.signer for pair in stolen])
    publisher.publish(found, asked, [pair.signer for pair in places.online(publish)], publish.roots, now)
