"""Progress as a picture that keeps changing: waves with bars and ETA, regions, failures kept in sight."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from recovery.cli.forecasting import Seeing, blind
from recovery.cli.tally import Count, Tally, WaveTally
from recovery.model.events import Event
from recovery.model.forecast import Forecast
from recovery.report.foresight import misses
from recovery.report.text import duration, printable

REFRESHES_PER_S = 5.0
"""A frame of 16 regions takes 2 ms to draw (measured on 2 cores), so this costs 1 % of a core."""

MAX_BAR_CELLS = 28
MAX_REGION_CELLS = 23
"""Longer names of regions are cut, so that three fit side by side on 100 characters."""

NOTE_CELLS = 28
"""Room kept for what stands behind a wave's bar: its ETA and failures."""

GAP = "  "


class LiveProgress:
    """Redraws a run's progress on a terminal a few times a second; use it as a context manager."""

    def __init__(self, console: Console, now: Callable[[], datetime], seeing: Seeing = blind) -> None:
        """Draw on `console`, with the elapsed time that `now` tells and the rest of the run that `seeing` does."""
        self._console = console
        self._now = now
        self._seeing = seeing
        self._tally = Tally()
        self._lock = threading.Lock()
        self._live = self._new_live()

    def __enter__(self) -> LiveProgress:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with suppress(OSError, SystemExit):  # the terminal is gone; rich leaves the program then
            self._live.stop()

    @contextmanager
    def paused(self) -> Generator[None]:
        """Leave the terminal alone while somebody is asked something."""
        self._live.stop()
        try:
            yield
        finally:
            self._live = self._new_live()  # one that was stopped would draw over what was said meanwhile
            self._live.start()

    def notice(self, event: Event) -> None:
        """Count an event; the next refresh shows it."""
        with self._lock:
            self._tally.notice(event)

    def _new_live(self) -> Live:
        return Live(
            console=self._console,
            get_renderable=self._frame,
            refresh_per_second=REFRESHES_PER_S,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def _frame(self) -> RenderableType:
        with self._lock:
            at, so_far = self._now(), self._tally.so_far()
            outlook = None if so_far is None else self._seeing(so_far, at)
            return frame(self._tally, at, self._console.width, outlook)


def frame(tally: Tally, now: datetime, width: int, outlook: Forecast | None = None) -> RenderableType:
    """Draw a run as it stands.

    Args:
        tally: The run.
        now: The moment.
        width: Of the terminal, characters.
        outlook: How the rest is expected to go; None when nobody can tell.
    """
    so_far = tally.so_far()
    left_s = (
        {} if so_far is None or outlook is None else {w.name: w.ends_s - so_far.seconds(now) for w in outlook.waves}
    )
    parts: list[RenderableType] = [_title(tally, now), _waves(tally, now, width, left_s)]
    if so_far is not None and outlook is not None:
        parts += [_plain(line, "bold red") for line in misses(outlook)]
        waiting = _services(outlook, so_far.seconds(now), width)
        parts += [waiting] if waiting is not None else []
    if tally.regions:
        parts.append(_regions(tally, width))
    if tally.failures:
        parts.append(_failures(tally))
    return Group(*parts)


def _plain(text: str, style: str = "") -> Text:
    """Return text from the estate or a unit: on one line, never markup, never an escape of its own."""
    return Text(printable(text), style=style, no_wrap=True, overflow="ellipsis")


def _title(tally: Tally, now: datetime) -> Text:
    title = Text(no_wrap=True, overflow="ellipsis")
    title.append(tally.verb or "starting", style="bold")
    if tally.lost is not None:
        title.append(f"  {printable(tally.lost)} → {printable(tally.to or '')}")
    title.append(f"  {tally.overall.done:,} of {tally.overall.total:,} done")
    if tally.overall.failed:
        title.append(f", {tally.overall.failed:,} failed", style="bold red")
    if tally.overall.skipped:
        title.append(f", {tally.overall.skipped:,} skipped", style="yellow")
    title.append(f"  {duration(tally.elapsed_s(now))}", style="cyan")
    title.append(f"  {printable(tally.run)}", style="dim")
    return title


def _waves(tally: Tally, now: datetime, width: int, left_s: Mapping[str, float]) -> Table:
    counts = [f"{wave.count.done:,}/{wave.count.total:,}" for wave in tally.waves]
    count_cells = max(map(len, counts), default=0)
    bar_cells = max(8, min(MAX_BAR_CELLS, width // 4))
    longest = max((len(wave.name) for wave in tally.waves), default=0)
    name_cells = max(8, min(longest, width - bar_cells - count_cells - NOTE_CELLS - 3 * len(GAP)))
    table = Table.grid(padding=(0, len(GAP), 0, 0))
    table.add_column(overflow="ellipsis", no_wrap=True, width=name_cells)
    table.add_column(width=bar_cells)
    table.add_column(justify="right", no_wrap=True, width=count_cells)
    used = name_cells + bar_cells + count_cells + 3 * len(GAP)
    table.add_column(no_wrap=True, overflow="ellipsis", width=max(8, width - used - len(GAP)))
    for wave, count in zip(tally.waves, counts, strict=True):
        style = "dim" if wave.started_at is None else ""
        table.add_row(
            _plain(wave.name, style),
            _bar(wave.count, bar_cells),
            Text(count, style=style),
            _wave_note(wave, now, left_s.get(wave.name)),
        )
    return table


def _bar(count: Count, cells: int) -> ProgressBar:
    colour = "yellow" if count.failed or count.skipped else "green"
    return ProgressBar(
        total=max(count.total, 1),
        completed=count.done,
        width=cells,
        complete_style=colour,
        finished_style=colour,
    )


def _wave_note(wave: WaveTally, now: datetime, left_s: float | None) -> Text:
    note = Text(no_wrap=True)
    if wave.finished_at is not None:
        note.append(duration(wave.elapsed_s(now)), style="dim")
        if wave.passed is False:
            note.append(" not passed", style="bold red")
    elif wave.started_at is not None:
        note.append(f"ETA {duration(wave.eta_s(now) if left_s is None else left_s)}", style="cyan")
    elif left_s is not None:
        note.append(f"through in {duration(left_s)}", style="dim")
    if wave.count.failed:
        note.append(f"  {wave.count.failed:,} failed", style="bold red")
    if wave.count.skipped:
        note.append(f"  {wave.count.skipped:,} skipped", style="yellow")
    return note


def _services(outlook: Forecast, now_s: float, width: int) -> Table | None:
    """Say in how long each service that is not back yet will be; None when all are."""
    waiting = [service for service in outlook.services if service.ends_s > now_s]
    if not waiting:
        return None
    left = [f"back in {duration(service.ends_s - now_s)}" for service in waiting]
    name_cells, left_cells = max(len(service.name) for service in waiting), max(map(len, left))
    per_row = max(1, width // (name_cells + left_cells + 2 * len(GAP)))
    table = Table.grid(padding=(0, len(GAP), 0, 0))
    for _ in range(per_row):
        table.add_column(no_wrap=True, overflow="ellipsis", width=name_cells)
        table.add_column(no_wrap=True, width=left_cells)
    cells: list[Text] = []
    for service, said in zip(waiting, left, strict=True):
        cells += [_plain(service.name), Text(said, style="cyan" if service.is_met else "bold red")]
    for start in range(0, len(cells), 2 * per_row):
        table.add_row(*cells[start : start + 2 * per_row])
    return table


def _regions(tally: Tally, width: int) -> Table:
    counts = {name: f"{count.done:,}/{count.total:,}" for name, count in tally.regions.items()}
    count_cells = max(map(len, counts.values()))
    name_cells = min(max(map(len, counts)), MAX_REGION_CELLS)
    per_row = max(1, width // (name_cells + count_cells + 2 * len(GAP)))
    table = Table.grid(padding=(0, len(GAP), 0, 0))
    for _ in range(per_row):
        table.add_column(no_wrap=True, overflow="ellipsis", width=name_cells)
        table.add_column(justify="right", no_wrap=True, width=count_cells)
    cells: list[Text] = []
    for name, count in tally.regions.items():
        style = "bold red" if count.failed else "green" if count.done == count.total else ""
        cells += [_plain(name, style), Text(counts[name], style=style or "dim")]
    for start in range(0, len(cells), 2 * per_row):
        table.add_row(*cells[start : start + 2 * per_row])
    return table


def _failures(tally: Tally) -> Group:
    counts = ", ".join(f"{cause.value} {count:,}" for cause, count in tally.causes.most_common() if count)
    lines = [Text(f"Failed: {tally.causes.total():,} ({counts})", style="bold red")]
    for outcome in tally.failures:
        cause = outcome.cause.value if outcome.cause is not None else "internal"
        lines.append(_plain(f"  {outcome.name}  {cause}  {outcome.reason}"))
    return Group(*lines)
