"""Bundles: the rendered files of one unit, their manifest and digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedFile:
    """One file of a bundle.

    Attributes:
        path: Relative to the release, `[A-Za-z0-9._/-]+`, no `..`.
        mode: Permission bits, such as 0o644.
        content: Its bytes. Never a secret: those live in the unit's `private/` folder.
        sha256: Lower-case hex SHA-256 of the content.
    """

    path: str
    mode: int
    content: bytes
    sha256: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sha256", hashlib.sha256(self.content).hexdigest())


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """The rendered files of one unit.

    Attributes:
        files: Sorted by the bytes of their paths.
        manifest: One line a file, `<sha256 hex> <mode, 4 octal digits> <path>`, in the order of `files`.
        digest: `sha256:` and the hex SHA-256 of the manifest.
    """

    files: tuple[RenderedFile, ...]
    manifest: bytes
    digest: str

    @staticmethod
    def of(files: Iterable[RenderedFile]) -> Bundle:
        """Make the bundle of some files, in whatever order they come."""
        ordered = tuple(sorted(files, key=lambda file: file.path.encode()))
        manifest = "".join(f"{file.sha256} {file.mode:04o} {file.path}\n" for file in ordered).encode()
        return Bundle(files=ordered, manifest=manifest, digest="sha256:" + hashlib.sha256(manifest).hexdigest())
