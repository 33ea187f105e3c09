"""A unit whose own files were made to hurt, and a tar that holds more than it was sent: dash and busybox."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from recovery.diff import differences
from recovery.errors import CommandFailedError
from tests.hostile.shells import HEADER, SHELLS, packed
from tests.shells import LocalUnit, Shell, bundle
from tests.tools import need

A, B = bundle("a"), bundle("b")
HUNDRED_MB = 100_000_000


@pytest.fixture(params=SHELLS)
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> LocalUnit:
    need("busybox")
    return LocalUnit(Shell(request.param, tmp_path / "shell"), tmp_path / "root")


def grow(path: Path) -> None:
    """Put 100 MB without a line's end behind what a file holds."""
    path.chmod(0o644)
    with path.open("ab") as file:
        file.write(b"x" * HUNDRED_MB)


@pytest.mark.parametrize("name", ["receipt.json", "current/MANIFEST"])
def test_a_unit_with_a_file_of_100_mb_is_brought_to_its_bundle_all_the_same(unit: LocalUnit, name: str) -> None:
    """A shell reads a byte at a time: each visit ran into its time limit, and no apply could ever mend the unit."""
    unit.apply(A)
    grow(unit.root / name)
    assert unit.read().receipt is None or name != "receipt.json"
    unit.apply(A)
    assert differences(A, unit.read()) == ()


def test_an_epoch_of_100_mb_is_refused_in_words(unit: LocalUnit) -> None:
    unit.apply(A)
    grow(unit.root / "epoch")
    with pytest.raises(CommandFailedError, match="is larger than an epoch: look at it and move it away"):
        unit.apply(B)
    assert unit.served() == "a"


def test_a_sparse_file_that_would_take_hours_to_check_is_refused(unit: LocalUnit) -> None:
    """The tar had 10 KB; the file in it a terabyte, which `sha256sum` went through under the lock."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        info = tarfile.TarInfo(".stage/MANIFEST")
        info.type = tarfile.GNUTYPE_SPARSE
        archive.addfile(info)
    content = bytearray(buffer.getvalue())
    content[386:398] = content[398:410] = b"00000000000\0"
    content[483:495] = (1 << 40).to_bytes(12, "big")
    content[483] |= 0x80
    content[148:156] = b" " * 8
    content[148:156] = f"{sum(content[:512]):06o}\0 ".encode()
    said = unit.say(
        HEADER.format(mode="apply", root=unit.root, digest=A.digest, epoch=1, size=len(content)).encode(),
        bytes(content),
    )
    assert said[-1].startswith("failed stage ")
    assert said[-1].endswith(" none")


def test_a_tar_that_unpacks_itself_is_refused_where_it_holds_more_than_was_sent(unit: LocalUnit) -> None:
    content = packed([], "", is_first=True, is_compressed=True)
    said = unit.say(
        HEADER.format(mode="apply", root=unit.root, digest=A.digest, epoch=1, size=len(content)).encode(), content
    )
    assert said[-1].startswith("failed stage ")
    assert not (unit.root / "current").exists()
