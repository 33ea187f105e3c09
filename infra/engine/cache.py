"""Engines kept outside the checkout: whole or not there at all, and made once however many checkouts ask."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

ORIGIN = "ORIGIN"
"""The file of an engine that says how it was got."""


def folder(environment: Mapping[str, str]) -> Path:
    """Return the folder of all engines: `PULIH_ENGINE_CACHE`, else the account's cache (XDG Base Directory)."""
    if named := environment.get("PULIH_ENGINE_CACHE"):
        return Path(named).absolute()
    base = environment.get("XDG_CACHE_HOME", "")
    # Source: XDG Base Directory Specification 0.8, "all paths ... must be absolute ... consider the path invalid".
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "pulih" / "engine"


def origin(engine: Path) -> str | None:
    """Return how an engine was got, None when it is not there as a whole."""
    programs = (engine / "pulumi", engine / "pulumi-language-python")
    if not all(os.access(program, os.X_OK) for program in programs) or not (engine / ORIGIN).is_file():
        return None
    return (engine / ORIGIN).read_text(encoding="utf-8").strip()


@contextmanager
def alone(engine: Path, waits: Callable[[], None]) -> Generator[None]:
    """Hold the right to make this engine; it is freed when its holder dies.

    Args:
        engine: Where the engine is to be.
        waits: Called when somebody else holds the right; the engine may be there when the wait is over.
    """
    engine.parent.mkdir(parents=True, exist_ok=True)
    with (engine.parent / f".{engine.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waits()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def making(engine: Path) -> Generator[Path]:
    """Lend an empty folder that becomes the engine when the block ends well, in one rename; hold `alone` meanwhile."""
    for left in engine.parent.glob(f".{engine.name}.making-*"):  # of a maker that was killed: nobody else holds it
        shutil.rmtree(left, ignore_errors=True)
    work = Path(tempfile.mkdtemp(prefix=f".{engine.name}.making-", dir=engine.parent))
    try:
        yield work
        work.chmod(0o755)
        if engine.exists():  # damaged, or its `origin` would have been found
            shutil.rmtree(engine)
        work.rename(engine)
    finally:
        shutil.rmtree(work, ignore_errors=True)
