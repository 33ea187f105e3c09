"""Lets a real estate meet every kind of fault and prints what it cost: `python -m tests.chaos [--times N] [WORD…]`."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.chaos.ground import settled
from tests.chaos.kinds import KINDS
from tests.chaos.trial import play


def main() -> int:
    """Print the table; return 1 when anything is lost."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--times", type=int, default=3, help="how often each kind is met (%(default)s)")
    parser.add_argument("words", nargs="*", metavar="WORD", help="only the kinds with one of these words in their name")
    options = parser.parse_args()
    kinds = [kind for kind in KINDS if not options.words or any(word in kind.name for word in options.words)]
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(128 + signal.SIGTERM))  # ends the estate too
    losses: list[str] = []
    units = unmet = 0
    began = time.monotonic()
    print("| fault | times | units | lost |\n|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory(prefix="pulih-chaos-") as folder, settled(Path(folder) / "ground") as ground:
        for kind in kinds:
            try:
                told = [play(ground, kind) for _ in range(options.times)]
            except pytest.skip.Exception as missing:
                print(f"not met: {kind.name}: {missing}", file=sys.stderr)
                unmet += 1
                continue
            seen, lost = sum(one.units for one in told), [f"{kind.name}: {name}" for one in told for name in one.lost]
            print(f"| {kind.name} | {len(told)} | {seen} | {len(lost)} |", flush=True)
            for one in told:
                for name, whats in one.lost.items():
                    print(f"lost: {kind.name}: {name}: {'; '.join(whats)}", file=sys.stderr)
            units += seen
            losses += lost
    seconds = round(time.monotonic() - began)
    met = len(kinds) - unmet
    print(f"\n{met} kinds of fault, {met * options.times} times, {units} units, {len(losses)} lost, {seconds} s")
    return 1 if losses or unmet else 0


if __name__ == "__main__":
    sys.exit(main())
