"""The order in which services come back: a dependency graph, then the shortest RTO first. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from recovery.errors import PlanError
from recovery.model.estate import Service, ServiceName


def levels(services: Iterable[Service]) -> tuple[tuple[Service, ...], ...]:
    """Group services so that each level depends only on earlier levels.

    Returns:
        Levels in start order; inside a level the shortest RTO comes first, then the name.

    Raises:
        PlanError: Some services wait for each other or for an unknown one.
    """
    waiting = {service.name: service for service in services}
    done: set[ServiceName] = set()
    found: list[tuple[Service, ...]] = []
    while waiting:
        ready = [service for service in waiting.values() if service.after <= done]
        if not ready:
            raise PlanError(f"These services can never start: {', '.join(sorted(waiting))}.")
        found.append(tuple(sorted(ready, key=lambda service: (service.rto_s, service.name))))
        for service in ready:
            done.add(service.name)
            del waiting[service.name]
    return tuple(found)


def closure(services: Sequence[Service], wanted: Iterable[ServiceName]) -> frozenset[ServiceName]:
    """Return the wanted services with everything they come after, directly or not."""
    after = {service.name: service.after for service in services}
    found: set[ServiceName] = set()
    todo = list(wanted)
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo.extend(after[name])
    return frozenset(found)
