"""The applier in dash and in busybox ash keeps the contract that its twin in the simulation keeps."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from recovery.apply import tar, tar_size
from recovery.model.bundle import Bundle
from tests.contract.applier import *  # noqa: F403  the suite's tests, collected here
from tests.contract.applier import Kept, Subject
from tests.shells import Shell, ShellSession
from tests.tools import need

STRUCK = {
    "stage": ("tar", 1, False),
    "check": ("sha256sum", 1, False),
    "moved": ("mv", 1, True),
    "emptied": ("ln", 1, False),
    "swapped": ("mv", 2, True),
    "receipt": ("date", 1, False),
}
"""Which program kills the applier: its name, the how manieth of that name, and whether behind its work.

Between `mv` and emptying the receipt there is no program: so `moved` is struck by killing behind the `mv`."""
FULL = "#!/bin/dash\necho Filesystem; echo disk 100 100 0 100% /\n"


class RealUnit:
    """A unit's folder, and the real applier."""

    def __init__(self, shell: Shell, root: Path) -> None:
        self._shell, self._root = shell, root
        self._is_full = False

    def visit(
        self, mode: str, wanted: Bundle | None, epoch: int, *, holder: str = "h", part: float = 1.0, struck: str = ""
    ) -> list[str]:
        session = ShellSession(self._shell.command, self._environment(struck))
        try:
            return asyncio.run(self._held(session, mode, wanted, (epoch, holder), part))
        finally:
            session.end()

    async def _held(
        self, session: ShellSession, mode: str, wanted: Bundle | None, epoch: tuple[int, str], part: float
    ) -> list[str]:
        digest, size = (wanted.digest, tar_size(wanted)) if wanted else ("-", 0)
        await session.send(f"pulih/1 {mode} unit {self._root} {digest} {epoch[0]} {epoch[1]} run {size}\n".encode())
        answers: list[str] = []
        while (line := await session.read_line()) is not None:
            answers.append(_plain(line))
            if line == "send" and wanted is not None:
                await session.send(tar(wanted)[: int(size * part)])
                session.close_input()
        return answers

    def _environment(self, struck: str) -> Mapping[str, str]:
        if self._is_full:
            full = self._shell.folder / "full"
            full.mkdir(exist_ok=True)
            (full / "df").write_text(FULL)
            (full / "df").chmod(0o755)
            return {"PATH": os.pathsep.join([str(full), self._shell.environment["PATH"]])}
        if not struck:
            return self._shell.environment
        program, nth, after = STRUCK[struck]
        environment = self._shell.watched()
        script = Path(environment["PATH"]) / program
        real = self._shell.folder / "bin" / program
        work = f'{real} "$@"; ' if after else ""
        text = script.read_text()
        count = f"n=0; while read -r l; do [ $l = {program} ] && n=$((n + 1)); done <{self._shell.folder}/calls"
        kill = f"[ $n -ne {nth} ] || {{ {work}kill -9 $PPID; exit 1; }}"
        script.write_text(text.replace("exec ", f"{count}\n{kill}\nexec "))
        return environment

    def fill(self) -> None:
        self._is_full = True

    def empty(self) -> None:
        self._is_full = False

    def kept(self) -> Kept:
        current, receipt, epoch = (self._root / name for name in ("current", "receipt.json", "epoch"))
        text = receipt.read_text() if receipt.exists() else None
        return Kept(
            current=current.readlink().name.partition(".")[0] if current.is_symlink() else None,
            receipt=json.loads(text)["digest"] if text else text,
            epoch=int(epoch.read_text().split()[0]) if epoch.exists() else 0,
            releases=len(list((self._root / "releases").glob("sha256:*"))),
        )


def _plain(line: str) -> str:
    word = line.split(" ")[0]
    if word in ("answer", "receipt", "done", "current"):
        return word
    return "refused disk-full" if line.startswith("refused disk-full") else line


@pytest.fixture(params=["dash", "busybox"])
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Subject:
    need(request.param, "flock")
    return RealUnit(Shell(request.param, tmp_path / "shell"), tmp_path / "root")
