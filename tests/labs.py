"""A client for tests of the lab: asyncssh with the host key pinned, and a look at what processes a lab has."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import asyncssh

from recovery import declared
from recovery.apply import Visit, apply_unit
from recovery.model.bundle import Bundle
from recovery.model.estate import DataCentreName, Estate, Login
from recovery.model.plan import Move
from recovery.model.visit import Epoch
from recovery.protocol import applier_command
from recovery.render import Renderer, Templates


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a command said.

    Attributes:
        status: Its exit status; negative for a signal.
    """

    status: int
    out: str
    err: str


@asynccontextmanager
async def connected(
    login: Login, key: Path, *, user: str | None = None
) -> AsyncGenerator[asyncssh.SSHClientConnection]:
    """Connect with the declared host key as the only one accepted."""
    accepted = [asyncssh.import_public_key(login.host_key)]
    async with asyncssh.connect(
        login.address,
        login.port,
        username=user or login.user,
        client_keys=[str(key)],
        known_hosts=(accepted, [], []),
        config=None,
        agent_path=None,
    ) as connection:
        yield connection


async def said(login: Login, key: Path, command: str, stdin: bytes = b"") -> Said:
    """Run one command and return what it said."""
    async with connected(login, key) as connection:
        done = await connection.run(command, input=stdin, encoding=None)
        assert done.returncode is not None
        out, err = cast(bytes, done.stdout), cast(bytes, done.stderr)
        return Said(status=done.returncode, out=out.decode(), err=err.decode())


def say(login: Login, key: Path, command: str, stdin: bytes = b"") -> Said:
    """Run one command and return what it said, within 20 seconds."""
    return asyncio.run(asyncio.wait_for(said(login, key, command, stdin), 20))


class Spoken:
    """A `transport.base.Session` over asyncssh."""

    def __init__(self, process: asyncssh.SSHClientProcess[bytes]) -> None:
        self._process = process

    async def send(self, data: bytes) -> None:
        self._process.stdin.write(data)
        await self._process.stdin.drain()

    async def read_line(self) -> str | None:
        line = await self._process.stdout.readline()
        return line[:-1].decode() if line.endswith(b"\n") else None

    async def read_exactly(self, size_bytes: int) -> bytes:
        return await self._process.stdout.readexactly(size_bytes)

    async def error_text(self) -> str:
        return (await self._process.stderr.read(2000)).decode()


class Deployment:
    """Brings the hosts of a lab to its estate, without the runbook.

    Args:
        folder: The lab's.
        at: The data centre that everything is placed at.
    """

    def __init__(self, folder: Path, at: str) -> None:
        estate = declared.load(folder / "estate")
        moves = [
            Move(service=service, region=None, source=source, target=DataCentreName(at))
            for service, source in estate.placement.default.items()
            if source != at
        ]
        self.estate: Estate = declared.with_placement(estate, moves) if moves else estate
        self.at = DataCentreName(at)
        self._key = folder / "keys" / "client"
        self._renderer = Renderer(self.estate, Templates.load(self.estate.templates))

    def endpoints(self) -> list[str]:
        """Apply the endpoints of the data centre; return what became of each: `sent`, `same` or an error's text."""
        endpoints = self.estate.data_centre[self.at].endpoints
        return self._all(
            [
                (
                    endpoint.login,
                    self._visit(endpoint.name, endpoint.root, endpoint.service),
                    self._renderer.endpoint(endpoint),
                )
                for endpoint in endpoints
            ]
        )

    def units(self) -> list[str]:
        """Apply all units; return what became of each."""
        return self._all(
            [
                (
                    unit.login,
                    self._visit(unit.name, unit.root, unit.service),
                    self._renderer.unit(region, office, unit),
                )
                for region, office, unit in self.estate.places()
            ]
        )

    def _visit(self, name: Any, root: str, service: Any) -> Visit:
        epoch = Epoch(number=1, holder="test")
        return Visit(unit=name, root=root, service=service, data_centre=self.at, epoch=epoch, run="test")

    def _all(self, visits: list[tuple[Login, Visit, Bundle]]) -> list[str]:
        async def together() -> list[str]:
            return await asyncio.gather(*(self._one(*visit) for visit in visits))

        return asyncio.run(asyncio.wait_for(together(), 50))

    async def _one(self, login: Login, visit: Visit, bundle: Bundle) -> str:
        sent: list[str] = []
        note: Callable[[], None] = lambda: sent.append("sent")  # noqa: E731
        async with connected(login, self._key) as connection:
            process = await connection.create_process(applier_command(), encoding=None)
            try:
                await apply_unit(Spoken(process), visit, bundle, on_send=note)
            except Exception as error:
                return str(error)
        return sent[0] if sent else "same"


def card(folder: Path) -> dict[str, Any]:
    """Return a lab's `lab.json`."""
    return json.loads((folder / "lab.json").read_text(encoding="utf-8"))


def processes(folder: Path) -> list[str]:
    """Return the command lines of every process that has a lab's folder in it or stands in it."""
    found: list[str] = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            where = str((entry / "cwd").readlink())
        except OSError:
            continue
        if str(folder) in words or where.startswith(str(folder)):
            found.append(f"{entry.name}: {words}")
    return found
