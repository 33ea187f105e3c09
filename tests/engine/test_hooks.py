"""pulumi-command's real plugin against real sshd: keys are pinned, nothing is kept, a dead host holds up nothing."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from infra.declaration import ROOT
from recovery.model.estate import Login
from tests.engine.engines import environment, need_engine
from tests.engine.plugins import need_command
from tests.engine.practice import Practice
from tests.keys import new_key
from tests.ssh.sshd import SshServers
from tests.tools import need

CANARY = "canary-a1b2c3d4"


@contextmanager
def agent(folder: Path, key: Path) -> Generator[dict[str, str]]:
    """Run an SSH agent that holds a key, and lend the environment that leads to it."""
    need("ssh-keygen")
    socket = folder / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    try:
        words = {"SSH_AUTH_SOCK": str(socket)}
        deadline = time.monotonic() + 10
        while not socket.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        subprocess.run(["ssh-add", "-q", str(key)], env={**os.environ, **words}, check=True, timeout=10)
        yield words
    finally:
        process.terminate()
        process.wait(10)


_PROGRAM = """\
import json, os
import pulumi
from infra.hostcommands import Hook, host_commands
from recovery.model.estate import Bastion, Endpoint, Login

said = json.loads(os.environ["HOST"])
login = Login(**said["login"])
bastion = Bastion(name="gate", title="Gate", login=Login(**said["bastion"])) if said["bastion"] else None
endpoint = Endpoint(name="time-here", service="time", data_centre="here", address="127.0.0.1", port=1, app_port=1,
                    login=login, root=said["root"])
parent = pulumi.ComponentResource("test:index:Host", "host", {})
host_commands(endpoint, bastion, [Hook(name="try", user=login.user, script=said["script"])], parent=parent, after=[])
"""


@dataclass(frozen=True, slots=True)
class Bench:
    """A project of one host's hook alone, with the real plugin.

    Attributes:
        folder: Holds the project, its state and its home.
        words: What leads to an agent.
    """

    folder: Path
    words: dict[str, str]

    @staticmethod
    def make(folder: Path, words: dict[str, str]) -> Bench:
        need_command(need_engine(), folder / "home")
        project = folder / "project"
        (project / "infra" / "stacks").mkdir(parents=True)
        (project / "Pulumi.yaml").write_text((ROOT / "Pulumi.yaml").read_text().partition("plugins:")[0])
        (project / "infra" / "__main__.py").write_text(_PROGRAM)
        (project / ".venv").symlink_to(ROOT / ".venv")
        (folder / "state").mkdir()
        bench = Bench(folder, words)
        bench.of("", Login(address="127.0.0.1", port=1, user="nobody", host_key=new_key().public)).init("here")
        return bench

    def of(self, script: str, login: Login, bastion: Login | None = None) -> Practice:
        """Return the project with a script for a host."""
        host = {
            "login": asdict(login),
            "bastion": None if bastion is None else asdict(bastion),
            "root": str(self.folder / "srv"),
            "script": script,
        }
        own = environment(need_engine(), self.folder / "home", f"file://{self.folder / 'state'}")
        words = {**own, **self.words, "HOST": json.dumps(host)}
        return Practice(home=self.folder, project=self.folder / "project", environment=words)

    def state(self) -> str:
        """Return all that the backend holds."""
        return "".join(path.read_text() for path in (self.folder / "state").rglob("*.json*"))


def test_a_hook_runs_once_under_the_pinned_key_and_a_dead_host_holds_up_no_destroy(tmp_path: Path) -> None:
    need("sshd")
    ran = tmp_path / "ran"
    once = f'echo "$1 $2 $3" >>{ran}\necho loud\ncat {tmp_path / "secret"} >&2\n'
    (tmp_path / "secret").write_text(f"{CANARY}\n")
    with SshServers(tmp_path / "sshd", ["host"]) as servers, agent(tmp_path, servers.key_file) as words:
        bench, login = Bench.make(tmp_path, words), servers.login("host")
        wrong = bench.of(once, replace(login, host_key=new_key().public)).up("here")
        assert wrong.code != 0
        assert not ran.exists(), "a host with another key is told nothing"
        done = bench.of(once, login).up("here")
        assert done.code == 0, done.out
        assert "loud" not in done.out
        assert CANARY not in done.out
        assert bench.of(once, login).up("here", "--expect-no-changes").code == 0
        assert ran.read_text() == f"{tmp_path / 'srv'} {login.user} time-here\n"

        changed = bench.of(f"{once}# changed\n", login).up("here")
        assert changed.code == 0, changed.out
        assert len(ran.read_text().splitlines()) == 2, "a changed script runs again"
        assert '"stdout":""' in bench.state()
        for secret in (CANARY, servers.key_file.read_text().splitlines()[2]):
            assert secret not in bench.state()
        last = bench.of(once, login)
    gone = last.pulumi("destroy", "--stack", "here", "--yes", "--skip-preview")
    assert gone.code == 0, gone.out
    assert len(ran.read_text().splitlines()) == 2


def test_the_key_of_a_bastion_is_pinned_too_and_a_failed_hook_says_its_last_lines(tmp_path: Path) -> None:
    need("sshd")
    with SshServers(tmp_path / "sshd", ["gate", "host"]) as servers, agent(tmp_path, servers.key_file) as words:
        bench, login, gate = Bench.make(tmp_path, words), servers.login("host"), servers.login("gate")
        ran = tmp_path / "ran"
        script = f"touch {ran}\n"
        wrong = bench.of(script, login, replace(gate, host_key=new_key().public)).up("here")
        assert wrong.code != 0
        assert servers.connections("host") == 0
        assert not ran.exists(), "behind a bastion with another key nobody is told anything"

        failed = bench.of("echo some >&2; echo 'no space left' >&2; exit 3\n", login, gate).up("here")
        assert failed.code != 0
        assert "no space left" in failed.out
        assert bench.of(script, login, gate).up("here").code == 0
        assert ran.exists()
        assert servers.connections("gate") > 0


def test_an_endpoint_is_applied_after_the_hooks_on_its_host(tmp_path: Path) -> None:
    practice = Practice.begin(tmp_path)
    need_command(need_engine(), tmp_path / "home")
    try:
        (tmp_path / "hook.sh").write_text('[ ! -e "$1/current" ] && touch "$1/before-its-endpoint"\n')
        with agent(tmp_path, practice.home / "keys" / "client") as words:
            with_agent = practice.with_environment(**words)
            with_agent.init("pdns-2")
            entry = {"name": "ready", "user": "pulih", "script": str(tmp_path / "hook.sh")}
            for key, value in entry.items():
                set_ = with_agent.pulumi("config", "set", "--stack", "pdns-2", "--path", f"hooks[0].{key}", value)
                assert set_.code == 0, set_.out
            done = with_agent.up("pdns-2")
            assert done.code == 0, done.out
            assert done.summary["created"] == 1 + 1 + 7 + 7, done.out
        card = json.loads((practice.home / "lab.json").read_text())["data_centres"]["pdns-2"]["endpoints"]
        for endpoint in card.values():
            assert (Path(endpoint["host"]["dir"]) / "before-its-endpoint").exists()
            assert (Path(endpoint["host"]["dir"]) / "current").exists()
    finally:
        practice.end()
