"""The page of a run while it goes on: rendered again when there is news, and compared, so that only changes travel."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta

from recovery.cli.following import Following
from recovery.cli.forecasting import Seeing, blind
from recovery.model.story import Story
from recovery.outlook import SoFar
from recovery.report.as_html import document
from recovery.report.page import FOLDER, page_parts
from recovery.report.tree import Node, difference, parse

TICK = timedelta(seconds=1)
"""How often the page of a run that goes on is rendered without news, for the time it has taken."""

KEPT_BYTES = 4_000_000
"""Changes that are kept for browsers that were cut off for a while; one that missed more loads the page again."""


class LiveView:
    """One run's page with its version, and the changes from each version to the next."""

    def __init__(
        self,
        following: Following,
        begun: Story,
        is_alive: Callable[[], bool],
        now: Callable[[], datetime],
        seeing: Seeing = blind,
    ) -> None:
        """Show a run.

        Args:
            following: Its journal.
            begun: What that has told already.
            is_alive: Whether somebody conducts it.
            now: The moment, UTC.
            seeing: Says how the rest of the run will go.
        """
        self._following = following
        self._story = begun
        self._is_alive = is_alive
        self._now = now
        self._seeing = seeing
        self._parts: dict[str, str] = {}
        self._trees: dict[str, list[Node]] = {}
        self._nodes: list[Node] = []
        self._rendered_at: datetime | None = None
        self._was_live = True
        self._changes: deque[tuple[int, str]] = deque()
        self._kept_bytes = 0
        self.version = 0
        self.script = (FOLDER / "live.js").read_text(encoding="utf-8")

    def refresh(self) -> None:
        """Read the journal and render what it tells, when there is news or the time has moved on.

        Raises:
            BrokenRecordError: The journal was edited.
        """
        alive, at = self._is_alive(), self._now()
        lines = self._following.more()
        told = self._following.story() if lines else self._story
        if told is None:
            return
        self._story = told
        is_live = alive and not told.finished
        is_due = self._rendered_at is None or (is_live and at - self._rendered_at >= TICK)
        if not (lines or is_due or is_live != self._was_live):
            return
        self._rendered_at, self._was_live = at, is_live
        moment = at if is_live else told.result.finished_at
        outlook = self._seeing(SoFar.of(told), at) if is_live else None
        for name, html in page_parts(told, at=moment, is_live=is_live, outlook=outlook).items():
            if self._parts.get(name) != html:
                self._parts[name], self._trees[name] = html, parse(html)
        nodes = [node for tree in self._trees.values() for node in tree]
        patches = list(difference(self._nodes, nodes))
        self._nodes = nodes
        if patches:
            self.version += 1
            self._keep(json.dumps(patches, ensure_ascii=True, separators=(",", ":")))

    def page(self) -> str:
        """Return the whole page as it stands, with the script that keeps it up to date."""
        return document(self._story, self._nodes, script=self.script, version=self.version)

    def since(self, version: int) -> list[tuple[int, str]] | None:
        """Return the changes behind a version, each with the version it leads to; None when they are not kept."""
        oldest = self._changes[0][0] - 1 if self._changes else self.version
        if not oldest <= version <= self.version:
            return None
        return [change for change in self._changes if change[0] > version]

    def _keep(self, change: str) -> None:
        self._changes.append((self.version, change))
        self._kept_bytes += len(change)
        while self._kept_bytes > KEPT_BYTES and len(self._changes) > 1:
            self._kept_bytes -= len(self._changes.popleft()[1])
