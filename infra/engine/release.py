"""The second way: the official release of the pinned version, checked against its published SHA-256."""

from __future__ import annotations

import hashlib
import http.client
import re
import shutil
import tarfile
import tempfile
import threading
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import IO, cast

from infra.engine import pin
from infra.engine.errors import StepError

SOURCES = (
    "https://get.pulumi.com/releases/sdk",
    "https://github.com/pulumi/pulumi/releases/download/v{version}",
)
"""Where releases are published: the archives, and one file of their SHA-256 beside them.

Source: pulumi/actions, src/libs/get-version.ts (`pulumi-<version>-checksums.txt`); get.pulumi.com's install script.
"""

_ANSWER_S = 6.0
"""Seconds for the small file of checksums, name lookup and all redirects included: out of reach is noticed here."""

_STALL_S = 30.0
"""Seconds without a byte."""

_WHOLE_S = 1200.0
"""Seconds for the archive, some 150 MB: at most this long on a line of 1 Mbit/s or more."""

_FAILURES = (OSError, http.client.HTTPException, tarfile.TarError, EOFError)
"""What a broken download raises; urllib's URLError is an OSError."""


def download(into: Path, sources: Sequence[str] = SOURCES) -> str:
    """Put the official `pulumi` and its Python language host into a folder.

    Args:
        into: An empty folder.
        sources: Addresses of folders, `{version}` in them is filled in; the first that answers is taken.

    Returns:
        Where it came from, for people.

    Raises:
        StepError: It can't be downloaded, or is not what was published.
    """
    version = pin.version()
    archive = f"pulumi-v{version}-{pin.platform_name()}.tar.gz"
    source, published = _published([source.format(version=version) for source in sources], version)
    expected = re.search(rf"^([0-9a-f]{{64}}) [ *]{re.escape(archive)}$", published, re.M)
    if expected is None:
        raise StepError(f"{source} publishes no SHA-256 of {archive}")
    try:
        with tempfile.TemporaryFile(dir=into) as packed:
            found = _fetch(f"{source}/{archive}", packed)
            if found != expected[1]:
                raise StepError(f"{source}/{archive} has SHA-256 {found}, published is {expected[1]}")
            packed.seek(0)
            _unpack(packed, into)
    except _FAILURES as error:
        raise StepError(f"{source}/{archive}: {error}") from error
    return f"official release v{version} from {source}, SHA-256 {expected[1]}"


def _published(sources: Sequence[str], version: str) -> tuple[str, str]:
    """Return the first source that answers, and its checksums; all are asked at once, none may hold the others."""
    answers: dict[str, str] = {}
    reasons: dict[str, str] = {}

    def ask(source: str) -> None:
        try:
            with _open(f"{source}/pulumi-{version}-checksums.txt", _ANSWER_S) as answer:
                answers[source] = answer.read(1 << 20).decode("ascii", "replace")
        except _FAILURES as error:
            reasons[source] = str(error)

    # Threads that may be left behind: a name lookup can't be given a time limit.
    askers = [threading.Thread(target=ask, args=(source,), daemon=True) for source in sources]
    end = time.monotonic() + _ANSWER_S
    for asker in askers:
        asker.start()
    for source, asker in zip(sources, askers, strict=True):
        asker.join(max(0.0, end - time.monotonic()))
        if source in answers:
            return source, answers[source]
    raise StepError(
        "; ".join(f"{source}: {reasons.get(source, f'no answer in {_ANSWER_S:g} s')}" for source in sources)
    )


def _fetch(address: str, into: IO[bytes]) -> str:
    """Download a file and return its SHA-256."""
    digest, end = hashlib.sha256(), time.monotonic() + _WHOLE_S
    with _open(address, _STALL_S) as answer:
        while block := answer.read(1 << 20):
            digest.update(block)
            into.write(block)
            if time.monotonic() > end:
                raise StepError(f"{address} was not here after {_WHOLE_S:.0f} s")
    return digest.hexdigest()


def _open(address: str, timeout: float) -> IO[bytes]:
    # The addresses are those above, or a test's on loopback.
    return cast("IO[bytes]", urllib.request.urlopen(address, timeout=timeout))  # noqa: S310


def _unpack(packed: IO[bytes], into: Path) -> None:
    """Take `pulumi` and what belongs to Python out of the archive; its other languages are 300 MB nobody here needs."""
    with tarfile.open(fileobj=packed, mode="r:gz") as archive:
        for member in archive:
            name = Path(member.name).name
            content = archive.extractfile(member) if member.isfile() else None
            if content is not None and (name == "pulumi" or "python" in name):
                with (into / name).open("wb") as file:
                    shutil.copyfileobj(content, file)
                (into / name).chmod(0o755)
    if missing := [name for name in ("pulumi", "pulumi-language-python") if not (into / name).is_file()]:
        raise StepError(f"the release holds no {' and no '.join(missing)}")
