"""A disk in memory behind the production code's files: what is not synced may be lost or torn when the power fails.

It stands in for `os`, `fcntl` and `pathlib` in `recovery.journal`, `recovery.writing` and `recovery.runs`, and for
whoever reads a whole file. As on ext4, a sync of any file also commits every name that was made, moved or removed
before it; a file's bytes are committed by a sync of that file only. A process that is killed leaves everything
that it has written.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any, BinaryIO, Self, cast

from recovery import files, journal, runs, store, writing
from recovery.cli import planned, storing
from tests.sim.loop import PROCESS

JOURNAL = "journal.jsonl"


@dataclass
class SimFile:
    """A file's bytes.

    Attributes:
        content: What is read.
        synced: What is on the platter.
    """

    content: bytes = b""
    synced: bytes = b""


class SimDisk:
    """One machine's disk.

    Attributes:
        files: By path.
        folders: Their paths.
        on_record: Told of each line that a process is about to append to a journal; whether it is kept back.
        after_record: Told when it is written.
        on_replace: Told of each file that was put in another's place, and its content.
        room_bytes: What still fits on it; None means more than anybody needs.
        below: Paths by folder and name, each joined once.
    """

    def __init__(self) -> None:
        self.files: dict[str, SimFile] = {}
        self.folders: set[str] = {"/"}
        self.on_record: Callable[[SimFile, bytes], bool] = lambda _file, _line: False
        self.after_record: Callable[[bytes], None] = lambda _line: None
        self.on_replace: Callable[[str, bytes], None] = lambda _path, _content: None
        self.room_bytes: int | None = None
        self.below: dict[tuple[str, str], Any] = {}
        self._committed: dict[str, SimFile] = {}
        self._since: list[dict[str, SimFile]] = []

    def path(self, *parts: str) -> DiskPath:
        """Return a path on this disk."""
        kind = cast(type[DiskPath], type("DiskPath", (DiskPath,), {"disk": self, "__slots__": ()}))
        return kind("/", *parts)

    def names_changed(self) -> None:
        """Note that a name was made, moved or removed."""
        self._since.append(dict(self.files))

    def sync(self, file: SimFile | None) -> None:
        """Commit every name, and one file's bytes."""
        self._committed, self._since = dict(self.files), []
        if file is not None:
            file.synced = file.content

    def lose_power(self, chance: random.Random) -> None:
        """Go back to what was committed, and to some of what came after it."""
        self.files = dict(chance.choice([self._committed, *self._since]))
        for file in self.files.values():
            grown = file.content[len(file.synced) :] if file.content.startswith(file.synced) else b""
            file.content = file.synced + grown[: chance.randint(0, len(grown))]
            file.synced = file.content
        self._committed, self._since = dict(self.files), []

    def write(self, path: str, file: SimFile, data: bytes) -> int:
        """Append; like a real disk, take a part when there is no room for all.

        Raises:
            OSError: There is no room at all.
        """
        is_record = path.endswith(f"/{JOURNAL}")
        if is_record and self.on_record(file, data):
            return len(data)
        if self.room_bytes is not None:
            data = data[: self.room_bytes]
            self.room_bytes -= len(data)
            if not data:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        file.content += data
        if is_record and data.endswith(b"\n"):
            self.after_record(data)
        return len(data)


class DiskPath(PurePosixPath):
    """A path on a `SimDisk`, with what of `pathlib.Path` the production code uses."""

    __slots__ = ()
    disk: SimDisk

    def __truediv__(self, name: str | os.PathLike[str]) -> Self:
        below, key = self.disk.below, (str(self), str(name))
        if key not in below:
            below[key] = super().__truediv__(name)
        return below[key]

    def read_bytes(self) -> bytes:
        _check()
        return self.file().content

    def open(self, mode: str) -> BinaryIO:
        assert mode in ("wb", "rb"), mode
        _check()
        if mode == "wb":
            self.disk.files[str(self)] = SimFile()
            self.disk.names_changed()
        return cast(BinaryIO, _Open(self.disk, str(self), self.file()))

    def replace(self, target: DiskPath) -> DiskPath:
        _check()
        self.disk.files[str(target)] = self.disk.files.pop(str(self))
        self.disk.names_changed()
        self.disk.on_replace(str(target), target.file().content)
        return target

    def rename(self, target: DiskPath) -> DiskPath:
        _check()
        old = f"{self!s}/"
        for name in [name for name in self.disk.files if name.startswith(old)]:
            self.disk.files[f"{target}/{name[len(old) :]}"] = self.disk.files.pop(name)
        self.disk.names_changed()
        return target

    def unlink(self, missing_ok: bool = False) -> None:
        _check()
        if self.disk.files.pop(str(self), None) is None and not missing_ok:
            raise FileNotFoundError(str(self))
        self.disk.names_changed()

    def touch(self) -> None:
        _check()
        self.file(make=True)

    def mkdir(self, **_how: object) -> None:
        _check()  # a folder is there as soon as a file is in it

    def stat(self) -> SimpleNamespace:
        _check()
        return SimpleNamespace(st_dev=0, st_ino=id(self.file()))

    def exists(self) -> bool:
        _check()
        return str(self) in self.disk.files

    def is_file(self) -> bool:
        return str(self) in self.disk.files

    def is_dir(self) -> bool:
        return any(name.startswith(f"{self!s}/") for name in self.disk.files)

    def iterdir(self) -> Iterator[Self]:
        below = f"{self!s}/"
        yield from {self / name[len(below) :].split("/")[0] for name in self.disk.files if name.startswith(below)}

    def glob(self, pattern: str) -> Iterator[Self]:
        folder, last = pattern.split("/")
        assert folder == "*", pattern
        yield from (child / last for child in self.iterdir() if (child / last).is_file())

    def file(self, *, make: bool = False) -> SimFile:
        """Return the file that stands here.

        Raises:
            FileNotFoundError: There is none.
        """
        name = str(self)
        if make and name not in self.disk.files:
            self.disk.files[name] = SimFile()
            self.disk.names_changed()
        try:
            return self.disk.files[name]
        except KeyError:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name) from None


