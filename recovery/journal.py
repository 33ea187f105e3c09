"""The append-only record of one run: JSON lines, each with the hash of the one before, so that an edit is found.

Knows nothing of what is recorded; `record.py` does. A line that was being written when the power went is dropped:
what it would have said is read from the units.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from recovery.errors import BrokenRecordError, LeaseLostError
from recovery.files import UnfitFileError, read_regular
from recovery.writing import write_atomically

FIRST = "0" * 64
"""What stands for the hash before the first line."""

_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

MAX_JOURNAL_BYTES = 256 << 20
MAX_LINE_BYTES = 16 << 20
"""More than any run writes: the longest line, a report of 582 units, has 200 KB. JSON takes twenty times its length in
memory, so that a line without an end would take the machine with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a journal.

    Attributes:
        number: From 1.
        kind: One word, such as `unit-finished`.
        hash: Hex SHA-256 over the hash before and everything else in the line.
    """

    number: int
    at: datetime
    kind: str
    data: Mapping[str, object]
    hash: str


class Journal:
    """Appends to a journal. One process at a time: whoever holds the run's leases."""

    def __init__(self, path: Path) -> None:
        """Open it, behind the last whole line that it holds.

        Raises:
            BrokenRecordError: What it holds was edited.
        """
        written = Follower(path)
        lines = written.more()
        self._number = lines[-1].number if lines else 0
        self._hash = lines[-1].hash if lines else FIRST
        # A copy: what a stopped process of before has been about to write goes to a file that has no name any more.
        write_atomically(path, _bytes(path)[: written.whole_bytes])
        self._path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        os.fchmod(self._descriptor, 0o600)
        self._file = _identity(os.fstat(self._descriptor))

    def append(self, kind: str, at: datetime, data: Mapping[str, object], *, durable: bool = False) -> None:
        """Write one line with a single call, so that a killed process leaves a whole line or a torn last one.

        Args:
            kind: One word.
            at: When.
            data: Plain values; no secret.
            durable: Wait until the disk has it: for what the units themselves could not tell again.

        Raises:
            LeaseLostError: Somebody else has opened it meanwhile; what was written, no reader will find.
            OSError: The disk did not take it.
        """
        self._number += 1
        body = _body(self._number, at.isoformat(), kind, data)
        self._hash = _chained(self._hash, body)
        rest = _line(body, self._hash).encode()
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        if durable:
            os.fsync(self._descriptor)
        if _identity(self._path.stat()) != self._file:
            raise LeaseLostError(f"{self._path} is conducted by another process now")

    def close(self) -> None:
        """Give the file back."""
        os.close(self._descriptor)


def read(path: Path) -> tuple[Line, ...]:
    """Read a journal and check its chain.

    Raises:
        BrokenRecordError: A line was edited, removed or added by hand.
    """
    return Follower(path).more()


class Follower:
    """Reads a journal while somebody writes it: each time the whole lines that have come since, chain checked."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._number, self._hash = 0, FIRST
        self.whole_bytes = 0
        """How far whole lines reach."""

    def more(self) -> tuple[Line, ...]:
        """Return the lines that have come since; a torn last one comes when it is whole.

        Raises:
            BrokenRecordError: A line was edited, removed or added by hand.
        """
        content = _bytes(self._path, self.whole_bytes)
        lines: list[Line] = []
        for raw in content.splitlines(keepends=True):
            if not raw.endswith(b"\n") and _is_torn(raw):
                break
            line = _parse(self._path, self._number + 1, raw, self._hash)
            lines.append(line)
            self._number, self._hash = line.number, line.hash
            self.whole_bytes += len(raw)
        return tuple(lines)


def _bytes(path: Path, begin_bytes: int = 0) -> bytes:
    try:
        return read_regular(path, MAX_JOURNAL_BYTES, begin_bytes=begin_bytes)
    except FileNotFoundError:
        return b""
    except UnfitFileError as error:
        raise BrokenRecordError(f"{path}: {error.strerror}: this is no journal that pulih wrote") from error


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _is_torn(raw: bytes) -> bool:
    """Whether it is the beginning of a line, up to its missing newline; an object with more behind it is not."""
    if len(raw) > MAX_LINE_BYTES:
        return False
    text = raw.decode(errors="replace")
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return True
    return end == len(text)


def _parse(path: Path, number: int, raw: bytes, before: str) -> Line:
    try:
        if len(raw) > MAX_LINE_BYTES:
            raise ValueError(f"a line of {len(raw):,} bytes")
        decoded: object = json.loads(raw)
        if not raw.endswith(b"\n") or not isinstance(decoded, dict):
            raise ValueError("not a line of a journal")
        fields = cast(dict[str, object], decoded)
        at, kind, data = fields["at"], fields["kind"], fields["data"]
        if not (isinstance(at, str) and isinstance(kind, str) and isinstance(data, dict)):
            raise TypeError("a field of another type")
        moment, known = _moment(at), cast(dict[str, object], data)
        body = _body(number, at, kind, known)
        expected = _chained(before, body)
        if fields.get("hash") != expected or raw.decode() != _line(body, expected):
            raise ValueError("its hash does not fit")
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise BrokenRecordError(
            f"{path}:{number}: this journal was edited: {error or type(error).__name__}. What it says of the run can't "
            "be trusted; the units themselves can: `pulih drift` reads them, `pulih apply` brings them to the "
            "declaration. Keep the file as evidence."
        ) from error
    return Line(number=number, at=moment, kind=kind, data=known, hash=expected)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a moment without its offset from UTC")
    return moment.astimezone(UTC)  # the first and the last day of all time have no place in it


def _body(number: int, at: str, kind: str, data: Mapping[str, object]) -> str:
    """Return a line without its hash."""
    fields = {"number": number, "at": at, "kind": kind, "data": data}
    return _ENCODE(fields)


def _line(body: str, chained: str) -> str:
    return f'{body[:-1]},"hash":"{chained}"}}\n'


def _chained(before: str, body: str) -> str:
    return hashlib.sha256(f"{before}\n{body}".encode()).hexdigest()
