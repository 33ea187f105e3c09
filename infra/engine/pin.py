"""Which engine: the version that go.mod pins, this machine's platform, the digest of what an engine is made from."""

from __future__ import annotations

import hashlib
import platform
import re
from pathlib import Path

from infra.engine.errors import StepError

HERE = Path(__file__).parent
MODULE = "github.com/pulumi/pulumi/pkg/v3"
STAND_IN = ("pulumi-language-python", "language_host.py")
"""The stand-in for the Python language host: its launcher and its program, beside `pulumi`."""

_INPUTS = ("go.mod", "go.sum", "tools.go", *STAND_IN)
_SYSTEMS = {"Linux": "linux", "Darwin": "darwin"}
_MACHINES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}


def version() -> str:
    """Return the pinned version, without a leading v."""
    found = re.search(rf"^(?:require|\t)\s*{re.escape(MODULE)} v(\d+\.\d+\.\d+)$", (HERE / "go.mod").read_text(), re.M)
    if found is None:
        raise StepError(f"{HERE / 'go.mod'} does not require {MODULE} at a released version")
    return found[1]


def numbers(text: str) -> tuple[int, int, int] | None:
    """Return the first version in a text as numbers, None when there is none: `v3.259.0` is (3, 259, 0)."""
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else None


def platform_name() -> str:
    """Return this machine as the official releases name it, such as `linux-x64`."""
    system, machine = platform.system(), platform.machine()
    if system not in _SYSTEMS or machine.lower() not in _MACHINES:
        raise StepError(f"there is none for {system} on {machine}")
    return f"{_SYSTEMS[system]}-{_MACHINES[machine.lower()]}"


def name() -> str:
    """Return the name of the engine in a cache: its version and the digest of what it is made from."""
    digest = hashlib.sha256(f"{platform.system()} {platform.machine()}\n".encode())
    for file in _INPUTS:
        content = (HERE / file).read_bytes()
        digest.update(f"{file} {len(content)}\n".encode() + content)
    return f"{version()}-{digest.hexdigest()[:16]}"
