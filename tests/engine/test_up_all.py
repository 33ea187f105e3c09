"""`pulih up`: every stack with one command, on past a failed one, in order, with exit codes and a report."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from infra.declaration import ROOT
from recovery import lab
from recovery.lab.sickness import How
from tests.engine.engines import children
from tests.engine.practice import REGIONS, Practice
from tests.forked import Command, Ended


@pytest.fixture(scope="module")
def practice(tmp_path_factory: pytest.TempPathFactory) -> Generator[Practice]:
    made = Practice.begin(tmp_path_factory.mktemp("up-all"))
    try:
        yield made
    finally:
        made.end()


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "recovery.cli.main", "up", *words]


def up(practice: Practice, *words: str) -> Ended:
    return Command("up", *words, cwd=practice.home, environment=practice.environment).ended(240)


def stacks(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {stack["name"]: stack for stack in document["stacks"]}


def test_every_stack_is_previewed_then_deployed_data_centres_first_and_then_as_declared(
    practice: Practice, tmp_path: Path
) -> None:
    shown = up(practice, "--preview", "--output", "json")
    assert shown.returncode == 0, shown.stderr
    document = json.loads(shown.stdout)
    units = len(practice.units())
    assert document["totals"]["units_changed"] == units + 7
    assert practice.status().with_release == 0, "a preview touches no unit"
    assert not (practice.home / ".pulih" / "leases").exists()

    said = up(practice, "--report-dir", str(tmp_path), "--output", "json")
    assert said.returncode == 0, said.stderr
    document = json.loads(said.stdout)
    assert document == json.loads((tmp_path / "up.json").read_text())
    assert set(stacks(document)) == {"pdns-2", "cloud-1", *REGIONS}
    assert (document["totals"]["done"], document["totals"]["units_changed"]) == (4, units + 7)
    assert "4 of 4 stacks done" in (tmp_path / "up.md").read_text()
    told = said.stderr.splitlines()
    first_region = next(place for place, line in enumerate(told) if line.split(":")[0] in REGIONS)
    assert told.index(next(line for line in told if line.startswith("pdns-2: done"))) < first_region
    assert practice.pulih("drift").returncode == 0

    changed = subprocess.run(
        ["git", "-C", ROOT, "status", "--porcelain", "infra/stacks", "Pulumi.yaml"], capture_output=True, text=True
    )
    assert "encryptionsalt" not in "".join(path.read_text() for path in (ROOT / "infra" / "stacks").iterdir()), changed


def test_a_failed_unit_is_named_and_no_other_stack_is_stopped(practice: Practice) -> None:
    sick = min(practice.units("amerika"))
    for root in practice.units().values():
        (root / "receipt.json").unlink(missing_ok=True)
    lab.break_unit(practice.home, sick, How.UNREACHABLE)
    try:
        drop_the_state(practice)
        said = up(practice, "--output", "json")
    finally:
        lab.heal_unit(practice.home, sick)
    assert said.returncode == 3, said.stderr
    found = stacks(json.loads(said.stdout))
    assert {name for name, stack in found.items() if stack["state"] == "failed"} == {"amerika"}
    (failure,) = found["amerika"]["failures"]
    assert (failure["unit"], failure["cause"]) == (sick, "unreachable")
    assert found["amerika"]["changed"] == len(practice.units("amerika")) - 1
    assert f"amerika: {sick}: unreachable: " in said.stderr
    again = up(practice, "--region", "amerika")
    assert again.returncode == 0, again.stderr
    assert "jawa-barat" not in again.stdout
    assert practice.pulih("drift").returncode == 0


def test_relative_folders_in_the_environment_are_those_of_pulih_itself(practice: Practice, tmp_path: Path) -> None:
    drop_the_state(practice)
    estate = tmp_path / "estate"
    shutil.copytree(practice.home / "estate", estate)
    shutil.copy(practice.home / "keys" / "client", tmp_path / "key")
    (estate / "estate.yaml").write_text((estate / "estate.yaml").read_text().replace("ssh_key:", "# ssh_key:"))
    said = subprocess.run(
        command("--region", "amerika", "--estate", "estate"),
        cwd=tmp_path,
        env={**practice.environment, "PULIH_STATE": "state", "PULIH_SSH_KEY": "key"},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=240,
    )
    assert "PULIH_SSH_KEY" not in said.stderr, "the key was found"
    assert (tmp_path / "state" / "leases" / "amerika.json").exists()


def test_without_a_state_backend_it_says_how_one_is_chosen(practice: Practice, tmp_path: Path) -> None:
    nowhere = practice.with_environment(PULUMI_BACKEND_URL="", PULUMI_HOME=str(tmp_path))
    said = up(nowhere)
    assert said.returncode == 1
    assert "error: the state backend can't be used: " in said.stderr
    assert "`pulumi login` and its address" in said.stderr
    assert "stdout:" not in said.stderr


def test_an_interrupt_while_it_is_loading_ends_it_without_a_traceback(practice: Practice) -> None:
    process = subprocess.Popen(
        command("--region", "jawa-barat"),
        cwd=practice.home,
        env=dict(practice.environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    line = Path(f"/proc/{process.pid}/cmdline")
    deadline = time.monotonic() + 120
    while b"infra.up" not in line.read_bytes() and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=180)
    assert (process.returncode, out, err) == (130, "", "interrupted\n")


def test_an_interrupt_before_the_first_engine_ends_it_without_a_traceback(practice: Practice, tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    path = played(tmp_path / "bin", f"trap 'exit 130' INT; echo >{asked}; while :; do sleep 0.1; done")
    process = subprocess.Popen(
        command("--region", "jawa-barat"),
        cwd=practice.home,
        env={**practice.environment, "PATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not asked.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    out, err = process.communicate(timeout=180)
    assert (process.returncode, out, err) == (130, "", "interrupted\n")


def test_an_engine_that_speaks_in_riddles_is_one_failed_stack_and_is_ended(practice: Practice, tmp_path: Path) -> None:
    ended = tmp_path / "ended"
    path = played(
        tmp_path / "bin",
        f"""case $* in
