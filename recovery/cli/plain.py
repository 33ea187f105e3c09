"""Progress as lines, for logs, pipes and terminals that can't move a cursor."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from types import TracebackType

from recovery.cli.forecasting import Seeing, blind
from recovery.cli.tally import Tally, WaveTally
from recovery.model.estate import ServiceName
from recovery.model.events import (
    Event,
    PlacementWritten,
    RunFinished,
    RunStarted,
    UnitFinished,
    WaveFinished,
    WaveHeld,
    WaveStarted,
)
from recovery.model.forecast import Forecast
from recovery.model.outcome import State
from recovery.report.foresight import missed
from recovery.report.text import counted, duration, printable

HEARTBEAT_S = 5.0
"""Longest silence while a run goes on, seconds."""


class PlainProgress:
    """Writes a line when a wave begins or ends, a unit fails, or nothing was said for a while.

    Use it as a context manager: inside, a thread of its own keeps the heartbeat.
    """

    def __init__(self, write: Callable[[str], None], now: Callable[[], datetime], seeing: Seeing = blind) -> None:
        """Write each line (without its newline) through `write`, at the moments that `now` tells.

        How the rest of the run will go is said by `seeing`.
        """
        self._write = write
        self._now = now
        self._seeing = seeing
        self._warned: set[ServiceName] = set()
        self._tally = Tally()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._spoke_at: datetime | None = None

    def __enter__(self) -> PlainProgress:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._thread.join()

    def paused(self) -> AbstractContextManager[object]:
        """Return a context in which somebody can be asked something; lines need no pause."""
        return nullcontext()

    def notice(self, event: Event) -> None:
        """Count an event and say what is worth a line."""
        with self._lock:
            self._tally.notice(event)
            line = self._line(event)
            if line is not None:
                self._say(line)

    def heartbeat(self) -> None:
        """Say how far the run is, unless something was said within `HEARTBEAT_S` or nothing is going on."""
        with self._lock:
            wave = self._current()
            if wave is None or self._tally.finished_at is not None:
                return
            now, so_far = self._now(), self._tally.so_far()
            outlook = None if so_far is None else self._seeing(so_far, now)
            for service in () if outlook is None else outlook.services:
                if not service.is_met and service.name not in self._warned:
                    self._warned.add(service.name)
                    self._say(missed(service))
            if self._spoke_at is None or (now - self._spoke_at).total_seconds() >= HEARTBEAT_S:
                self._say(self._progress(wave, now, None if so_far is None else so_far.seconds(now), outlook))

    def _beat(self) -> None:
        while not self._stopped.wait(HEARTBEAT_S):
            self.heartbeat()

    def _say(self, line: str) -> None:
        self._spoke_at = self._now()
        self._write(printable(line))

    def _current(self) -> WaveTally | None:
        for wave in self._tally.waves:
            if wave.started_at is not None and wave.finished_at is None:
                return wave
        return None

    def _line(self, event: Event) -> str | None:
        match event:
            case RunStarted(run=run, verb=verb, result=result, scene=scene):
                way = f" from {result.lost} to {result.to}" if result.lost is not None else ""
                waves = counted(len(scene.waves), "wave")
                return f"{verb}{way}: {counted(self._tally.overall.total, 'step')} in {waves}, run {run}"
            case WaveStarted(wave=wave):
                place = self._tally.waves.index(self._tally.wave(wave)) + 1
                total = counted(self._tally.wave(wave).count.total, "step")
                return f"wave {place}/{len(self._tally.waves)} {wave}: {total}"
            case WaveFinished(wave=wave, passed=passed):
                tally = self._tally.wave(wave)
                verified = tally.count.done - tally.count.failed - tally.count.skipped
                took = duration(tally.elapsed_s(self._now()))
                word = "passed" if passed else "NOT PASSED"
                others = [(tally.count.failed, "failed"), (tally.count.skipped, "skipped")]
                rest = "".join(f", {count} {what}" for count, what in others if count)
                return f"wave {wave} {word}: {verified} of {tally.count.total} verified{rest} in {took}"
            case UnitFinished(outcome=outcome) if outcome.state is State.QUARANTINED:
                cause = outcome.cause.value if outcome.cause is not None else "internal"
                return f"failed {outcome.name} ({cause}): {outcome.reason}"
            case WaveHeld(reason=reason, went_on=went_on):
                return f"held: {reason}; {'going on all the same' if went_on else 'stopping'}"
            case PlacementWritten(moves=moves):
                return f"placement written: {counted(len(moves), 'change')}"
            case RunFinished(result=result):
                took = duration((result.finished_at - result.started_at).total_seconds())
                return f"{result.verb} ended after {took}"
            case _:
                return None

    def _progress(self, wave: WaveTally, now: datetime, now_s: float | None, outlook: Forecast | None) -> str:
        count = wave.count
        parts = [f"{wave.name}: {count.done} of {count.total} done"]
        if count.failed:
            parts.append(f"{count.failed} failed")
        if count.skipped:
            parts.append(f"{count.skipped} skipped")
        if outlook is None or now_s is None:
            parts.append(f"ETA {duration(wave.eta_s(now))}")
        else:
            ends_s = next((known.ends_s for known in outlook.waves if known.name == wave.name), outlook.seconds)
            parts += [f"ETA {duration(ends_s - now_s)}", f"the whole run in {duration(outlook.seconds - now_s)}"]
        return ", ".join(parts)
