"""A small disk of its own for a unit: a tmpfs in a private mount namespace, so that nothing is left mounted.

The namespace lives as long as a process of ours that waits for its input to end; when the tests are killed it ends too.
The disk is seen from outside below `/proc/<pid>/root`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.shells import LocalUnit, Shell
from tests.tools import PATH, need

PAGE = os.sysconf("SC_PAGESIZE")
_AS_ROOT = () if os.getuid() == 0 else ("--map-root-user",)


def need_mounts() -> None:
    """Go on only where this account may mount in a namespace of its own."""
    need("unshare", "nsenter", "mount")
    if not _can_mount():
        reason = "mounting in a namespace of one's own is not allowed here (a container without user namespaces?)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)


@cache
def _can_mount() -> bool:
    command = ["unshare", *_AS_ROOT, "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(command, env={"PATH": PATH}, capture_output=True, timeout=10).returncode == 0


class Disk:
    """A tmpfs that can be filled, made read-only and emptied again; a context manager.

    Attributes:
        inside: Its folder, as programs in the namespace name it.
        seen: The same folder, as we name it.
        pid: The process that keeps the namespace.
        enter: Words that start a command in the namespace.
    """

    def __init__(self, folder: Path, *, size_kib: int = 1024, inodes: int = 1000) -> None:
        """Mount it.

        Args:
            folder: Where; made when it is not there.
            size_kib: Of it, KiB.
            inodes: How many files and folders it holds at most.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.inside = folder
        mount = f"mount -t tmpfs -o size={size_kib}k,nr_inodes={inodes},mode=755 tmpfs {folder}"
        self._holder = subprocess.Popen(
            ["unshare", *_AS_ROOT, "--mount", "sh", "-c", f"{mount} && echo ready && exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PATH": PATH},
        )
        assert self._holder.stdout
        assert self._holder.stdout.readline() == b"ready\n"
        self.pid = self._holder.pid
        self.seen = Path(f"/proc/{self.pid}/root{folder}")
        nsenter = shutil.which("nsenter", path=PATH)
        assert nsenter
        own_user = ("--user", "--preserve-credentials") if _AS_ROOT else ()
        self.enter = (nsenter, "--target", str(self.pid), "--mount", *own_user, "--")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        assert self._holder.stdin
        assert self._holder.stdout
        self._holder.stdin.close()
        self._holder.wait(timeout=10)
        self._holder.stdout.close()

    def remount(self, how: str) -> None:
        """Change how it is mounted: `ro` or `rw`."""
        command = [*self.enter, "mount", "-o", f"remount,{how}", str(self.inside)]
        subprocess.run(command, env={"PATH": PATH}, check=True, timeout=10)

    def covering(self) -> str:
        """Return the shell command by which a program inside makes the disk read-only under a visit's hands.

        A mount of the same folder over it: `remount` is refused while the visit has its lock open for writing.
        """
        mount = shutil.which("mount", path=PATH)
        return f"{mount} --bind {self.inside} {self.inside} && {mount} -o remount,bind,ro {self.inside}"

    def uncover(self) -> None:
        """Take away what `covering` has made, although a visit may still have a file open there."""
        command = [*self.enter, "umount", "--lazy", str(self.inside)]
        subprocess.run(command, env={"PATH": PATH}, check=True, timeout=10)

    def leave(self, pages: int) -> None:
        """Fill it up until that many pages are left."""
        room = os.statvfs(self.seen)
        (self.seen / "filler").write_bytes(bytes((room.f_bavail * room.f_frsize // PAGE - pages) * PAGE))

    def leave_inodes(self, count: int) -> None:
        """Make files until only that many more can be made."""
        for number in range(os.statvfs(self.seen).f_ffree - count):
            (self.seen / f"filler-{number}").touch()

    def free(self) -> None:
        """Take away what filled it."""
        for file in self.seen.glob("filler*"):
            file.unlink()


class DiskUnit(LocalUnit):
    """A unit whose root is on a small disk, as it is in a unit of its own."""

    def __init__(self, shell: Shell, disk: Disk) -> None:
        super().__init__(shell, disk.inside / "unit")
        self.disk = disk
        self.seen = disk.seen / "unit"
        shell.command = (*disk.enter, *shell.command)

    def served(self) -> str:
        """Return the tag of the bundle that `current` holds, as seen from outside the namespace."""
        return LocalUnit(self.shell, self.seen).served()
