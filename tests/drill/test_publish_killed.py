"""A publisher that dies at any file it writes: whoever looks at a mirror then, and whoever goes on after it."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from recovery.cli.main import main
from tests.citizens import App, Office

Words = list[object]


@pytest.fixture
def office(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Office:
    return Office(tmp_path, capsys, monkeypatch)


_watchers: list[tuple[str, Callable[[], None]]] = []
_is_within = threading.local()


def _audited(event: str, arguments: tuple[object, ...]) -> None:
    """Call the watcher just before a file below its folder is opened for writing or takes another's place.

    What lies there at that moment is what a process leaves that is killed then. Source: the table of audit events in
    Python's documentation.
    """
    if not _watchers or event not in ("open", "os.rename") or getattr(_is_within, "now", False):
        return
    folder, watcher = _watchers[-1]
    if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
        return
    if isinstance(arguments[0], str | Path) and str(arguments[0]).startswith(folder):
        _is_within.now = True
        try:
            watcher()
        finally:
            _is_within.now = False


sys.addaudithook(_audited)


@contextmanager
def at_each_write(folder: Path, watcher: Callable[[], None]) -> Generator[None]:
    _watchers.append((f"{folder}{os.sep}", watcher))
    try:
        yield
    finally:
        _watchers.pop()


def news(office: Office) -> Words:
    office.moves()
    return ["publish", *office.signing("targets-1", "targets-2")]


def refresh(_office: Office) -> Words:
    return ["publish", "--refresh"]


def timestamp_lost(office: Office) -> Words:
    (office.folder / "online" / "timestamp-1.pem").unlink()
    return ["keys", "change", "--replace", "timestamp", *office.signing("root-1", "root-2")]


def snapshot_stolen(office: Office) -> Words:
    return ["keys", "change", "--replace", "snapshot", *office.signing("root-1", "root-2")]


def targets_lost(office: Office) -> Words:
    fresh = office.fresh("targets-4")
    signing = office.signing("root-1", "root-2", "targets-3", "targets-4")
    return ["keys", "change", "--replace", f"targets-1={fresh}", *signing]


def threshold(office: Office) -> Words:
    signing = office.signing("root-1", "root-2", "targets-1", "targets-2", "targets-3")
    return ["keys", "change", "--threshold", "targets=3", *signing]


def all_at_once(office: Office) -> Words:
    """Every role gets another key, while a mirror still has what was there before the last change of keys."""
    behind = office.folder / "behind"
    shutil.copytree(office.mirrors[1], behind)
    office.ok(*timestamp_lost(office))
    shutil.rmtree(office.mirrors[1])
    behind.rename(office.mirrors[1])
    office.moves()
    replaced = [word for name in ("root", "targets") for word in ("--replace", f"{name}-1={office.fresh(name + '-4')}")]
    signing = office.signing("root-2", "root-3", "root-4", "targets-3", "targets-4")
    return ["keys", "change", *replaced, "--replace", "snapshot", "--replace", "timestamp", *signing]


CASES = [news, refresh, timestamp_lost, snapshot_stolen, targets_lost, threshold, all_at_once]


@pytest.mark.parametrize("case", CASES)
def test_at_each_write_every_mirror_tells_something_that_is_signed(
    office: Office, case: Callable[[Office], Words]
) -> None:
    """An app that was there before, one that is new, and one that looks at the same mirror all the time."""
    words = case(office)
    looking = threading.Lock()
    seen: list[int] = []
    eager = {mirror: office.app.twin(office.folder / f"eager-{mirror.name}") for mirror in office.mirrors}

    def look() -> None:
        with looking:
            for mirror in office.mirrors:
                old = office.app.twin(office.folder / f"old-{len(seen)}")
                fresh = App(office.folder / f"fresh-{len(seen)}", office.app.root)
                seen.extend(app.read(mirror)["config_epoch"] for app in (old, fresh, eager[mirror]))

    with at_each_write(office.folder / "mirrors", look):
        office.ok(*words)
    look()
    assert len(seen) >= 6 * (2 if case is refresh else 6)
    assert set(seen) <= {office.epoch, office.epoch + 1}
    assert seen[-6:] == [office.epoch + 1 if case is news else office.epoch] * 6


@pytest.mark.parametrize("dies_at", [1, 2, 4, 7, 11, 16, 22])
def test_who_goes_on_after_a_killed_publisher_finishes_it(office: Office, dies_at: int) -> None:
    """A change of every key by a prepared request is killed, and finished by the same command."""
    words = all_at_once(office)
    carried = office.folder / "carried"
    office.ok(*words[: words.index("--key")], "--prepare", carried)
    office.ok("publish", "--sign", carried, *words[words.index("--key") :])
    child = os.fork()
    if child == 0:
        count = [0]

        def die() -> None:
            count[0] += 1
            if count[0] == dies_at:
                os.kill(os.getpid(), signal.SIGKILL)

        with at_each_write(office.folder / "mirrors", die):
            main(["publish", "--finish", str(carried)])
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    for number, mirror in enumerate(office.mirrors):
        assert office.app.twin(office.folder / f"twin-{number}").read(mirror)["config_epoch"] == office.epoch
    office.ok("publish", "--finish", carried)
    assert office.told()["config_epoch"] == office.epoch
    assert office.shown()["to_do"] == []
    office.publish("targets-3", "targets-4")
    assert office.told()["config_epoch"] == office.epoch + 1
