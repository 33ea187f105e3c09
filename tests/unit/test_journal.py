from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from recovery.errors import BrokenRecordError, LeaseLostError
from recovery.journal import Journal, read

AT = datetime(2024, 6, 20, 0, 54, tzinfo=UTC)


def written(path: Path, lines: int = 5) -> bytes:
    journal = Journal(path)
    for number in range(lines):
        journal.append("unit-finished", AT, {"name": f"unit-{number}", "reason": "gerbang “utama”"})
    journal.close()
    return path.read_bytes()


def test_what_was_appended_is_read_back_in_order(tmp_path: Path) -> None:
    written(tmp_path / "journal")
    assert [line.data["name"] for line in read(tmp_path / "journal")] == [f"unit-{n}" for n in range(5)]


def test_every_single_byte_that_is_changed_is_found(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    content = written(path, lines=3)
    for place in range(len(content)):
        edited = bytearray(content)
        edited[place] ^= 0x01
        path.write_bytes(edited)
        with pytest.raises(BrokenRecordError, match="journal was edited"):
            read(path)


def test_a_line_taken_out_or_put_twice_is_found(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    lines = written(path).splitlines(keepends=True)
    for edited in (lines[1:], lines[:2] + lines[3:], [*lines[:2], lines[1], *lines[2:]]):
        path.write_bytes(b"".join(edited))
        with pytest.raises(BrokenRecordError):
            read(path)


def test_a_torn_last_line_is_dropped_wherever_it_was_torn_and_the_journal_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    content = written(path, lines=3)
    whole = content.splitlines(keepends=True)
    for kept in range(1, len(whole[2])):
        path.write_bytes(b"".join(whole[:2]) + whole[2][:kept])
        assert len(read(path)) == 2
    journal = Journal(path)
    journal.append("run-finished", AT, {})
    journal.close()
    assert [line.kind for line in read(path)] == ["unit-finished", "unit-finished", "run-finished"]


def test_a_journal_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert read(tmp_path / "none") == ()


def test_a_writer_whose_journal_another_has_gone_on_with_writes_no_more(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    stopped = Journal(path)
    stopped.append("unit-started", AT, {"name": "a"})
    other = Journal(path)
    other.append("unit-started", AT, {"name": "b"})
    with pytest.raises(LeaseLostError, match="conducted by another process"):
        stopped.append("unit-finished", AT, {"name": "a"})
    assert [line.data["name"] for line in read(path)] == ["a", "b"]


def test_what_a_stopped_writer_was_about_to_write_reaches_no_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal"
    stopped = Journal(path)
    stopped.append("unit-started", AT, {"name": "a"})
    write = os.write

    def after_another_has_gone_on(descriptor: int, line: bytes) -> int:
        monkeypatch.undo()
        other = Journal(path)
        other.append("unit-started", AT, {"name": "b"})
        return write(descriptor, line)

    monkeypatch.setattr(os, "write", after_another_has_gone_on)
    with pytest.raises(LeaseLostError, match="conducted by another process"):
        stopped.append("unit-finished", AT, {"name": "a"})
    assert [line.data["name"] for line in read(path)] == ["a", "b"]
    assert [file.name for file in tmp_path.iterdir()] == ["journal"]


def test_only_its_owner_reads_a_journal(tmp_path: Path) -> None:
    written(tmp_path / "journal")
    assert (tmp_path / "journal").stat().st_mode & 0o777 == 0o600
