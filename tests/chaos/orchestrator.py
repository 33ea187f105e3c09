"""Faults of the machine that conducts: killed, stopped, told to end, without room, beside another operator."""

from __future__ import annotations

import signal
from dataclasses import replace

from tests.chaos.ground import DIRECT, TIMEOUTS
from tests.chaos.trial import Kind, Trial

RECORDS = ("run-started", "wave-started", "unit-started", "unit-finished", "placement-intended", "placement-written")


def killed(*at: str) -> Kind:
    """Return the kind that kills the orchestrator at a record of its journal."""
    when, record, nth = at
    return Kind(
        name=f"orchestrator: kill -9 {when} `{record}`" + (f" no. {nth}" if nth != "1" else ""),
        verb="recover",
        strike=lambda trial: trial.killed(*at),
    )


def torn(trial: Trial) -> None:
    """Lose power while the last record is being written."""
    trial.killed("after", "unit-finished", "7")
    (journal,) = trial.journals()
    content = journal.read_bytes()
    last = content.rstrip(b"\n").rpartition(b"\n")[2]
    journal.write_bytes(content[: -len(last) // 2])


def killed_when_retried(trial: Trial) -> None:
    """A unit's probe fails, and the orchestrator is killed before it tries again."""
    trial.machines[DIRECT].instead("curl", "exit 22")
    trial.killed("after", "unit-retried", "1")


def killed_when_held(trial: Trial) -> None:
    """Nobody's configuration is found sound, and the orchestrator is killed when it holds the wave."""
    for machine in trial.machines.values():
        machine.instead("nginx", "exit 1")
    trial.killed("after", "wave-held", "1")


def killed_with_break_glass(trial: Trial) -> None:
    """Kill it when it has recorded that it goes on above the largest epoch of any unit, and nothing else."""
    trial.verb += ("--break-glass",)
    trial.killed("after", "break-glass", "1")


def told_to_end(number: signal.Signals) -> Kind:
    """Return the kind that asks the orchestrator to end."""

    def strike(trial: Trial) -> None:
        process = trial.stopped("after", "unit-started", "6")
        process.send_signal(number)
        done = trial.go_on(process)
        assert done.returncode == 130, done

    return Kind(name=f"orchestrator: {number.name} while units are at work", verb="recover", strike=strike)


KINDS = (
    Kind(name="orchestrator: kill -9 after `break-glass`", verb="recover", strike=killed_with_break_glass),
    killed("before", "run-started", "1"),
    *(killed("after", record, "1") for record in RECORDS),
    killed("after", "unit-finished", "6"),
    killed("before", "unit-finished", "6"),
    killed("after", "wave-finished", "3"),
    Kind(
        name="orchestrator: kill -9 after `unit-retried`",
        timeouts=replace(TIMEOUTS, retries=1),
        strike=killed_when_retried,
    ),
    Kind(name="orchestrator: kill -9 after `wave-held`", strike=killed_when_held),
    killed("before", "run-finished", "1"),
    killed("after", "run-finished", "1"),
    Kind(name="orchestrator: the journal's last line torn", verb="recover", strike=torn),
    told_to_end(signal.SIGTERM),
    told_to_end(signal.SIGHUP),
)
