"""What can be done to a lab that is there: lose a data centre, make units sick, ask how it is, end it."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from recovery.errors import LabError
from recovery.files import is_folder, read_regular
from recovery.lab import orders, sickness
from recovery.lab.setup import Layout
from recovery.lab.sickness import How

_END_WITHIN_S = 20
_PAUSE_S = 0.01
MAX_CARD_BYTES = 16 << 20
"""The card of a lab of 582 units has 200 KB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabStatus:
    """How a lab is.

    Attributes:
        pid: Number of its process, or of the one it had.
        alive: Whether a process of it lives.
        units: How many units it has.
        data_centres: Names of its data centres.
        lost: Those that were lost; empty for a lab that has ended, which forgets it.
        with_release: Units with a current release in their folder.
        serving: Units whose gateway reaches an endpoint that serves.
        broken: By unit or endpoint, what is wrong with it; empty for a lab that has ended.
        slow: By office, the latency (milliseconds) and the rate (thousands of bits a second, 0 for no limit) of a line
            that is slow; empty for a lab that has ended.
    """

    folder: Path
    pid: int
    alive: bool
    units: int
    data_centres: tuple[str, ...]
    lost: tuple[str, ...]
    with_release: int
    serving: int
    broken: Mapping[str, How]
    slow: Mapping[str, tuple[int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Healed:
    """What was not well and is now.

    Attributes:
        units: Units and endpoints.
        offices: Those whose line was slow.
    """

    units: tuple[str, ...]
    offices: tuple[str, ...]


def lose(folder: Path, data_centre: str) -> int:
    """Lose a data centre: its endpoints refuse, and every unit it served has lost its releases.

    Returns:
        How many units it served.

    Raises:
        LabError: No lab runs there, it has no such data centre, or that is lost already.
    """
    return int(orders.give(_running(folder).control, {"do": "lose", "data_centre": data_centre})["units"])


def break_unit(folder: Path, unit: str, how: str) -> None:
    """Make a unit sick for new connections and commands, in place of whatever it had, until it is healed.

    Args:
        folder: The lab's.
        unit: Name of a unit or an endpoint.
        how: One of `How`.

    Raises:
        LabError: No lab runs there, it has no such unit, or there is no such sickness.
    """
    orders.give(_running(folder).control, {"do": "break", "host": unit, "how": sickness.read(how)})


def heal_unit(folder: Path, unit: str | None) -> Healed:
    """Make a unit well again; without one every unit and every line.

    Raises:
        LabError: No lab runs there, or it has no such unit.
    """
    order = {"do": "heal"} if unit is None else {"do": "heal", "host": unit}
    told = orders.give(_running(folder).control, order)
    return Healed(units=tuple(told["hosts"]), offices=tuple(told["offices"]))


def slow(folder: Path, office: str, latency_ms: int, kbit_s: int) -> int:
    """Give an office's line a latency and a rate; zeros make it as fast as it goes.

    The lab process delays the bytes of the office's SSH connections and test transactions, in each direction: it is no
    imitation of a network (see `recovery.lab.line`). Takes effect for new connections at once.

    Args:
        folder: The lab's.
        office: Its name.
        latency_ms: How long a byte is on its way, in each direction, milliseconds.
        kbit_s: Rate in each direction, thousands of bits a second, shared by the office's units; 0 for no limit.

    Returns:
        How many units hang on it.

    Raises:
        LabError: No lab runs there, it has no such office, or a number is negative.
    """
    order = {"do": "slow", "office": office, "latency_ms": latency_ms, "kbit_s": kbit_s}
    return int(orders.give(_running(folder).control, order)["hosts"])


def status(folder: Path) -> LabStatus:
    """Return how a lab is.

    Raises:
        LabError: There is none.
    """
    layout = Layout(folder.absolute().resolve())
    card = _card(layout)
    alive = _lives(layout)
    if alive:
        told = orders.give(layout.control, {"do": "status"})
        lost, with_release, serving = tuple(told["lost"]), int(told["with_release"]), int(told["serving"])
        broken = {name: How(word) for name, word in told["broken"].items()}
        slowed = {office: (int(latency_ms), int(kbit_s)) for office, (latency_ms, kbit_s) in told["slow"].items()}
    else:
        with_release = sum(is_folder(root / "current") for root in card.roots)
        lost, serving, broken, slowed = (), 0, {}, {}
    return LabStatus(
        folder=layout.folder,
        pid=card.pid,
        alive=alive,
        units=len(card.roots),
        data_centres=card.data_centres,
        lost=lost,
        with_release=with_release,
        serving=serving,
        broken=broken,
        slow=slowed,
    )


def down(folder: Path, *, purge: bool = False) -> None:
    """End a lab, if it runs, and wait until no process of it is left.

    Args:
        folder: Its folder.
        purge: Whether to remove the folder's files as well, the history beside its estate (`.pulih`) included.

    Raises:
        LabError: It does not end, or the folder to be purged holds no lab.
    """
    layout = Layout(folder.absolute().resolve())
    if not layout.lock.exists():
        if purge and layout.folder.is_dir() and any(layout.folder.iterdir()):
            raise LabError(f"{layout.folder} holds no lab, so nothing in it is removed")
        return
    if _lives(layout):
        _end(layout)
    _reap(layout)
    if purge:
        _purge(layout)


def _running(folder: Path) -> Layout:
    layout = Layout(folder.absolute().resolve())
    if not layout.lock.exists() or not _lives(layout):
        raise LabError(f"no lab runs in {layout.folder}; `pulih lab up --dir {layout.folder}` starts one")
    return layout


@dataclass(frozen=True, slots=True)
class _Card:
    """What `lab.json` says, as far as it is used here."""

    pid: int
    roots: tuple[Path, ...]
    data_centres: tuple[str, ...]


def _card(layout: Layout) -> _Card:
    try:
        told = json.loads(read_regular(layout.card, MAX_CARD_BYTES))
        pid = told["pid"]
        if type(pid) is not int or not 1 < pid < 1 << 31:
            raise ValueError(f"found {str(pid)[:20]!r} for the number of a process")
        roots = tuple(Path(unit["dir"]) for unit in told["units"].values())
        return _Card(pid, roots, tuple(map(str, told["data_centres"])))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise LabError(f"{layout.folder} holds no lab: {layout.card.name}: {error}") from error


def _holds(pid: int, lock: Path) -> bool:
    """Whether a process has a lab's lock open, which those of that lab have and nobody else."""
    try:
        return any(link.samefile(lock) for link in Path(f"/proc/{pid}/fd").iterdir() if link.exists())
    except OSError:
        return False


def _lives(layout: Layout) -> bool:
    """Whether a process of the lab lives: all of them hold the lock, and nobody else does for more than a moment."""
    try:
        descriptor = os.open(layout.lock, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _end(layout: Layout) -> None:
    if not layout.card.exists():
        raise LabError(f"a lab is just being started in {layout.folder}; ask again when it is up")
    pid = _card(layout).pid
    if not _holds(pid, layout.lock) and _lives(layout):
        raise LabError(
            f"{layout.card} names process {pid}, which is none of this lab's, so it is not ended; the lab's own are "
            f"those that have {layout.lock} open"
        )
    with suppress(ProcessLookupError):  # the server may be gone already, and its guard clearing up
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _END_WITHIN_S
    while _lives(layout):
        if time.monotonic() > deadline:
            raise LabError(
                f"the lab in {layout.folder} (process {pid}) has not ended in {_END_WITHIN_S} s; see {layout.log}"
            )
        time.sleep(_PAUSE_S)


def _reap(layout: Layout) -> None:
    """Wait for the guard when this process started it, so that it does not stay behind as a zombie."""
    # Imported here: the lab process imports this module, and needs nothing of what starts it.
    from recovery.lab.launch import started

    process = started.pop(layout.folder, None)
    if process is not None:
        process.wait(_END_WITHIN_S)


def _purge(layout: Layout) -> None:
    for path in (*layout.made_by_up(), layout.history, layout.lock):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    if not any(layout.folder.iterdir()):
        layout.folder.rmdir()
