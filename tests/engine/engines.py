"""The real engine for tests: where it is, what its environment must be, and whether its processes are gone."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from infra.engine.bootstrap import present
from infra.engine.errors import EngineError
from tests.tools import without

_OWN = ("HOME", "LANG", "TMPDIR", "TZ")
"""What an engine in a test inherits besides PATH; above all no PULUMI_*, PULIH_* or AWS_* of whoever runs the tests."""


def need_engine() -> Path:
    """Go on only where an engine is, and return the folder of its `pulumi`; `make engine` gets one."""
    try:
        return present(os.environ)
    except EngineError as error:
        without(str(error))


def environment(engine: Path, home: Path, backend: str) -> dict[str, str]:
    """Return the environment of a literal `pulumi` command that touches nothing of whoever runs the tests.

    Args:
        engine: The folder of `pulumi`.
        home: Its PULUMI_HOME, a folder of the test; plugins are looked for there and beside `pulumi`, never on PATH.
        backend: The URL of the state, such as `file:///…`; the folder of a file backend must exist.
    """
    return {
        **{name: os.environ[name] for name in _OWN if name in os.environ},
        "PATH": f"{engine}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PULUMI_HOME": str(home),
        "PULUMI_BACKEND_URL": backend,
        "PULUMI_CONFIG_PASSPHRASE": "practice",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_IGNORE_AMBIENT_PLUGINS": "true",
        "NO_COLOR": "1",
        # Most commands last half a second, and a fifth of that would go to Go's collector.
        "GOGC": "off",
        "GOMEMLIMIT": "300MiB",
    }


def official(engine: Path, host: Path, folder: Path) -> Path:
    """Put the `pulumi` of an engine beside the official Python language host.

    Args:
        engine: The folder of the engine; copied, because `pulumi` looks for its host beside the real file.
        host: The folder of the official host, see `plugins.official_host`.
        folder: Where both are put; made here.
    """
    shutil.copytree(host, folder)
    shutil.copy(engine / "pulumi", folder / "pulumi")
    return folder


def children(pid: int) -> list[int]:
    """Return the processes that a process has started and that live: an engine's language host and providers."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def is_gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has waited for yet (a zombie) has."""
    try:
        # Source: proc_pid_stat(5): "pid (comm) state", and comm may hold a parenthesis.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True
