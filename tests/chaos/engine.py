"""Faults of the Pulumi engine in the middle of an update: the engine killed, its provider killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

from tests.chaos.ground import BEHIND, DIRECT, Ground
from tests.chaos.hosts import WAITS
from tests.chaos.machines import wait_until
from tests.chaos.trial import Kind, Trial, ended
from tests.engine.engines import children, environment, is_gone, need_engine
from tests.engine.practice import AT_ONCE, Practice, copy_of_the_project

REGION = "north"
PROVIDER = "infra.provider"


def project(ground: Ground) -> Practice:
    """Return the project of an estate, its region's stack deployed; made when it is first asked for."""
    engine, folder = need_engine(), ground.folder / "project"
    words = environment(engine, ground.folder / "pulumi-home", f"file://{ground.folder}/pulumi-state")
    words |= {"PULUMI_PARALLEL": AT_ONCE, "PULIH_ESTATE": str(ground.estate_folder)}
    practice = Practice(home=ground.folder, project=folder, environment=words)
    if not folder.exists():
        (ground.folder / "pulumi-state").mkdir()
        copy_of_the_project(folder)
        practice.deploy(REGION)
    return practice


def in_an_update(trial: Trial, practice: Practice) -> subprocess.Popen[str]:
    """Start an update, and return when two units are being validated."""
    for name in (DIRECT, BEHIND):
        trial.machines[name].instead("nginx", WAITS)
    process = trial.ground.spawn(
        practice.command("up", "--stack", REGION, "--yes", "--skip-preview", "--suppress-outputs"),
        cwd=practice.project,
        environment=dict(practice.environment),
    )
    for name in (DIRECT, BEHIND):
        wait_until(trial.machines[name].has_met, f"the update at {name}")
    return process


def free(practice: Practice) -> None:
    """Free the stack of a killed engine; a state that it was just writing is torn, and is let go."""
    read = practice.pulumi("stack", "export", "--stack", REGION)
    if "failed to load checkpoint" in read.out:  # as docs/pulumi.md says
        state = practice.home / "pulumi-state" / ".pulumi"
        (state / "stacks" / "pulih" / f"{REGION}.json").unlink()
        shutil.rmtree(state / "locks" / "organization" / "pulih" / REGION)
        practice.init(REGION)
        return
    cancelled = practice.pulumi("cancel", REGION, "--yes")
    assert cancelled.code == 0, cancelled.out


def next_up(trial: Trial, practice: Practice) -> None:
    """Deploy again, as an operator does."""
    trial.ground.mend()
    done = practice.up(REGION)
    assert done.code == 0, done.out
    drift = trial.ground.pulih("drift", "--region", REGION)
    assert drift.returncode == 0, drift


def engine_killed(trial: Trial) -> None:
    """Kill the engine: its provider ends with it, and `pulumi cancel` frees the stack."""
    practice = project(trial.ground)
    process = in_an_update(trial, practice)
    helpers = children(process.pid)
    process.kill()
    ended(process)
    wait_until(lambda: all(map(is_gone, helpers)), "the end of the provider")
    free(practice)
    next_up(trial, practice)


def provider_killed(trial: Trial) -> None:
    """Kill the provider: the engine fails the update and ends."""
    practice = project(trial.ground)
    process = in_an_update(trial, practice)
    found = [pid for pid in children(process.pid) if PROVIDER in Path(f"/proc/{pid}/cmdline").read_text()]
    assert found
    for pid in found:
        os.kill(pid, signal.SIGKILL)
    done = ended(process)
    assert done.returncode != 0, done
    next_up(trial, practice)


def beside_a_run(trial: Trial) -> None:
    """An update begins while a run is at work: it is told who holds the region, and touches nothing."""
    practice = project(trial.ground)
    process = trial.stopped("after", "unit-started", "6")
    held = practice.up(REGION)
    assert held.code != 0, held.out
    assert "held: " in held.out
    assert str(trial.run) in held.out
    done = trial.go_on(process)
    assert done.returncode == 0, done


KINDS = (
    Kind(name="engine: an update while a run is at work", prepare=project, strike=beside_a_run),
    Kind(name="engine: kill -9 in the middle of an update", prepare=project, strike=engine_killed),
    Kind(name="engine: kill -9 of its provider in the middle of an update", prepare=project, strike=provider_killed),
)
