"""Programs under the real engine, with the language host that `make engine` gives and with the official one."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.engine import pin
from tests.engine.engines import children, environment, is_gone, need_engine, official
from tests.engine.plugins import official_host

_PROGRAM = """
import os, sys
import pulumi

class Office(pulumi.ComponentResource):
    def __init__(self, name):
        super().__init__("practice:index:Office", name)
        self.register_outputs({})

print("a line of the program")
pulumi.log.warn("a warning of the program")
Office(pulumi.Config().get("office") or "first")
pulumi.export("python", sys.prefix)
pulumi.export("folders", [os.getcwd(), pulumi.get_root_directory()])
pulumi.export("arguments", sys.argv[1:])
"""

_WAITS = """
import pathlib, time
pathlib.Path("started").touch()
time.sleep(300)
"""

_LIMIT_S = 60


@dataclass(frozen=True)
class Project:
    """A Pulumi project in a folder of its own, with a virtual environment of its own."""

    folder: Path
    environment: dict[str, str]

    def write(self, program: str) -> None:
        (self.folder / "infra" / "__main__.py").write_text(program)

    def pulumi(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["pulumi", *arguments, "--non-interactive", "--stack", "practice"],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
        )

    def done(self, *arguments: str) -> str:
        answer = self.pulumi(*arguments)
        assert answer.returncode == 0, answer.stdout + answer.stderr
        return answer.stdout

    def waiting(self) -> tuple[subprocess.Popen[str], list[int]]:
        """Start an update whose program waits; returns the engine, and every process below it."""
        self.write(_WAITS)
        engine = subprocess.Popen(
            ["pulumi", "up", "--yes", "--skip-preview", "--non-interactive", "--stack", "practice"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        until(lambda: (self.folder / "infra" / "started").exists())
        hosts = children(engine.pid)
        return engine, [*hosts, *(child for host in hosts for child in children(host))]


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + _LIMIT_S
    while not holds():
        assert time.monotonic() < end, "it never held"
        time.sleep(0.05)


@pytest.fixture(scope="module", params=["as-got", "official"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    got = need_engine()
    if request.param == "as-got":
        return got
    host = official_host()
    if host is None:
        pytest.skip("the official language host is not at hand; it is the one that an official release brings")
    return official(got, host, tmp_path_factory.mktemp("official") / "engine")


@pytest.fixture
def stand_in() -> Path:
    engine = need_engine()
    if not (engine / pin.STAND_IN[1]).exists():
        pytest.skip("this engine has the official language host, which looks for its engine only every few minutes")
    return engine


def _project(folder: Path, engine: Path) -> Project:
    (folder / "infra").mkdir(parents=True)
    for name in ("state", "home"):
        (folder / name).mkdir()
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "Pulumi.yaml").write_text(
        "name: practice\nmain: infra/\nruntime:\n  name: python\n  options:\n    virtualenv: .venv  # its own\n"
    )
    project = Project(folder, environment(engine, folder / "home", f"file://{folder / 'state'}"))
    project.write(_PROGRAM)
    project.done("stack", "init")
    return project


@pytest.fixture
def project(tmp_path: Path, engine: Path) -> Project:
    return _project(tmp_path / "one", engine)


def test_a_program_goes_up_stays_unchanged_and_comes_down(project: Project) -> None:
    first = project.done("up", "--yes")
    assert "a line of the program" in first
    assert "1 warning" in first  # it came over the engine's own channel, not as a line of output
    assert "+ 2 created" in first
    assert "2 unchanged" in project.done("up", "--yes", "--expect-no-changes")
    project.done("config", "set", "office", "second")
    preview = project.pulumi("preview", "--expect-no-changes")
    assert preview.returncode != 0
    assert "+ 1 to create" in preview.stdout
    assert "- 2 deleted" in project.done("destroy", "--yes")


def test_a_program_is_run_by_its_own_projects_python_whoever_got_the_engine(
    project: Project, engine: Path, tmp_path: Path
) -> None:
    for checkout in (project, _project(tmp_path / "two", engine)):
        checkout.done("up", "--yes", "--skip-preview")
        outputs = json.loads(checkout.done("stack", "output", "--json"))
        assert outputs == {
            "python": str(checkout.folder / ".venv"),
            "folders": [str(checkout.folder / "infra"), str(checkout.folder)],
            "arguments": [],
        }


def test_a_program_that_fails_is_shown_with_its_reason(project: Project) -> None:
    project.write("raise RuntimeError('no such office')\n")
    answer = project.pulumi("up", "--yes", "--skip-preview")
    assert answer.returncode != 0
    diagnostics = answer.stdout.partition("Diagnostics:")[2]
    assert diagnostics.count("\n    RuntimeError: no such office") == 1, "said once"
    assert "__main__.py" in diagnostics


def test_nothing_runs_on_when_the_engine_was_killed(stand_in: Path, tmp_path: Path) -> None:
    engine, below = _project(tmp_path / "one", stand_in).waiting()
    assert below
    engine.kill()
    engine.wait(_LIMIT_S)
    until(lambda: all(is_gone(pid) for pid in below))


def test_an_interrupted_engine_takes_its_language_host_along_quietly(stand_in: Path, tmp_path: Path) -> None:
    engine, below = _project(tmp_path / "one", stand_in).waiting()
    engine.send_signal(signal.SIGINT)
    said, _ = engine.communicate(timeout=_LIMIT_S)
    assert engine.returncode != 0
    assert "update canceled" in said
    assert "Traceback" not in said
    until(lambda: all(is_gone(pid) for pid in below))


def test_the_stand_in_says_what_it_is(stand_in: Path, tmp_path: Path) -> None:
    answer = subprocess.run([stand_in / pin.STAND_IN[0], "--version"], capture_output=True, text=True, timeout=_LIMIT_S)
    assert "stand-in" in answer.stdout
    about = _project(tmp_path / "one", stand_in).done("about")
    assert f"executable='{tmp_path / 'one' / '.venv' / 'bin' / 'python'}'" in about
    assert "stand-in" in about


def test_the_stand_in_names_the_virtual_environment_that_is_missing(tmp_path: Path) -> None:
    (tmp_path / "infra").mkdir()
    (tmp_path / "Pulumi.yaml").write_text("name: practice\n")
    for name in pin.STAND_IN:
        shutil.copy(pin.HERE / name, tmp_path)
    answer = subprocess.run(
        [tmp_path / pin.STAND_IN[0], "127.0.0.1:9"], cwd=tmp_path / "infra", capture_output=True, text=True, timeout=10
    )
    assert answer.returncode == 1
    assert answer.stderr == f"no virtual environment at {tmp_path}/.venv: in a checkout of pulih, run make engine\n"
