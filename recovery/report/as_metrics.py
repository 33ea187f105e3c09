"""A run's result as Prometheus metrics, for a textfile collector; pure, the caller writes the file."""

from __future__ import annotations

from collections import Counter

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from recovery.model.outcome import RunResult, State
from recovery.report.facts import service_actuals


def to_metrics(result: RunResult) -> str:
    """Return the last run of an estate and verb in Prometheus' text format; every name begins with `pulih_`."""
    registry = CollectorRegistry()
    run = {"estate": result.estate_name, "verb": result.verb}

    def gauge(name: str, about: str, value: float, **labels: str) -> None:
        found = made.get(name) or Gauge(name, about, [*run, *labels], registry=registry)
        made[name] = found
        found.labels(**run, **labels).set(value)

    made: dict[str, Gauge] = {}
    gauge("pulih_run_exit_code", "How the last run ended; 0 is done and as declared.", result.exit_code)
    gauge("pulih_run_started_timestamp_seconds", "When the last run began.", result.started_at.timestamp())
    gauge("pulih_run_finished_timestamp_seconds", "When the last run ended.", result.finished_at.timestamp())
    states = Counter(outcome.state for outcome in result.units)
    for state in State:
        gauge("pulih_units", "Units of the last run by how they ended.", states[state], state=state.value)
    failed = Counter(
        (outcome.region or "", outcome.cause or "") for outcome in result.units if outcome.state is State.QUARANTINED
    )
    for (region, cause), count in sorted(failed.items()):
        gauge("pulih_units_quarantined", "Units set aside, by cause.", count, region=region, cause=cause)
    for actual in service_actuals(result):
        service = str(actual.name)
        gauge("pulih_service_rto_seconds", "Recovery time objective.", actual.rto_s, service=service)
        gauge("pulih_service_rto_met", "Whether it was met.", actual.met, service=service)
        if actual.actual_s is not None:
            gauge("pulih_service_recovery_seconds", "What it took.", actual.actual_s, service=service)
    return generate_latest(registry).decode()
