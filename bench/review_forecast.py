"""Whether a review tells what a change will do: its units against those it reaches, its forecast against a drill.

    python -m bench.review_forecast --rounds 3 --units 582

Each round, in a lab whose estate and templates are in a git repository: everything is applied, a change moves one
service to another data centre and edits one template, `pulih review` looks at it, `pulih apply` deploys it, and the
data centre that the others are still at is lost and recovered. The units that the review names are held against those
that the deployment sent a bundle to; its forecast, which was made from the runs before it, against the time that the
recovery took. The lab's folder stays the same, so each round knows more runs than the one before it.

What a forecast is off has two parts: the machine is busier, or less busy, than in the runs that it was made from; and
the plan goes otherwise than it was played. The second part alone is what stands under `played`: the plan played once
more with what each step took in the drill itself, against the drill.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.forecast_error import LOST, TO, lose, pulih
from recovery import lab
from recovery.declared import load
from recovery.declared.folders import OWN_TEMPLATES
from recovery.forecast import play
from recovery.journal import read
from recovery.model.estate import DataCentreName
from recovery.model.plan import Selection
from recovery.plan import recovery
from recovery.retold import story
from recovery.transport.base import DEFAULT_PARALLEL

MOVED = "stay-permit"
TEMPLATE, OLD, NEW = "border-gate/nginx.conf.j2", "worker_processes 1;", "worker_processes 2;"
WITHIN = 0.2
"""Most that the forecast of a review may be off."""
DIFFERENT, PARTIAL = 2, 3
"""Exit codes. On a machine that is busy with other things a unit of the lab may come too late; it is counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One change, reviewed, deployed, and put to the proof.

    Attributes:
        named: Units that the review names.
        sent: Units that its deployment sent a bundle to.
        files: Differences of files that the review shows.
        took_s: How long the review took, seconds.
        cpu_s: Seconds of CPU that it used.
        forecast_s: How long a recovery after the change takes, by the review, seconds.
        actual_s: How long it took.
        played_s: How long the plan takes when it is played with what its steps took then, seconds.
        failed: Units that it could not verify.
        load: Average number of processes that wanted a core in the minute before its end.
    """

    named: frozenset[str]
    sent: frozenset[str]
    files: int
    took_s: float
    cpu_s: float
    forecast_s: float
    actual_s: float
    played_s: float
    failed: int
    load: float

    @property
    def error(self) -> float:
        """Of the forecast, as a share of what the recovery took."""
        return self.forecast_s / self.actual_s - 1


def played(folder: Path, run: str) -> float:
    """Play the plan of a recovery with what each of its steps took, and return how long that is, seconds."""
    plan, _ = recovery(load(folder / "estate"), "", Selection(), lost=DataCentreName(LOST), to=DataCentreName(TO))
    told = story(read(folder / ".pulih" / "runs" / run / "journal.jsonl"))
    if told is None:
        raise SystemExit(f"the journal of {run} tells nothing")
    takes_s = {one.name: one.seconds for one in (*told.result.endpoints, *told.result.units)}
    return play(plan, takes_s, DEFAULT_PARALLEL).waves[-1].ends_s


def cpu_of_children() -> float:
    """Return the seconds of CPU that commands have used which have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Repository:
    """The lab's folder as a git repository of its estate and of templates of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self) -> None:
        """Put templates beside the estate, and both into one commit, tagged `base`."""
        for left in (".git", "templates"):
            shutil.rmtree(self.folder / left, ignore_errors=True)
        shutil.copytree(OWN_TEMPLATES, self.folder / "templates")
        self.edit("estate/estate.yaml", "\npractice: true\n", "\npractice: true\ntemplates: ../templates\n")
        self.git("init", "--quiet", "--initial-branch=main")
        self.commit("Begin")
        self.git("tag", "base")

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace text that stands once in a file.

        Raises:
            SystemExit: It does not.
        """
        file = self.folder / path
        text = file.read_text(encoding="utf-8")
        if text.count(old) != 1:
            raise SystemExit(f"{file}: expected {old!r} once")
        file.write_text(text.replace(old, new), encoding="utf-8")

    def commit(self, message: str) -> None:
        """Commit estate and templates."""
        self.git("add", "estate", "templates")
        self.git("-c", "user.name=bench", "-c", "user.email=bench@example.org", "commit", "--quiet", "-m", message)

    def git(self, *words: str) -> None:
        """Run git."""
        subprocess.run(["git", "-C", str(self.folder), *words], check=True)  # noqa: S603, S607  arguments of our own


