"""Passphrases of offline keys: from files or a prompt, never from a command line."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from recovery.cli.context import can_ask
from recovery.errors import PublishError, RefusedError
from recovery.files import read_regular

MAX_BYTES = 4096

Files = Annotated[
    list[Path] | None,
    typer.Option(
        "--passphrase-file",
        metavar="FILE",
        envvar="PULIH_PASSPHRASE_FILE",
        help="A file whose first line is the passphrase; may be repeated, each key is tried with each. Else asked for.",
    ),
]


class Passphrases:
    """Tells the passphrases of keys; somebody who is asked is asked once for each key."""

    def __init__(self, files: Iterable[Path] | None, *, may_ask: bool = True) -> None:
        """Read the files.

        Args:
            files: With a passphrase each.
            may_ask: Whether somebody may be asked, where a terminal is there and no file was given.

        Raises:
            PublishError: One can't be read, or is empty.
        """
        self._given = [_first_line(file) for file in files or ()]
        self._may_ask = may_ask

    def known(self, name: str) -> Iterator[bytes]:
        """Yield the passphrases to try for a key that is there."""
        yield from self._given
        if not self._given and self._may_ask and can_ask():
            yield getpass.getpass(f"Passphrase of {name}: ").encode()

    def fresh(self, name: str) -> bytes:
        """Return the passphrase of a key that is being made.

        Raises:
            RefusedError: Nobody can be asked, or the two times differ.
        """
        if self._given:
            return self._given[0]
        if not can_ask():
            raise RefusedError(
                f"nobody can be asked here for a passphrase of {name}: give --passphrase-file "
                "(or PULIH_PASSPHRASE_FILE)"
            )
        told = getpass.getpass(f"New passphrase of {name}: ")
        if getpass.getpass(f"New passphrase of {name}, again: ") != told:
            raise RefusedError(f"the two passphrases of {name} differ; no key was made")
        return told.encode()


def from_environment() -> list[Path]:
    """Return the files that `PULIH_PASSPHRASE_FILE` names."""
    named = os.environ.get("PULIH_PASSPHRASE_FILE", "")
    return [Path(part) for part in named.split(os.pathsep) if part]


def _first_line(file: Path) -> bytes:
    try:
        told = read_regular(file, MAX_BYTES).split(b"\n")[0].rstrip(b"\r")
    except OSError as error:
        raise PublishError(f"{file}: {error.strerror}") from error
    if not told:
        raise PublishError(f"{file}: its first line is empty, expected a passphrase")
    return told
