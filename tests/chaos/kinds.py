"""Every kind of fault, in the order of the table."""

from __future__ import annotations

from tests.chaos import engine, hosts, lines, operators, orchestrator

KINDS = (*orchestrator.KINDS, *operators.KINDS, *hosts.KINDS, *lines.KINDS, *engine.KINDS)

_LEFT_TO_MAKE_CHAOS = frozenset(
    {
        "orchestrator: kill -9 after `break-glass`",
        "orchestrator: kill -9 after `run-started`",
        "orchestrator: kill -9 after `wave-started`",
        "orchestrator: kill -9 after `unit-finished`",
        "orchestrator: kill -9 after `unit-finished` no. 6",
        "orchestrator: kill -9 after `placement-written`",
        "orchestrator: kill -9 after `wave-finished` no. 3",
        "orchestrator: kill -9 after `unit-retried`",
        "orchestrator: kill -9 after `wave-held`",
        "orchestrator: kill -9 after `run-finished`",
        "orchestrator: SIGHUP while units are at work",
        "unit: kill -9 of the applier at `lock`",
        "unit: kill -9 of the applier at `check`",
        "unit: kill -9 of the applier at `validate`",
        "unit: kill -9 of the applier at `reload`",
        "unit: kill -9 of the applier at `probe`",
        "unit: rebooted at `validate`",
        "unit: rebooted at `receipt`",
        "unit: disk read-only",
        "line to a unit: latency of 100 ms each way",
        "line to a bastion: 30 KB a second",
        "line to a unit: reset when it connects",
        "line to a bastion: reset within the bundle",
        "line to a bastion: black hole",
        "line to a unit: half-open within the bundle",
    }
)
"""Each differs from one of the others by the place alone, and the simulation strikes at every place."""

DAILY = tuple(kind for kind in KINDS if kind.name not in _LEFT_TO_MAKE_CHAOS)
"""Those that `make test` meets; `make chaos` meets all."""

OF_HOSTS = tuple(kind for kind in DAILY if kind in (*hosts.KINDS, *lines.KINDS))
OF_OPERATORS = tuple(kind for kind in DAILY if kind not in OF_HOSTS)
"""The two halves of them, for two processes with an estate each."""
