"""Reads files that somebody else may have written: never one that would keep us waiting, never more than expected."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


class UnfitFileError(OSError):
    """It is no regular file, or larger than what is read; `what` says which."""

    def __init__(self, code: int, what: str, path: Path) -> None:
        super().__init__(code, what, str(path))
        self.what = what


def read_regular(path: Path, at_most_bytes: int, *, begin_bytes: int = 0) -> bytes:
    """Return the content of a regular file, from so far on.

    Opened without waiting: a FIFO would hang the reader before it could be refused, and a device has no end.

    Raises:
        UnfitFileError: It is no regular file, or larger than that.
        OSError: It can't be read.
    """
    with open(path, "rb", opener=_opened) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise UnfitFileError(errno.EINVAL, "is not a regular file", path)
        file.seek(begin_bytes)
        content = file.read(at_most_bytes + 1)
    if len(content) > at_most_bytes:
        raise UnfitFileError(errno.EFBIG, f"is larger than {size_text(at_most_bytes)}, the most that is read", path)
    return content


def is_folder(path: Path) -> bool:
    """Whether there is such a folder; a name that no file can have (too long, a NUL in it) is none."""
    return os.path.isdir(path)  # noqa: PTH112 - pathlib's raises for some of these names


def is_there(path: Path) -> bool:
    """Whether there is such a file or folder."""
    return os.path.exists(path)  # noqa: PTH110 - pathlib's raises for some names


def size_text(size_bytes: int) -> str:
    """Write a limit as people do: `64 KiB`, `1 MiB`."""
    return f"{size_bytes >> 20} MiB" if size_bytes >= 1 << 20 else f"{size_bytes >> 10} KiB"


def _opened(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)
