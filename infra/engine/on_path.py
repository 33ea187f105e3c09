"""The first way: a `pulumi` that is on PATH already, at the pinned version or newer, with its language host."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from infra.engine import pin
from infra.engine.errors import StepError

_ANSWER_S = 30
"""Seconds for `pulumi version`, which takes a third of one on an idle machine."""


def find(environment: Mapping[str, str], ours: Path) -> Path:
    """Return the folder of the `pulumi` on PATH.

    Args:
        environment: Where PATH is.
        ours: The folder of cached engines; one of those, left on PATH, is not taken, for it may be an old one.

    Raises:
        StepError: There is none that fits.
    """
    found = shutil.which("pulumi", path=environment.get("PATH", os.defpath))
    if found is None:
        raise StepError("there is no pulumi on PATH")
    program = Path(found).absolute()
    if ours.resolve() in program.resolve().parents:
        raise StepError(f"{program} is one that was got here")
    wanted, has = pin.version(), running_version(program)
    if has < (pin.numbers(wanted) or has) or has[0] != int(wanted.split(".")[0]):
        raise StepError(
            f"{program} is v{'.'.join(map(str, has))}, v{wanted} or a newer v{wanted.split('.')[0]} is needed"
        )
    for folder in (program.parent, program.resolve().parent):
        if os.access(folder / "pulumi-language-python", os.X_OK):
            return folder
    raise StepError(f"{program} has no pulumi-language-python beside it")


def running_version(program: Path) -> tuple[int, int, int]:
    """Ask a `pulumi` for its version.

    Raises:
        StepError: It does not run, or does not say.
    """
    try:
        answer = subprocess.run(  # noqa: S603 - the user's own pulumi, or the one just made
            [program, "version"],
            env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_ANSWER_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StepError(f"{program} does not run: {error}") from error
    has = pin.numbers(answer.stdout)
    if answer.returncode != 0 or has is None:
        raise StepError(f"{program} version ended with {answer.returncode}: {answer.stderr.strip()[-300:]}")
    return has
