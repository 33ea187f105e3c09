"""The machine of one unit: a disk of its own, a shell, programs, and a gateway that serves what it has loaded."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.shells import Shell
from tests.ssh.disks import Disk
from tests.ssh.faulty import program

WITHIN_S = 60.0


class Machine:
    """One host behind an sshd, seen from outside.

    Attributes:
        inside: The folder that pulih owns, as the host names it.
        root: The same folder, as we name it.
        login: The program that sshd starts for each session, in the place of its shell.
    """

    def __init__(self, name: str, folder: Path, disk: Disk, own: Shell, stand_ins: Path) -> None:
        """Write its programs; it has loaded nothing yet.

        Args:
            name: Of its unit.
            folder: Where its programs and what its gateway has loaded are; on no disk that is filled.
            disk: Where the folder is that pulih owns.
            own: Its shell and the programs that come with it.
            stand_ins: The folder of the stand-ins.
        """
        self.name = name
        self.folder = folder
        self.disk = disk
        self.inside = self.disk.inside / "pulih"
        self.root = self.disk.seen / "pulih"
        self._instead = folder / "instead"
        self._instead.mkdir()
        for notes in ("validated", "unvalidated"):
            (folder / notes).touch()
        path = f"{stand_ins}:{own.environment['PATH']}"
        self._environment = {"HOST": str(folder), "NAME": name, "PATH": path}
        words = " ".join((*self.disk.enter, *own.command))
        self.login = program(
            folder,
            "login",
            f"export HOST={folder} NAME={name} SSHD=$PPID APPLIER=$$ PATH={self._instead}:{path}\n"
            f'eval "exec {words} -c ${{SSH_ORIGINAL_COMMAND#exec /bin/sh -c }}"',
        )

    def instead(self, name: str, script: str) -> None:
        """Put a program in the place of one of its own; behind its first line it finds the others as usual."""
        noted = f': >>"$HOST/met"\nPATH=${{PATH#*:}}; export PATH\n{script}'
        program(self._instead, name, noted)

    def mend(self) -> None:
        """Take away the programs that were put in the place of others, what was noted, and what fills the disk."""
        self.disk.free()
        for path in (*self._instead.iterdir(), self.folder / "met"):
            path.unlink(missing_ok=True)

    def tidy(self) -> None:
        """Remove every release but the present one, so that nothing is left that could give way to a new one."""
        present = (self.root / "current").readlink().name
        for path in (self.root / "releases").iterdir():
            if path.name != present:
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def has_met(self) -> bool:
        """Whether a program of `instead` was called since it was last mended."""
        return (self.folder / "met").exists()

    def loaded(self) -> str:
        """Return the digest of the release that its gateway serves; empty when it serves none."""
        try:
            return "sha256:" + (self.folder / "loaded").read_text().split()[0]
        except FileNotFoundError:
            return ""

    def unvalidated(self) -> list[str]:
        """Return the digests of releases that were loaded without having been found sound."""
        return (self.folder / "unvalidated").read_text().split()

    def current(self) -> str:
        """Return the digest of the release that `current` leads to; empty when it leads nowhere."""
        link = self.root / "current"
        return link.readlink().name.partition(".")[0] if (link / "MANIFEST").exists() else ""

    def receipt(self) -> bytes:
        """Return its receipt."""
        return _content(self.root / "receipt.json")

    def epoch(self) -> bytes:
        """Return the newest epoch that a writer has shown it."""
        return _content(self.root / "epoch")

    def reboot(self) -> None:
        """Kill everything that runs on it, then start what starts with a machine: the gateway, from the disk."""
        ours = Path(f"/proc/{self.disk.pid}/ns/mnt").readlink()
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != self.disk.pid:
                with suppress(OSError):
                    if (entry / "ns" / "mnt").readlink() == ours:
                        os.kill(int(entry.name), signal.SIGKILL)
        start = f"cd -P {self.inside}/current && exec systemctl start pulih-gateway"
        subprocess.run([*self.disk.enter, "/bin/dash", "-c", start], env=self._environment, check=True, timeout=10)


def wait_until(holds: Callable[[], bool], what: str, *, within_s: float = WITHIN_S) -> None:
    """Wait for something that must come about.

    Raises:
        AssertionError: It has not.
    """
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"never came about: {what}"
        time.sleep(0.01)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
