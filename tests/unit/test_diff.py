from __future__ import annotations

from dataclasses import replace

from recovery.diff import Change, differences
from recovery.model.bundle import Bundle, RenderedFile
from recovery.model.visit import Epoch, Observed, ObservedFile, Receipt

BUNDLE = Bundle.of(
    [
        RenderedFile(path="gateway/nginx.conf", mode=0o644, content=b"a"),
        RenderedFile(path="unit/probe", mode=0o755, content=b"b"),
    ]
)
AS_DECLARED = Observed(
    digest=BUNDLE.digest,
    receipt=Receipt(digest=BUNDLE.digest, epoch=Epoch(number=1, holder="h"), run="r", applied_at="now"),
    epoch=Epoch(number=1, holder="h"),
    files={
        "MANIFEST": ObservedFile(sha256=BUNDLE.digest.removeprefix("sha256:"), mode="-rw-r--r--"),
        "gateway/nginx.conf": ObservedFile(sha256=BUNDLE.files[0].sha256, mode="-rw-r--r--"),
        "unit/probe": ObservedFile(sha256=BUNDLE.files[1].sha256, mode="-rwxr-xr-x"),
    },
    odd=0,
    missing=(),
    contents={},
)


def changes(observed: Observed) -> list[tuple[str, Change]]:
    return [(difference.path, difference.change) for difference in differences(BUNDLE, observed)]


def with_file(path: str, file: ObservedFile | None) -> Observed:
    files = {name: found for name, found in AS_DECLARED.files.items() if name != path}
    return replace(AS_DECLARED, files=files if file is None else {**files, path: file})


def test_a_unit_as_declared_has_no_difference() -> None:
    assert changes(AS_DECLARED) == []


def test_an_edited_file_is_named() -> None:
    assert changes(with_file("unit/probe", ObservedFile(sha256="1" * 64, mode="-rwxr-xr-x"))) == [
        ("unit/probe", Change.CONTENT)
    ]


def test_a_missing_file_an_extra_one_and_another_mode_are_named() -> None:
    assert changes(with_file("unit/probe", None)) == [("unit/probe", Change.MISSING)]
    assert changes(with_file("extra", ObservedFile(sha256="1" * 64, mode="-rw-r--r--"))) == [("extra", Change.EXTRA)]
    private = ObservedFile(sha256=BUNDLE.files[0].sha256, mode="-rw-------")
    assert changes(with_file("gateway/nginx.conf", private)) == [("gateway/nginx.conf", Change.MODE)]


def test_a_link_in_place_of_a_file_is_a_difference() -> None:
    link = ObservedFile(sha256=BUNDLE.files[0].sha256, mode="lrwxrwxrwx")
    assert changes(with_file("gateway/nginx.conf", link)) == [("gateway/nginx.conf", Change.MODE)]


def test_a_unit_without_a_release_or_a_receipt_differs() -> None:
    assert changes(replace(AS_DECLARED, digest=None)) == [("current", Change.MISSING)]
    assert changes(replace(AS_DECLARED, receipt=None)) == [("receipt.json", Change.CONTENT)]


def test_names_that_cannot_be_written_count_as_extra_files() -> None:
    assert changes(replace(AS_DECLARED, odd=2)) == [("(names that can't be written)", Change.EXTRA)]
