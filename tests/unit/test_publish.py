"""What is published, decided without a file or a clock: manifest, roots, order of writing, contradictions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recovery.declared import build
from recovery.errors import PublishError, UntrustedError
from recovery.model.estate import DataCentreName, Estate, Placement, RegionName, ServiceName
from recovery.model.publish import MirrorPlace, Publish
from recovery.publish import change, keys, manifest, metadata
from recovery.publish.change import Change
from recovery.publish.formats import CryptoSigner, Key, Signer
from recovery.publish.looking import Found, Held, fork
from recovery.publish.manifest import Manifest
from recovery.publish.mirrors import Folder
from recovery.publish.online import renewed
from recovery.publish.request import Request, carried, left, missing, of_change, of_news, sign
from recovery.publish.route import writes
from recovery.publish.trust import TIMESTAMP, Chain, Content, Versions, fitting
from tests.estates import sound_estate

NOW = datetime(2024, 6, 20, 0, 54, tzinfo=UTC)
PASSPORT = ServiceName("passport")


def published(estate: Estate, **declared: object) -> Publish:
    publish = Publish(
        service=PASSPORT,
        services=(PASSPORT,),
        mirrors=(MirrorPlace(name="mirror", directory=Path("/mirror")),),
        roots=Path("/roots"),
        online=Path("/online"),
        offline=None,
        minimum_version="4.2.0",
        message={"id": "Pulih.", "en": "Back."},
        reset=("sessions",),
        keep=("drafts",),
    )
    assert estate.folder
    return replace(publish, **declared)  # type: ignore[arg-type]


_signers: dict[str, CryptoSigner] = {}


def signer(name: str) -> CryptoSigner:
    return _signers.setdefault(name, CryptoSigner.generate_ed25519())


def key(name: str) -> Key:
    return keys.named(signer(name).public_key, name)


PEOPLE = ("root-1", "root-2", "root-3", "targets-1", "targets-2", "targets-3")
ALL: tuple[str, ...] = (*PEOPLE, "snapshot-1", "timestamp-1")


def signers(*names: str) -> list[Signer]:
    return [signer(name) for name in names]


@cache
def first() -> Chain:
    asked = Request(current=None, roots=(change.first([(name.partition("-")[0], key(name)) for name in ALL], NOW),))
    sign(asked, signers("root-1", "root-2"))
    return Chain.begun(metadata.to_bytes(asked.roots[0]))


def found(chain: Chain, *contents: Content) -> Found:
    held = tuple(
        Held(
            mirror=Folder(name=f"m{number}", folder=Path("/m")),
            roots=dict(enumerate(chain.written, start=1)),
            root_version=chain.version,
            content=content,
            fault=None,
            error=None,
        )
        for number, content in enumerate(contents)
    )
    newest = max(contents, key=lambda content: content.versions.targets, default=None)
    highest = newest.versions if newest is not None else None
    return Found(chain=chain, held=held, newest=newest, highest=highest, split=None, fork=None)


def told(number: int) -> dict[str, object]:
    return {"schema": manifest.SCHEMA, "minimum_version": f"4.{number}.0"}


def content(
    before: Found, number: int, now: datetime = NOW, by: Sequence[str] = ("targets-1", "targets-2"), machine: str = "1"
) -> Content:
    asked = of_news(before, told(number), now)
    sign(asked, signers(*by))
    chain, targets, written = carried(asked, before)
    return renewed(chain, targets, written, before, signers(f"snapshot-{machine}", f"timestamp-{machine}"), now)


# The manifest


def test_the_manifest_names_the_endpoint_of_every_region_the_most_common_first(tmp_path: Path) -> None:
    estate = sound_estate(tmp_path)
    west = (RegionName("west"), PASSPORT)
    placement = Placement(default=estate.placement.default, regional={west: DataCentreName("cloud-1")})
    estate = replace(estate, placement=placement)
    whole = manifest.content(estate, published(estate))
    assert whole["services"] == {
        "passport": [
            {"data_centre": "pdns-2", "url": "https://10.1.0.4:443/"},
            {"data_centre": "cloud-1", "url": "https://10.2.0.4:443/"},
        ]
    }
    assert (whole["reset"], whole["keep"]) == (["sessions"], ["drafts"])
    written = Manifest(config_epoch=7, content=whole).to_bytes()
    assert list(json.loads(written))[:2] == ["schema", "config_epoch"]
    assert Manifest.read(written) == Manifest(config_epoch=7, content=whole)


def test_an_ipv6_endpoint_stands_in_brackets(tmp_path: Path) -> None:
    estate = sound_estate(tmp_path)
    endpoint = replace(estate.endpoint[PASSPORT, DataCentreName("pdns-2")], address="2001:db8::1")
    assert manifest.url(endpoint) == "https://[2001:db8::1]:443/"


def test_a_manifest_that_clients_would_refuse_is_not_made() -> None:
    with pytest.raises(PublishError, match="clients take 65,536"):
        Manifest(config_epoch=1, content={"schema": manifest.SCHEMA, "message": "x" * manifest.MAX_BYTES}).to_bytes()


@pytest.mark.parametrize(
    "written", [b"", b"[]", b"{}", b'{"schema":"pulih/citizen-app/v1","config_epoch":true}', b"\xff"]
)
def test_what_is_no_manifest_is_not_read_as_one(written: bytes) -> None:
    with pytest.raises(UntrustedError):
        Manifest.read(written)


def test_without_a_list_the_serving_services_are_told() -> None:
    assert build.publish(None, Path("/estate"), ()) is None


# Versions


def test_versions_and_epoch_only_grow() -> None:
    one = content(found(first()), 1)
    two = content(found(first(), one), 2, NOW + timedelta(minutes=1))
    begun = metadata.first_version(NOW)
    assert one.versions == Versions(timestamp=begun, snapshot=begun, targets=begun, config_epoch=begun)
    assert two.versions == Versions(timestamp=begun + 1, snapshot=begun + 1, targets=begun + 1, config_epoch=begun + 1)


def test_a_renewal_changes_only_what_is_due() -> None:
    one = content(found(first()), 1)
    soon = content(found(first(), one), 1, NOW + timedelta(days=1), by=())
    assert (soon.targets, soon.snapshot) == (one.targets, one.snapshot)
    assert soon.versions.timestamp == one.versions.timestamp + 1
    later = content(found(first(), soon), 1, NOW + timedelta(days=4), by=())
    assert later.targets == one.targets
    assert later.versions.snapshot == one.versions.snapshot + 1
    last = content(found(first(), later), 1, NOW + timedelta(days=46))
    assert last.versions.targets == one.versions.targets + 1
    assert last.versions.config_epoch == one.versions.config_epoch


def test_a_repository_begun_again_lies_above_the_one_before() -> None:
    assert metadata.first_version(NOW + timedelta(days=1)) == metadata.first_version(NOW) + 24 * 60


def test_nothing_is_signed_by_too_few() -> None:
    asked = of_news(found(first()), told(1), NOW)
    sign(asked, signers("targets-1", "root-1", "root-2", "snapshot-1"))
    assert list(missing(asked)) == [
        "targets.json has 1 of 2 signatures by the keys of root 1; missing of targets-2, targets-3"
    ]
    with pytest.raises(PublishError, match="1 of 2"):
        carried(asked, found(first()))


# Contradictions


def test_two_timestamps_of_one_version_do_no_harm() -> None:
    one = content(found(first()), 1)
    ahead = content(found(first(), one), 1, NOW + timedelta(hours=1), by=())
    other = content(found(first(), one), 1, NOW + timedelta(hours=2), by=())
    assert ahead.versions == other.versions
    assert fork([("a", ahead), ("b", other), ("c", one)]) is None


def test_two_targets_of_one_version_are_a_fork_and_further_signatures_are_not() -> None:
    base = found(first())
    one, two = content(base, 1), content(base, 2)
    said = fork([("a", one), ("b", two)])
    assert said is not None
    assert said.startswith(f"a and b hold two versions {one.versions.targets} of targets.json")
    assert fork([("a", one), ("b", content(base, 1, by=("targets-2", "targets-3")))]) is None


def test_an_epoch_that_shrinks_is_a_fork() -> None:
    one = content(found(first()), 1)
    two = content(found(first(), one), 2)
    shrunk = replace(two, versions=replace(two.versions, config_epoch=1))
    assert "shrinks" in str(fork([("a", one), ("b", shrunk)]))


def test_what_was_prepared_over_something_else_is_refused() -> None:
    base = found(first())
    asked = of_news(base, told(1), NOW)
    with pytest.raises(PublishError, match="Prepare it again"):
        left(asked, found(first(), content(base, 2)))
    root = of_change(base, Change(), NOW)
    other = of_change(base, Change(thresholds={"root": 3}), NOW)
    sign(other, signers(*PEOPLE))
    with pytest.raises(PublishError, match="there is another one by now"):
        left(root, found(base.chain.with_next(metadata.to_bytes(other.roots[0]))))


# Changes of keys


def test_root_keys_change_in_one_root_and_others_in_two() -> None:
    current = first().newest
    assert len(change.changed(current, Change(add=[("root", key("root-4"))], remove=["root-1"]), NOW)) == 1
    assert len(change.changed(current, Change(add=[("targets", key("targets-4"))]), NOW)) == 1
    assert len(change.changed(current, Change(), NOW)) == 1
    both, last = change.changed(current, Change(add=[("timestamp", key("timestamp-2"))], remove=["timestamp-1"]), NOW)
    assert [keys.name_of(each) for each in change.keys_of(both.signed, "timestamp")] == ["timestamp-2", "timestamp-1"]
    assert [keys.name_of(each) for each in change.keys_of(last.signed, "timestamp")] == ["timestamp-2"]
    assert (both.signed.version, last.signed.version) == (2, 3)
    raised = change.changed(current, Change(thresholds={"targets": 3}), NOW)
    assert [made.signed.roles["targets"].threshold for made in raised] == [2, 3]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (Change(remove=["root-9"]), "there is no key root-9; there are root-1, "),
        (Change(remove=["root-1", "root-2"]), "root: 2 keys must sign, and it would have root-3"),
        (Change(thresholds={"targets": 1}), "one thief enough"),
        (Change(thresholds={"targets": 4}), "targets: 4 keys must sign"),
        (Change(add=[("targets", key("root-1"))]), "root-1 is the same key as root-1; every key is for one role"),
        (Change(add=[("root", keys.named(signer("x").public_key, "root-1"))]), "there is a key root-1 already"),
        (Change(remove=["timestamp-1"]), "timestamp: 1 keys must sign, and it would have none"),
    ],
)
def test_a_change_that_leaves_too_little_is_refused(wrong: Change, said: str) -> None:
    with pytest.raises(PublishError, match=said):
        change.changed(first().newest, wrong, NOW)


# The order of writing: whatever a mirror holds, and wherever it is broken off


CHANGES: Mapping[str, Change] = {
    "timestamp": Change(add=[("timestamp", key("timestamp-2"))], remove=["timestamp-1"]),
    "snapshot": Change(add=[("snapshot", key("snapshot-2"))], remove=["snapshot-1"]),
    "targets": Change(add=[("targets", key("targets-4"))], remove=["targets-1"]),
    "threshold": Change(thresholds={"targets": 3}),
    "root": Change(add=[("root", key("root-4"))], remove=["root-1"]),
}
MACHINES = [f"{role}-{number}" for role in ("snapshot", "timestamp") for number in (1, 2)]


def client(root: int, chain: Chain, files: Mapping[str, bytes]) -> bool:
    """Whether a client that trusts a root finds something that is signed, as it goes through the files."""
    while f"metadata/{root + 1}.root.json" in files:
        assert files[f"metadata/{root + 1}.root.json"] == chain.written[root]
        root += 1
    stamp = json.loads(files[TIMESTAMP])["signed"]
    snapshot = files[f"metadata/{stamp['meta']['snapshot.json']['version']}.snapshot.json"]
    version = json.loads(snapshot)["signed"]["meta"]["targets.json"]["version"]
    targets = files[f"metadata/{version}.targets.json"]
    digest = json.loads(targets)["signed"]["targets"]["citizen-app.json"]["hashes"]["sha256"]
    whole = fitting(files[TIMESTAMP], snapshot, targets, files[f"targets/{digest}.citizen-app.json"])
    return whole.stands_under(chain.at(root))


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_a_mirror_is_whole_at_every_write(data: st.DataObject) -> None:
    """One mirror gets everything; another one stays behind for a while, at most by one change of keys."""
    chain = first()
    now = NOW
    newest = content(found(chain), 1, now)
    ahead: dict[str, bytes] = dict(writes(chain, {}, 1, None, [newest]))
    behind, behind_content, behind_root = dict(ahead), newest, 1
    for name in data.draw(st.permutations(sorted(CHANGES)).map(lambda order: order[:2])):
        now += timedelta(minutes=1)
        before = found(chain, newest)
        asked = of_change(before, CHANGES[name], now)
        sign(asked, signers(*PEOPLE, "root-4", "targets-4"))
        chain, targets, written = carried(left(asked, before), before)
        fresh = renewed(chain, targets, written, before, signers(*MACHINES), now)
        for path, written in writes(chain, _roots(ahead), before.chain.version, newest, [newest, fresh]):
            ahead[path] = written
            assert all(client(root, chain, ahead) for root in range(1, before.chain.version + 1))
        if data.draw(st.booleans()):
            for path, written in writes(chain, _roots(behind), behind_root, behind_content, [newest, fresh]):
                behind[path] = written
                assert client(1, chain, behind)
                assert client(behind_root, chain, behind)
            behind_content, behind_root = fresh, chain.version
        newest = fresh
    assert client(1, chain, ahead)


def _roots(files: Mapping[str, bytes]) -> dict[int, bytes]:
    return {
        int(path.removeprefix("metadata/").partition(".")[0]): written
        for path, written in files.items()
        if path.endswith(".root.json")
    }