class _Open:
    """An open file: a stream, and a descriptor too; a folder has no file."""

    def __init__(self, disk: SimDisk, path: str, file: SimFile | None) -> None:
        self.disk, self.path, self.file = disk, path, file
        self._unflushed = b""

    def write(self, data: bytes) -> int:
        """Keep it for `flush`: until then it is in the process alone, and a sync does not find it."""
        self._unflushed += data
        return len(data)

    def flush(self) -> None:
        """Write what was kept.

        Raises:
            OSError: There is no room for all.
        """
        data, self._unflushed = self._unflushed, b""
        if data and self.take(data) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def take(self, data: bytes) -> int:
        _check()
        assert self.file is not None
        return self.disk.write(self.path, self.file, data)

    def read(self, size: int) -> bytes:
        _check()
        assert self.file is not None
        return self.file.content[:size]

    def fileno(self) -> _Open:
        return self

    def __enter__(self) -> _Open:
        return self

    def __exit__(self, *_error: object) -> None:
        self.flush()


class _Os:
    """The functions of `os` that take a descriptor, for files on a `SimDisk`."""

    O_CREAT, O_WRONLY, O_RDWR, O_RDONLY = os.O_CREAT, os.O_WRONLY, os.O_RDWR, os.O_RDONLY
    O_APPEND, O_CLOEXEC, O_DIRECTORY = os.O_APPEND, os.O_CLOEXEC, os.O_DIRECTORY

    def open(self, path: DiskPath, flags: int, mode: int = 0) -> _Open:
        del mode
        _check()
        is_folder = bool(flags & os.O_DIRECTORY)
        return _Open(path.disk, str(path), None if is_folder else path.file(make=bool(flags & os.O_CREAT)))

    def write(self, descriptor: _Open, data: bytes) -> int:
        return descriptor.take(data)

    def fstat(self, descriptor: _Open) -> SimpleNamespace:
        _check()
        return SimpleNamespace(st_dev=0, st_ino=id(descriptor.file))

    def fchmod(self, _descriptor: _Open, _mode: int) -> None:
        return

    def pwrite(self, _descriptor: _Open, _data: bytes, _at: int) -> None:
        return  # into a lock

    def getpid(self) -> int:
        return 1

    def fsync(self, descriptor: _Open) -> None:
        _check()
        descriptor.disk.sync(descriptor.file)

    def close(self, _descriptor: _Open) -> None:
        return


def _check() -> None:
    process = PROCESS.get(None)
    if process is not None:
        process.check()


def _read_regular(path: DiskPath | Path, at_most_bytes: int, *, begin_bytes: int = 0) -> bytes:
    if not isinstance(path, DiskPath):
        return files.read_regular(path, at_most_bytes, begin_bytes=begin_bytes)
    content = path.read_bytes()[begin_bytes:]
    assert len(content) <= at_most_bytes
    return content


@contextmanager
def mounted() -> Generator[None]:
    """Let the production code's files be on simulated disks."""
    before = journal.os, writing.os, writing.fcntl
    journal.os = writing.os = _Os()  # type: ignore[assignment]
    writing.fcntl = SimpleNamespace(flock=lambda *_: None, LOCK_EX=0, LOCK_NB=0)  # type: ignore[assignment]
    readers = (journal, store, runs, planned, storing)
    for module in readers:
        vars(module)["read_regular"] = _read_regular
    try:
        yield
    finally:
        journal.os, writing.os, writing.fcntl = before
        for module in readers:
            vars(module)["read_regular"] = files.read_regular
