"""`python -m tests.hostile --inputs N`: the properties on N inputs in all, over two processes, counted as they run."""

from __future__ import annotations

import argparse
import faulthandler
import multiprocessing
import random
import resource
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from tests.hostile.properties import PROPERTIES
from tests.hostile.property import WITHIN_S, CommandRunError, OutsideError, Property, hold

PROCESSES = 2
AT_ONCE = 500
"""Inputs of one seed: a failure is told after so many, and the seed repeats it."""
MEMORY_BYTES = 4 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some inputs of one property."""

    name: str
    inputs: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What became of a part.

    Attributes:
        fault: Kind of failure and its story; None when there was none.
    """

    part: Part
    inputs: int
    seconds: float
    fault: tuple[str, str] | None


def parts(inputs: int, first_seed: int, properties: Sequence[Property]) -> Iterator[Part]:
    """Divide inputs among properties by their weight, and each share into parts."""
    whole = sum(wanted.weight for wanted in properties)
    number, left = first_seed, inputs
    for wanted in properties:
        share = left if wanted is properties[-1] else min(left, inputs * wanted.weight // whole)
        left -= share
        while share > 0:
            number += 1
            yield Part(name=wanted.name, inputs=min(share, AT_ONCE), seed=number)
            share -= AT_ONCE


def attempt(part: Part) -> Tried:
    """Try one part, seed after seed until its inputs are counted."""
    wanted: Property = next(each for each in PROPERTIES if each.name == part.name)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    faulthandler.dump_traceback_later(AT_ONCE * WITHIN_S, exit=True)
    began, tried, again = time.monotonic(), 0, 0
    fault: tuple[str, str] | None = None
    try:
        while tried < part.inputs:
            tried += hold(wanted, part.inputs - tried, part.seed + 1_000_003 * again)
            again += 1
    except BaseException as error:
        kind = "outside" if isinstance(error, OutsideError) else "crash"
        kind = "command" if isinstance(error, CommandRunError) else kind
        fault = kind, "".join(traceback.format_exception(error)[-12:]) + "\n".join(getattr(error, "__notes__", ()))
    faulthandler.cancel_dump_traceback_later()
    return Tried(part=part, inputs=max(tried, 1), seconds=time.monotonic() - began, fault=fault)


def main() -> int:
    """Run the campaign and return an exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0, help="where the seeds begin; another one tries other inputs")
    parser.add_argument("--only", metavar="PROPERTY", help="only this one")
    asked = parser.parse_args()
    properties = [each for each in PROPERTIES if asked.only in (None, each.name)]
    wanted = list(parts(asked.inputs, asked.seed, properties))
    random.Random(asked.seed).shuffle(wanted)
    began = time.monotonic()
    counts = {"crash": 0, "outside": 0, "command": 0}
    by_name: dict[str, tuple[int, float]] = {}
    with ExitStack() as stack:
        tempfile.tempdir = stack.enter_context(
            tempfile.TemporaryDirectory(prefix="pulih-hostile-")
        )  # of the workers too
        workers = stack.enter_context(multiprocessing.get_context("fork").Pool(PROCESSES))
        for tried in workers.imap_unordered(attempt, wanted):
            inputs, seconds = by_name.get(tried.part.name, (0, 0.0))
            by_name[tried.part.name] = inputs + tried.inputs, seconds + tried.seconds
            if tried.fault is not None:
                counts[tried.fault[0]] += 1
                print(f"{tried.part.name}, seed {tried.part.seed}: {tried.fault[0]}\n{tried.fault[1]}", file=sys.stderr)
    for name, (inputs, seconds) in sorted(by_name.items()):
        print(f"{name:24} {inputs:>8,} inputs {seconds:8.1f} s", file=sys.stderr)
    print(f"in {time.monotonic() - began:.0f} s over {PROCESSES} processes", file=sys.stderr)
    total = sum(inputs for inputs, _ in by_name.values())
    print(
        f"{total} inputs, {counts['crash']} crashes, {counts['outside']} files outside a bundle, "
        f"{counts['command']} commands run"
    )
    return 1 if any(counts.values()) else 0
