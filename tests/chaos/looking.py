"""What is lost: found by looking at the units, the journal and the reports, never by what a command says of itself."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, cast

from recovery.model.estate import UnitName
from tests.chaos.machines import Machine
from tests.drill.watching import Witness

SERVING = ("verified", "unchanged")


class Onlooker(Witness):
    """Looks at every unit over and over: at what lies under `current`, and at what its gateway serves.

    Attributes:
        seen: Every digest that a unit's gateway has served or its `current` has led to; empty for none.
    """

    looks: int
    pause_s = 0.05

    def __init__(self, machines: Mapping[UnitName, Machine]) -> None:
        super().__init__({name: machine.root for name, machine in machines.items()})
        self._machines = machines
        self.seen: dict[str, set[str]] = {name: set() for name in machines}
        self._over = False

    def run(self) -> None:
        """Look at all of them, and at least once more after the end."""
        while True:
            over = self._over
            for name, machine in self._machines.items():
                self._look(name, machine.root)
                self.seen[name] |= {machine.loaded(), machine.current()}
            self.looks += 1
            if over:
                return
            self._enough.wait(self.pause_s)

    def look_again(self) -> None:
        """Return when every unit has been looked at once more, however busy the machine is."""
        enough = self.looks + 2  # the look that is under way may have passed some already
        while self.looks < enough and self.is_alive():
            time.sleep(0.01)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        super().__exit__()


@dataclass(frozen=True, slots=True)
class Losses:
    """Units by what was lost of them."""

    found: dict[str, list[str]] = field(default_factory=lambda: dict[str, list[str]]())

    def note(self, name: str, what: str) -> None:
        """Note that something of a unit is lost."""
        self.found.setdefault(name, []).append(what)


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """How the units stood before a fault.

    Attributes:
        old: What each served.
        new: What each is declared to serve.
        epochs: The newest writer that each had seen.
        unvalidated: What each had loaded without a check.
    """

    old: Mapping[UnitName, str]
    new: Mapping[UnitName, str]
    epochs: Mapping[UnitName, bytes]
    unvalidated: Mapping[UnitName, list[str]]


def records(journal: Path) -> list[dict[str, Any]]:
    """Return the whole lines of a journal."""
    if not journal.exists():
        return []
    lines = journal.read_text().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def served(told: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the units that a journal says to be verified."""
    finished = [record["data"] for record in told if record["kind"] == "unit-finished"]
    return {str(data["name"]) for data in finished if data["state"] in SERVING}


def look_at_the_looks(losses: Losses, onlooker: Onlooker, before: Before) -> None:
    """At every look a unit served its old configuration or its new one, whole."""
    assert onlooker.looks > 2
    for mixture in onlooker.mixtures:
        name, _, what = mixture.partition(": ")
        losses.note(name, what or "what lay under `current` was not one bundle")
    for name, new in before.new.items():
        for odd in onlooker.seen[name] - {before.old[name], new}:
            losses.note(name, f"served {odd or 'nothing'}: neither its old configuration nor its new one")


def _is_bold(result: Mapping[str, Any], intents: set[str]) -> bool:
    return result["name"] not in intents and result["state"] != "skipped"


def look_at_the_journals(
    losses: Losses, journals: Iterable[Iterable[Mapping[str, Any]]], touched: Iterable[str]
) -> None:
    """Whatever was touched had been recorded before: every unit by an intent, and every result behind its own."""
    meant: set[str] = set()
    for told in journals:
        intents: set[str] = set()
        for record in told:
            if record["kind"] == "unit-started":
                intents.add(record["data"]["name"])
            elif record["kind"] == "unit-finished" and _is_bold(record["data"], intents):
                losses.note(record["data"]["name"], "its result stands in the journal without an intent before it")
        meant |= intents
    for name in touched:
        if name not in meant:
            losses.note(name, "it was touched, and no journal says that anybody meant to")


def look_at_the_report(losses: Losses, report: Mapping[str, Any], before: Before) -> None:
    """Every unit is in the report: verified, or named with a cause."""
    members = {member["name"]: member for member in (*report["units"], *report["endpoints"])}
    for name in before.new:
        member = cast(dict[str, Any] | None, members.get(name))
        if member is None:
            losses.note(name, "the report does not have it")
        elif member["state"] not in SERVING and not member["cause"]:
            losses.note(name, f"the report says {member['state']} and no cause")


def look_at_the_end(losses: Losses, before: Before, machines: Mapping[UnitName, Machine]) -> None:
    """Every unit serves what is declared, which was found sound before it was loaded."""
    for name, new in before.new.items():
        machine = machines[name]
        if machine.loaded() != new:
            losses.note(name, f"serves {machine.loaded() or 'nothing'}, and {new} is declared")
        if machine.unvalidated() != before.unvalidated[name]:
            losses.note(name, "its gateway has loaded what nobody had found sound")


def look_at_the_drift(losses: Losses, drift: Mapping[str, Any]) -> None:
    """A reading of every unit finds it as declared."""
    for member in (*drift["units"], *drift["endpoints"]):
        if member["state"] != "as-declared":
            losses.note(member["name"], f"`pulih drift` says {member['state']}: {member['differences']}")
