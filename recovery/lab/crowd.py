"""The citizens' apps of a drill, all in one process: `python -m recovery.lab.crowd`, told what to do over its stdin.

An order is one line, and so is its answer; `recovery.lab.citizens` gives them. The apps poll as the rules of
`docs/client.md` say, with the waits made short: an hour of theirs is nine seconds here.
"""

from __future__ import annotations

import json
import math
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

from pulih_client.schedule import wait_s

from recovery.declared import load
from recovery.lab.app import App, Kind
from recovery.lab.history import publish_last_month, turn_keys
from recovery.lab.mirror import shown
from recovery.model.publish import Publish

_REGULAR_S = 9.0
_AT_ONCE = 8
_PAUSE_S = 0.02
_LOOK_S = 0.1
"""How long an app that comes online may not be noticed."""


class Crowd:
    """All installations.

    Args:
        folder: Where each has its own.
        estate: Folder of the estate.
        count: How many there are; the five kinds take turns.
        home: The data centre that serves them before the loss.
        to: The one that serves them after it.
        stack: Ends what shows the mirrors.
    """

    def __init__(self, folder: Path, estate: Path, count: int, home: str, to: str, stack: ExitStack) -> None:
        self._folder = folder
        self._estate = load(estate)
        if self._estate.publish is None:
            raise ValueError(f"{estate} publishes nothing")
        self._publish: Publish = self._estate.publish
        self._home, self._to = home, to
        folders = [mirror.directory for mirror in self._publish.mirrors if mirror.directory is not None]
        mirrors = tuple(stack.enter_context(shown(mirror)) for mirror in folders)
        self._marks = [mirror / "metadata" / "timestamp.json" for mirror in folders]
        kinds = list(Kind)
        self._apps = [
            App(
                name=f"app-{number + 1}",
                kind=kinds[number % len(kinds)],
                home=folder / f"app-{number + 1}",
                root=b"",
                mirrors=mirrors,
                service=self._publish.service,
                random=Random(number),  # noqa: S311 # waits, to be repeated
            )
            for number in range(count)
        ]
        self._pool = stack.enter_context(ThreadPoolExecutor(_AT_ONCE))
        self._ended, self._online = threading.Event(), threading.Event()
        self._workers: list[threading.Thread] = []

    def history(self) -> None:
        """Live through last month: apps are installed, a backup is made of some, and two roots follow."""
        publish_last_month(self._estate, self._publish)
        self._install(1, lambda app: app.kind is not Kind.LAST_MONTH)
        self._all(Kind.BACKUP, lambda app: app.back_up(self._backup(app)))
        self._install(turn_keys(self._publish), lambda app: app.kind is Kind.LAST_MONTH)

    def today(self) -> None:
        """Live through the hour before the loss: most learn what was published since, and all make a transaction."""
        for kind in (Kind.OFFLINE, Kind.BACKUP, Kind.DRAFTS):
            self._all(kind, lambda app: app.learn())
        self._each(self._apps, lambda app: app.transact(self._home))

    def lost(self) -> None:
        """Lose the data centre: backups are put back, and all but those offline go on trying."""
        self._all(Kind.BACKUP, lambda app: app.restore(self._backup(app)))
        for number in range(_AT_ONCE):
            worker = threading.Thread(target=self._try, args=(self._apps[number::_AT_ONCE],), daemon=True)
            worker.start()
            self._workers.append(worker)

    def ended(self, within_s: float) -> Mapping[str, object]:
        """Be told that the recovery has ended: the rest comes online; return what became of each."""
        self._online.set()
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline and any(app.reconnected_at is None for app in self._apps):
            time.sleep(_PAUSE_S)
        self._ended.set()
        for worker in self._workers:
            worker.join()
        return {
            "told_at": min((mark.stat().st_mtime for mark in self._marks if mark.exists()), default=None),
            "each": [
                {
                    "name": app.name,
                    "kind": app.kind.value,
                    "reconnected_at": app.reconnected_at and app.reconnected_at.timestamp(),
                    "drafts_lost": app.drafts_lost(),
                    "reason": app.reason,
                }
                for app in self._apps
            ],
        }

    def _install(self, version: int, chosen: Callable[[App], bool]) -> None:
        root = (self._publish.roots / f"{version}.root.json").read_bytes()
        apps = [app for app in self._apps if chosen(app)]
        for app in apps:
            app.root = root
        self._each(apps, lambda app: app.install())

    def _all(self, kind: Kind, act: Callable[[App], object]) -> None:
        self._each([app for app in self._apps if app.kind is kind], act)

    def _each(self, apps: Iterable[App], act: Callable[[App], object]) -> None:
        for done in [self._pool.submit(act, app) for app in apps]:
            done.result()

    def _is_online(self, app: App) -> bool:
        return app.kind is not Kind.OFFLINE or self._online.is_set()

    def _backup(self, app: App) -> Path:
        return self._folder / f"{app.name}.backup"

    def _try(self, apps: Sequence[App]) -> None:
        """Poll and try for some of the apps, each at its own moments, until it is back."""
        due = {app.name: time.monotonic() + _wait_s(app) for app in apps}
        while not self._ended.is_set():
            waiting = [app for app in apps if app.reconnected_at is None and self._is_online(app)]
            for app in waiting:
                if time.monotonic() >= due[app.name] and not self._ended.is_set():
                    app.go_on(self._to)
                    due[app.name] = time.monotonic() + _wait_s(app)
            next_at = min((due[app.name] for app in waiting if app.reconnected_at is None), default=math.inf)
            self._ended.wait(min(max(next_at - time.monotonic(), 0), _LOOK_S))


def _wait_s(app: App) -> float:
    return wait_s(app.random, connected=False, unanswered=0, regular_s=_REGULAR_S)


def main() -> None:
    """Take orders until there are no more."""
    with ExitStack() as stack:
        crowd: Crowd | None = None
        for line in sys.stdin:
            order: dict[str, Any] = json.loads(line)
            said: object = None
            match order.pop("do"):
                case "begin":
                    order["folder"], order["estate"] = Path(order["folder"]), Path(order["estate"])
                    crowd = Crowd(**order, stack=stack)
                    crowd.history()
                case "today" if crowd:
                    crowd.today()
                case "lost" if crowd:
                    crowd.lost()
                case "ended" if crowd:
                    said = crowd.ended(**order)
                case _:
                    raise ValueError(f"no such order: {line[:80]}")
            print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
