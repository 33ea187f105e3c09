"""Plants each bug in a copy of the repository and lets the campaign, or the tests it names, look for it.

First the code as it is goes through the same checks, so that "found" means something. A bug whose place in the code is
not there any more is an error.

    python -m tests.mutants             every bug
    python -m tests.mutants WORD...     those whose sentence holds one of the words
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutants import applier, leases, orchestrator
from tests.mutants.planting import Mutant, StalePatchError, copied

SEEDS = 1000
AT_ONCE = 2
LIMIT_S = 600
"""So long may a bug be looked for, seconds."""

MUTANTS = (*orchestrator.MUTANTS, *leases.MUTANTS, *applier.MUTANTS)


def main(words: Sequence[str]) -> int:
    """Return 0 when the code as it is passes and every bug is found."""
    chosen = [mutant for mutant in MUTANTS if not words or any(word in mutant.name for word in words)]
    tests = tuple(dict.fromkeys(test for mutant in chosen for test in mutant.tests))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        sound = list(pool.map(_is_sound, [(), tests] if tests else [()]))
        if not all(sound):
            sys.stdout.write("the code as it is does not pass: nothing that is found would mean anything\n")
            return 1
        found = list(pool.map(_is_found, chosen))
    sys.stdout.write(f"found {sum(found)} of {len(chosen)}\n")
    return 0 if all(found) else 1


def _is_sound(tests: tuple[str, ...]) -> bool:
    with tempfile.TemporaryDirectory(prefix="pulih-mutants-") as folder:
        told = _fails(copied(Path(folder)), tests)
    _say("sound" if told is None else "NOT SOUND", "the code as it is", told or "")
    return told is None


def _is_found(mutant: Mutant) -> bool:
    with tempfile.TemporaryDirectory(prefix="pulih-mutants-") as folder:
        tree = copied(Path(folder))
        try:
            mutant.plant(tree)
        except (StalePatchError, SyntaxError) as error:
            _say("STALE", mutant.name, str(error))
            return False
        told = _fails(tree, mutant.tests)
    _say("found" if told is not None else "NOT FOUND", mutant.name, told or "")
    return told is not None


def _fails(tree: Path, tests: tuple[str, ...]) -> str | None:
    """Return what the campaign, or some tests, say is broken in a tree; None when they say that nothing is."""
    campaign = ("-m", "tests.sim", "--seeds", str(SEEDS), "--first")
    command = ("-m", "pytest", "-q", "-x", "-n", "0", "-p", "no:cacheprovider", *tests) if tests else campaign
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    ended = subprocess.run(
        [sys.executable, *command], cwd=tree, env=environment, capture_output=True, text=True, timeout=LIMIT_S
    )
    if ended.returncode == 0:
        return None
    pattern = r"^FAILED (.*?)(?: - .*)?$" if tests else r"^(seed .*)$"
    broken = re.search(pattern, ended.stdout, re.MULTILINE)
    if broken is None:
        raise RuntimeError(f"neither found nor passed:\n{ended.stdout[-2000:]}\n{ended.stderr[-2000:]}")
    return broken[1][:150]


def _say(verdict: str, name: str, told: str) -> None:
    sys.stdout.write(f"{verdict}: {name}{f' ({told})' if told else ''}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
