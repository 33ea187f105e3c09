"""The applier in a local shell, without SSH: dash and busybox ash, with programs that are counted or kill it."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path

from recovery.apply import Visit, apply_unit
from recovery.errors import BadAnswerError, UnreachableError
from recovery.model.bundle import Bundle, RenderedFile
from recovery.model.estate import DataCentreName, ServiceName, UnitName
from recovery.model.visit import Epoch, Observed
from recovery.observe import read_unit
from recovery.protocol import applier_text
from recovery.transport.base import MAX_LINE_BYTES
from recovery.transport.lines import printable
from tests.tools import PATH

_WORDS = (
    "cat chmod date df find flock head ls ln mkdir mv readlink rm sha256sum sleep stat sync tar timeout touch tr wc"
)
PROGRAMS = _WORDS.split()


class ShellSession:
    """One applier in a process of its own; `recovery.transport.base.Session`, blocking."""

    def __init__(self, shell: tuple[str, ...], environment: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            [*shell, "-c", applier_text()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environment),
        )
        assert self.process.stdin
        assert self.process.stdout
        self.stdin, self.stdout = self.process.stdin, self.process.stdout
        self.lines: list[str] = []

    async def send(self, data: bytes) -> None:
        try:
            self.stdin.write(data)
            self.stdin.flush()
        except BrokenPipeError as error:
            raise UnreachableError("unit", "its applier is gone") from error

    async def read_line(self) -> str | None:
        line = self.stdout.readline()
        if len(line) > MAX_LINE_BYTES + 1:
            raise BadAnswerError("unit", f"a line of more than {MAX_LINE_BYTES} bytes")
        text = printable(line.rstrip(b"\n"))
        self.lines.append(text)
        return text if line.endswith(b"\n") else None

    async def read_exactly(self, size_bytes: int) -> bytes:
        return self.stdout.read(size_bytes)

    async def error_text(self) -> str:
        self.close_input()
        assert self.process.stderr
        return printable(self.process.stderr.read(), keep=b"\t\n")[-2000:]

    def close_input(self) -> None:
        try:
            self.stdin.close()
        except BrokenPipeError:
            return

    def end(self) -> int:
        self.close_input()
        code = self.process.wait(timeout=40)
        self.stdout.close()
        assert self.process.stderr
        self.process.stderr.close()
        return code


class Shell:
    """A shell and its programs in a folder of their own, wrapped so that each call is counted, and one may kill."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        programs = folder / "bin"
        programs.mkdir(parents=True)
        for program in (*PROGRAMS, "sh"):
            real = shutil.which(program, path=PATH)
            assert real is not None, program
            if name == "busybox" and program != "flock":
                real = shutil.which("busybox", path=PATH)
            (programs / program).symlink_to(str(real))
        self.environment = {"PATH": str(programs)}
        self.command: tuple[str, ...] = (str(programs / "sh"),) if name == "busybox" else ("/bin/dash",)

    def watched(self, *, kill_at: int = 0, after: bool = False) -> dict[str, str]:
        """Return an environment in which every program is counted, and the one with number `kill_at` kills the applier.

        Args:
            kill_at: From 1; 0 kills nobody.
            after: Whether it kills after it has done its work, rather than instead.
        """
        wrapped = self.folder / "watched"
        shutil.rmtree(wrapped, ignore_errors=True)
        wrapped.mkdir()
        (self.folder / "calls").write_text("")
        for program in PROGRAMS:
            real = os.fspath(self.folder / "bin" / program)
            work = f'{real} "$@";' if after else ""
            script = wrapped / program
            script.write_text(
                "#!/bin/dash\n"
                f"echo {program} >>{self.folder}/calls\n"
                f"n=0; while read -r l; do n=$((n + 1)); done <{self.folder}/calls\n"
                f"if [ $n -eq {kill_at} ]; then {work} kill -9 $PPID; exit 1; fi\n"
                f'exec {real} "$@"\n'
            )
            script.chmod(script.stat().st_mode | stat.S_IXUSR)
        (wrapped / "sh").symlink_to(self.folder / "bin" / "sh")
        return {"PATH": str(wrapped)}

    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().split()


class LocalUnit:
    """A unit's folder, and visits to it."""

    def __init__(self, shell: Shell, root: Path) -> None:
        self.shell = shell
        self.root = root

    def apply(
        self, bundle: Bundle, number: int = 1, holder: str = "h", environment: Mapping[str, str] | None = None
    ) -> bool:
        """Apply and return whether the bundle was asked for."""
        sent = False

        def note() -> None:
            nonlocal sent
            sent = True

        trip = Visit(
            unit=UnitName("unit"),
            root=str(self.root),
            service=ServiceName("passport"),
            data_centre=DataCentreName("cloud-1"),
            epoch=Epoch(number=number, holder=holder),
            run="run",
        )
        session = ShellSession(self.shell.command, environment or self.shell.environment)
        try:
            asyncio.run(apply_unit(session, trip, bundle, on_send=note))
        finally:
            session.end()
        return sent

    def read(self) -> Observed:
        session = ShellSession(self.shell.command, self.shell.environment)
        try:
            return asyncio.run(read_unit(session, UnitName("unit"), str(self.root), contents=True))
        finally:
            session.end()

    def say(self, *lines: bytes) -> list[str]:
        """Send bytes as they are and return what the applier answered."""
        session = ShellSession(self.shell.command, self.shell.environment)
        try:
            for line in lines:
                asyncio.run(session.send(line))
            session.close_input()
            return session.stdout.read().decode().splitlines()
        finally:
            session.end()

    def served(self) -> str:
        """Return the tag of the bundle that the unit's `current` holds: one word, or several when they are mixed."""
        files = sorted((self.root / "current").glob("*.conf"))
        return " ".join(sorted({file.read_text().split()[0] for file in files}))


def bundle(tag: str, *, validate: str = "exit 0", probe: str = "", reload: str = "exit 0") -> Bundle:
    """Return a bundle of two tagged files and the three scripts."""
    answer = 'echo "pulih-probe/1 data-centre=cloud-1 service=passport nonce=$1"'
    return Bundle.of(
        [
            RenderedFile(path="a.conf", mode=0o644, content=f"{tag} a\n".encode() * 100),
            RenderedFile(path="b.conf", mode=0o640, content=f"{tag} b\n".encode() * 100),
            RenderedFile(path="unit/validate", mode=0o755, content=validate.encode()),
            RenderedFile(path="unit/reload", mode=0o755, content=reload.encode()),
            RenderedFile(path="unit/probe", mode=0o755, content=(probe or answer).encode()),
        ]
    )
