"""What pulih costs a client beside the floor: CPU a unit, as the slope between few and many real sshd units.

    python -m bench.ssh_floor                    # about four minutes on two cores
    python -m bench.ssh_floor --rounds 1 --sizes 10 40

Three clients do the same work in turn, each in a process of its own: `bare` (`bare_client.py`), `transport`
(`transport_client.py`) and `pulih apply`, the whole command: load, validate, plan, render, apply, journal, report.
After each run every unit's folder is checked. CPU is user and system time of that process as the kernel counts it
(wait4(2)), so neither sshd nor this program is in it. The slope leaves out what does not grow with the units: starting
Python, reading the templates, the endpoints' wave. That is printed beside it, as the CPU that the line between the two
sizes has at no unit.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.estate import Bench, build

LIMIT = 1.25
"""Most that pulih may cost a unit, against the bare client."""

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one run cost.

    Attributes:
        cpu_s: User and system time of the client, seconds.
        wall_s: From its start to its end, seconds.
    """

    cpu_s: float
    wall_s: float


def clients(bench: Bench, size: int, threads: int) -> dict[str, Sequence[str]]:
    """Return the command of each client for so many units."""
    jobs = [str(bench.jobs[size]), str(threads)]
    return {
        "bare": [sys.executable, "-m", "bench.bare_client", *jobs],
        "transport": [sys.executable, "-m", "bench.transport_client", *jobs],
        "pulih apply": [
            str(Path(sys.executable).with_name("pulih")),
            "apply",
            "--estate",
            str(bench.estates[size]),
            "--parallel",
            str(threads),
        ],
    }


def measure(command: Sequence[str], state: Path) -> Cost:
    """Run a client to its end.

    Raises:
        SystemExit: It failed; what it said is shown.
    """
    began = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(  # noqa: S603  our own clients
            command, cwd=ROOT, env=os.environ | {"PULIH_STATE": str(state)}, stdout=output, stderr=output
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            raise SystemExit(
                f"{' '.join(command)}: exit {process.returncode}\n{output.read().decode(errors='replace')}"
            )
    return Cost(cpu_s=used.ru_utime + used.ru_stime, wall_s=time.monotonic() - began)


def run(sizes: tuple[int, int], rounds: int, threads: int) -> dict[str, dict[int, list[Cost]]]:
    """Let the clients take turns, and return what each run cost, by client and size."""
    costs: dict[str, dict[int, list[Cost]]] = defaultdict(lambda: defaultdict(list))
    with tempfile.TemporaryDirectory(prefix="pulih-bench-") as name:
        bench = build(Path(name), sizes)
        with bench.servers:
            for number in range(rounds):
                for size in sizes:
                    for client, command in clients(bench, size, threads).items():
                        bench.forget()
                        costs[client][size].append(measure(command, Path(name) / f"state-{number}-{size}"))
                        bench.check(size)
    return costs


def table(costs: dict[str, dict[int, list[Cost]]], sizes: tuple[int, int]) -> list[str]:
    """Return the result as the lines of a Markdown table."""
    few, many = sizes
    lines = [
        f"| client | CPU, {few} units, s | CPU, {many} units, s | CPU a unit, ms | against bare | start-up CPU, s "
        f"| wall, {many} units, s |",
        "|---|---|---|---|---|---|---|",
    ]
    floor = 0.0
    for client, by_size in costs.items():
        low, high = (statistics.median(cost.cpu_s for cost in by_size[size]) for size in sizes)
        slope = (high - low) / (many - few)
        floor = floor or slope
        wall = statistics.median(cost.wall_s for cost in by_size[many])
        lines.append(
            f"| {client} | {low:.2f} | {high:.2f} | {slope * 1000:.2f} | {slope / floor:.2f} "
            f"| {low - few * slope:.2f} | {wall:.1f} |"
        )
    return lines


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs=2, default=(50, 200), metavar=("FEW", "MANY"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=64)
    chosen = parser.parse_args()
    sizes = (int(chosen.sizes[0]), int(chosen.sizes[1]))
    for line in table(run(sizes, chosen.rounds, chosen.threads), sizes):
        print(line)
    print(f"\nMedians of {chosen.rounds} rounds, {chosen.threads} at once; the limit against bare is {LIMIT}.")


if __name__ == "__main__":
    main()
