"""The keys that pulih logs in with: a file, the one from the environment, or the agent's."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from recovery.errors import LoginError, LoginKeyError
from recovery.transport.ssh import SshTransport
from tests.keys import KeyPair, new_key
from tests.ssh.sshd import Host, SshServers
from tests.ssh.talking import once, talk, together
from tests.tools import need


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServers]:
    need("sshd")
    hosts = [*(f"unit-{number}" for number in range(6)), Host(name="strict", options=("MaxAuthTries 2",))]
    with SshServers(tmp_path_factory.mktemp("sshd") / "servers", hosts) as servers:
        yield servers


class Agent:
    """A real ssh-agent."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "agent"
        self.process = subprocess.Popen(
            ["ssh-agent", "-D", "-a", str(self.socket)],
            stdout=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "SSH_ASKPASS": "/bin/false"},
        )
        for _ in range(200):
            if self.socket.exists():
                return
            time.sleep(0.02)
        raise AssertionError("ssh-agent did not start")

    def add(self, key: KeyPair, *options: str) -> None:
        path = key.write(self.folder / "adding")
        environment = os.environ | {"SSH_AUTH_SOCK": str(self.socket)}
        subprocess.run(["ssh-add", "-q", *options, str(path)], env=environment, check=True, timeout=10)
        path.unlink()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    need("ssh-keygen")  # of the same package as ssh-agent and ssh-add
    agent = Agent(tmp_path)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(agent.socket))
    yield agent
    agent.stop()


def by_agent(servers: SshServers, name: str) -> str | None:
    async def main() -> str | None:
        transport = SshTransport()
        try:
            return await talk(transport, servers.target(name))
        finally:
            await transport.close()

    return asyncio.run(main())


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_keys_of_every_usual_kind_log_in(servers: SshServers, tmp_path: Path, kind: str) -> None:
    key = new_key(kind)
    with (servers.key_file.parent / "authorized_keys").open("a") as file:
        file.write(f"{key.public}\n")
    assert once(key.write(tmp_path / "key"), servers.target("unit-0")) == "here"


def test_the_estate_s_key_wins_over_the_one_from_the_environment(servers: SshServers, tmp_path: Path) -> None:
    stranger = str(new_key().write(tmp_path / "stranger"))

    async def main(transport: SshTransport) -> str | None:
        try:
            return await talk(transport, servers.target("unit-0"))
        finally:
            await transport.close()

    assert asyncio.run(main(SshTransport(ssh_key=servers.key_file, environment_key=stranger))) == "here"
    assert asyncio.run(main(SshTransport(environment_key=str(servers.key_file)))) == "here"
    with pytest.raises(LoginError, match="stranger, PULIH_SSH_KEY"):
        asyncio.run(main(SshTransport(environment_key=stranger)))


def test_a_key_file_that_cannot_be_used_is_named_before_anything_is_connected(tmp_path: Path) -> None:
    locked = new_key(passphrase=b"secret").write(tmp_path / "locked")
    text = tmp_path / "text"
    text.write_text("not a key\n")
    public = tmp_path / "key.pub"
    public.write_text(new_key().public)
    for path, said in (
        (locked, r"protected by a passphrase.*ssh-add .*locked"),
        (tmp_path / "absent", "does not exist"),
        (tmp_path, "cannot be read: Is a directory"),
        (text, "is not a private key"),
        (public, r"is not a private key.*beside the one that ends in \.pub"),
    ):
        with pytest.raises(LoginKeyError, match=f"{path.name} .ssh_key of the estate. .*{said}|{said}"):
            SshTransport(ssh_key=path)


def test_without_file_and_agent_it_says_how_to_give_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with pytest.raises(LoginKeyError, match="set PULIH_SSH_KEY to a key file, or load a key with ssh-add"):
        SshTransport()


def test_an_agent_without_a_key_is_no_agent(agent: Agent) -> None:
    assert agent.process.poll() is None
    with pytest.raises(LoginKeyError, match="no SSH agent with a key"):
        SshTransport()


def test_the_agent_s_keys_are_tried_in_turn_and_the_one_that_worked_comes_first_next_time(
    servers: SshServers, agent: Agent
) -> None:
    for key in (new_key(), new_key("rsa"), servers.login_key):
        agent.add(key)

    async def main() -> list[int]:
        transport = SshTransport()
        attempts: list[int] = []
        for name in ("unit-1", "unit-2"):
            assert await talk(transport, servers.target(name)) == "here"
            attempts.append(servers.log(name).count("method publickey"))
        await transport.close()
        return attempts

    first, second = asyncio.run(main())
    assert (first, second) == (3, 1)


def test_many_units_at_once_get_their_own_signatures_from_the_agent(servers: SshServers, agent: Agent) -> None:
    agent.add(servers.login_key)

    async def main() -> list[str | None]:
        transport = SshTransport()
        visits = [talk(transport, servers.target(f"unit-{number % 6}")) for number in range(24)]
        try:
            return await asyncio.gather(*visits)
        finally:
            await transport.close()

    assert asyncio.run(main()) == ["here"] * 24


def test_a_server_that_hangs_up_after_too_many_keys_refused_them(servers: SshServers, agent: Agent) -> None:
    for _ in range(4):
        agent.add(new_key())
    with pytest.raises(LoginError, match="Too many authentication failures"):
        by_agent(servers, "strict")


def test_a_key_that_the_agent_will_not_use_is_passed_over_for_the_next(servers: SshServers, agent: Agent) -> None:
    """`ssh-add -c` asks for confirmation, and without a display that is a no."""
    agent.add(servers.login_key, "-c")
    with pytest.raises(LoginError, match="the agent refused to sign with SHA256:"):
        by_agent(servers, "unit-3")
    agent.add(new_key(), "-c")
    with pytest.raises(LoginError, match="the agent refused to sign with SHA256:"):
        by_agent(servers, "unit-3")
    second = new_key()
    with (servers.key_file.parent / "authorized_keys").open("a") as file:
        file.write(f"{second.public}\n")
    agent.add(second)
    assert by_agent(servers, "unit-3") == "here"


def test_an_agent_that_dies_is_named_and_holds_nobody_up(servers: SshServers, agent: Agent) -> None:
    agent.add(servers.login_key)

    async def main() -> None:
        transport = SshTransport()
        agent.stop()
        with pytest.raises(LoginError, match="the agent did not answer"):
            await talk(transport, servers.target("unit-0"))
        await transport.close()

    asyncio.run(main())


def test_a_refusal_names_the_keys_that_were_tried(servers: SshServers) -> None:
    target = servers.target("unit-0")
    nobody = replace(target, login=replace(target.login, user="daemon"))
    (failure,) = together(servers.key_file, [nobody])
    assert isinstance(failure, LoginError)
    fingerprint = subprocess.run(
        ["ssh-keygen", "-lf", str(servers.key_file)], capture_output=True, text=True, check=True, timeout=10
    ).stdout.split()[1]
    assert fingerprint in str(failure)
    assert str(servers.key_file) in str(failure)
