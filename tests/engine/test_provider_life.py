"""Stopped and killed engines: units are old or new, nothing runs on, and the next `up` finishes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from recovery import declared, lab
from recovery.lab.sickness import How
from tests.drill.watching import Witness
from tests.engine.backends import BACKENDS, in_backend
from tests.engine.engines import children, is_gone
from tests.engine.practice import Practice

REGION = "jawa-barat"


@pytest.fixture(scope="module", params=BACKENDS)
def practice(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[Practice]:
    """A lab with one region deployed."""
    made = Practice.begin(tmp_path_factory.mktemp("life"))
    try:
        with in_backend(request.param, made) as stored:
            stored.deploy("pdns-2", REGION)
            yield stored
    finally:
        made.end()


@dataclass(frozen=True, slots=True)
class Changed:
    """A region whose declaration has changed for all its units, one of which hangs.

    Attributes:
        sick: The one that hangs.
        before: What every unit ran before.
    """

    sick: str
    before: dict[str, str]

    def left(self, practice: Practice) -> list[str]:
        """Return the units that still run what they ran before."""
        now = running(practice)
        return [name for name, release in self.before.items() if now[name] == release]


def running(practice: Practice) -> dict[str, str]:
    return {name: str((root / "current").readlink()) for name, root in practice.units(REGION).items()}


@pytest.fixture
def changed(practice: Practice) -> Generator[Changed]:
    estate = practice.estate()
    regions = tuple(
        replace(region, offices=tuple(replace(office, title=f"{office.title}!") for office in region.offices))
        for region in estate.regions
    )
    declared.write(replace(estate, regions=regions), practice.home / "estate")
    sick = min(practice.units(REGION))
    lab.break_unit(practice.home, sick, How.HANG)
    yield Changed(sick, running(practice))
    lab.heal_unit(practice.home, sick)


def begin(practice: Practice, changed: Changed) -> subprocess.Popen[str]:
    """Start an update, and return when it waits for the unit that hangs alone."""
    process = subprocess.Popen(
        practice.command("up", "--stack", REGION, "--yes", "--skip-preview", "--suppress-outputs"),
        cwd=practice.project,
        env=dict(practice.environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if changed.left(practice) == [changed.sick]:
            return process
        assert process.poll() is None, process.stdout and process.stdout.read()
        time.sleep(0.05)
    raise AssertionError("the others were never changed")


def ended(process: subprocess.Popen[str], within_s: float = 30) -> str:
    out, _ = process.communicate(timeout=within_s)
    return out


def lease(practice: Practice) -> dict[str, object]:
    return json.loads((practice.home / ".pulih" / "leases" / f"{REGION}.json").read_text())


def test_ctrl_c_lets_units_in_flight_finish_and_the_next_up_does_the_rest(practice: Practice, changed: Changed) -> None:
    process = begin(practice, changed)
    helpers = children(process.pid)
    process.send_signal(signal.SIGINT)
    out = ended(process)
    assert process.returncode not in (0, -signal.SIGINT)
    assert f"error: {changed.sick}: " in out
    assert all(is_gone(helper) for helper in helpers)
    assert changed.left(practice) == [changed.sick]
    assert lease(practice)["released"] is True
    lab.heal_unit(practice.home, changed.sick)
    again = practice.up(REGION)
    assert (again.code, again.summary["updated"]) == (0, 1), again.out
    assert "pending operations" not in again.out
    assert practice.pulih("drift", "--region", REGION).returncode == 0


def test_a_killed_engine_takes_its_provider_with_it_and_the_next_up_heals(practice: Practice, changed: Changed) -> None:
    with Witness(practice.units(REGION)) as witness:
        process = begin(practice, changed)
        helpers = children(process.pid)
        assert len(helpers) >= 2, "a language host and a provider"
        process.kill()
        process.wait()
        deadline = time.monotonic() + 5
        while not all(is_gone(helper) for helper in helpers) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert [helper for helper in helpers if not is_gone(helper)] == []
    assert witness.mixtures == []
    assert lease(practice)["released"] is True
    assert changed.left(practice) == [changed.sick]
    lab.heal_unit(practice.home, changed.sick)

    locked = practice.up(REGION)
    assert locked.code != 0
    assert "the stack is currently locked by 1 lock(s)" in locked.out
    assert "pulumi cancel" in locked.out
    assert practice.pulumi("cancel", REGION, "--yes").code == 0
    healed = practice.up(REGION)
    assert healed.code == 0, healed.out
    assert "interrupted while updating" in healed.out
    assert "pending operations" not in practice.up(REGION).out
    assert practice.pulih("drift", "--region", REGION).returncode == 0


def test_the_provider_says_nothing_but_its_port_and_ends_with_whoever_started_it(practice: Practice) -> None:
    program = practice.project / "infra" / "provider" / "pulumi-resource-pulih"
    provider = subprocess.Popen(
        [program, "127.0.0.1:1"], cwd="/", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert provider.stdout is not None
    assert provider.stdin is not None
    assert provider.stdout.readline().strip().isdigit()
    provider.stdin.close()
    assert provider.wait(10) == 0
    assert provider.stdout.read() == b""
    assert provider.stderr is not None
    assert provider.stderr.read() == b""


def test_a_provider_without_a_virtual_environment_says_what_to_do(tmp_path: Path, practice: Practice) -> None:
    folder = tmp_path / "infra" / "provider"
    folder.mkdir(parents=True)
    program = folder / "pulumi-resource-pulih"
    program.write_bytes((practice.project / "infra" / "provider" / "pulumi-resource-pulih").read_bytes())
    program.chmod(0o755)
    said = subprocess.run(
        [program, "127.0.0.1:1"], capture_output=True, text=True, timeout=10, env={"PATH": os.defpath}
    )
    assert said.returncode == 1
    assert said.stderr == f"no virtual environment at {tmp_path}/.venv: run make engine\n"
