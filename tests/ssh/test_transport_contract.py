"""The transport over paramiko, against real sshd."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from recovery.transport.base import T, Target
from recovery.transport.ssh import SshTransport
from tests.contract.transport import *  # noqa: F403  the suite's tests, collected here
from tests.contract.world import HOSTS
from tests.keys import new_key
from tests.ssh.sshd import SshServers
from tests.tools import need


class SshdWorld:
    """A real sshd for each host."""

    def __init__(self, servers: SshServers, stranger: Path) -> None:
        self._servers = servers
        self._stranger = new_key().write(stranger)

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        return asyncio.run(main)

    def transport(self, *, is_known: bool = True) -> SshTransport:
        return SshTransport(ssh_key=self._servers.key_file if is_known else self._stranger)

    def target(self, name: str) -> Target:
        return self._servers.target(name)

    def login_attempts(self, name: str) -> int:
        return self._servers.login_attempts(name)

    async def cut(self, name: str) -> None:
        assert self._servers.kill_sessions(name) == 1


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshdWorld]:
    need("sshd")
    folder = tmp_path_factory.mktemp("sshd")
    with SshServers(folder / "servers", HOSTS) as servers:
        yield SshdWorld(servers, folder / "stranger")
