"""What the tests of faults share: what must hold after each, a `timeout` that is over sooner, and programs that lie."""

from __future__ import annotations

import stat
from pathlib import Path

from recovery.diff import differences
from recovery.model.bundle import Bundle
from tests.shells import LocalUnit, Shell

LIMIT_S = 0.4
"""What the applier's 25 s are made for what hangs, seconds."""


def ends_as_declared(unit: LocalUnit, wanted: Bundle, tag: str, number: int = 1) -> None:
    """Check that the next visit brings a unit to its declaration, and the one after it changes nothing."""
    unit.apply(wanted, number)
    assert unit.served() == tag
    assert differences(wanted, unit.read()) == ()
    assert not unit.apply(wanted, number)


def program(folder: Path, name: str, script: str) -> Path:
    """Write a program that a unit finds before its own."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/dash\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def preferring(shell: Shell, **scripts: str) -> dict[str, str]:
    """Return an environment in which some programs are scripts of ours; `$real` in them is the program itself."""
    folder = shell.folder / "instead"
    for name, script in scripts.items():
        program(folder, name, f"real={shell.folder / 'bin' / name}\n{script}")
    return {"PATH": f"{folder}:{shell.environment['PATH']}"}


def impatient(shell: Shell, *hanging: str) -> dict[str, str]:
    """Return an environment whose `timeout` gives `LIMIT_S` to the commands that hang, and others what they are given.

    Args:
        shell: Whose `timeout`.
        hanging: Words that such a command has in it, such as `unit/validate`; quoted as a pattern of sh wants it.
    """
    patterns = " | ".join(f"*{words}*" for words in hanging)
    sooner = f"""\
[ "$1" = -s ] && {{ signal="-s $2"; shift 2; }}
case $* in {patterns}) shift; set -- {LIMIT_S} "$@" ;; esac
exec $real $signal "$@\""""
    return preferring(shell, timeout=sooner)
