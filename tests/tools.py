"""Programs that a test needs: missing on a laptop the test is skipped with the reason, in CI (`CI=true`) it fails."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from typing import NoReturn

import pytest

PATH = os.environ.get("PATH", os.defpath) + ":/usr/local/sbin:/usr/sbin:/sbin"
"""Where tests look for programs: Debian gives the sbin folders to root only."""

_PACKAGES = {
    "busybox": "busybox",
    "chromium": "chromium",
    "chronyd": "chrony",
    "curl": "curl",
    "ip": "iproute2",
    "nft": "nftables",
    "nginx": "nginx-light",
    "openssl": "openssl",
    "softhsm2-util": "softhsm2",
    "ssh-keygen": "openssh-client",
    "sshd": "openssh-server",
    "unshare": "util-linux",
}
"""Debian package by program."""


def need(*programs: str) -> None:
    """Go on only where all these programs are installed."""
    missing = [program for program in programs if shutil.which(program, path=PATH) is None]
    if missing:
        packages = " ".join(sorted({_PACKAGES.get(program, program) for program in missing}))
        without(f"{', '.join(missing)} not installed; on Debian: apt-get install {packages}")


def need_namespaces() -> None:
    """Go on only where this account may make network namespaces of its own."""
    need("unshare")
    if not _has_namespaces():
        without("`unshare --map-root-user --net` is not allowed here (a container without user namespaces?)")


@cache
def _has_namespaces() -> bool:
    command = ["unshare", "--map-root-user", "--net", "true"]
    return subprocess.run(command, env={"PATH": PATH}, capture_output=True, timeout=10).returncode == 0


def without(reason: str) -> NoReturn:
    """Skip the test for this reason; in CI fail it."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
