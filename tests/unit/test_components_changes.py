"""What a look at a unit says of its resource, and what the next update would change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from infra.declaration import UNIT, Deployable
from infra.provider.changes import Kind, changes
from infra.provider.seen import outputs, state
from recovery.diff import differences
from recovery.model.bundle import Bundle, RenderedFile
from recovery.model.estate import DataCentreName, LinkName, OfficeName, RegionName, ServiceName, UnitName
from recovery.model.plan import Step
from recovery.model.visit import Epoch, Observed, ObservedFile, Receipt

BUNDLE = Bundle.of(
    [
        RenderedFile(path="gateway/nginx.conf", mode=0o644, content=b"a"),
        RenderedFile(path="unit/probe", mode=0o755, content=b"b"),
    ]
)
INPUTS: dict[str, Any] = {
    "unit": "u",
    "office": "o",
    "service": "passport",
    "dataCentre": "pdns-2",
    "endpoint": "passport-pdns-2",
    "digest": BUNDLE.digest,
    "files": {file.path: file.sha256 for file in BUNDLE.files},
}
RECEIPT = Receipt(digest=BUNDLE.digest, epoch=Epoch(number=4, holder="h"), run="r", applied_at="2026-11-23T17:00:00Z")
AS_DECLARED = Observed(
    digest=BUNDLE.digest,
    receipt=RECEIPT,
    epoch=Epoch(number=4, holder="h"),
    files={
        "MANIFEST": ObservedFile(sha256=BUNDLE.digest.removeprefix("sha256:"), mode="-rw-r--r--"),
        "gateway/nginx.conf": ObservedFile(sha256=BUNDLE.files[0].sha256, mode="-rw-r--r--"),
        "unit/probe": ObservedFile(sha256=BUNDLE.files[1].sha256, mode="-rwxr-xr-x"),
    },
    odd=0,
    missing=(),
    contents={},
)
DECLARED = Deployable(
    step=Step(
        name=UnitName("u"),
        kind="passport-counter",
        service=ServiceName("passport"),
        region=RegionName("r"),
        office=OfficeName("o"),
        title="O",
        data_centre=DataCentreName("pdns-2"),
        link=LinkName.FIBRE,
        bastion=None,
    ),
    bundle=BUNDLE,
    inputs=INPUTS,
)


def read(observed: Observed, before: dict[str, Any] | None = None) -> dict[str, object]:
    return state(INPUTS if before is None else before, DECLARED, observed, differences(BUNDLE, observed))


def to_heal(observed: Observed) -> list[tuple[str, Kind]]:
    """Return what the next update of a unit that was read like this would change."""
    return [(change.path, change.kind) for change in changes(UNIT, read(observed), INPUTS)]


def with_file(path: str, file: ObservedFile | None) -> Observed:
    files = {name: found for name, found in AS_DECLARED.files.items() if name != path}
    return replace(AS_DECLARED, files=files if file is None else {**files, path: file})


def test_a_unit_as_declared_is_read_as_it_was_applied_and_needs_nothing() -> None:
    assert read(AS_DECLARED) == outputs(INPUTS, RECEIPT)
    assert outputs(INPUTS, RECEIPT)["epoch"] == 4
    assert to_heal(AS_DECLARED) == []


@pytest.mark.parametrize(
    ("observed", "path", "kind"),
    [
        (
            with_file("gateway/nginx.conf", ObservedFile(sha256="f" * 64, mode="-rw-r--r--")),
            "gateway/nginx.conf",
            "update",
        ),
        (with_file("gateway/nginx.conf", ObservedFile(sha256=None, mode="-rw-r--r--")), "gateway/nginx.conf", "update"),
        (with_file("gateway/nginx.conf", None), "gateway/nginx.conf", "add"),
        (with_file("more", ObservedFile(sha256="f" * 64, mode="-rw-r--r--")), "more", "delete"),
        (
            with_file("unit/probe", ObservedFile(sha256=BUNDLE.files[1].sha256, mode="-rw-r--r--")),
            "unit/probe",
            "update",
        ),
    ],
)
def test_a_file_that_differs_is_named_and_changes_the_digest(observed: Observed, path: str, kind: str) -> None:
    assert to_heal(observed) == [("digest", Kind.UPDATE), (f'files["{path}"]', Kind(kind))]


@pytest.mark.parametrize(
    ("observed", "path"),
    [
        (replace(AS_DECLARED, receipt=None), "receipt.json"),
        (replace(AS_DECLARED, receipt=replace(RECEIPT, digest="sha256:" + "0" * 64)), "receipt.json"),
        (with_file("MANIFEST", ObservedFile(sha256="f" * 64, mode="-rw-r--r--")), "MANIFEST"),
        (with_file("MANIFEST", None), "MANIFEST"),
        (replace(AS_DECLARED, odd=2), "(names that can't be written)"),
    ],
)
def test_what_differs_beside_the_files_is_named_too(observed: Observed, path: str) -> None:
    assert to_heal(observed) == [(f'files["{path}"]', Kind.DELETE)]


def test_a_unit_without_a_release_needs_all_of_it() -> None:
    observed = replace(AS_DECLARED, digest=None, receipt=None, files={})
    assert read(observed)["digest"] == "none"
    assert to_heal(observed) == [
        ("digest", Kind.UPDATE),
        ('files["gateway/nginx.conf"]', Kind.ADD),
        ('files["unit/probe"]', Kind.ADD),
    ]


def test_a_unit_that_was_moved_by_a_recovery_needs_nothing() -> None:
    before = {**INPUTS, "dataCentre": "lost-1", "endpoint": "passport-lost-1", "digest": "sha256:" + "0" * 64}
    assert changes(UNIT, read(AS_DECLARED, before), INPUTS) == ()


def test_what_a_drifted_unit_was_deployed_for_is_kept() -> None:
    before = {**INPUTS, "dataCentre": "lost-1"}
    assert read(with_file("more", ObservedFile(sha256="f" * 64, mode="-rw-r--r--")), before)["dataCentre"] == "lost-1"


def test_a_changed_placement_is_an_update_and_another_unit_a_replacement() -> None:
    before = outputs({**INPUTS, "dataCentre": "lost-1"}, RECEIPT)
    (moved,) = changes(UNIT, before, INPUTS)
    assert (moved.path, moved.is_replacement) == ("dataCentre", False)
    (other,) = changes(UNIT, outputs({**INPUTS, "unit": "v"}, RECEIPT), INPUTS)
    assert (other.path, other.is_replacement) == ("unit", True)
