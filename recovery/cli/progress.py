"""Chooses how progress is shown: a changing picture on a terminal, lines anywhere else; always on stderr."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from typing import Protocol

from recovery.cli.context import is_live, now
from recovery.cli.forecasting import Seeing, blind
from recovery.cli.output import note
from recovery.model.events import Event


class Progress(AbstractContextManager["Progress"], Protocol):
    """Shows a run while it goes on."""

    def notice(self, event: Event) -> None:
        """Take note of an event."""
        ...

    def paused(self) -> AbstractContextManager[object]:
        """Return a context in which somebody can be asked something."""
        ...


def shown(seeing: Seeing = blind) -> AbstractContextManager[Progress]:
    """Return the progress that suits stderr; enter it before the run.

    Args:
        seeing: Says how the rest of the run will go.
    """
    if is_live(sys.stderr):
        from rich.console import Console

        from recovery.cli.live import LiveProgress

        return LiveProgress(Console(stderr=True, markup=False, highlight=False, emoji=False), now, seeing)
    from recovery.cli.plain import PlainProgress

    return PlainProgress(note, now, seeing)
