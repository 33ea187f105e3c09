"""Programs of Pulumi's that tests need and pulih does not ship: pulumi-command's plugin, the official language host.

A machine that reaches the official download gets the plugin there; one that doesn't may have both packed in a folder
beside the checkout.
"""

from __future__ import annotations

import hashlib
import lzma
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from infra.engine import cache as engines
from tests.tools import without

COMMAND = "1.2.1"
"""The version of pulumi-command that tests run."""

TOOLS = Path(__file__).parents[3] / "shared" / "tools"
"""Where packed programs may be; a user's machine has no such folder."""

_SHA256 = {
    "pulumi-language-python-exec": "f33d1a121a49d5b042b472990f56de858a35ec12a7f9c67e620519fd86c8a37d",
    "pulumi-language-python.xz": "8c605c7b3e2c51a4601c611b4ecb67a09a4f52cc41999b2948ef8e1f930a81d7",
    "pulumi-resource-command.xz": "c044bb91de9de984f0cf600fed18ad31cc50dc8463373e6c7835a487da0033c4",
}
"""SHA-256 of the packed programs. Source: the README.md beside them."""

_NAME = f"resource-command-v{COMMAND}"
_DOWNLOAD_S = 120


def need_command(engine: Path, home: Path) -> None:
    """Put pulumi-command's plugin into a PULUMI_HOME; go on only where it can be had.

    Args:
        engine: The folder of `pulumi`.
        home: The PULUMI_HOME of a test.
    """
    found = _command(engine)
    if isinstance(found, str):
        without(f"no plugin of pulumi-command {COMMAND}: {found}")
    shutil.copytree(found, home / "plugins" / _NAME, dirs_exist_ok=True)


def official_host() -> Path | None:
    """Return a folder with the official Python language host, unpacked; None where it is not at hand."""
    programs = ("pulumi-language-python", "pulumi-language-python-exec")
    packed = (f"{programs[0]}.xz", programs[1])
    return _unpacked("official-host-3.259.0", dict(zip(programs, packed, strict=True)))


@cache
def _command(engine: Path) -> Path | str:
    """Return the plugin's folder, or why there is none."""
    own = Path(os.environ.get("PULUMI_HOME", Path.home() / ".pulumi")) / "plugins" / _NAME
    if (own / "pulumi-resource-command").exists():
        return own
    kept = engines.folder(os.environ) / "tests" / _NAME
    if kept.exists():
        return kept
    with tempfile.TemporaryDirectory() as home:
        try:
            answer = subprocess.run(
                [engine / "pulumi", "plugin", "install", "resource", "command", COMMAND],
                env={**os.environ, "PULUMI_HOME": home, "PULUMI_SKIP_UPDATE_CHECK": "true"},
                capture_output=True,
                text=True,
                timeout=_DOWNLOAD_S,
            )
            reason = answer.stderr.strip().rpartition("\n")[2]
        except subprocess.TimeoutExpired:
            reason = f"no download in {_DOWNLOAD_S} s"
        downloaded = Path(home) / "plugins" / _NAME
        if (downloaded / "pulumi-resource-command").exists():
            return _keep(downloaded, kept)
    return _unpacked(_NAME, {"pulumi-resource-command": "pulumi-resource-command.xz"}) or f"{reason}; no {TOOLS}"


def _unpacked(name: str, files: Mapping[str, str]) -> Path | None:
    """Unpack files of the tools once, each checked against its SHA-256; None where they are not."""
    folder, kept = TOOLS / "linux-amd64", engines.folder(os.environ) / "tests" / name
    if kept.exists():
        return kept
    if (platform.system(), platform.machine()) != ("Linux", "x86_64") or not folder.is_dir():
        return None
    with tempfile.TemporaryDirectory() as temporary:
        for file, packed in files.items():
            content = (folder / packed).read_bytes()
            assert hashlib.sha256(content).hexdigest() == _SHA256[packed], f"{folder / packed} is not what was packed"
            program = Path(temporary) / file
            program.write_bytes(lzma.decompress(content) if packed.endswith(".xz") else content)
            program.chmod(0o755)
        return _keep(Path(temporary), kept)


def _keep(folder: Path, kept: Path) -> Path:
    """Move a folder's copy into the cache in one rename; whoever comes second finds it there."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    copy = Path(tempfile.mkdtemp(dir=kept.parent))
    shutil.copytree(folder, copy, dirs_exist_ok=True)
    try:
        copy.rename(kept)
    except OSError:
        shutil.rmtree(copy)
    return kept
