"""What became of a run, for machines (JSON, JUnit) and for people (Markdown, HTML); pure, the caller writes the files.

`as_html` and `as_junit` are imported by name: not every command pays for them.
"""

from __future__ import annotations

from recovery.report.apps import citizen_totals
from recovery.report.as_json import (
    SCHEMA,
    citizens_from_json,
    citizens_to_json,
    forecast_from_json,
    forecast_to_json,
    from_json,
    outcome_from_json,
    outcome_to_json,
    to_json,
)
from recovery.report.as_markdown import to_markdown
from recovery.report.facts import ServiceActual, Totals, failures_by_cause, service_actuals, totals

__all__ = [
    "SCHEMA",
    "ServiceActual",
    "Totals",
    "citizen_totals",
    "citizens_from_json",
    "citizens_to_json",
    "failures_by_cause",
    "forecast_from_json",
    "forecast_to_json",
    "from_json",
    "outcome_from_json",
    "outcome_to_json",
    "service_actuals",
    "to_json",
    "to_markdown",
    "totals",
]
