"""What pulih adds to a `pulumi up`: against the same engine, program and stack, with a provider that only sleeps.

    make engine && python -m bench.engine_floor            # about two minutes
    python -m bench.engine_floor --units 48 --rounds 5

Each round deploys a region of the practice estate from nothing, twice: with pulih's provider, and with one that sleeps
at each unit as long as that unit took in a `pulih apply` just before, as many at once as the estate's limit for a
region. Printed is the time from start to end of the literal `pulumi up --parallel 64`, state in a folder. `flat` is the
sleeping provider under a program that declares the units alone: no offices, no estate read.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

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
        fresh(practice, folder)
        (folder / "seconds.json").write_text(json.dumps(apply(practice, folder)))
        for name, which in (("pulih", practice), ("sleeping", same), ("flat", flat)):
            fresh(practice, folder)
            which.init(REGION)
            began = time.monotonic()
            done = which.up(REGION)
            seconds[name].append(time.monotonic() - began)
            if done.code != 0:
                raise SystemExit(done.out)
        print(f"round {number + 1}: " + ", ".join(f"{name} {taken[-1]:.2f} s" for name, taken in seconds.items()))
    middle = {name: statistics.median(taken) for name, taken in seconds.items()}
    ratio = middle["pulih"] / middle["sleeping"]
    units = len(practice.units())
    print(f"{units} units, median: {ratio:.2f} x the sleeping provider's (limit {LIMIT})")
    print(f"{middle['pulih'] / middle['flat']:.2f} x a program that declares nothing but the units")
    return int(ratio > LIMIT)


def fresh(practice: Practice, folder: Path) -> None:
    """Forget the state, and what the units run."""
    shutil.rmtree(folder / "state")
    (folder / "state").mkdir()
    for root in practice.units().values():
        shutil.rmtree(root / "releases", ignore_errors=True)
        for name in ("current", "receipt.json"):
            (root / name).unlink(missing_ok=True)


def apply(practice: Practice, folder: Path) -> dict[str, float]:
    """Apply the region without the engine, and return how long each unit took."""
    done = practice.pulih("apply", "--region", REGION, "--report-dir", str(folder / "report"))
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    report: Any = json.loads((folder / "report" / "report.json").read_text())
    return {unit["name"]: unit["seconds"] for unit in report["units"]}


def sleepers(practice: Practice, folder: Path) -> tuple[Practice, Practice]:
    """Return the practice with a provider that sleeps, under the same program and under a flat one."""
    limit = practice.estate().limits.region
    words = {
        "SLEEPER_SECONDS": str(folder / "seconds.json"),
        "SLEEPER_PYTHON": sys.executable,
        "SLEEPER_AT_ONCE": str(limit),
    }
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
