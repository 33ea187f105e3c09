"""The files of an estate at a revision of its git repository, read from git's objects: nothing is checked out.

What a proposed change holds is data here. No filter, hook or attribute of the repository acts on it, a link that leads
out of the revision is refused, and nothing is written outside the folder that the caller gives.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from recovery.errors import PulihError

MAX_FILE_BYTES = 2 * 1024 * 1024
"""Larger files are left out: an estate's are refused from 1 MiB on, and templates have a few KiB."""

_TIMEOUT_S = 60


class RevisionError(PulihError):
    """A revision can't be read; says what to do."""


@dataclass(frozen=True, slots=True)
class Repository:
    """A git repository, and where the estate is in it.

    Attributes:
        folder: The estate's.
        estate: The same as a path from the top of the work tree; empty when it is the top.
    """

    folder: Path
    estate: str

    @staticmethod
    def of(folder: Path) -> Repository:
        """Find the repository that an estate lies in.

        Raises:
            RevisionError: It lies in none.
        """
        prefix = _git(folder, "rev-parse", "--show-prefix").decode(errors="surrogateescape").rstrip("\n")
        return Repository(folder, prefix.rstrip("/"))

    def commit(self, revision: str) -> str:
        """Return the full name of the commit that a revision stands for.

        Raises:
            RevisionError: There is none.
        """
        try:
            return self._said("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        except RevisionError as error:
            raise RevisionError(
                f"{revision}: there is no such revision here. Fetch it (`git fetch origin`); in CI give the checkout "
                "its whole history (`fetch-depth: 0` at GitHub, `GIT_DEPTH: 0` at GitLab)."
            ) from error

    def merge_base(self, one: str, other: str) -> str:
        """Return the commit where two others parted.

        Raises:
            RevisionError: They have nothing in common, as far as the history is here.
        """
        try:
            return self._said("merge-base", one, other)
        except RevisionError as error:
            raise RevisionError(
                f"{one[:12]} and {other[:12]} have no commit in common, as far as the history is here. In CI give the "
                "checkout its whole history (`fetch-depth: 0` at GitHub, `GIT_DEPTH: 0` at GitLab)."
            ) from error

    def trailers(self, base: str, head: str, key: str) -> list[str]:
        """Return what the commits of `base..head` say on lines `KEY: …` at the end of their messages."""
        form = f"--format=%(trailers:key={key},valueonly,unfold)"
        said = self._said("-c", "log.showSignature=false", "log", form, f"{base}..{head}")
        return [line.strip() for line in said.splitlines() if line.strip()]

    def export(self, commit: str, folder: Path) -> Path:
        """Write the files of a commit into a new folder.

        Returns:
            The estate's folder in it.

        Raises:
            RevisionError: The estate is not in it, or a link leads out of it.
        """
        links: list[Path] = []
        names = list(self._names(commit))
        contents = self._contents([name for _, name, _ in names])
        folder.mkdir()
        for (is_link, _, path), content in zip(names, contents, strict=True):
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if is_link:
                links.append(target)
            target.write_bytes(content)
        for link in links:  # when no file is written any more, none can be written through one
            text = os.fsdecode(link.read_bytes())
            link.unlink()
            link.symlink_to(text)
        for link in links:
            if not link.resolve().is_relative_to(folder.resolve()):
                raise RevisionError(
                    f"{commit[:12]}:{link.relative_to(folder)} is a link that leads out of the revision"
                )
        estate = folder / self.estate
        if not (estate / "estate.yaml").is_file():
            raise RevisionError(f"{commit[:12]} has no estate in {self.estate or 'its top folder'}")
        return estate

    def _names(self, commit: str) -> Iterator[tuple[bool, str, PurePosixPath]]:
        """Yield of every file whether it is a link, the name of its object, and its path."""
        for entry in self._git("ls-tree", "-r", "-l", "-z", "--full-tree", commit).split(b"\0"):
            if not entry:
                continue
            about, _, name = entry.partition(b"\t")
            mode, kind, sha, size = about.split()
            path = PurePosixPath(os.fsdecode(name))
            if {"..", ".git"} & set(path.parts) or path.is_absolute():
                raise RevisionError(f"{commit[:12]} holds a file named {os.fsdecode(name)!r}")
            if kind == b"blob" and int(size) <= MAX_FILE_BYTES:
                yield mode == b"120000", sha.decode(), path

    def _contents(self, shas: Sequence[str]) -> Iterator[bytes]:
        # Source: git-cat-file(1), "BATCH OUTPUT": a line `<sha> blob <size>`, the bytes, a line feed.
        said = self._git("cat-file", "--batch", given="".join(f"{sha}\n" for sha in shas).encode())
        at = 0
        for _ in shas:
            end = said.index(b"\n", at)
            size = int(said[at:end].split()[2])
            yield said[end + 1 : end + 1 + size]
            at = end + size + 2

    def _said(self, *arguments: str) -> str:
        return self._git(*arguments).decode(errors="replace").strip()

    def _git(self, *arguments: str, given: bytes = b"") -> bytes:
        return _git(self.folder, *arguments, given=given)


def _git(folder: Path, *arguments: str, given: bytes = b"") -> bytes:
    try:
        answer = subprocess.run(  # noqa: S603 - a constant program, arguments that git is told are no options
            ["git", "-C", str(folder), *arguments],  # noqa: S607 - the user's own git
            input=given,
            capture_output=True,
            timeout=_TIMEOUT_S,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_REPLACE_OBJECTS": "1"},
        )
    except FileNotFoundError as error:
        raise RevisionError("git is not installed here; the revisions of an estate are read with it") from error
    except subprocess.TimeoutExpired as error:
        raise RevisionError(f"git {arguments[0]} took longer than {_TIMEOUT_S} s in {folder}") from error
    if answer.returncode != 0:
        words = answer.stderr.decode(errors="replace").strip().removeprefix("fatal: ") or "it said nothing"
        raise RevisionError(f"git can't answer in {folder}: {words}")
    return answer.stdout
