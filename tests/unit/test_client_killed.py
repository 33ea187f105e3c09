"""A client that is killed at each of its writes: it has the old configuration or the new one, and every draft."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest
from pulih_client import Client, Outcome, State

from tests.vectors.case import ENTERED, EVERYTHING, SHIPPED_DATA
from tests.vectors.repository import BEGAN, DAY, a_manifest, a_repository, names
from tests.vectors.serving import serving

_WRITES = frozenset(
    {
        "write",
        "fsync",
        "__exit__",
        "close",
        "rename",
        "replace",
        "remove",
        "unlink",
        "rmdir",
        "mkdir",
        "symlink",
        "link",
    }
)
_AT_MOST = 400


def a_home(folder: Path) -> Path:
    """Make an installation with everything that one may hold."""
    home = folder / "installation"
    for path, content in SHIPPED_DATA.items():
        (home / "data" / path).parent.mkdir(parents=True, exist_ok=True)
        (home / "data" / path).write_text(content)
    return home


def held(home: Path) -> dict[str, str]:
    """Return what an installation holds."""
    data = home / "data"
    return {path.relative_to(data).as_posix(): path.read_text() for path in data.rglob("*") if path.is_file()}


def is_write(called: object, home: Path) -> bool:
    """Whether a function that is about to be called changes something on a disk, or may."""
    if getattr(called, "__name__", "") not in _WRITES:
        return False
    itself = getattr(called, "__self__", None)
    name = getattr(itself, "name", None)  # of a file; everything else that counts is a function of `os`
    return str(home) in str(name) if name is not None else getattr(itself, "__name__", "") == "posix"


def killed_at(number: int, home: Path, act: Callable[[], object]) -> bool:
    """Do something in a process of its own that is killed just before its n-th write; False when it ended before."""
    child = os.fork()
    if child == 0:
        count = 0

        def watch(_frame: FrameType, event: str, called: object) -> None:
            nonlocal count
            if event == "c_call" and is_write(called, home):
                count += 1
                if count == number:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.setprofile(watch)
        try:
            act()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def test_killed_at_each_write_it_has_the_old_configuration_or_the_new_one(tmp_path: Path) -> None:
    first = a_repository(a_manifest(3, "pdns-2"))
    rotated = first.fork(DAY).root(timestamp=names("timestamp", 1, "-b")).root().publish(a_manifest(8))
    seen: set[int] = set()
    with serving(rotated.files) as site:
        for number in range(1, _AT_MOST):
            home = a_home(tmp_path / str(number))
            shipped = a_manifest(3, "pdns-2")

            def client(home: Path = home, shipped: bytes = shipped) -> Client:
                return Client(State(home, shipped), first.files["metadata/1.root.json"], [site.url])

            was_killed = killed_at(number, home, lambda client=client: client().poll(BEGAN + DAY))
            used = State(home, shipped).applied()
            assert used is not None
            epoch = used.manifest.config_epoch
            expected = {3: EVERYTHING, 8: ENTERED}[epoch]
            assert held(home) == {path: SHIPPED_DATA[path] for path in expected}, f"killed at write {number}"
            seen.add(epoch)
            if was_killed and number % 4:  # one of four, so that it does not take long
                continue
            assert client().poll(BEGAN + DAY).outcome in (Outcome.UPDATED, Outcome.UNCHANGED), number
            assert State(home, shipped).applied() == client().state.applied()
            assert held(home) == {path: SHIPPED_DATA[path] for path in ENTERED}
            assert not list((home / "trusted").glob("tmp*"))
            if not was_killed:
                break
        else:
            pytest.fail("it never ended")
    assert seen == {3, 8}
    assert number > 50, "fewer writes were met than a poll makes"
