"""The places that clients read from: folders that a web server shows, and buckets (in `bucket`)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from recovery.errors import PublishError
from recovery.files import UnfitFileError, read_regular
from recovery.writing import put_in_place


class MirrorError(PublishError):
    """A mirror can't be read or written; the others go on."""


class Mirror(Protocol):
    """One place that clients read from."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    def read(self, path: str, at_most_bytes: int) -> bytes | None:
        """Return a file, or None when there is none.

        Raises:
            MirrorError: It can't be read, or is larger than that.
        """
        ...

    def write(self, path: str, content: bytes) -> None:
        """Write a file whole or not at all; who reads meanwhile gets the old one.

        Raises:
            MirrorError: It can't be written.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder that a web server shows."""

    name: str
    folder: Path

    def read(self, path: str, at_most_bytes: int) -> bytes | None:
        """Return a file, or None when there is none.

        Raises:
            MirrorError: It can't be read, or is larger than that.
        """
        try:
            return read_regular(self.folder / path, at_most_bytes)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except UnfitFileError as error:
            raise MirrorError(f"{self.name}: {path} {error.what}") from error
        except OSError as error:
            raise MirrorError(f"{self.name}: {path} can't be read: {error.strerror}") from error

    def write(self, path: str, content: bytes) -> None:
        """Write a file whole or not at all; who reads meanwhile gets the old one.

        Raises:
            MirrorError: It can't be written.
        """
        target = self.folder / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _replace(target, content)
        except OSError as error:
            raise MirrorError(f"{self.name}: {path} can't be written: {error.strerror}") from error


def _replace(target: Path, content: bytes) -> None:
    """Put a file in place of another in one step, readable by everybody from the first moment."""
    fresh = target.with_name(f".{target.name}.{os.getpid()}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o644)  # whatever the umask of who publishes
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    put_in_place(fresh, target)
