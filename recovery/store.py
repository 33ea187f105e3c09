"""Where leases and records live: a few small documents by name, each written only over the version that was read."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from recovery.errors import PulihError
from recovery.files import UnfitFileError, read_regular
from recovery.writing import alone, write_atomically

MAX_DOCUMENT_BYTES = 64 << 10
"""A lease has half a kilobyte."""
LOCKED_S = 10.0
"""To look at a document and write it takes milliseconds."""


class ConflictError(PulihError):
    """Somebody else wrote the document since it was read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One stored document.

    Attributes:
        version: Changes with the content; given back to `put` to write over just this one.
    """

    content: bytes
    version: str


class Store(Protocol):
    """A few small documents by name, such as `leases/jakarta.json`."""

    def get(self, name: str) -> Document | None:
        """Return a document, or None when there is none."""
        ...

    def put(self, name: str, content: bytes, *, over: str | None) -> str:
        """Write a document and return its version.

        Args:
            name: Of the document.
            content: All of it.
            over: The version that was read; None when there was none.

        Raises:
            ConflictError: It is not that version any more.
        """
        ...

    def names(self, prefix: str) -> list[str]:
        """Return the names that start with `prefix`, sorted."""
        ...


class FileStore:
    """Documents as files below a folder of this machine; a lock file makes compare-and-write one step."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, name: str) -> Document | None:
        """Return a document, or None when there is none."""
        try:
            content = read_regular(self.folder / name, MAX_DOCUMENT_BYTES)
        except FileNotFoundError:
            return None
        except UnfitFileError as error:
            raise PulihError(f"{self.folder / name}: {error.strerror}; look at it, and move it away") from error
        return Document(content=content, version=hashlib.sha256(content).hexdigest())

    def put(self, name: str, content: bytes, *, over: str | None) -> str:
        """Write a document atomically and return its version.

        Raises:
            ConflictError: It is not that version any more.
        """
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with alone(self.folder / ".lock", LOCKED_S, told="the leases can't be written"):
            found = self.get(name)
            if (found.version if found else None) != over:
                raise ConflictError(f"{name} was written by somebody else meanwhile")
            write_atomically(path, content)
        return hashlib.sha256(content).hexdigest()

    def names(self, prefix: str) -> list[str]:
        """Return the names that start with `prefix`, sorted."""
        folder = self.folder / Path(prefix).parent if not prefix.endswith("/") else self.folder / prefix
        if not folder.is_dir():
            return []
        found = (path.relative_to(self.folder).as_posix() for path in folder.iterdir() if path.is_file())
        return sorted(name for name in found if name.startswith(prefix) and not name.endswith(".new"))
