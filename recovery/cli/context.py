"""What surrounds a command: folders named by the environment, the clock, the terminal."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

DEFAULT_ESTATE = Path("infra/estate")


def now() -> datetime:
    """Return the moment, UTC."""
    return datetime.now(UTC)


def estate_folder(option: Path | None) -> Path:
    """Return the estate that is meant: the option (or `PULIH_ESTATE`, which typer reads), else the default."""
    return option if option is not None else DEFAULT_ESTATE


def state_folder(estate: Path) -> Path:
    """Return where runs and leases are kept: `PULIH_STATE`, else `.pulih` beside the estate."""
    named = os.environ.get("PULIH_STATE")
    return Path(named) if named else Path(os.path.abspath(estate)).parent / ".pulih"  # noqa: PTH100 no link followed


def environment_leases() -> str | None:
    """Return what `PULIH_LEASES` says."""
    return os.environ.get("PULIH_LEASES") or None


def ssh_key() -> str | None:
    """Return the private key file that `PULIH_SSH_KEY` names."""
    return os.environ.get("PULIH_SSH_KEY") or None


def webhook() -> tuple[str, str | None] | None:
    """Return what `PULIH_WEBHOOK` and `PULIH_WEBHOOK_SECRET` say; None without the first."""
    named = os.environ.get("PULIH_WEBHOOK")
    return (named, os.environ.get("PULIH_WEBHOOK_SECRET") or None) if named else None


def metrics_file() -> Path | None:
    """Return the file for a node's metrics that `PULIH_METRICS` names."""
    named = os.environ.get("PULIH_METRICS")
    return Path(named) if named else None


def where() -> str:
    """Return who runs this and where, `user@machine`, for those who find a lease held."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # an account without a name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def commit(folder: Path) -> str | None:
    """Return the commit of the repository that `folder` is in; None without one, or when the folder differs from it."""
    try:
        head = _git(folder, "rev-parse", "HEAD")
        return head if not _git(folder, "status", "--porcelain", "--", ".") else None
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    answer = subprocess.run(  # noqa: S603 - a constant program, arguments of our own
        ["git", "-C", str(folder), *arguments],  # noqa: S607 - the user's own git
        check=True,
        capture_output=True,
        text=True,
        timeout=10,
        env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
    )
    return answer.stdout.strip()


def can_ask() -> bool:
    """Whether somebody sits there who can be shown a question and can answer it."""
    return _is_terminal(sys.stdin) and _is_terminal(sys.stderr)


def is_live(stream: TextIO) -> bool:
    """Whether a picture that keeps changing can be drawn on `stream`."""
    return _is_terminal(stream) and os.environ.get("TERM", "") not in ("", "dumb")


def _is_terminal(stream: TextIO | None) -> bool:
    # A daemon's standard streams may be closed, which leaves None or a closed file here.
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False
