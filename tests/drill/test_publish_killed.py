"""A publisher that dies at any file it writes, and apps that look at every mirror at that very moment."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from recovery.publish import mirrors
from recovery.publish.mirrors import Folder
from tests.citizens import App, Office


class Killed(BaseException):
    """As the process ends, so does this: nothing catches it."""


@pytest.fixture
def office(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Office:
    return Office(tmp_path, capsys, monkeypatch)


@contextmanager
def each_write(looking: Callable[[], None]) -> Iterator[list[str]]:
    """Call after each write to a mirror, when a file stands in the place of another."""
    written: list[str] = []
    before = Folder.write

    def write(self: Folder, path: str, content: bytes) -> None:
        before(self, path, content)
        written.append(f"{self.name}: {path}")
        looking()

    Folder.write = write  # type: ignore[method-assign]
    try:
        yield written
    finally:
        Folder.write = before  # type: ignore[method-assign]
