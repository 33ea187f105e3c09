"""One fault on the estate: declare a change, begin to deploy it, meet the fault, finish, and look at what is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recovery.model.estate import DataCentreName, Timeouts, UnitName
from tests.chaos import looking
from tests.chaos.ground import TIMEOUTS, Ground
from tests.chaos.looking import Before, Losses, Onlooker
from tests.chaos.machines import Machine

TRIES = 4
"""Times that somebody types `pulih resume` before giving up."""


class Trial:
    """What a fault finds: an estate with a change declared, and the command that deploys it.

    Attributes:
        verb: The words of the command.
        to: The data centre that everything is placed at in the end.
        machines: Those that the command deploys to: of every unit, and of the endpoints of that data centre.
        before: How they stand.
    """

    def __init__(self, ground: Ground, verb: str, timeouts: Timeouts) -> None:
        self.ground = ground
        ground.mend()
        ground.declare_a_change(timeouts)
        here = ground.placed()
        there = DataCentreName("standby" if here == "main" else "main")
        self.to = there if verb == "recover" else here
        self.verb: tuple[str, ...] = (
            ("recover", "--lost", here, "--to", there, "--yes") if verb == "recover" else (verb,)
        )
        new = {name: bundle.digest for name, bundle in ground.bundles(self.to).items()}
        self.machines: Mapping[UnitName, Machine] = {name: ground.machines[name] for name in new}
        machines = self.machines.items()
        self.before = Before(
            old={name: machine.loaded() for name, machine in machines},
            new=new,
            epochs={name: machine.epoch() for name, machine in machines},
            unvalidated={name: machine.unvalidated() for name, machine in machines},
        )
        self._runs = self._all_runs()

    def _all_runs(self) -> set[str]:
        folder = self.ground.folder / ".pulih" / "runs"
        return {path.name for path in folder.iterdir() if path.name[0] != "."} if folder.exists() else set()

    @property
    def run(self) -> str | None:
        """The run that met the fault; None when there is none to resume."""
        begun = self.journals()
        return begun[0].parent.name if begun else None

    def journals(self) -> list[Path]:
        """Return the journals of the runs that have begun, the first one first."""
        folder = self.ground.folder / ".pulih" / "runs"
        return [folder / run / "journal.jsonl" for run in sorted(self._all_runs() - self._runs)]

    def command(self) -> subprocess.CompletedProcess[str]:
        """Carry the command out to its end."""
        return self.ground.pulih(*self.verb)

    def begin(self) -> subprocess.Popen[str]:
        """Start the command."""
        return self.ground.begin(*self.verb)

    def killed(self, *at: str) -> None:
        """Carry the command out until it is killed at a record of its journal."""
        process = self.ground.begin(*self.verb, at=("kill", *at))
        done = ended(process)
        assert done.returncode == -signal.SIGKILL, done

    def stopped(self, *at: str) -> subprocess.Popen[str]:
        """Carry the command out until it is stopped at a record of its journal; `go_on` wakes it."""
        return self.ground.begin_stopped(*self.verb, at=at)

    def go_on(self, process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
        """Wake a stopped command and wait for its end."""
        os.kill(process.pid, signal.SIGCONT)
        return ended(process)


def ended(process: subprocess.Popen[str], timeout_s: float = 90) -> subprocess.CompletedProcess[str]:
    """Wait for the end of a command."""
    out, err = process.communicate(timeout=timeout_s)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of fault.

    Attributes:
        name: As the table has it.
        strike: Lets a trial meet it; all commands have ended, and it has made sure that it came about.
        verb: What is under way: `apply` or `recover`.
        prepare: Makes ready what the trial needs, before the change is declared.
        timeouts: Of the estate, while it lasts.
    """

    name: str
    strike: Callable[[Trial], None]
    verb: str = "apply"
    prepare: Callable[[Ground], object] = lambda _ground: None
    timeouts: Timeouts = TIMEOUTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What came of a trial.

    Attributes:
        units: How many units of offices there were.
        lost: By unit or endpoint, what was lost of it.
    """

    units: int
    lost: Mapping[str, Sequence[str]]


def play(ground: Ground, kind: Kind) -> Told:
    """Let the estate meet a fault once, finish, and say what is lost."""
    kind.prepare(ground)
    trial = Trial(ground, kind.verb, kind.timeouts)
    losses = Losses()
    with Onlooker(trial.machines) as onlooker:
        kind.strike(trial)
        onlooker.look_again()
        ground.mend()
        kept = _look_at_the_interruption(trial, losses)
        report = _finish(trial)
    looking.look_at_the_looks(losses, onlooker, trial.before)
    looking.look_at_the_report(losses, report, trial.before)
    looking.look_at_the_end(losses, trial.before, trial.machines)
    for name, receipt in kept.items():
        if trial.machines[name].receipt() != receipt:
            losses.note(name, "it was finished, and the resume has done it again")
    drift = ground.pulih("drift", "--output", "json")
    looking.look_at_the_drift(losses, json.loads(drift.stdout))
    return Told(units=len(list(ground.estate().places())), lost=losses.found)


def _look_at_the_interruption(trial: Trial, losses: Losses) -> dict[UnitName, bytes]:
    """Look at what a broken-off run has left; return the receipts that a resume must leave as they are."""
    if trial.run is None:
        return {}
    journals = trial.journals()
    told = [looking.records(journal) for journal in journals]
    touched = [name for name, machine in trial.machines.items() if machine.epoch() != trial.before.epochs[name]]
    looking.look_at_the_journals(losses, told, touched)
    for report in (journal.with_name("report.json") for journal in journals):
        if report.exists():
            looking.look_at_the_report(losses, json.loads(report.read_text()), trial.before)
    placed = trial.ground.placed()
    for _, _, unit in trial.ground.estate().places():
        if unit.name in touched and placed != trial.to:
            losses.note(unit.name, f"it was brought to {trial.to} while the placement still says {placed}")
    finished = {UnitName(name) for one in told for name in looking.served(one)}
    return {name: trial.machines[name].receipt() for name in finished}


def _finish(trial: Trial) -> dict[str, Any]:
    """Type `pulih resume`, or the same command where there is no run, until all is done; return the last report."""
    done: subprocess.CompletedProcess[str] | None = None
    for _ in range(TRIES):
        words = ("resume", trial.run, "--yes") if trial.run is not None else trial.verb
        done = trial.ground.pulih(*words, "--output", "json")
        if done.returncode == 0:
            report = json.loads(done.stdout)
            assert report["verb"] == trial.verb[0], report["verb"]
            return report
    assert done is not None
    raise AssertionError(f"it can't be finished: {done.returncode}: {done.stdout}\n{done.stderr}")
