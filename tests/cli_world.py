"""Units in memory for tests of the command line: they take bundles, answer reads and probes, and fail when told to."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import tarfile
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

from recovery.cli import connecting, surveying
from recovery.cli.main import main
from recovery.declared import load
from recovery.errors import UnitError
from recovery.model.estate import Estate, UnitName
from recovery.protocol import STEPS
from recovery.render import Templates
from recovery.transport.base import Conversation, Session, T, Target
from tests.estates import sound_files, write_files


def small_estate(folder: Path, **replaced: str) -> Path:
    """Write the small estate, with no retries, and return its folder.

    Args:
        folder: Its parent.
        replaced: New text by the text it replaces in `estate.yaml`.
    """
    files = sound_files()
    files["estate.yaml"] = files["estate.yaml"].replace("retries: 2", "retries: 0")
    for name, text in replaced.items():
        files["estate.yaml"] = files["estate.yaml"].replace(name, text)
    return write_files(folder / "estate", files)


@cache
def _templates(folder: Path, load: Callable[[Path], Templates] = Templates.load) -> Templates:
    """Compiling them takes longer than all the rest of a command."""
    return load(folder)


@cache
def _estate(folder: Path, _placement: str) -> Estate:
    return load(folder)


@dataclass
class Units:
    """Every unit and endpoint of an estate, as a transport.

    Attributes:
        estate: Folder of the estate; its placement says who answers a probe.
        files: Of the release that each unit runs, by unit and path.
        digests: Of those releases.
        fails: Raised at a unit's visits.
        visited: Every visit: what for, and at which unit.
        hook: Called at the beginning of each visit.
        pause_s: How long each visit takes, seconds.
    """

    estate: Path
    files: dict[UnitName, dict[str, bytes]] = field(default_factory=dict[UnitName, dict[str, bytes]])
    digests: dict[UnitName, str] = field(default_factory=dict[UnitName, str])
    fails: dict[UnitName, UnitError] = field(default_factory=dict[UnitName, UnitError])
    visited: list[tuple[str, UnitName]] = field(default_factory=list[tuple[str, UnitName]])
    hook: Callable[[UnitName], None] = lambda _: None
    pause_s: float = 0.0

    def install(self, patch: pytest.MonkeyPatch) -> Units:
        """Stand in for SSH."""

        def transport(_estate: Estate, _parallel: int) -> Units:
            return self

        for module in (connecting, surveying):
            patch.setattr(module, "transport", transport)
        patch.setattr(Templates, "load", staticmethod(_templates))
        return self

    async def run(self, target: Target, command: str, conversation: Conversation[T], *, within_s: float) -> T:
        """Hold a conversation with a unit."""
        del command, within_s
        self.hook(target.name)
        await asyncio.sleep(self.pause_s)
        if target.name in self.fails:
            raise self.fails[target.name]
        return await conversation(_Session(self, target.name))

    async def close(self) -> None:
        """Nothing is held."""

    def probe_answer(self, name: UnitName, nonce: str) -> str:
        """Return what a test transaction through a unit is answered."""
        estate = _estate(self.estate, (self.estate / "placement.yaml").read_text())
        for centre in estate.data_centres:
            for endpoint in centre.endpoints:
                if endpoint.name == name:
                    return f"pulih-probe/1 data-centre={centre.name} service={endpoint.service} nonce={nonce}"
        region, unit = next((region, unit) for region, _, unit in estate.places() if unit.name == name)
        centre = estate.placement.of(unit.service, region.name)
        return f"pulih-probe/1 data-centre={centre} service={unit.service} nonce={nonce}"


class _Session(Session):
    """One visit's applier: it answers the header at once, and a bundle when it came."""

    def __init__(self, units: Units, name: UnitName) -> None:
        self._units = units
        self._name = name
        self._header: list[str] = []
        self._lines: deque[str] = deque()
        self._content: deque[bytes] = deque()

    async def send(self, data: bytes) -> None:
        if self._header:
            self._unpack(data)
            return
        self._header = data.decode().split()
        mode, digest = self._header[1], self._header[4]
        self._units.visited.append((mode, self._name))
        getattr(self, f"_{mode}")(digest)

    async def read_line(self) -> str | None:
        return self._lines.popleft() if self._lines else None

    async def read_exactly(self, size_bytes: int) -> bytes:
        return self._content.popleft()[:size_bytes]

    async def error_text(self) -> str:
        return ""

    def _apply(self, digest: str) -> None:
        if self._units.digests.get(self._name) == digest:
            self._lines += ["same", "at probe", *self._proven()]
        else:
            self._lines.append("send")

    def _unpack(self, data: bytes) -> None:
        with tarfile.open(fileobj=io.BytesIO(data)) as bundle:
            files = {
                member.name.removeprefix(".stage/"): taken.read()
                for member in bundle
                if (taken := bundle.extractfile(member)) is not None
            }
        self._units.files[self._name] = files
        self._units.digests[self._name] = self._header[4]
        self._lines += [*(f"at {step}" for step in STEPS), *self._proven()]

    def _proven(self) -> list[str]:
        return [
            f"answer {self._units.probe_answer(self._name, self._header[6])}",
            f"done {self._units.digests[self._name]}",
        ]

    def _probe(self, _digest: str) -> None:
        if self._name in self._units.digests:
            self._lines += [f"current {self._units.digests[self._name]}", *self._proven()]
        else:
            self._lines.append("failed probe probe-failed none")

    def _read(self, _digest: str) -> None:
        digest = self._units.digests.get(self._name, "-")
        receipt = {"digest": digest, "epoch": 1, "holder": "h", "run": "r", "applied_at": "2026-11-23T17:00:00Z"}
        self._lines.append(f"receipt {json.dumps(receipt)}")
        for path, content in self._units.files.get(self._name, {}).items():
            mode = "-rwxr-xr-x" if path.startswith("unit/") else "-rw-r--r--"
            self._lines += [f"mode {mode} {path}", f"sum {hashlib.sha256(content).hexdigest()} {path}"]
            if int(self._header[8]):
                self._lines.append(f"content {len(content)} {path}")
                self._content.append(content)
        self._lines.append(f"done {digest}")


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str


def pulih(capsys: pytest.CaptureFixture[str], *arguments: object) -> Said:
    """Run a command line in this process."""
    code = main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return Said(code, out, err)
