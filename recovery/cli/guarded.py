"""Keeps whoever only watches a run from stopping it."""

from __future__ import annotations

from collections.abc import Iterable

from recovery.cli.output import note
from recovery.cli.transcript import Transcript
from recovery.model.events import Event, Observer


class Guarded:
    """An observer whose first failure is kept and ends its watching, not the run.

    The journal is not guarded: a run that can't be recorded must not go on.
    """

    def __init__(self, observer: Observer) -> None:
        """Watch on behalf of `observer`."""
        self._observer = observer
        self.error: Exception | None = None

    def notice(self, event: Event) -> None:
        """Pass an event on."""
        if self.error is None:
            try:
                self._observer.notice(event)
            except Exception as error:
                self.error = error


def tell_of_failures(watchers: Iterable[Guarded], transcript: Transcript | None) -> None:
    """Say who stopped watching before the end."""
    if transcript is not None and transcript.error is not None:
        note(f"the transcript is not complete: {transcript.error}")
    for watcher in watchers:
        if watcher.error is not None:
            note(f"the progress was not shown to its end: {type(watcher.error).__name__}: {watcher.error}")
