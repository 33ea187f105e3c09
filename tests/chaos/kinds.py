"""Every kind of fault, in the order of the table."""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType

import pytest

from tests.chaos import engine, hosts, lines, operators, orchestrator

KINDS = (*orchestrator.KINDS, *operators.KINDS, *hosts.KINDS, *lines.KINDS, *engine.KINDS)

DAILY = frozenset(
    {
        "orchestrator: kill -9 before `run-started`",
        "orchestrator: kill -9 after `unit-started`",
        "orchestrator: kill -9 after `placement-intended`",
        "orchestrator: kill -9 before `unit-finished` no. 6",
        "orchestrator: the journal's last line torn",
        "orchestrator: SIGTERM while units are at work",
        "operators: two at the same moment",
        "orchestrator: SIGSTOP, taken over, SIGCONT",
        "state: its disk full",
        "unit: kill -9 of the applier at `stage`",
        "unit: kill -9 of the applier at `swap`",
        "unit: kill -9 of the applier at `receipt`",
        "bastion: kill -9 of its sshd",
        "unit: rebooted at `reload`",
        "unit: its clock in 1970, or 2038",
        "unit: disk fills up behind the swap",
        "unit: out of inodes",
        "line to a unit: 30 KB a second",
        "line to a bastion: reset when it connects",
        "line to a unit: reset within the bundle",
        "line to a unit: black hole",
        "line to a bastion: half-open within the bundle",
        "engine: an update while a run is at work",
        "engine: kill -9 in the middle of an update",
    }
)
"""What `make test` meets; the others differ from one of these by the place, and `make chaos` meets them all."""


def params(modules: Iterable[ModuleType]) -> list[object]:
    """Return the kinds of some modules as parameters of a test."""
    return [
        pytest.param(kind, id=kind.name, marks=() if kind.name in DAILY else pytest.mark.thorough)
        for module in modules
        for kind in module.KINDS
    ]


OF_HOSTS = params((hosts, lines))
OF_OPERATORS = params((orchestrator, operators, engine))
"""The two halves, for two processes with an estate each."""
