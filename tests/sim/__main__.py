"""The campaign from the command line, and the replay of one seed.

python -m tests.sim --seeds 10000     plays that many seeds
python -m tests.sim --seed 17         prints what happens in one
"""

from __future__ import annotations

import argparse
import sys

from tests.sim.campaign import Tally, blocks, first_block, replay
from tests.sim.shrink import as_test, shortest


def main() -> int:
    """Run it; 0 when every promise was held and every fault has struck."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--seeds", type=int, help="play so many")
    what.add_argument("--seed", type=int, help="play one, and print what happens")
    parser.add_argument("--first", action="store_true", help="stop at the first history that breaks a promise")
    asked = parser.parse_args()
    return _one(asked.seed) if asked.seed is not None else _many(asked.seeds, stops=asked.first)


def _one(seed: int) -> int:
    history = replay(seed)
    sys.stdout.write("\n".join([*map(repr, history.trace), *history.told, *history.broken]) + "\n")
    return 1 if history.broken else 0


def _many(seeds: int, *, stops: bool) -> int:
    tally, tenth = Tally(), max(1, seeds // 10)
    for found in first_block(seeds) if stops else blocks(seeds):
        before, _ = tally.seeds, tally.add(found)
        if tally.seeds // tenth > before // tenth:
            sys.stderr.write(f"{tally.line()}\n")
    if tally.failed and not stops:
        found = shortest(tally.failed[0])
        sys.stdout.write("\n".join([*found.told, "", as_test(found)]) + "\n")
    for history in tally.failed:
        sys.stdout.write(f"seed {history.seed}: {history.broken[0]}\n")
    for site in () if stops else tally.missing():
        sys.stdout.write(f"never fired: {site}\n")
    sys.stdout.write(tally.line() + "\n")
    is_complete = stops or not tally.missing()
    return 0 if is_complete and not tally.failed else 1


if __name__ == "__main__":
    sys.exit(main())
