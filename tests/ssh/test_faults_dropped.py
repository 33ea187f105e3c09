"""The connection drops at each line of the protocol, over real sshd: old or new, and the next visit finishes."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from recovery.apply import Visit, apply_unit
from recovery.diff import differences
from recovery.model.estate import DataCentreName, ServiceName, UnitName
from recovery.model.visit import Epoch, Observed
from recovery.observe import read_unit
from recovery.protocol import STEPS, applier_command
from recovery.transport.base import Session
from recovery.transport.ssh import SshTransport
from tests.shells import Shell, bundle
from tests.ssh.faulty import program
from tests.ssh.sshd import Host, SshServers
from tests.ssh.talking import once
from tests.tools import need

POINTS = ("before the header", "after the header", "send", "in the tar", *(f"at {step}" for step in STEPS), "answer")
"""Where the connection drops: before or behind what we send, or behind a line of the unit's."""
WITHIN_S = 30.0
UNTOUCHED = ("before the header", "after the header", "send", "in the tar")
"""Where the unit can't have got the bundle yet."""


class DroppedError(Exception):
    """Raised in a conversation to make the transport close its connection at once."""


class Dropping(Session):
    """A session that is over at one point."""

    def __init__(self, session: Session, point: str) -> None:
        self._session = session
        self._point = point
        self._sent = 0

    async def send(self, data: bytes) -> None:
        self._sent += 1
        if self._point == "before the header":
            raise DroppedError
        if self._point == "in the tar" and self._sent == 2:
            await self._session.send(data[: len(data) // 2])
            raise DroppedError
        await self._session.send(data)
        if self._point == "after the header":
            raise DroppedError

    async def read_line(self) -> str | None:
        line = await self._session.read_line()
        if line is not None and line.startswith(self._point):
            raise DroppedError
        return line

    async def read_exactly(self, size_bytes: int) -> bytes:
        return await self._session.read_exactly(size_bytes)

    async def error_text(self) -> str:
        return await self._session.error_text()


class Units:
    """A unit for each point, in one shell."""

    def __init__(self, servers: SshServers, folder: Path, shell: str) -> None:
        self.servers = servers
        self.folder = folder
        self.shell = shell

    def root(self, point: str) -> Path:
        return self.folder / "units" / point.replace(" ", "-")

    async def apply(self, transport: SshTransport, point: str, tag: str, number: int, *, drop: bool = False) -> None:
        trip = Visit(
            unit=UnitName("unit"),
            root=str(self.root(point)),
            service=ServiceName("passport"),
            data_centre=DataCentreName("cloud-1"),
            epoch=Epoch(number=number, holder="h"),
            run="run",
        )

        async def conversation(session: Session) -> None:
            carrier = Dropping(session, point) if drop else session
            await apply_unit(carrier, trip, bundle(tag), on_send=lambda: None)

        await transport.run(self.servers.target("unit"), applier_command(), conversation, within_s=WITHIN_S)

    async def read(self, transport: SshTransport, point: str) -> Observed:
        async def conversation(session: Session) -> Observed:
            return await read_unit(session, UnitName("unit"), str(self.root(point)))

        return await transport.run(self.servers.target("unit"), applier_command(), conversation, within_s=WITHIN_S)

    def served(self, point: str) -> str:
        """Return the tags of all files of the release that `current` leads to at one moment."""
        folder = os.open(self.root(point) / "current", os.O_RDONLY | os.O_DIRECTORY)
        try:
            files = [os.open(name, os.O_RDONLY, dir_fd=folder) for name in ("a.conf", "b.conf")]
        finally:
            os.close(folder)
        tags = {os.read(file, 1).decode() for file in files}
        for file in files:
            os.close(file)
        return " ".join(sorted(tags))


@pytest.fixture(scope="module", params=["dash", "busybox"])
def units(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Units]:
    """One sshd whose `/bin/sh` is the shell that is asked for; each point has a root of its own behind it."""
    need("sshd", request.param, "flock")
    folder = tmp_path_factory.mktemp(request.param)
    shell = Shell(request.param, folder / "shell")
    exchanged = f"exec {shell.command[0]} -c ${{SSH_ORIGINAL_COMMAND#exec /bin/sh -c }}"
    path = shell.environment["PATH"]
    forced = program(folder / "forced", "shell", f'export PATH={path}\neval "{exchanged}"')
    host = Host(name="unit", options=(f"ForceCommand {forced}",))
    with SshServers(folder / "servers", [host], log_level="INFO") as servers:
        yield Units(servers, folder, request.param)


def test_the_shell_behind_sshd_is_the_one_that_is_meant(units: Units) -> None:
    command = "exec /bin/sh -c 'readlink /proc/$$/exe'"
    answer = once(units.servers.key_file, units.servers.target("unit"), command)
    assert answer
    assert answer.endswith(f"/{units.shell}")


def test_wherever_the_connection_drops_it_is_old_or_new_and_the_next_visit_ends_as_declared(units: Units) -> None:
    async def together(transport: SshTransport, tag: str, number: int, *, drop: bool = False) -> list[object]:
        visits = (units.apply(transport, point, tag, number, drop=drop) for point in POINTS)
        return await asyncio.gather(*visits, return_exceptions=True)

    async def main() -> None:
        transport = SshTransport(ssh_key=units.servers.key_file)
        try:
            assert await together(transport, "a", 1) == [None] * len(POINTS)
            dropped = asyncio.create_task(together(transport, "b", 2, drop=True))
            seen: dict[str, set[str]] = {point: set() for point in POINTS}
            until_s = time.monotonic() + 0.5
            while not dropped.done() or time.monotonic() < until_s:
                for point in POINTS:
                    seen[point].add(units.served(point))
                await asyncio.sleep(0.01)
            assert [type(error) for error in await dropped] == [DroppedError] * len(POINTS)
            for point in POINTS:
                assert seen[point] <= ({"a"} if point in UNTOUCHED else {"a", "b"}), point
            assert await together(transport, "b", 3) == [None] * len(POINTS)
            for point in POINTS:
                assert units.served(point) == "b"
                assert differences(bundle("b"), await units.read(transport, point)) == (), point
        finally:
            await transport.close()

    asyncio.run(main())


def test_a_unit_goes_on_alone_when_the_connection_drops_behind_the_bundle(units: Units) -> None:
    """It ignores that nobody listens any more, so that nothing is left half-way until somebody comes again."""
    point = "at check"

    async def main() -> None:
        transport = SshTransport(ssh_key=units.servers.key_file)
        try:
            await units.apply(transport, point, "a", 10)
            with pytest.raises(DroppedError):
                await units.apply(transport, point, "b", 11, drop=True)
            given_up_s = time.monotonic() + 15
            while (await units.read(transport, point)).receipt is None or units.served(point) != "b":
                assert time.monotonic() < given_up_s
                await asyncio.sleep(0.1)
            assert differences(bundle("b"), await units.read(transport, point)) == ()
        finally:
            await transport.close()

    asyncio.run(main())
