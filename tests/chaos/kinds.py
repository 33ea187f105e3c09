"""Every kind of fault, in the order of the table."""

from __future__ import annotations

from tests.chaos import engine, hosts, lines, operators, orchestrator

KINDS = (*orchestrator.KINDS, *operators.KINDS, *hosts.KINDS, *lines.KINDS, *engine.KINDS)
