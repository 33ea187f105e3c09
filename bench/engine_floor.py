"""What pulih adds to a `pulumi up`: against the same engine, program and stack, with a provider that only sleeps.

    make engine && python -m bench.engine_floor            # about two minutes
    python -m bench.engine_floor --units 48 --rounds 5

Each round deploys a region of the practice estate from nothing, three times: with pulih's provider; with one that
sleeps at each unit as long as that unit has just taken, from the engine's `creating` to its `created`; and with the
sleeping provider under a program that declares the units alone (`flat`: no offices, no estate read). Printed is the
time from start to end of the literal `pulumi up --parallel 64`, state in a folder. On two cores all three are bound by
the processor, which the practice estate shares: read the ratio, and only on a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from infra.declaration import ROOT, declaration
from tests.engine.practice import Practice

REGION = "kalimantan"
"""The largest region of the shipped estate: 53 units."""

LIMIT = 1.3
"""Most that pulih may add."""

_FLAT = """\
import json, pathlib, pulumi
for name, inputs in json.loads((pathlib.Path(__file__).parent / "inputs.json").read_text()).items():
    pulumi.CustomResource("pulih:index:Unit", name, inputs, pulumi.ResourceOptions(version="0.1.0"))
"""


def main() -> int:
    """Measure, print, and return 1 when the limit is passed."""
    parser = argparse.ArgumentParser(description="What pulih adds to a pulumi up.")
    parser.add_argument("--units", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pulih-floor-") as folder:
        practice = Practice.begin(Path(folder), units=asked.units, regions=(REGION,))
        try:
            return measure(practice, Path(folder), asked.rounds)
        finally:
            practice.end()


def measure(practice: Practice, folder: Path, rounds: int) -> int:
    """Run all three in turn, so that a busy machine is busy for each."""
    practice.deploy("pdns-2")
    same, flat = sleepers(practice, folder)
    seconds: dict[str, list[float]] = {"pulih": [], "sleeping": [], "flat": []}
    for number in range(rounds):
        for name, which in (("pulih", practice), ("sleeping", same), ("flat", flat)):
            fresh(practice, folder)
            which.init(REGION)
            taken, units = up(which)
            seconds[name].append(taken)
            if name == "pulih":
                (folder / "seconds.json").write_text(json.dumps(units))
        print(f"round {number + 1}: " + ", ".join(f"{name} {taken[-1]:.2f} s" for name, taken in seconds.items()))
    middle = {name: statistics.median(taken) for name, taken in seconds.items()}
    ratio = middle["pulih"] / middle["sleeping"]
    units = len(practice.units())
    print(f"{units} units, median: {ratio:.2f} x the sleeping provider's (limit {LIMIT})")
    print(f"{middle['pulih'] / middle['flat']:.2f} x a program that declares nothing but the units")
    return int(ratio > LIMIT)


def up(practice: Practice) -> tuple[float, dict[str, float]]:
    """Deploy the region; return the seconds it took, and each unit's from `creating` to `created`."""
    command = practice.command("up", "--stack", REGION, "--yes", "--skip-preview", "--suppress-outputs")
    moments: dict[tuple[str, str], float] = {}
    began = time.monotonic()
    with subprocess.Popen(  # noqa: S603 - the engine, with words of our own
        command,
        cwd=practice.project,
        env=dict(practice.environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        for line in process.stdout or ():
            found = re.search(r"pulih:index:Unit (\S+) (creating|created)", line)
            if found is not None:
                moments.setdefault((found[1], found[2]), time.monotonic())
    taken = time.monotonic() - began
    names = [name for name, word in moments if word == "created"]
    if process.returncode != 0 or len(names) != len(practice.units()):
        raise SystemExit(f"the update ended with {process.returncode}, {len(names)} units created")
    return taken, {name: moments[name, "created"] - moments[name, "creating"] for name in names}


def fresh(practice: Practice, folder: Path) -> None:
    """Forget the state, and what the units run."""
    shutil.rmtree(folder / "state")
    (folder / "state").mkdir()
    for root in practice.units().values():
        shutil.rmtree(root / "releases", ignore_errors=True)
        for name in ("current", "receipt.json"):
            (root / name).unlink(missing_ok=True)


def sleepers(practice: Practice, folder: Path) -> tuple[Practice, Practice]:
    """Return the practice with a provider that sleeps, under the same program and under a flat one."""
    words = {"SLEEPER_SECONDS": str(folder / "seconds.json"), "SLEEPER_PYTHON": sys.executable}
    made: list[Practice] = []
    for name in ("same", "flat"):
        project = folder / name
        shutil.copytree(practice.project, project, symlinks=True)
        for file in ("provider.py", "pulumi-resource-pulih"):
            shutil.copy(ROOT / "bench" / "sleeper" / file, project / "infra" / "provider" / file)
        made.append(replace(practice, project=project).with_environment(**words))
    declared = declaration(practice.home / "estate", REGION)
    inputs = {name: dict(unit.inputs) for name, unit in declared.deployables.items()}
    (folder / "flat" / "infra" / "inputs.json").write_text(json.dumps(inputs))
    (folder / "flat" / "infra" / "__main__.py").write_text(_FLAT)
    return made[0], made[1]


if __name__ == "__main__":
    sys.exit(main())
