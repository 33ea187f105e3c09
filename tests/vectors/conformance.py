"""Plays a stored vector against the reference client, over real HTTP."""

from __future__ import annotations

import shutil
import socket
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from random import Random

from pulih_client import LIMITS, Client, Outcome, State

from tests.vectors.case import SHIPPED_DATA, Case, Step
from tests.vectors.serving import Site, serving

LIMITS_OF_TESTS = replace(LIMITS, mirror_s=1.0)

VERSION = "4.2.0"


def play(case: Case, folder: Path, seed: int = 0) -> None:
    """Play all steps on one installation; AssertionError names the step that came out otherwise."""
    home, backups = folder / "installation", folder / "backups"
    for path, content in SHIPPED_DATA.items():
        file = home / "data" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    random = Random(seed)
    with ExitStack() as stack:
        sites = [stack.enter_context(serving()) for _ in range(max(len(step.mirrors) for step in case.steps))]
        closed = f"http://127.0.0.1:{_closed_port(stack)}/"
        for number, step in enumerate(case.steps, 1):
            if step.restore is not None:
                shutil.rmtree(home)
                shutil.copytree(backups / str(step.restore), home, symlinks=True)
            told = f"{case.name}, step {number}"
            _poll(
                case,
                step,
                Client(
                    State(home, case.shipped),
                    case.root,
                    [_show(site, files, closed) for site, files in zip(sites, step.mirrors, strict=False)],
                    limits=LIMITS_OF_TESTS,
                    random=random,
                ),
                told,
            )
            shutil.copytree(home, backups / str(number), symlinks=True)


def _show(site: Site, files: object, closed: str) -> str:
    if files is None:
        return closed
    site.files = files  # type: ignore[assignment] # checked where it was read
    return site.url


def _poll(case: Case, step: Step, client: Client, told: str) -> None:
    poll = client.poll(step.clock)
    refusals = [(refusal.reason.value, refusal.file) for refusal in poll.refusals]
    assert poll.outcome.value == step.outcome, f"{told}: {poll}"
    if poll.outcome in (Outcome.UPDATED, Outcome.UNCHANGED):
        assert set(refusals) <= set(step.refusals), f"{told}: {poll}"
    else:
        assert sorted(refusals) == sorted(step.refusals), f"{told}: {poll}"
    used = client.configuration
    assert (None if used is None else used.config_epoch) == step.epoch, told
    assert (used is not None and used.asks_for_update_of(VERSION)) == step.update_needed, told
    home = client.state.folder / "data"
    left = {path.relative_to(home).as_posix(): path.read_text() for path in home.rglob("*") if path.is_file()}
    assert left == {path: SHIPPED_DATA[path] for path in step.data}, told
    assert case.shipped is None or used is not None, told


def _closed_port(stack: ExitStack) -> int:
    """Return a port that is taken and does not listen."""
    taken = stack.enter_context(socket.socket())
    taken.bind(("127.0.0.1", 0))
    return taken.getsockname()[1]