*'stack ls'*) echo '[{{"name": "amerika", "current": false}}, {{"name": "jawa-barat", "current": false}}]' ;;
up*amerika*) sleep 1 ;;
up*jawa-barat*)
    trap 'echo >{ended}; exit 130' INT
    while [ "$1" != --event-log ]; do shift; done
    echo '{{' >"$2"
    while :; do sleep 0.1; done ;;
esac""",
    )
    said = up(practice.with_environment(PATH=path), "--region", "jawa-barat", "--region", "amerika", "--output", "json")
    assert said.stdout, said.stderr
    found = stacks(json.loads(said.stdout))
    assert (found["amerika"]["state"], found["jawa-barat"]["state"]) == ("done", "failed")
    assert "a fault of pulih itself" in found["jawa-barat"]["failures"][0]["reason"]
    assert ended.exists()


def played(folder: Path, script: str) -> str:
    """Make a `pulumi` that runs a few lines of shell for all but its version; return the PATH that finds it."""
    folder.mkdir(parents=True)
    (folder / "pulumi-language-python").symlink_to("/bin/true")
    pulumi = folder / "pulumi"
    pulumi.write_text(f'#!/bin/sh\n[ "$1" != version ] || {{ echo v3.259.0; exit; }}\n{script}\n')
    pulumi.chmod(0o755)
    return f"{folder}{os.pathsep}{os.defpath}"


def drop_the_state(practice: Practice) -> None:
    for file in (practice.home.parent / "state").rglob("*.json*"):
        file.unlink()


@contextmanager
def at_work(practice: Practice) -> Generator[tuple[subprocess.Popen[str], str]]:
    """Deploy a region from nothing, and lend the process, with its unit that hangs, once all others are through."""
    units = practice.units("jawa-barat")
    sick = min(units)
    drop_the_state(practice)
    for root in units.values():
        (root / "receipt.json").unlink(missing_ok=True)
    lab.break_unit(practice.home, sick, How.HANG)
    try:
        process = subprocess.Popen(
            command("--region", "jawa-barat", "--output", "json"),
            cwd=practice.home,
            env=dict(practice.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + 120
        while (left := units.keys() - practice.receipts().keys()) != {sick}:
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                pytest.fail(f"{sorted(left)} were never reached: {process.communicate()}")
            time.sleep(0.05)
        yield process, sick
    finally:
        lab.heal_unit(practice.home, sick)


@pytest.mark.parametrize("twice", [pytest.param(False, marks=pytest.mark.thorough), True])
def test_an_interrupted_run_stops_cleanly_and_says_so(practice: Practice, twice: bool) -> None:
    with at_work(practice) as (process, sick):
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        told = next(line for line in process.stderr if line.startswith("stopping"))
        if twice:
            process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=180)
    assert process.returncode == 130, err
    assert "stopping: units in flight finish" in told
    found = stacks(json.loads(out))["jawa-barat"]
    assert found["state"] == "interrupted"
    # A second one may come before the unit has said what became of it, or after; the engine's own noise is no failure.
    assert [failure["unit"] for failure in found["failures"]] in ([[], [sick]] if twice else [[sick]])
    lease = practice.home / ".pulih" / "leases" / "jawa-barat.json"
    assert json.loads(lease.read_text())["released"] is True
    assert up(practice, "--region", "jawa-barat").returncode == 0


def test_a_killed_engine_is_one_failed_stack_and_what_it_did_is_adopted(practice: Practice) -> None:
    with at_work(practice) as (process, sick):
        done = practice.units("jawa-barat").keys() - {sick}
        (engine,) = children(process.pid)
        os.kill(engine, signal.SIGKILL)
        out, err = process.communicate(timeout=180)
    assert process.returncode in (1, 3), err
    failed = stacks(json.loads(out))["jawa-barat"]
    assert failed["state"] == "failed"
    assert "killed by signal 9" in failed["failures"][0]["reason"]
    before = {name: practice.receipts()[name] for name in done}

    locked = up(practice, "--region", "jawa-barat")
    assert locked.returncode == 4, locked.stderr
    assert "pulumi cancel" in locked.stderr
    assert practice.pulumi("cancel", "jawa-barat", "--yes").code == 0
    again = up(practice, "--region", "jawa-barat")
    assert again.returncode == 0, again.stderr
    assert {name: practice.receipts()[name] for name in done} == before
    assert practice.pulih("drift", "--region", "jawa-barat").returncode == 0


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["--region", "jawa-barta"], 1, "did you mean jawa-barat?"),
        (["--estate", str(ROOT / "infra" / "estate")], 5, "is illustrative"),
        (["--estate", "/nowhere"], 1, "there is no estate in /nowhere: name its folder"),
    ],
)
def test_what_can_not_be_deployed_is_said_before_an_engine_starts(
    practice: Practice, words: list[str], code: int, text: str
) -> None:
    said = up(practice, *words)
    assert (said.returncode, text in said.stderr) == (code, True), said.stderr
    assert said.stdout == ""


def test_without_an_engine_it_says_how_to_get_one(practice: Practice, tmp_path: Path) -> None:
    environment = {**practice.environment, "PATH": os.defpath, "PULIH_ENGINE_CACHE": str(tmp_path)}
    said = subprocess.run(command(), cwd=practice.home, env=environment, capture_output=True, text=True, timeout=60)
    assert said.returncode == 1
    assert "make engine" in said.stderr
