from __future__ import annotations

import pytest

from recovery.errors import PlanError
from recovery.model.estate import Service, ServiceClass, ServiceName
from recovery.waves import closure, levels


def service(name: str, *, after: tuple[str, ...] = (), rto_s: int = 60) -> Service:
    return Service(
        name=ServiceName(name),
        title=name,
        service_class=ServiceClass.SERVING,
        unit_kind=None,
        rto_s=rto_s,
        rpo_s=60,
        after=frozenset(map(ServiceName, after)),
    )


def test_each_level_depends_only_on_earlier_ones_and_the_shortest_rto_comes_first() -> None:
    passport = service("passport", after=("identity",), rto_s=900)
    border = service("border", after=("identity",), rto_s=300)
    found = levels([passport, border, service("identity")])
    assert [[member.name for member in level] for level in found] == [["identity"], ["border", "passport"]]


def test_a_cycle_is_named_not_looped_on() -> None:
    with pytest.raises(PlanError, match="can never start: passport, visa"):
        levels([service("passport", after=("visa",)), service("visa", after=("passport",)), service("time")])


def test_an_unknown_dependency_can_never_start() -> None:
    with pytest.raises(PlanError, match="can never start: passport"):
        levels([service("passport", after=("nothing",))])


def test_the_closure_follows_dependencies_of_dependencies() -> None:
    chain = [service("a"), service("b", after=("a",)), service("c", after=("b",)), service("d")]
    assert closure(chain, [ServiceName("c")]) == {"a", "b", "c"}
