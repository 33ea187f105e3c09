"""How far forecasts of drills are off: each is made before its drill, from the drills before it.

    python -m bench.forecast_error --drills 10 --units 40

A drill here is what `pulih drill --dir DIR` does, command by command: the lab comes up, everything is applied, a data
centre is lost and recovered, the lab goes down. DIR is the same for all of them, so the state folder beside the estate
keeps the runs of the earlier ones, and `pulih plan` forecasts from these. The first drill has none: it is forecast from
default durations, which are made for real offices and far too long for a lab on one machine. It is shown, and not
counted. A second forecast is the one that the recovery itself records before it begins, when the drill's own apply is
known too; it counts for every drill.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from recovery import lab

LOST, TO = "pdns-2", "cloud-1"
PATIENCE_S = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """One drill.

    Attributes:
        before_s: How long its recovery was to take, by the drills before it, seconds.
        known: Whether there was one.
        recorded_s: How long by all that was known when the recovery began, seconds.
        actual_s: How long it took, seconds.
        load: Average number of processes that wanted a core in the minute before its end.
    """

    before_s: float
    known: bool
    recorded_s: float
    actual_s: float
    load: float

    @property
    def error(self) -> float:
        """Of the forecast made before the drill, as a share of what it took."""
        return self.before_s / self.actual_s - 1

    @property
    def recorded_error(self) -> float:
        """Of the forecast made before the recovery."""
        return self.recorded_s / self.actual_s - 1


def pulih(*words: str, ends: Collection[int] = (0,)) -> str:
    """Run a command and return its stdout.

    Args:
        words: The command.
        ends: The exit codes that it may end with.

    Raises:
        SystemExit: It ended with another; what it said is shown.
    """
    command = [str(Path(sys.executable).with_name("pulih")), *words]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PULIH_")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)  # noqa: S603  our own
    if done.returncode not in ends:
        raise SystemExit(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr}")
    return done.stdout


def lose(folder: Path) -> None:
    """Lose the data centre, and wait until the lab has removed what the units have lost: that is no work of theirs.

    Raises:
        SystemExit: It takes longer than `PATIENCE_S`.
    """
    lab.lose(folder, LOST)
    deadline = time.monotonic() + PATIENCE_S
    while (folder / "erased" / LOST).exists():
        if time.monotonic() > deadline:
            raise SystemExit(f"{folder / 'erased'} is still there after {PATIENCE_S} s")
        time.sleep(0.1)


def drill(units: int, folder: Path, parallel: int) -> Drill:
    """Hold one drill in a folder that keeps the runs of the earlier ones."""
    estate = ("--estate", str(folder / "estate"))
    at_once = ("--parallel", str(parallel))
    way = ("--lost", LOST, "--to", TO)
    try:
        lab.up(units, folder)
        planned = json.loads(pulih("plan", *way, *at_once, *estate, "--output", "json"))["forecast"]
        pulih("apply", *at_once, *estate)
        lose(folder)
        report = json.loads(pulih("recover", *way, "--yes", *at_once, *estate, "--output", "json"))
    finally:
        lab.down(folder)
    return Drill(
        before_s=planned["seconds"],
        known=planned["steps_known"] == planned["steps"],
        recorded_s=report["forecast"]["seconds"],
        actual_s=report["seconds"],
        load=os.getloadavg()[0],
    )


def table(drills: Sequence[Drill]) -> Iterator[str]:
    """Return the result as the lines of a Markdown table, and what it comes to."""
    yield "| drill | forecast before it, s | actual, s | error | forecast when the recovery began, s | error | load |"
    yield "|---|---|---|---|---|---|---|"
    for number, one in enumerate(drills, start=1):
        note = "" if one.known else " (defaults)"
        yield (
            f"| {number} | {one.before_s:.2f}{note} | {one.actual_s:.2f} | {one.error:+.0%} "
            f"| {one.recorded_s:.2f} | {one.recorded_error:+.0%} | {one.load:.0f} |"
        )
    yield ""
    yield _summary("Before the drill", [one.error for one in drills if one.known])
    yield _summary("When its recovery began", [one.recorded_error for one in drills])


def _summary(when: str, errors: Sequence[float]) -> str:
    if not errors:
        return f"{when}: no forecast from an earlier drill."
    sizes = [abs(error) for error in errors]
    return (
        f"{when}: {len(sizes)} forecasts from earlier runs, relative error median {statistics.median(sizes):.0%}, "
        f"largest {max(sizes):.0%}."
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--drills", type=int, default=10)
    parser.add_argument("--units", type=int, default=40)
    parser.add_argument("--parallel", type=int, default=64)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pulih-bench-") as name:
        drills = [drill(chosen.units, Path(name) / "lab", chosen.parallel) for _ in range(chosen.drills)]
    print(f"{chosen.drills} drills of {chosen.units} units on {os.cpu_count()} cores, {chosen.parallel} at once.\n")
    for line in table(drills):
        print(line)


if __name__ == "__main__":
    main()
