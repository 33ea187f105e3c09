"""The third way: the engine built from its public Go module, and the stand-in for its language host beside it.

A build of its own has no language host, because that host's Go module is not published in a usable form.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from infra.engine import pin
from infra.engine.errors import StepError

_OLDEST_GO = (1, 21, 0)
"""From here on Go gets the newer toolchain that go.mod asks for by itself. Source: go.dev/doc/toolchain."""

_REACH_S = 180
"""Seconds for the one module that names all others: out of reach is noticed here, not in the build."""

_BUILD_S = 3600
"""Seconds for the rest: 4 to 10 minutes were seen on two cores, most of it compiling."""

_BEAT_S = 60

_VERSION = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"


def build(into: Path, environment: Mapping[str, str], say: Callable[[str], None]) -> str:
    """Build `pulumi` into a folder and put the stand-in language host beside it.

    Args:
        into: An empty folder.
        environment: Where PATH is, and what the user set for Go, such as GOPROXY.
        say: Told how it goes, a line now and then.

    Returns:
        How it was made, for people.

    Raises:
        StepError: Go is missing or too old, its modules can't be had, or the build fails.
    """
    version = pin.version()
    go = shutil.which("go", path=environment.get("PATH", os.defpath))
    if go is None:
        raise StepError("go is not on PATH; Go 1.21 or newer is needed (https://go.dev/dl)")
    # No workspace and no flags of the user's own projects, no C compiler; distributions turn GOTOOLCHAIN off.
    own = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOWORK": "off", "GO111MODULE": "on"}
    settings = {"GOTOOLCHAIN": "auto", **environment, **own}
    # Away from go.mod, which an old go can't read.
    named = _go([go, "env", "GOVERSION"], {**settings, "GOTOOLCHAIN": "local"}, _REACH_S, say, into).strip()
    if (pin.numbers(named) or _OLDEST_GO) < _OLDEST_GO:
        raise StepError(f"{go} is {named}; Go 1.21 or newer is needed (https://go.dev/dl)")
    _go([go, "mod", "download", pin.MODULE], settings, _REACH_S, say)
    say(f"building v{version} with {named}: some minutes, 4 to 10 on two cores")
    linker = f"-s -w -X {_VERSION}=v{version}"
    flags = ["-trimpath", "-buildvcs=false", "-ldflags", linker]
    _go([go, "build", *flags, "-o", str(into / "pulumi"), f"{pin.MODULE}/cmd/pulumi"], settings, _BUILD_S, say)
    for name in pin.STAND_IN:
        shutil.copy(pin.HERE / name, into / name)
    return f"v{version} built from its Go module with {named}; the Python language host is pulih's stand-in"


def _go(
    command: list[str],
    environment: Mapping[str, str],
    limit_s: int,
    say: Callable[[str], None],
    folder: Path = pin.HERE,
) -> str:
    """Run one go command, beside go.mod if no other folder is named, and return what it printed."""
    called = f"go {command[1]}"
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        process = subprocess.Popen(  # noqa: S603 - the user's own go, arguments of ours
            command, cwd=folder, env=dict(environment), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            for minutes in range(limit_s // _BEAT_S):
                if minutes:
                    say(f"{called}: {minutes} min")
                try:
                    status = process.wait(_BEAT_S)
                    break
                except subprocess.TimeoutExpired:
                    continue
            else:
                raise StepError(f"{called} was not ready after {limit_s} s")
        finally:
            process.kill()
            process.wait()
        log.seek(0)
        printed = log.read()
    if status != 0:
        raise StepError(f"{called} ended with {status}: {printed.strip()[-1000:] or 'it printed nothing'}")
    return printed
