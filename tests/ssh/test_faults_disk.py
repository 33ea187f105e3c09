"""A full disk, one without inodes or one read-only, before or during a visit: old or new, never a mixture."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from recovery.apply import tar_size
from recovery.diff import differences
from recovery.errors import CommandFailedError
from recovery.model.bundle import Bundle
from recovery.model.outcome import Cause
from tests.shells import Shell, bundle
from tests.ssh.disks import PAGE, Disk, DiskUnit, need_mounts
from tests.ssh.faulty import ends_as_declared, preferring
from tests.tools import need

A, B = bundle("a"), bundle("b")
PAGES_OF_B = 3 * -(-tar_size(B) // PAGE) + 12
"""More pages than a visit with B can use: its tar, each file, its links and its receipt."""
INODES_OF_B = 14
"""More inodes than a visit with B can use."""
ROOMY = '[ -e {0} ] && exec $real "$@"; : >{0}; echo Filesystem; echo tmpfs 9999999 0 9999999 0% /'
"""A `df` that sees room the first time it is asked: the disk fills up behind its back."""


@pytest.fixture(params=["dash", "busybox"])
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DiskUnit]:
    need(request.param, "flock")
    need_mounts()
    with Disk(tmp_path / "disk") as disk:
        unit = DiskUnit(Shell(request.param, tmp_path / "shell"), disk)
        unit.apply(A)
        yield unit


def fault(unit: DiskUnit, wanted: Bundle = B, *, df_lies: bool = False) -> CommandFailedError | None:
    """Apply, and return how it failed; None when it did not."""
    lied = unit.shell.folder / "lied"
    lied.unlink(missing_ok=True)
    environment = preferring(unit.shell, df=ROOMY.format(lied)) if df_lies else None
    try:
        unit.apply(wanted, environment=environment)
    except CommandFailedError as error:
        return error
    return None


def test_a_full_disk_is_told_before_a_bundle_is_asked_for(unit: DiskUnit) -> None:
    unit.disk.leave(8)
    error = fault(unit)
    assert error
    assert (error.cause, unit.served()) == (Cause.DISK_FULL, "a")
    assert "32 KiB free" in error.reason
    assert "free some space, then resume" in error.reason
    assert differences(A, unit.read()) == ()
    unit.disk.free()
    ends_as_declared(unit, B, "b")


def test_a_disk_that_fills_up_at_any_moment_leaves_old_or_new_and_says_so(unit: DiskUnit) -> None:
    ended: list[str] = []
    for pages in range(PAGES_OF_B):
        unit.disk.leave(pages)
        error = fault(unit, df_lies=True)
        assert unit.served() in ("a", "b"), pages
        if error:
            assert error.cause == Cause.DISK_FULL, (pages, str(error))
        ended.append(error.reason.split("`")[1] if error and "step `" in error.reason else "refused" if error else "ok")
        unit.disk.free()
        ends_as_declared(unit, B, "b")
        ends_as_declared(unit, A, "a")
    assert ended[0] in ("refused", "stage")
    assert "stage" in ended
    assert ended[-1] == "ok"


def test_a_disk_whose_inodes_are_used_up_leaves_old_or_new_and_says_so(unit: DiskUnit) -> None:
    ended: list[Cause | None] = []
    for inodes in range(INODES_OF_B):
        unit.disk.leave_inodes(inodes)
        error = fault(unit)
        assert unit.served() in ("a", "b"), inodes
        ended.append(Cause(error.cause) if error else None)
        unit.disk.free()
        ends_as_declared(unit, B, "b")
        ends_as_declared(unit, A, "a")
    assert set(ended[:5]) == {Cause.DISK_FULL}
    assert ended[-1] is None
    assert set(ended) == {Cause.DISK_FULL, None}


def test_a_unit_that_has_never_been_visited_and_is_full_says_so(unit: DiskUnit) -> None:
    for path in sorted(unit.seen.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    unit.disk.leave_inodes(0)
    error = fault(unit)
    assert error
    assert error.cause == Cause.DISK_FULL
    unit.disk.free()
    ends_as_declared(unit, A, "a")


@pytest.mark.parametrize("works", [True, False], ids=["serves", "does not serve"])
@pytest.mark.parametrize("step", ["validate", "reload", "probe"])
def test_a_disk_that_a_step_fills_up_leaves_old_or_new(unit: DiskUnit, step: str, works: bool) -> None:
    fill = f"head -c 9999999 /dev/zero >{unit.root.parent}/filler; true"
    honest = 'echo "pulih-probe/1 data-centre=cloud-1 service=passport nonce=$1"'
    last = honest if works else "exit 22"
    scripts = {step: fill, "probe": last} if step != "probe" else {"probe": f"{fill}; {last}"}
    error = fault(unit, bundle("b", **scripts))
    assert unit.served() == ("b" if works else "a")
    if error is None:
        assert (step, works) == ("validate", True), "the old receipt leaves just the room for the new one"
    elif works:
        assert error.cause == Cause.DISK_FULL
        assert "it serves its declared release, which it could not write down" in error.reason
    else:
        assert error.cause == Cause.PROBE_FAILED
        assert "it serves its previous release again" in error.reason
    unit.disk.free()
    ends_as_declared(unit, B, "b")


def test_what_killed_visits_left_gives_way_when_the_disk_is_tight(unit: DiskUnit) -> None:
    """Without that, the remains of two visits would keep a small disk full for ever."""
    big = bundle("c", validate="#" * 200_000)
    leftovers = unit.seen / "releases"
    for number in range(3):
        (leftovers / f"{big.digest}.{number}").mkdir()
        (leftovers / f"{big.digest}.{number}" / "b.conf").write_bytes(bytes(200_000))
    assert fault(unit, big) is None
    assert unit.served() == "c"
    assert sorted(path.name for path in leftovers.glob("sha256:*")) == sorted([A.digest, big.digest])


def test_a_read_only_disk_is_named_and_the_unit_goes_on_serving(unit: DiskUnit) -> None:
    unit.disk.remount("ro")
    error = fault(unit)
    assert error
    assert (error.cause, unit.served()) == (Cause.INTERNAL, "a")
    assert "ead-only file system" in error.reason
    assert differences(A, unit.read()) == (), "reading writes nothing"
    unit.disk.remount("rw")
    ends_as_declared(unit, B, "b")


@pytest.mark.parametrize("works", [True, False], ids=["serves", "does not serve"])
@pytest.mark.parametrize("step", ["validate", "reload", "probe"])
def test_a_disk_that_turns_read_only_at_a_step_leaves_old_or_new(unit: DiskUnit, step: str, works: bool) -> None:
    """As ext4 does with `errors=remount-ro` when it finds itself damaged."""
    turn = unit.disk.covering()
    honest = 'echo "pulih-probe/1 data-centre=cloud-1 service=passport nonce=$1"'
    last = honest if works else "exit 22"
    scripts = {step: turn, "probe": last} if step != "probe" else {"probe": f"{turn}; {last}"}
    error = fault(unit, bundle("b", **scripts))
    assert error
    assert unit.served() == ("a" if step == "validate" else "b")
    if step == "validate":
        assert "it was left as it was" in error.reason
    elif works:
        assert "it serves its declared release, which it could not write down" in error.reason
    else:
        assert "whether it serves is not known" in error.reason
    unit.disk.uncover()
    ends_as_declared(unit, B, "b")


def test_a_receipt_is_written_even_where_no_file_can_be_made(unit: DiskUnit) -> None:
    """It goes over the old one: a unit that has all its inodes in use can still be proven."""
    (unit.seen / "receipt.json").write_text("")
    unit.disk.leave_inodes(0)
    assert fault(unit, A) is None
    assert json.loads((unit.seen / "receipt.json").read_text())["digest"] == A.digest
