"""Changing a placement: the model and the file say the same, and the file's diff shows nothing else."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recovery.declared import load, with_placement, write_placement
from recovery.declared.nodes import Document, parse
from recovery.declared.placement import replace_file
from recovery.errors import DeclarationError
from recovery.model.estate import DataCentreName, RegionName, ServiceName
from recovery.model.plan import Move
from tests.estates import sound_files, write_files

COMMENTED = """\
# Which data centre serves which service.

placement:            # for everybody
  identity:   pdns-2
  "time": 'pdns-2'    # the clocks

  # People stand in line for these two.
  border-crossing: pdns-2
  passport: pdns-2

# Where one region differs.
regional:
  # Its cable broke in May.
  east:
    passport: cloud-1   # until it is mended
    time: cloud-1
  # The west is all right.
  west:
    identity: cloud-1
# The end.
"""


def move(service: str, target: str, region: str | None = None) -> Move:
    return Move(
        service=ServiceName(service),
        region=None if region is None else RegionName(region),
        source=DataCentreName("pdns-2"),
        target=DataCentreName(target),
    )


def placed(folder: Path, text: str = COMMENTED) -> Path:
    return write_files(folder, {**sound_files(), "placement.yaml": text})


def changed(folder: Path, moves: list[Move], before: str = COMMENTED) -> list[str]:
    """Return the lines of the diff that some moves make, without its head."""
    file = placed(folder, before) / "placement.yaml"
    write_placement(folder, moves)
    after = file.read_bytes().decode()
    diff = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    return [line for line in diff if not line.startswith(("---", "+++", "@@"))]


def test_a_move_of_the_default_changes_one_word(tmp_path: Path) -> None:
    assert changed(tmp_path, [move("time", "cloud-1")]) == [
        "-  \"time\": 'pdns-2'    # the clocks",
        '+  "time": cloud-1    # the clocks',
        "-    time: cloud-1",
    ]


def test_a_move_of_a_region_is_added_to_its_block(tmp_path: Path) -> None:
    assert changed(tmp_path, [move("passport", "cloud-1", "west")]) == ["+    passport: cloud-1"]


def test_a_region_without_a_block_gets_one(tmp_path: Path) -> None:
    before = "placement: {identity: pdns-2, time: pdns-2, border-crossing: pdns-2, passport: pdns-2}  # all\n"
    assert changed(tmp_path, [move("passport", "cloud-1", "west")], before) == [
        "+regional:",
        "+  west:",
        "+    passport: cloud-1",
    ]


def test_a_regions_entry_that_repeats_the_default_goes_and_comments_stay(tmp_path: Path) -> None:
    assert changed(tmp_path, [move("passport", "pdns-2", "east"), move("time", "pdns-2", "east")]) == [
        "-  east:",
        "-    passport: cloud-1   # until it is mended",
        "-    time: cloud-1",
    ]


def test_the_last_entry_of_the_last_region_takes_the_heading_with_it(tmp_path: Path) -> None:
    moves = [move(service, "cloud-1") for service in ("identity", "time", "border-crossing", "passport")]
    placed(tmp_path)
    write_placement(tmp_path, moves)
    text = (tmp_path / "placement.yaml").read_text()
    assert "regional:" not in text
    assert [line for line in COMMENTED.splitlines() if line.lstrip().startswith("#")] == [
        line for line in text.splitlines() if line.lstrip().startswith("#")
    ]


def test_flow_style_stays_flow_style(tmp_path: Path) -> None:
    before = "placement: {identity: pdns-2, time: pdns-2, border-crossing: pdns-2, passport: pdns-2}\nregional: {}\n"
    assert changed(tmp_path, [move("time", "cloud-1", "west"), move("passport", "cloud-1")], before) == [
        "-placement: {identity: pdns-2, time: pdns-2, border-crossing: pdns-2, passport: pdns-2}",
        "-regional: {}",
        "+placement: {identity: pdns-2, time: pdns-2, border-crossing: pdns-2, passport: cloud-1}",
        "+regional: {west: {time: cloud-1}}",
    ]


def test_line_ends_and_a_missing_last_one_stay(tmp_path: Path) -> None:
    before = "placement:\r\n  identity: pdns-2\r\n  time: pdns-2\r\n  border-crossing: pdns-2\r\n  passport: pdns-2"
    placed(tmp_path)
    (tmp_path / "placement.yaml").write_bytes(before.encode())
    write_placement(tmp_path, [move("time", "cloud-1"), move("passport", "cloud-1", "west")])
    after = before.replace("time: pdns-2", "time: cloud-1") + "\r\nregional:\r\n  west:\r\n    passport: cloud-1\r\n"
    assert (tmp_path / "placement.yaml").read_bytes().decode() == after


def test_yaml_that_cannot_be_cut_is_written_anew(tmp_path: Path) -> None:
    before = "? placement\n: identity: pdns-2\n  time: pdns-2\n  border-crossing: pdns-2\n  passport: pdns-2\n...\n"
    placed(tmp_path, before)
    expected = with_placement(load(tmp_path), [move("passport", "cloud-1", "west")]).placement
    write_placement(tmp_path, [move("passport", "cloud-1", "west")])
    assert load(tmp_path).placement == expected


def test_a_placement_that_has_moved_already_is_left_as_it_is(tmp_path: Path) -> None:
    file = placed(tmp_path) / "placement.yaml"
    write_placement(tmp_path, [move("passport", "cloud-1", "west")])
    status, text = file.stat(), file.read_text()
    write_placement(tmp_path, [move("passport", "cloud-1", "west")])
    assert (file.stat().st_ino, file.read_text()) == (status.st_ino, text)


moves = st.lists(
    st.builds(
        move,
        service=st.sampled_from(["identity", "time", "border-crossing", "passport"]),
        target=st.sampled_from(["pdns-2", "cloud-1"]),
        region=st.sampled_from([None, "east", "west"]),
    ),
    max_size=8,
)


@settings(max_examples=30, deadline=None)
@given(moves=moves)
def test_the_file_read_back_is_what_was_planned(tmp_path_factory: pytest.TempPathFactory, moves: list[Move]) -> None:
    folder = placed(tmp_path_factory.mktemp("estate"))
    planned = with_placement(load(folder), moves)
    write_placement(folder, moves)
    assert load(folder).placement == planned.placement
    assert load(folder) == planned or not moves
    comments = [line for line in COMMENTED.splitlines() if line.lstrip().startswith("#")]
    after = (folder / "placement.yaml").read_text().splitlines()
    assert [line for line in after if line.lstrip().startswith("#")] == comments


def test_slugs_that_other_readers_take_for_numbers_or_truth_are_moved_too(tmp_path: Path) -> None:
    document = Document(tmp_path / "placement.yaml")
    text = 'placement:\n  on: pdns-2\n  "123": pdns-2\n'
    document.file.write_text(text)
    write_placement(tmp_path, [move("on", "1e3"), move("123", "no", "null")])
    parse(document, document.file.read_bytes())
    assert document.data == {"placement": {"on": "1e3", "123": "pdns-2"}, "regional": {"null": {"123": "no"}}}


def test_a_broken_file_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    placed(tmp_path, "placement: [\n")
    with pytest.raises(DeclarationError, match="not valid YAML"):
        write_placement(tmp_path, [move("passport", "cloud-1")])
    assert (tmp_path / "placement.yaml").read_text() == "placement: [\n"


def test_mode_and_link_stay(tmp_path: Path) -> None:
    placed(tmp_path / "estate")
    file, real = tmp_path / "estate" / "placement.yaml", tmp_path / "kept-elsewhere.yaml"
    file.rename(real)
    file.symlink_to(real)
    real.chmod(0o640)
    write_placement(tmp_path / "estate", [move("passport", "cloud-1")])
    assert file.is_symlink()
    assert real.stat().st_mode & 0o7777 == 0o640
    assert "passport: cloud-1" in real.read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_its_owner_stays(tmp_path: Path) -> None:
    placed(tmp_path)
    os.chown(tmp_path / "placement.yaml", 12, 34)
    write_placement(tmp_path, [move("passport", "cloud-1")])
    status = (tmp_path / "placement.yaml").stat()
    assert (status.st_uid, status.st_gid) == (12, 34)


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    placed(tmp_path)
    files = sorted(path.name for path in tmp_path.iterdir())
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_placement(tmp_path, [move("passport", "cloud-1")])
    assert (tmp_path / "placement.yaml").read_text() == COMMENTED
    assert sorted(path.name for path in tmp_path.iterdir()) == files


def test_the_content_is_on_disk_before_it_takes_the_old_ones_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def watched_fsync(descriptor: int) -> None:
        is_folder = os.path.isdir(f"/proc/self/fd/{descriptor}")  # noqa: PTH112 - follows the descriptor
        history.append("folder on disk" if is_folder else "content on disk")
        fsync(descriptor)

    def watched_replace(self: Path, target: Path) -> Path:
        history.append("in place")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(Path, "replace", watched_replace)
    file = tmp_path / "file"
    file.write_text("old")
    replace_file(file, b"new", over=b"old")
    assert file.read_text() == "new"
    assert history == ["content on disk", "in place", "folder on disk"]


def test_what_somebody_else_wrote_at_this_moment_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "placement.yaml"
    file.write_text("theirs")
    with pytest.raises(DeclarationError, match="was changed by somebody else at this moment"):
        replace_file(file, b"new", over=b"what was read")
    assert [(left.name, left.read_text()) for left in tmp_path.iterdir()] == [("placement.yaml", "theirs")]
