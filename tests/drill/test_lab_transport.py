"""The transport over paramiko, against the lab's SSH servers."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from recovery import declared, lab
from recovery.lab import orders
from recovery.model.estate import UnitName
from recovery.transport.base import T, Target
from recovery.transport.ssh import SshTransport
from tests.contract.transport import *  # noqa: F403  the suite's tests, collected here
from tests.contract.world import HOSTS
from tests.keys import new_key


class LabWorld:
    """A lab whose units stand for the suite's hosts."""

    def __init__(self, folder: Path, stranger: Path) -> None:
        self._folder = folder
        self._stranger = new_key().write(stranger)
        estate = declared.load(folder / "estate")
        self._timeouts = estate.timeouts
        self._units = dict(zip(HOSTS, (unit for _, _, unit in estate.places()), strict=True))

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        return asyncio.run(main)

    def transport(self, *, is_known: bool = True) -> SshTransport:
        return SshTransport(ssh_key=self._folder / "keys" / "client" if is_known else self._stranger)

    def target(self, name: str) -> Target:
        return Target(name=UnitName(name), login=self._units[name].login, bastion=None, timeouts=self._timeouts)

    def login_attempts(self, name: str) -> int:
        wanted = f" {self._units[name].name}: "
        log = (self._folder / "lab.log").read_text(encoding="utf-8")
        return sum(wanted in line and line.endswith("asks to be let in") for line in log.splitlines())

    async def cut(self, name: str) -> None:
        orders.give(self._folder / "lab.sock", {"do": "cut", "host": self._units[name].name})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabWorld]:
    folder = tmp_path_factory.mktemp("transport")
    lab.up(len(HOSTS), folder / "lab")
    try:
        yield LabWorld(folder / "lab", folder / "stranger")
    finally:
        lab.down(folder / "lab")