def prove(units: int, folder: Path, line_ms: int) -> Round:
    """Hold one round."""
    repository, estate = Repository(folder), ("--estate", str(folder / "estate"))
    try:
        lab.up(units, folder)
        if line_ms:
            card = json.loads((folder / "lab.json").read_text(encoding="utf-8"))
            for office in dict.fromkeys(unit["office"] for unit in card["units"].values()):
                lab.slow(folder, office, line_ms, 0)
        repository.begin()
        pulih("apply", *estate, ends=(0, PARTIAL))
        repository.edit("estate/placement.yaml", f"{MOVED}: {LOST}", f"{MOVED}: {TO}")
        repository.edit(f"templates/{TEMPLATE}", OLD, NEW)
        repository.commit(f"Move {MOVED} to {TO}; give border gates two workers")
        began, cpu_before_s = time.monotonic(), cpu_of_children()
        review = json.loads(pulih("review", "base..HEAD", *estate, "--output", "json", ends=(DIFFERENT,)))
        took_s, cpu_s = time.monotonic() - began, cpu_of_children() - cpu_before_s
        deployed = json.loads(pulih("apply", *estate, "--output", "json", ends=(0, PARTIAL)))
        lose(folder)
        way = ("--lost", LOST, "--to", TO, "--yes")
        recovered = json.loads(pulih("recover", *way, *estate, "--output", "json", ends=(0, PARTIAL)))
    finally:
        lab.down(folder)
    rescue = next(one for one in review["recoveries"] if (one["side"], one["lost"], one["to"]) == ("after", LOST, TO))
    return Round(
        named=frozenset(unit["name"] for unit in review["units"]),
        sent=frozenset(unit["name"] for unit in deployed["units"] if unit["state"] == "verified"),
        files=len(review["files"]),
        took_s=took_s,
        cpu_s=cpu_s,
        forecast_s=rescue["seconds"],
        actual_s=recovered["seconds"],
        played_s=played(folder, recovered["run"]),
        failed=recovered["totals"]["units"] - recovered["totals"]["verified"],
        load=os.getloadavg()[0],
    )


def table(rounds: Sequence[Round]) -> Iterator[str]:
    """Return the result as the lines of a Markdown table, and what it comes to."""
    yield (
        "| round | review took, s | CPU, s | units named | of them sent a bundle | others sent one "
        "| differences of files | forecast, s | drill, s | not verified | error | played | load |"
    )
    yield "|" + "---|" * 13
    for number, one in enumerate(rounds, start=1):
        yield (
            f"| {number} | {one.took_s:.1f} | {one.cpu_s:.1f} | {len(one.named)} | {len(one.named & one.sent)} "
            f"| {len(one.sent - one.named)} | {one.files} | {one.forecast_s:.1f} | {one.actual_s:.1f} | {one.failed} "
            f"| {one.error:+.0%} | {one.played_s / one.actual_s - 1:+.0%} | {one.load:.0f} |"
        )
    errors = [abs(one.error) for one in rounds]
    yield ""
    yield (
        f"Relative error of the forecast: median {statistics.median(errors):.0%}, largest {max(errors):.0%}; "
        f"{sum(error <= WITHIN for error in errors)} of {len(errors)} within {WITHIN:.0%}."
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--units", type=int, default=582)
    parser.add_argument(
        "--line-ms", type=int, default=0, help="Latency of every office's line in each direction, milliseconds."
    )
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pulih-bench-") as name:
        rounds = [prove(chosen.units, Path(name) / "lab", chosen.line_ms) for _ in range(chosen.rounds)]
    print(f"{chosen.units} units on {os.cpu_count()} cores, lines of {chosen.line_ms} ms.\n")
    for line in table(rounds):
        print(line)


if __name__ == "__main__":
    main()
