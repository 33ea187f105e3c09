"""A rendered bundle on disk as a unit has it, with its scripts and programs run by an ordinary account."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from recovery.model.bundle import Bundle
from tests.tools import PATH

NOBODY = 65534
"""User and group that nothing belongs to; stands for the account `pulih` where the tests run as root."""


@contextmanager
def folder() -> Generator[Path]:
    """Yield a short folder that the ordinary account can reach, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="pulih-"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path)


class Release:
    """One unit's `<root>`: its current release, `private/` and `run/`, as docs/unit.md wants them."""

    def __init__(self, root: Path, bundle: Bundle) -> None:
        self.root = root
        for name in ("private", "run", "releases"):
            (root / name).mkdir(parents=True, exist_ok=True)
        self.swap(bundle)

    def swap(self, bundle: Bundle) -> None:
        """Put a release beside those that are there and make it the current one."""
        release = self.root / "releases" / bundle.digest
        for file in bundle.files:
            path = release / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.content)
            path.chmod(file.mode)
        link = self.root / "current.new"
        link.symlink_to(f"releases/{bundle.digest}")
        link.replace(self.root / "current")
        if os.geteuid() == 0:
            for path in (self.root, *self.root.rglob("*")):
                os.chown(path, NOBODY, NOBODY, follow_symlinks=False)

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a command in the current release, as the ordinary account."""
        is_root = os.geteuid() == 0
        return subprocess.Popen(
            command,
            cwd=self.root / "current",
            env={"PATH": f"{self.root}/bin:{PATH}"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            user=NOBODY if is_root else None,
            group=NOBODY if is_root else None,
            extra_groups=[] if is_root else None,
        )

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the current release, as the ordinary account, for at most 20 s."""
        with self.start(*command) as process:
            try:
                out, err = process.communicate(timeout=20)
            finally:
                process.kill()
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def stand_in(self, name: str, script: str) -> None:
        """Put a program before those of the system, for the commands run here."""
        path = self.root / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    @contextmanager
    def gateway(self, address: str, port: int) -> Generator[subprocess.Popen[str]]:
        """Run nginx as `pulih-gateway` does, but in the foreground, from the moment it takes connections."""
        process = self.start("nginx", "-p", str(self.root / "current"), "-c", "gateway/nginx.conf", "-g", "daemon off;")
        with ExitStack() as stack:
            stack.callback(_end, process)
            for _ in range(100):
                if process.poll() is not None:
                    raise AssertionError(f"nginx ended: {process.communicate()[1]}")
                try:
                    socket.create_connection((address, port), timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.05)
            else:
                raise AssertionError(f"nginx does not listen at {address}:{port} after 5 s")
            yield process


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.communicate(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def free_ports(count: int) -> list[int]:
    """Return TCP ports of 127.0.0.1 that nobody has at this moment, all different."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(one.getsockname()[1]) for one in sockets]
