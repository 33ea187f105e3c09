"""Tells those who do not watch a run: a webhook (`PULIH_WEBHOOK`), a node's metrics (`PULIH_METRICS`).

Whatever goes wrong here is a line on stderr; a run neither waits for it nor fails by it.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from recovery.cli import context
from recovery.cli.output import note, write_file
from recovery.errors import PulihError
from recovery.model.events import Event, RunFinished, RunStarted
from recovery.model.outcome import RunResult
from recovery.model.plan import Wave

if TYPE_CHECKING:
    from recovery.cli.webhook import Webhook

_LAST_WORDS_S = 10
"""How long the end of a run waits for its notices, seconds."""


class Teller:
    """Told of a run's events, tells others of the few that matter to them."""

    def __init__(self, webhook: Webhook | None, metrics: Path | None) -> None:
        """Tell nothing yet."""
        self._webhook = webhook
        self._metrics = metrics
        self._run = ""

    def notice(self, event: Event) -> None:
        """Tell of a beginning or an end."""
        from recovery.report.notices import finished, started

        if isinstance(event, RunStarted):
            self._run = event.run
            if self._webhook is not None:
                self._webhook.send(started(event))
        elif isinstance(event, RunFinished):
            if self._webhook is not None:
                self._webhook.send(finished(event.result))
            if self._metrics is not None:
                _write_metrics(event.result, self._metrics)

    def held(self, wave: Wave, reason: str) -> None:
        """Tell that a wave waits for somebody."""
        from recovery.report.notices import held

        if self._webhook is not None:
            self._webhook.send(held(self._run, wave, reason, datetime.now(UTC)))


@contextmanager
def telling() -> Generator[Teller]:
    """Lend a teller for a run, and wait a moment at its end for what is on its way."""
    webhook = _webhook()
    try:
        yield Teller(webhook, context.metrics_file())
    finally:
        unsaid = None if webhook is None else webhook.close(_LAST_WORDS_S)
        if unsaid is not None:
            note(f"the webhook was not told all: {unsaid}")


def _webhook() -> Webhook | None:
    found = context.webhook()
    if found is None:
        return None
    from recovery.cli.webhook import Receiver, Webhook

    try:
        return Webhook(Receiver.of(*found))
    except PulihError as error:
        note(f"nobody is told by webhook: {error}")
        return None


def _write_metrics(result: RunResult, file: Path) -> None:
    from recovery.report.as_metrics import to_metrics

    try:
        write_file(file, to_metrics(result))
    except OSError as error:
        note(f"the metrics could not be written: {error}")
